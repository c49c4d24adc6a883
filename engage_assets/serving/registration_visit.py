"""Where a person stands with the event of a message: the event, its seats, his registration, and what he may do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from engage_assets.domain.events import Event
from engage_assets.domain.registrations import SEATED, Registration, Room, Seats
from engage_assets.domain.responses import KnownSend
from engage_assets.events.openings import seats_of
from engage_assets.serving.registration_events import EventServices
from engage_assets.serving.services import Services

State = Literal[
    "unknown", "called_off", "over", "registered", "wait_listed", "elsewhere", "cancelled", "closed", "full", "open"
]


@dataclass(frozen=True)
class Visit:
    """One person with one event, at one moment."""

    send: KnownSend
    now: datetime
    versions: Sequence[Event] = ()
    """Of the event, as they are known now, oldest first. Empty: nobody knows the event."""
    seats: Seats | None = None
    registration: Registration | None = None
    room: Room | None = None
    """Where it matters: the person has no seat and stands in no line."""

    @property
    def event(self) -> Event:
        """The event as it is known now."""
        return self.versions[-1]

    @property
    def status(self) -> str | None:
        """The registration's status."""
        return self.registration.status if self.registration else None

    @property
    def is_open(self) -> bool:
        """Whether seats are given now."""
        return self.seats is not None and not self.seats.is_cancelled and self.now < self.seats.deadline

    @property
    def has_seat(self) -> bool:
        """Whether the person has a seat of ours, in an event that takes place."""
        return self.status in SEATED and self.seats is not None and not self.seats.is_cancelled

    @property
    def may_cancel(self) -> bool:
        """Whether the person has something to give back: until the event begins."""
        return bool(self.versions) and self.status in ("registered", "wait_listed") and self.now < self.event.starts_at

    @property
    def may_note(self) -> bool:
        """Whether dietary preferences are taken: of those registered and in line, until the event ends."""
        return self.may_cancel and self.seats is not None and not self.seats.is_cancelled

    @property
    def state(self) -> State:
        """What the page is about."""
        if self.seats is None:
            return "unknown"
        if self.seats.is_cancelled:
            return "called_off"
        if self.now >= self.event.ends_at:
            return "over"
        if self.status in SEATED:
            return "registered"
        if self.status == "wait_listed":
            return "wait_listed"
        return self._outside(self.seats)

    def _outside(self, seats: Seats) -> State:
        """Of somebody without a seat of ours."""
        if self.send.customer_id in seats.elsewhere:
            return "elsewhere"
        if self.status == "cancelled":
            return "cancelled"
        if not self.is_open:
            return "closed"
        return "full" if self.room is not None and self.room.is_full else "open"


def visit_of(services: Services, send: KnownSend) -> Visit:
    """The event of a send and its seats, as the catalogue states them now; the ledger is not asked."""
    now, program = services.clock.now(), services.programs.get(send.program)
    if services.events is None or program is None:
        return Visit(send, now)
    versions = services.events.facts.versions(send.subject_id, now)
    if not versions:
        return Visit(send, now)
    elsewhere = services.events.facts.elsewhere(send.subject_id, now)
    return Visit(send, now, versions, seats_of(program, versions[-1], elsewhere))


def visits_of(services: Services, sends: Sequence[KnownSend]) -> list[Visit]:
    """As `visit_of` for each send; the catalogue is asked once for each event."""
    known: dict[tuple[str, str], Visit] = {}
    for send in sends:
        place = (send.program, send.subject_id)
        if place not in known:
            known[place] = visit_of(services, send)
    of_sends = ((send, known[send.program, send.subject_id]) for send in sends)
    return [Visit(send, one.now, one.versions, one.seats) for send, one in of_sends]


def with_registration(events: EventServices, visit: Visit) -> Visit:
    """The visit with what the ledger knows of the person, and of the room where he has no place yet."""
    send = visit.send
    found = events.registrations.of_customer(send.program, send.subject_id, send.customer_id)
    is_outside = found is None or found.status == "cancelled"
    room = events.registrations.room(visit.seats) if is_outside and visit.is_open and visit.seats else None
    return Visit(send, visit.now, visit.versions, visit.seats, found, room)
