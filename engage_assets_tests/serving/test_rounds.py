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


# --- at once --------------------------------------------------------------------------------------


class Desk:
    """Takes acts at once, unless others are `busy`; notes which thread took what."""

    def __init__(self) -> None:
        self.is_busy = False
        self.at_once: list[list[int]] = []
        self.by_thread: list[list[int]] = []
        self.is_free = Event()

    def take_at_once(self, acts):
        if self.is_busy:
            return None
        if 7 in acts:
            raise ValueError("seven")
        self.at_once.append(list(acts))
        return acts

    def take(self, acts):
        assert self.is_free.wait(10)
        if 7 in acts:
            raise ValueError("seven")
        self.by_thread.append(list(acts))
        return acts

    def rounds(self) -> Rounds[int, int]:
        return Rounds(self.take, "test", at_once=self.take_at_once, settle=lambda: None)


def test_what_comes_in_one_turn_of_the_loop_is_taken_at_once_together():
    desk = Desk()
    rounds = desk.rounds()

    async def visit():
        return await asyncio.gather(*(rounds.take(act) for act in range(20, 60)))

    assert asyncio.run(visit()) == list(range(20, 60)) == asyncio.run(visit())
    assert [len(acts) for acts in desk.at_once] == [16, 16, 8] * 2
    assert not desk.by_thread


def test_who_follows_one_that_waits_for_others_waits_for_him():
    desk = Desk()
    rounds = desk.rounds()

    async def visit():
        desk.is_busy = True
        first = asyncio.create_task(rounds.take(1))
        await asyncio.sleep(0.01)
        desk.is_busy = False
        second = asyncio.create_task(rounds.take(2))
        await asyncio.sleep(0.01)
        assert not desk.at_once
        desk.is_free.set()
        assert [await first, await second] == [1, 2]
        await asyncio.sleep(0.01)
        return await rounds.take(3)

    assert asyncio.run(visit()) == 3
    assert [act for acts in desk.by_thread for act in acts] == [1, 2]
    assert desk.at_once == [[3]]


def test_a_fault_at_once_stays_alone():
    desk = Desk()
    desk.is_free.set()
    rounds = desk.rounds()

    async def visit():
        return await asyncio.gather(*(rounds.take(act) for act in (6, 7, 8)), return_exceptions=True)

    assert [str(one) for one in asyncio.run(visit())] == ["6", "seven", "8"]
