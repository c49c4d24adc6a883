"""Group commit: one thread writes to the ledger what all lines want recorded, in one transaction per round."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Final, Protocol

from engage_assets.dispatch.watch import Watch
from engage_assets.domain.sends import Move

HANDED_OVER: Final = "handed_over"
_ROUND: Final = 1000
"""Most entries of one transaction."""
_GLANCE_SECONDS: Final = 1.0
_LONGEST_LINGER_SECONDS: Final = 0.005


class Book(Protocol):
    """The ledger as a pump uses it (domain/ports.py: Ledger)."""

    def settle(self, moves: Sequence[Move], now: datetime) -> frozenset[str]:
        """Record moves in one durable transaction; returns the hand-overs that were lost to another owner."""

    def release(self, send_ids: Sequence[str], now: datetime) -> None:
        """Claimed sends become planned; those handed over stay."""

    def renew(self, send_ids: Sequence[str], now: datetime) -> None:
        """Extend the lease of sends that are claimed or handed over."""


class Ticket:
    """On what one line waits: whether its hand-over is recorded."""

    def __init__(self) -> None:
        self._answered = Lock()
        self._answered.acquire()
        self._is_granted = False

    def answer(self, *, is_granted: bool) -> None:
        """Wake the line."""
        self._is_granted = is_granted
        self._answered.release()

    def wait(self, is_alive: Callable[[], bool]) -> bool:
        """The answer; False when nobody is there to give it."""
        while not self._answered.acquire(timeout=_GLANCE_SECONDS):
            if not is_alive():
                return False
        return self._is_granted


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a line wants recorded: how letters ended, and perhaps which one it hands over next."""

    ended: Sequence[Move] = ()
    begins: Move | None = None
    ticket: Ticket | None = None
    released: Sequence[str] = ()


class Recorder:
    """The only thread of a pump that writes to the ledger.

    When the ledger fails, `on_error` is called and nothing begins any more; answers that come in afterwards, and those
    of the round that failed, are still recorded one by one where the ledger takes them, so that few stay in doubt.
    `held` gives the sends whose leases are extended every `renew_seconds`.
    """

    def __init__(
        self,
        book: Book,
        watch: Watch,
        *,
        on_error: Callable[[BaseException], None],
        held: Callable[[], list[str]],
        lines: int,
        renew_seconds: float,
    ) -> None:
        self.counts: Counter[str] = Counter()
        """Letters by their end: the ledger's states, `released`, and `lost` to another owner."""
        self.is_failed = False
        """Whether the ledger failed: nothing begins any more."""
        self._book = book
        self._watch = watch
        self._on_error = on_error
        self._held = held
        self._lines = lines
        self._linger_seconds = 0.0
        self._renew_seconds = renew_seconds
        self._renewed_at = watch.monotonic()
        self._is_closing = False
        self._inbox: SimpleQueue[_Entry | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="dispatch-ledger", daemon=True)

    def start(self) -> None:
        """Start to write."""
        self._thread.start()

    def begin(self, ended: Sequence[Move], send_id: str, ticket: Ticket) -> bool:
        """Record how letters ended and that `send_id` is handed over; waits until both are durable.

        False: it is not recorded, and must not be handed over.
        """
        self._inbox.put(_Entry(ended, Move(send_id, HANDED_OVER), ticket))
        return ticket.wait(self._thread.is_alive)

    def record(self, ended: Sequence[Move]) -> None:
        """Record how letters ended, without waiting for it."""
        if ended:
            self._inbox.put(_Entry(ended))

    def release(self, send_ids: Sequence[str]) -> None:
        """Give claims back, without waiting for it."""
        if send_ids:
            self._inbox.put(_Entry(released=send_ids))

    def close(self) -> None:
        """Write what is still to be written, and end."""
        self._inbox.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while not (self._is_closing and self._inbox.empty()):
                self._write(self._collect())
        except BaseException as error:  # noqa: BLE001 – whoever waits must hear of it
            self._fail(error)

    def _collect(self) -> list[_Entry]:
        """What is to be written together, once there is something; nothing after a second."""
        try:
            found = [self._inbox.get(timeout=_GLANCE_SECONDS)]
        except Empty:
            return []
        self._linger(found)
        found += [self._inbox.get() for _ in range(min(self._inbox.qsize(), _ROUND))]
        entries = [entry for entry in found if entry is not None]
        self._is_closing = self._is_closing or len(entries) < len(found)
        return entries

    def _linger(self, found: list[_Entry | None]) -> None:
        """Give other lines a moment to join the round, as long as the last one took: rounds cost by the piece.

        Without it fast lines fall into two halves that take turns, and each round carries only half of them.
        """
        end = self._watch.monotonic() + self._linger_seconds
        while len(found) < self._lines and (left := end - self._watch.monotonic()) > 0:
            try:
                found.append(self._inbox.get(timeout=left))
            except Empty:
                return

    def _write(self, entries: list[_Entry]) -> None:
        """One round: at most one transaction of moves, one of releases, and now and then one of leases."""
        settling = [entry for entry in entries if entry.ended or entry.begins]
        released = [send_id for entry in entries for send_id in entry.released]
        if settling and not (self._is_well() and self._attempt(lambda: self._settle(settling))):
            self._rescue(settling)
        if released:
            self._attempt(lambda: self._release(released))
        if self._is_well() and self._watch.monotonic() - self._renewed_at >= self._renew_seconds:
            self._attempt(self._renew)

    def _settle(self, entries: list[_Entry]) -> None:
        moves = [move for entry in entries for move in entry.ended]
        moves += [entry.begins for entry in entries if entry.begins]
        began = self._watch.monotonic()
        lost = self._book.settle(moves, self._watch.now())
        self._linger_seconds = min(self._watch.monotonic() - began, _LONGEST_LINGER_SECONDS)
        for entry in entries:
            self.counts.update(move.state for move in entry.ended)
            if entry.begins and entry.ticket:
                is_lost = entry.begins.send_id in lost
                self.counts.update(["lost"] if is_lost else [])
                entry.ticket.answer(is_granted=not is_lost)

    def _rescue(self, entries: list[_Entry]) -> None:
        """After a failure: what is known is recorded where that still works, and nothing begins."""
        for entry in entries:
            if entry.ended:
                with suppress(Exception):
                    self._book.settle(entry.ended, self._watch.now())
                    self.counts.update(move.state for move in entry.ended)
            if entry.ticket:
                entry.ticket.answer(is_granted=False)

    def _release(self, send_ids: list[str]) -> None:
        self._book.release(send_ids, self._watch.now())
        self.counts["released"] += len(send_ids)

    def _renew(self) -> None:
        self._renewed_at = self._watch.monotonic()
        if held := self._held():
            self._book.renew(held, self._watch.now())

    def _attempt(self, write: Callable[[], None]) -> bool:
        """Whether a write went well; tells the pump where it did not."""
        try:
            write()
        except Exception as error:  # noqa: BLE001 – raised again by the pump
            self._fail(error)
            return False
        return True

    def _fail(self, error: BaseException) -> None:
        self.is_failed = True
        self._on_error(error)

    def _is_well(self) -> bool:
        return not self.is_failed
