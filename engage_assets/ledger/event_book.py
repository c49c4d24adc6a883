"""The book of one event within one transaction: who has a seat, who stands in line, and who is told what."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from engage_assets.domain.registrations import (
    SEATED,
    Act,
    Applied,
    Fit,
    Register,
    Registration,
    Seats,
    Status,
    Withdraw,
)

_ENDLESS: Final = 2**31 - 1
_TICK: Final = timedelta(microseconds=1)
Waiting = Callable[[int], Iterable[Registration]]
"""So many of the first in line, as the database has them."""


@dataclass
class Book:
    """Registrations of an event as they stand, those of the customers who ask now in memory."""

    program: str
    event_id: str
    taken: int = 0
    """Seats that are taken here."""
    last_ticket: int = 0
    overlaps: dict[frozenset[str], int] = field(default_factory=dict)
    """Of the seats that are taken here, how many are of customers whom another system lists, by such a list."""
    known: dict[str, Registration] = field(default_factory=dict)
    waiting: Waiting = lambda _: ()
    changes: list[Registration] = field(default_factory=list)
    """Every state that was entered, in order."""
    left: list[Status | None] = field(default_factory=list)
    """The status that each of them left; None: there was no registration."""
    read: list[Registration] = field(default_factory=list)
    """The first in line, as far as the database was asked."""
    is_whole: bool = False
    """Whether that is the whole line."""

    def apply(self, act: Act, now: datetime) -> Applied:
        """What an act comes to. See Registrations.take."""
        if isinstance(act, Register):
            return self._register(act, now)
        if isinstance(act, Withdraw):
            return self._withdraw(act, now)
        return self._fit(act, now)

    def attend(self, customer_id: str, status: Status, minutes: float | None, now: datetime) -> bool:
        """Whether somebody with a seat came, or not, is news; who came never becomes one who did not."""
        standing = self.known.get(customer_id)
        if standing is None or standing.status not in SEATED:
            return False
        minutes = standing.watch_minutes if minutes is None else minutes
        is_same = (standing.status, standing.watch_minutes) == (status, minutes)
        if is_same or (standing.status == "attended" and status == "no_show"):
            return False
        self._enter(replace(standing, status=status, watch_minutes=minutes), now)
        return True

    def _register(self, act: Register, now: datetime) -> Applied:
        seats = act.seats
        promoted = self._promote(seats, now)  # a capacity that rose is the line's first
        standing = self.known.get(act.customer_id)
        if standing is not None and standing.status != "cancelled":
            moved_up = any(one.customer_id == act.customer_id for one in promoted)
            return Applied("registered" if moved_up else "unchanged", standing, promoted)
        if seats.is_cancelled:
            return Applied("called_off", standing)
        if now >= seats.deadline:
            return Applied("closed", standing)
        if act.customer_id in seats.elsewhere:
            return Applied("elsewhere", standing, promoted)
        status: Literal["registered", "wait_listed"] = "registered" if self._free(seats) > 0 else "wait_listed"
        return Applied(status, self._enter(self._asked(act, standing, status, now), now), promoted)

    def _asked(self, act: Register, standing: Registration | None, status: Status, now: datetime) -> Registration:
        ticket = None
        if status == "wait_listed":
            self.last_ticket += 1
            ticket = self.last_ticket
        sequence = -1 if standing is None else standing.sequence
        return Registration(
            self.program, self.event_id, act.customer_id, act.marketplace, status, ticket, now, now, sequence,
            act.channel, act.send_id,
        )  # fmt: skip

    def _withdraw(self, act: Withdraw, now: datetime) -> Applied:
        standing = self.known.get(act.customer_id)
        if standing is None or standing.status not in ("registered", "wait_listed"):
            return Applied("unchanged", standing, self._promote(act.seats, now))
        gone = self._enter(replace(standing, status="cancelled", ticket=None), now)
        return Applied("cancelled", gone, self._promote(act.seats, now))

    def _fit(self, act: Fit, now: datetime) -> Applied:
        return Applied("unchanged", None, self._promote(act.seats, now))

    def _promote(self, seats: Seats, now: datetime) -> tuple[Registration, ...]:
        """Give what is free to the line, first in line first."""
        if seats.is_cancelled or now >= seats.deadline:
            return ()
        promoted: list[Registration] = []
        # A promotion of somebody who has his seat elsewhere too takes none here, so there may be more to give.
        while first := self._line(max(self._free(seats), 0)):
            promoted += [self._enter(replace(one, status="registered", ticket=None), now) for one in first]
        return tuple(promoted)

    def _free(self, seats: Seats) -> int:
        if seats.seats is None:
            return _ENDLESS
        return seats.seats - self.taken - (len(seats.elsewhere) - self.overlaps.get(seats.elsewhere, 0))

    def _line(self, wanted: int) -> list[Registration]:
        """The first in line, as they stand now: those in memory count as memory has them."""
        if not wanted:
            return []
        stored = (one for one in self._stored(wanted + len(self.known)) if one.customer_id not in self.known)
        here = (one for one in self.known.values() if one.status == "wait_listed")
        return sorted([*stored, *here], key=lambda one: one.ticket or 0)[:wanted]

    def _stored(self, wanted: int) -> list[Registration]:
        """The first in line as the database has them, asked again only where more are wanted than were read."""
        if len(self.read) < wanted and not self.is_whole:
            self.read = list(self.waiting(wanted))
            self.is_whole = len(self.read) < wanted
        return self.read

    def _enter(self, one: Registration, now: datetime) -> Registration:
        """Let a registration stand; its seat is counted, and its change kept."""
        before = self.known.get(one.customer_id)
        # Who is not in memory was in line, without a seat.
        had_seat = before is not None and before.status in SEATED
        change = (one.status in SEATED) - had_seat
        self.taken += change
        for elsewhere in self.overlaps:
            self.overlaps[elsewhere] += change * (one.customer_id in elsewhere)
        # Changes of one registration follow each other in time, even within a round and under clocks that differ:
        # the candidate store tells old from new by the instant.
        was = before or one
        at = max(now, was.changed_at + _TICK) if was.sequence >= 0 else now
        entered = replace(one, changed_at=at, sequence=one.sequence + 1)
        self.known[one.customer_id] = entered
        self.changes.append(entered)
        # Who is registered and not in memory stood in line.
        self.left.append(before.status if before else "wait_listed" if one.sequence >= 0 else None)
        return entered
