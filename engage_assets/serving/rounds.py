"""Group commit: one thread has the ledger take what requests ask, all that wait in one transaction a round."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Final, Generic, TypeVar

from engage_assets.serving.scheduling import as_here

_IDLE_SECONDS: Final = 5.0
"""The thread ends after so long without work; the next request starts another."""

Act = TypeVar("Act")
Outcome = TypeVar("Outcome")
Item = TypeVar("Item")
_Waiting = tuple[Act, asyncio.AbstractEventLoop, "asyncio.Future[Any]"]
_Told = tuple[Sequence[_Waiting[Act]], Sequence[Any]]
"""A round, and what became of its acts."""


class Rounds(Generic[Act, Outcome]):
    """Has acts taken, in the order in which they came.

    `take` gives an outcome for each act, in one transaction. A round whose transaction fails is taken again one by one,
    so that one fault stays alone. `settle`: waits until all that was taken so far is durable, where `take` does not;
    the next round is taken meanwhile. `most`: acts of one transaction. `gather`: seconds in which others may join a
    round before it begins; few of them cost each a little time, and spare the ledger many transactions.
    """

    def __init__(
        self,
        take: Callable[[Sequence[Act]], Sequence[Outcome]],
        name: str,
        most: int = 64,
        gather: float = 0,
        settle: Callable[[], None] | None = None,
    ) -> None:
        self._take = take
        self._settle = settle
        self._taking: _Hand[_Waiting[Act]] = _Hand(self._serve, name, most, gather)
        self._settling: _Hand[_Told[Act]] = _Hand(self._tell_settled, f"{name}-disk", most)

    async def take(self, act: Act) -> Outcome:
        """What became of an act, once it is durable. Raises what the transaction, or making it durable, raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        self._taking.give((act, loop, future))
        return await future

    def _serve(self, waiting: Sequence[_Waiting[Act]]) -> None:
        try:
            taken = self._take([act for act, _, _ in waiting])
        except Exception as error:  # noqa: BLE001 – told to whoever waits
            if len(waiting) > 1:
                for one in waiting:
                    self._serve([one])
            else:
                _tell(waiting, [error])
            return
        if self._settle:
            self._settling.give((waiting, taken))
        else:
            _tell(waiting, taken)

    def _tell_settled(self, rounds: Sequence[_Told[Act]]) -> None:
        assert self._settle
        try:
            self._settle()
        except Exception as error:  # noqa: BLE001 – told to whoever waits
            rounds = [(waiting, [error] * len(waiting)) for waiting, _ in rounds]
        for waiting, taken in rounds:
            _tell(waiting, taken)


class _Hand(Generic[Item]):
    """A thread that handles what it is given, all at once that waits; without work it ends, and begins anew.

    It is scheduled as the thread that first gives it something.
    """

    def __init__(self, handle: Callable[[Sequence[Item]], None], name: str, most: int, gather: float = 0) -> None:
        self._handle = handle
        self._name = name
        self._most = most
        self._gather = gather
        self._inbox: SimpleQueue[Item] = SimpleQueue()
        self._starting = Lock()
        self._thread: Thread | None = None

    def give(self, item: Item) -> None:
        """Have it handled."""
        with self._starting:
            self._inbox.put(item)
            if self._thread is None:
                self._thread = Thread(target=self._run, args=[as_here()], name=self._name, daemon=True)
                self._thread.start()

    def _run(self, be_scheduled: Callable[[], object]) -> None:
        be_scheduled()
        while True:
            try:
                waiting = [self._inbox.get(timeout=_IDLE_SECONDS)]
            except Empty:
                with self._starting:
                    if self._inbox.empty():
                        self._thread = None
                        return
                continue
            if self._gather:
                time.sleep(self._gather)
            waiting += [self._inbox.get() for _ in range(min(self._inbox.qsize(), self._most - 1))]
            self._handle(waiting)


def _tell(waiting: Sequence[_Waiting[Any]], outcomes: Sequence[Any]) -> None:
    """Wake the requests of a round, each loop once for all of its own."""
    told = list(zip(waiting, outcomes, strict=True))
    for loop in {loop for _, loop, _ in waiting}:
        own = [(future, outcome) for (_, of, future), outcome in told if of is loop]
        with suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(_wake, own)


def _wake(told: Sequence[tuple["asyncio.Future[Any]", Any]]) -> None:
    """Give requests that are still there their outcomes."""
    for future, outcome in told:
        if future.cancelled():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
