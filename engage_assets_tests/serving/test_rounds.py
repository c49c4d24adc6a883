"""Rounds: nobody is told before his round is durable, and the next round does not wait for that."""

import asyncio
from threading import Event

import pytest

from engage_assets.serving.rounds import Rounds


class Disk:
    """Takes acts at once, and has them on the disk when `ready` is set."""

    def __init__(self) -> None:
        self.taken: list[list[int]] = []
        self.settled: list[int] = []
        """How many acts had been taken when each settling began."""
        self.ready = Event()
        self.fault: Exception | None = None

    def take(self, acts):
        self.taken.append(list(acts))
        return [10 * act for act in acts]

    def settle(self):
        self.settled.append(sum(map(len, self.taken)))
        assert self.ready.wait(10)
        if self.fault:
            raise self.fault

    async def has_taken(self, count: int) -> None:
        async with asyncio.timeout(10):
            while sum(map(len, self.taken)) < count or not self.settled:  # noqa: ASYNC110 – threads take
                await asyncio.sleep(0.001)


def test_the_next_round_is_taken_while_one_settles_and_both_are_told_once_they_are_durable():
    disk = Disk()
    rounds = Rounds(disk.take, "test", settle=disk.settle)

    async def visit():
        first = asyncio.create_task(rounds.take(1))
        await disk.has_taken(1)
        second = asyncio.create_task(rounds.take(2))
        await disk.has_taken(2)
        await asyncio.sleep(0.02)
        assert not first.done()
        assert not second.done()
        disk.ready.set()
        return await asyncio.gather(first, second)

    assert asyncio.run(visit()) == [10, 20]
    assert disk.settled == [1, 2]


def test_what_the_disk_did_not_take_is_told_to_all_who_wait_for_it():
    disk = Disk()
    disk.fault = OSError("no disk")
    disk.ready.set()
    rounds = Rounds(disk.take, "test", settle=disk.settle)

    async def visit():
        return await asyncio.gather(*(rounds.take(act) for act in range(3)), return_exceptions=True)

    assert [str(one) for one in asyncio.run(visit())] == ["no disk"] * 3


def test_of_a_round_that_fails_one_fault_stays_alone():
    def take(acts):
        if 2 in acts:
            raise ValueError("two")
        return acts

    async def visit():
        return await asyncio.gather(*(rounds.take(act) for act in range(4)), return_exceptions=True)

    rounds = Rounds(take, "test")
    assert [str(one) for one in asyncio.run(visit())] == ["0", "1", "two", "3"]


@pytest.mark.parametrize("settled", [True, False])
def test_hands_that_were_idle_begin_anew(monkeypatch, settled):
    monkeypatch.setattr("engage_assets.serving.rounds._IDLE_SECONDS", 0.01)
    rounds = Rounds(lambda acts: acts, "test", settle=(lambda: None) if settled else None)

    async def visit():
        told = []
        for act in range(3):
            told.append(await rounds.take(act))
            await asyncio.sleep(0.05)
        return told

    assert asyncio.run(visit()) == [0, 1, 2]
