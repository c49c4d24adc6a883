"""Messages a second through kept lines, building included: to aiosmtpd, and to a sink that only answers.

usage: python bench/smtp.py sink|aiosmtpd [MESSAGES] [LINES]
The server is a process of its own on loopback. `cpu_ms` is the client's CPU of one message, build and hand-over.
"""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import letters
import measure

SERVERS = {"sink": "smtp_sink.py", "aiosmtpd": "smtp_inbox.py"}


def send(line: Any, press: Any, rows: list[dict[str, Any]]) -> int:
    """Hand the rows' letters over on one line; how many were taken."""
    taken = 0
    for row in rows:
        letter = press.letter(row, name="Zoë Müller", address="person@example.invalid")
        taken += line.hand_over(letter).state == "sent"
    line.close()
    return taken


def main(where: str, messages: int = 5_000, lines: int = 4) -> None:
    """Send, and report the rate."""
    from engage_assets.channels.links import Links
    from engage_assets.channels.message import Letterpress
    from engage_assets.channels.smtp import smtp_sender
    from engage_assets.domain.tokens import Signer

    rows, marketplaces = letters.campaign(min(messages, 2_000))
    rows = (rows * (messages // len(rows) + 1))[:messages]
    press = Letterpress(
        marketplaces, Links("https://reviews.example.invalid", Signer({1: bytes(range(32))}, signing=1))
    )
    script = Path(__file__).with_name(SERVERS[where])
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        sender = smtp_sender(f"smtp://127.0.0.1:{server.stdout.readline().strip()}", None, lines=lines)
        began, used = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(sender.lines) as pool:
            taken = sum(pool.map(lambda n: send(sender.open(), press, rows[n::lines]), range(lines)))
        seconds, cpu = time.perf_counter() - began, time.process_time() - used
        server.terminate()
    measure.report(
        server=where,
        lines=lines,
        messages=messages,
        taken=taken,
        per_second=round(messages / seconds),
        cpu_ms=round(cpu / messages * 1e3, 3),
    )


if __name__ == "__main__":
    main(sys.argv[1], *(int(number) for number in sys.argv[2:]))
