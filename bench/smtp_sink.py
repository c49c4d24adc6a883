"""A mail server that takes everything and keeps nothing: to find the client's own speed.

usage: python bench/smtp_sink.py
It prints its port, and answers until it is ended. PIPELINING, no delay of small packets, no parsing but of what ends a
message.
"""

import asyncio
import socket
from typing import Any

EHLO = b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n"


class Sink(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: Any) -> None:
        """Greet."""
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport, self.came, self.is_content = transport, b"", False
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        """Answer what is whole, in one write."""
        self.came += data
        answers = []
        while (answer := self.next_answer()) is not None:
            answers.append(answer)
        if answers:
            self.transport.write(b"".join(answers))

    def next_answer(self) -> bytes | None:
        """The answer to the next command or message, None where it is not whole yet."""
        end = b"\r\n.\r\n" if self.is_content else b"\r\n"
        at = self.came.find(end)
        if at < 0:
            return None
        line, self.came = self.came[:at], self.came[at + len(end) :]
        if self.is_content:
            self.is_content = False
            return b"250 2.0.0 Ok\r\n"
        verb = line[:4].upper()
        self.is_content = verb == b"DATA"
        return {b"EHLO": EHLO, b"DATA": b"354 go on\r\n"}.get(verb, b"250 2.0.0 Ok\r\n")


async def main() -> None:
    """Serve on a free port."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        import uvloop

        uvloop.run(main())
    except ImportError:
        asyncio.run(main())
