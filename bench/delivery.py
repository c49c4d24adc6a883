"""Messages a second of a whole delivery: gate, claims, letters, SMTP, states and the candidates' status, all durable.

usage: python bench/delivery.py sink|aiosmtpd [MESSAGES] [LINES]
A campaign in a home of its own; the server is a process of its own on loopback. Counts are checked afterwards.
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import measure

ROOT = Path(__file__).parent.parent
SERVERS = {"sink": "smtp_sink.py", "aiosmtpd": "smtp_inbox.py"}


def main(where: str, messages: int = 10_000, lines: int = 8) -> None:
    """Deliver a campaign, and report the rate."""
    sys.path.insert(0, str(ROOT))
    from engage_assets.channels.links import Links
    from engage_assets.channels.smtp import smtp_sender
    from engage_assets.defs.delivery import deliver_due
    from engage_assets.dispatch.relay import Relay
    from engage_assets.domain.tokens import Signer
    from engage_assets.ledger.outbox import SqlOutbox
    from engage_assets_tests.campaigns import make_campaign, partition, postman

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_campaign(root, messages)
        command = [sys.executable, str(Path(__file__).with_name(SERVERS[where]))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            links = Links("https://reviews.example.invalid", Signer({1: bytes(range(32))}, signing=1))
            made, batch = postman(root, port)
            made = replace(made, sender=smtp_sender(f"smtp://127.0.0.1:{port}", None, lines=lines), links=links)
            began, cpu = time.perf_counter(), time.process_time()
            with Relay(SqlOutbox(made.ledger.database), made.store, made.clock):
                done = deliver_due(made, batch)
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            server.terminate()
        counts = dict(sum((counts for counts in done.outcomes.values()), start=type(done.outcomes[partition()])()))
        assert counts == {"sent": messages}, counts
    measure.report(
        messages_per_second=round(messages / seconds), cpu_ms=round(1e3 * cpu / messages, 3), lines=lines, to=where
    )


if __name__ == "__main__":
    main(sys.argv[1], *(int(one) for one in sys.argv[2:]))
