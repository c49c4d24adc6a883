"""Who joins and leaves an event, told by its platform: signed, in any order, as often as it likes.

    POST /v1/programs/{program}/attendance
    {"eventId", "entries": [{"customerId" or "email", "joinedAt" and/or "leftAt", "session"}]}

Signed as events of mail providers are (see webhooks). Joins and leaves come as they happen, or together at the end.
Who has a seat and was there is `attended` at once; minutes follow with each call.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, Field

from engage_assets.domain.attendance import KEPT_MARKS, Attendances, Mark
from engage_assets.domain.events import Event
from engage_assets.domain.registrations import Status
from engage_assets.domain.signatures import SIGNATURE
from engage_assets.events.attendance import minutes_of
from engage_assets.serving.events import Malformed, instant_of, text_in
from engage_assets.serving.names import ProgramId, program_of
from engage_assets.serving.problems import Problem, ask
from engage_assets.serving.registration_events import EventServices
from engage_assets.serving.services import Services
from engage_assets.serving.webhooks import MalformedEvent, read_body, require_signature

FORM: Final = "attendance"
"""The secret's name among webhook_secrets."""


class AttendanceAnswer(BaseModel):
    """What became of the entries; the three counts and the malformed ones add up to their number."""

    accepted: int = Field(description="Entries that told something new.")
    known: int = Field(description="Told before.")
    unknown: int = Field(description="Of people who are not registered.")
    malformed: list[MalformedEvent] = []
    changed: int = Field(description="Registrations that are `attended` by it, or have other minutes.")


@dataclass(frozen=True)
class Entry:
    """One stay, or an end of one, of a person."""

    customer_id: str | None
    address: str | None = field(repr=False)
    joined_at: datetime | None
    left_at: datetime | None
    session: str

    def marks(self, customer_id: str) -> list[Mark]:
        """What it tells of a customer. A stay that is told whole is a session of its own."""
        whole = f"{self.joined_at}/{self.left_at}" if self.joined_at and self.left_at and not self.session else ""
        session = self.session or whole
        joined = [Mark(self.joined_at, "joined", customer_id, session)] if self.joined_at else []
        return [*joined, *([Mark(self.left_at, "left", customer_id, session)] if self.left_at else [])]


def attendance_router(services: Services) -> APIRouter:
    """The route. Without a secret, or without events, it is not there (404)."""
    router = APIRouter(tags=["events"])

    @router.post("/v1/programs/{program}/attendance", responses=_REFUSED, openapi_extra=_BODY)
    async def take_attendance(
        program: ProgramId,
        request: Request,
        signature: Annotated[str, Header(alias=SIGNATURE, description="t=<unix seconds>,v1=<hex>")] = "",
    ) -> AttendanceAnswer:
        """Take joins and leaves of an event; a malformed entry does not hold up the others."""
        secret, events = services.webhook_secrets.get(FORM), services.events
        if not secret or events is None or events.attendances is None:
            raise Problem(404, "no secret is set for attendance, or nobody registers for events here")
        body = await read_body(request, services.limits.body_bytes)
        require_signature(services, body, signature, secret)
        about = [one for one in services.programs.values() if one.event_config]
        told = program_of({one.program_id: one for one in about}, program)
        return await ask(_take, services, events, told.program_id, *_parts(body))

    return router


def _parts(body: bytes) -> tuple[str, list[Any]]:
    """The event's id and the entries. Raises Problem."""
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError:
        read = None
    event, entries = (read.get("eventId"), read.get("entries")) if isinstance(read, dict) else (None, None)
    if not isinstance(event, str) or not isinstance(entries, list):
        raise Problem(400, "the body is not of the form: JSON with eventId, a text, and entries, a list, is needed")
    return event, entries


def _take(
    services: Services, events: EventServices, program: str, event_id: str, entries: Sequence[Any]
) -> AttendanceAnswer:
    now, read, malformed = services.clock.now(), [], []
    known = events.facts.events(now)
    if event_id not in known:
        raise Problem(404, "the catalogue has no such event")
    if now >= known[event_id].ends_at + KEPT_MARKS:
        raise Problem(409, f"it ended more than {KEPT_MARKS.days} days ago: import an export of its platform")
    for index, entry in enumerate(entries):
        try:
            read.append(_read(entry, now))
        except Malformed as fault:
            malformed.append(MalformedEvent(index=index, reason=str(fault)))
    people = _people(events, program, event_id, read)
    told = [entry.marks(customer) for entry, customer in zip(read, people, strict=True) if customer is not None]
    accepted = _keep(events.attendances, (program, event_id), told, now)
    customers = sorted({customer for customer in people if customer is not None})
    return AttendanceAnswer(
        accepted=accepted,
        known=len(told) - accepted,
        unknown=len(read) - len(told),
        malformed=malformed,
        changed=_attend(events, program, known[event_id], customers, now),
    )


def _read(entry: Any, now: datetime) -> Entry:
    """One entry. Raises Malformed, which names no content."""
    if not isinstance(entry, dict):
        raise Malformed("an object is needed")
    joined, left = (_instant(entry, key, now) for key in ("joinedAt", "leftAt"))
    if joined is None and left is None:
        raise Malformed("joinedAt or leftAt is needed")
    if joined and left and left < joined:
        raise Malformed("leftAt: lies before joinedAt")
    customer = text_in(entry, "customerId") if "customerId" in entry else None
    address = None if customer else text_in(entry, "email", 320).strip().casefold()
    session = text_in(entry, "session") if entry.get("session") else ""
    return Entry(customer, address, joined, left, session)


def _instant(entry: Mapping[str, Any], key: str, now: datetime) -> datetime | None:
    return instant_of(text_in(entry, key, 100), key, now) if entry.get(key) is not None else None


def _people(events: EventServices, program: str, event_id: str, entries: Iterable[Entry]) -> list[str | None]:
    """The customer of each entry; None: nobody who is registered, or was."""
    given = list(entries)
    keys = events.facts.customers_at({one.address for one in given if one.address})
    named = [one.customer_id or keys.get(one.address or "") for one in given]
    found = {
        customer
        for customer in {one for one in named if one is not None}
        if events.registrations.of_customer(program, event_id, customer) is not None
    }
    return [one if one in found else None for one in named]


def _keep(attendances: Attendances | None, place: tuple[str, str], told: Sequence[list[Mark]], now: datetime) -> int:
    """Keep what entries tell; gives how many of them told something new, the first of equal ones."""
    assert attendances is not None
    new = attendances.tell(*place, [mark for marks in told for mark in marks], now)
    accepted = 0
    for marks in told:
        accepted += bool(new & set(marks))
        new -= set(marks)
    return accepted


def _attend(events: EventServices, program: str, event: Event, customers: Sequence[str], now: datetime) -> int:
    """Let registrations follow what is known of some customers by now: nobody becomes a no-show here."""
    assert events.attendances is not None
    minutes = minutes_of(events.attendances.of(program, event.event_id, customers), event, now)
    there = {customer: time for customer, time in minutes.items() if time > 0}
    said: dict[str, Status] = dict.fromkeys(there, "attended")
    return events.registrations.attend(program, event.event_id, said, now, there) if said else 0


_REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "No JSON, or not of the form."},
    401: {"description": "Not signed."},
    404: {"description": "No such program or event, or no secret is set."},
    409: {"description": "The event ended more than 30 days ago."},
    413: {"description": "Too large."},
    503: {"description": "The ledger does not answer; send again."},
}
_BODY: Final = {"requestBody": {"required": True, "content": {"application/json": {"schema": {}}}}}
