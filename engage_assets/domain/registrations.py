"""Registrations for events: who has a seat, who stands in line, and what a request for one comes to."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

import polars as pl

Status = Literal["registered", "wait_listed", "cancelled", "attended", "no_show"]
SEATED: Final[frozenset[Status]] = frozenset({"registered", "attended", "no_show"})
"""Statuses in which a seat is taken."""
KEPT_DIETARY: Final = timedelta(days=7)
"""Dietary preferences are erased so long after their event's end."""
Verdict = Literal["registered", "wait_listed", "cancelled", "unchanged", "elsewhere", "closed", "called_off"]


@dataclass(frozen=True)
class Seats:
    """What an event offers, as the catalogue states it at the moment of a request."""

    program: str
    event_id: str
    seats: int | None
    """None: no limit. A smaller number than before removes nobody."""
    deadline: datetime
    """Requests for a seat, and promotions, at or after it are refused, UTC."""
    is_cancelled: bool = False
    elsewhere: frozenset[str] = frozenset()
    """Customers who registered outside of this system: they have their seats too."""


@dataclass(frozen=True)
class Registration:
    """One customer's registration for one event, as it stands."""

    program: str
    event_id: str
    customer_id: str
    marketplace: str
    status: Status
    ticket: int | None
    """Its number in line: who has a smaller one stands before it. None: not in line."""
    registered_at: datetime
    """When the person asked for the seat: of one who cancelled and came again, the last time."""
    changed_at: datetime
    sequence: int
    """How often it has changed: of the calendar entry, too."""
    channel: str | None = None
    """channelId of the link that was used; None: direct."""
    send_id: str | None = None
    watch_minutes: float | None = None
    """How long who attended was there."""


@dataclass(frozen=True)
class Register:
    """Take a seat, else the end of the line."""

    seats: Seats
    customer_id: str
    marketplace: str
    channel: str | None = None
    send_id: str | None = None


@dataclass(frozen=True)
class Withdraw:
    """Give a seat, or a place in the line, back."""

    seats: Seats
    customer_id: str


@dataclass(frozen=True)
class Fit:
    """Give free seats to the line: after a capacity that rose."""

    seats: Seats


Act = Register | Withdraw | Fit


@dataclass(frozen=True)
class Applied:
    """What a request came to.

    Verdicts: registered, wait_listed or cancelled as asked; unchanged: it was so already; elsewhere: the person has a
    seat that another system gave; closed: at or after the deadline; called_off: the event is cancelled.
    """

    verdict: Verdict
    registration: Registration | None
    """As it stands now; None: there is none."""
    promoted: tuple[Registration, ...] = ()
    """Who got a seat by it, first in line first."""


@dataclass(frozen=True)
class Room:
    """How full an event is."""

    free: int | None
    """Seats that nobody has; below 0 where a capacity fell. None: there is no limit."""
    waiting: int
    """People in line."""

    @property
    def is_full(self) -> bool:
        """Whether whoever asks now goes to the end of the line."""
        return self.free is not None and self.free <= self.waiting


class Registrations(Protocol):
    """Seats and the line of events. Never more seats are taken than there are, however many processes ask."""

    def warm(self, now: datetime) -> None:
        """Do beforehand what the first call of `take` would have people wait for. Nothing stays of it."""

    def take(self, acts: Sequence[Act], now: datetime) -> list[Applied]:
        """What each of some acts came to, in their order, in one durable transaction.

        Who cancelled and comes again goes to the end of the line, or takes a seat where one is free and nobody waits.
        A seat that gets free goes to the first in line at once, before the deadline and of an event that takes place
        only. A first registration is the customer's answer about the event: nobody asks him again. For each change an
        outbox entry `candidate_status`, and one `notice` for the person.
        """

    def of_customer(self, program: str, event_id: str, customer_id: str) -> Registration | None:
        """One registration."""

    def of_customers(self, program: str, whose: Collection[tuple[str, str]]) -> dict[tuple[str, str], Registration]:
        """Registrations of some events and customers, by both; there is none of who is left out."""

    def place(self, registration: Registration) -> int | None:
        """Its place in line, 1 first; None: not in line."""

    def room(self, seats: Seats) -> Room:
        """How full the event is now."""

    def with_status(
        self, program: str, statuses: Collection[Status], event_ids: Sequence[str] | None, limit: int
    ) -> list[Registration]:
        """Registrations in these statuses, of these events (None: of all), by event, then as they were made."""

    def of_event(self, program: str, event_id: str, since: datetime | None = None) -> list[Registration]:
        """All registrations of an event: those with a seat as they got it, then the line in order, then the others.

        `since`: those alone that changed after it.
        """

    def counts(self, program: str, event_ids: Sequence[str]) -> dict[str, Mapping[Status, int]]:
        """Registrations of events by status."""

    def attend(
        self,
        program: str,
        event_id: str,
        statuses: Mapping[str, Status],
        now: datetime,
        minutes: Mapping[str, float] = ...,
    ) -> int:
        """Record `attended` and `no_show` by customer; returns how many changed. Who has no seat is left as he is.

        `minutes`: how long who attended was there; the latest import stands. A `no_show` may become `attended` by a
        later import, not the other way round.
        """

    def changes(self, after: datetime | None, until: datetime) -> pl.DataFrame:
        """REGISTRATIONS_LOG rows with `received_at` in (after, until], sorted; waits for writers up to `until`."""


class DietaryPreferences(Protocol):
    """What people who registered may not or do not eat: sensitive, kept apart, in no log and no mirror."""

    def keep(self, registration: Registration, words: str, erase_at: datetime, now: datetime) -> None:
        """Keep the words of a registered person in place of those before; none erases them."""

    def of(self, registration: Registration) -> str | None:
        """The words of one person; None: there are none."""

    def events(self) -> dict[tuple[str, str], datetime]:
        """By program and event of which words are kept: the latest instant at which they were to be erased."""

    def erase(self, program: str, event_id: str, customer_id: str | None = None) -> int:
        """Erase those of an event, or of one person; returns how many there were."""
