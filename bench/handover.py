"""Messages a second handed over, their ledger included: `handed_over` durable before, the answer after, for each.

usage: python bench/handover.py sink|aiosmtpd [MESSAGES] [LINES]
Messages are claimed and built beforehand; bench/delivery.py measures a whole delivery.
"""

import random
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import letters
import measure
from delivery import SERVERS
from ledger import NOW, RULES, a_send


def main(where: str, messages: int = 10_000, lines: int = 8) -> None:
    """Hand over, and report the rate."""
    from engage_assets.channels.message import Letterpress
    from engage_assets.channels.smtp import smtp_sender
    from engage_assets.clocks import RealClock
    from engage_assets.dispatch.pump import Pump
    from engage_assets.domain.sends import Letter
    from engage_assets.ledger.ledger import SqlLedger

    (row,), marketplaces = letters.campaign(1)
    sends = [a_send(number) for number in range(messages)]
    built = Letterpress(marketplaces).letter(row, name="Zoë Müller", address="person@example.invalid")
    script = Path(__file__).with_name(SERVERS[where])
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as server,
    ):
        assert server.stdout is not None
        ledger = SqlLedger(f"sqlite:///{folder}/ledger.db")
        ledger.plan(sends, NOW - timedelta(hours=1))
        won = ledger.claim([send.send_id for send in sends], NOW, RULES).won
        mail = [Letter(one, built.campaign_id, built.sender, built.recipient, built.content) for one in won]
        sender = smtp_sender(f"smtp://127.0.0.1:{server.stdout.readline().strip()}", None, lines=lines)
        ways = {"random": random.Random(1).random, "sleep": time.sleep, "monotonic": time.monotonic}
        began, used = time.perf_counter(), time.process_time()
        with Pump(ledger, sender, RealClock(), **ways) as pump:
            pump.feed(mail, RealClock().now() + timedelta(hours=1))
        seconds, cpu = time.perf_counter() - began, time.process_time() - used
        counted = ledger.states(sends[0].campaign_id)
        server.terminate()
    assert counted == {"sent": messages}, counted
    measure.report(
        messages_per_second=round(messages / seconds), cpu_ms=round(1e3 * cpu / messages, 3), lines=lines, to=where
    )


if __name__ == "__main__":
    main(sys.argv[1], *(int(one) for one in sys.argv[2:]))
