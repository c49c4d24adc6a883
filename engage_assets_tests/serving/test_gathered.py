"""Head and body of an answer leave together, in order, and before the connection closes."""

import asyncio

from engage_assets.serving.gathered import Gathered


class Wire:
    """A transport that notes what is done to it."""

    def __init__(self):
        self.done: list[bytes | str] = []
        self.is_over = False

    def write(self, data):
        self.done.append(data)

    def close(self):
        self.done.append("closed")
        self.is_over = True

    def is_closing(self):
        return self.is_over

    def get_extra_info(self, name):
        return f"the wire's {name}"


def run(act) -> list[bytes | str]:
    """What an act on a gathered transport does to the wire."""

    async def main():
        wire = Wire()
        await act(Gathered(wire, asyncio.get_running_loop()), wire)
        await asyncio.sleep(0)
        return wire.done

    return asyncio.run(main())


def test_what_is_written_in_one_turn_leaves_as_one():
    async def act(transport, wire):
        transport.write(b"head ")
        transport.write(b"body")
        assert wire.done == []
        await asyncio.sleep(0)
        transport.write(b"more")

    assert run(act) == [b"head body", b"more"]


def test_what_is_held_leaves_before_the_connection_closes():
    async def act(transport, _):
        transport.write(b"head ")
        transport.write(b"body")
        transport.close()

    assert run(act) == [b"head body", "closed"]


def test_nothing_is_written_to_who_has_gone_and_all_else_is_the_transports():
    async def act(transport, wire):
        transport.write(b"head")
        wire.close()
        assert transport.is_closing()
        assert transport.get_extra_info("peer") == "the wire's peer"

    assert run(act) == ["closed"]
