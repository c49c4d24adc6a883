"""A real mail server (aiosmtpd) that counts and keeps nothing.

usage: python bench/smtp_inbox.py
It prints its port, and answers until it is ended.
"""

import asyncio
from typing import Any

from aiosmtpd.smtp import SMTP


class Inbox:
    """Takes every message."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: ARG002, N802
        """Answer as a server with a queue."""
        return "250 2.0.0 Ok: queued"


async def main() -> None:
    """Serve on a free port."""
    made = await asyncio.get_running_loop().create_server(lambda: SMTP(Inbox(), hostname="inbox"), "127.0.0.1", 0)
    print(made.sockets[0].getsockname()[1], flush=True)
    await made.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
