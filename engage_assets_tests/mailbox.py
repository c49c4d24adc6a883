"""A real SMTP server (aiosmtpd) in a process of its own: each message that it accepts leaves a line in a file."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engage_assets_tests.processes import PROCESSES


class _Inbox:
    """Writes the Message-ID's local part before the message is accepted."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        start = envelope.content.index(b"Message-ID: <") + len(b"Message-ID: <")
        os.write(self._file, envelope.content[start : envelope.content.index(b"@", start)] + b"\n")
        return "250 OK"


def _serve(path: str, told: Any) -> None:
    from aiosmtpd.smtp import SMTP

    async def run() -> None:
        handler = _Inbox(path)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(handler, hostname="localhost"), "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def mailbox(path: Path) -> Iterator[int]:
    """The port of a running server; `received` reads what it accepted."""
    mine, theirs = PROCESSES.Pipe()
    process = PROCESSES.Process(target=_serve, args=(str(path), theirs), daemon=True)
    process.start()
    assert mine.poll(30), "aiosmtpd did not start"
    try:
        yield mine.recv()
    finally:
        process.terminate()
        process.join(10)


def received(path: Path) -> list[str]:
    """Send ids of the accepted messages, in their order."""
    return path.read_text(encoding="ascii").split() if path.exists() else []
