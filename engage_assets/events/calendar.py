"""Calendar files of events (iCalendar, RFC 5545; scheduling messages, RFC 5546)."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from icalendar import Calendar, Timezone, vCalAddress, vText
from icalendar import Event as Entry
from icalendar.enums import STATUS

from engage_assets.domain.events import Event
from engage_assets.domain.marketplaces import Marketplace

Method = Literal["PUBLISH", "REQUEST", "CANCEL"]
PRODUCT: Final = "-//engage_assets//events//EN"
"""PRODID: who made the file."""


@dataclass(frozen=True)
class Organizer:
    """Who invites: the marketplace's sender."""

    name: str
    address: str

    @classmethod
    def of(cls, marketplace: Marketplace) -> "Organizer":
        """The sender of a marketplace."""
        return cls(marketplace.sender_name, marketplace.sender_address)


@dataclass(frozen=True)
class Wording:
    """What stands in an entry beside the event's own facts."""

    description: str
    url: str | None = None
    location: str | None = None


def entry_uid(event_id: str, customer_id: str, organizer: Organizer) -> str:
    """The UID of one customer's entry of one event: the same for every change of it, and it names nobody."""
    digest = hashlib.sha256(f"{event_id}\x1f{customer_id}".encode()).hexdigest()[:32]
    return f"{digest}@{organizer.address.rpartition('@')[2]}"


def sequence_of(versions: int, changes: int) -> int:
    """SEQUENCE of an entry: it rises with each version of the event and each change of the registration.

    `versions`: of the event known by then, at least 1; `changes`: Registration.sequence.
    """
    return versions - 1 + changes


def calendar_file(
    event: Event,
    *,
    method: Method,
    uid: str,
    sequence: int,
    stamp: datetime,
    organizer: Organizer,
    wording: Wording,
    attendee: str | None = None,
    is_tentative: bool = False,
) -> bytes:
    """The file of one entry: CRLF line ends, folded at 75 octets, with the VTIMEZONE of the event's zone.

    `stamp` (DTSTAMP, UTC without a zone): when this state of the entry became known. `attendee`: the person's address;
    REQUEST and CANCEL name it (RFC 5546 3.2), a file to download (PUBLISH) must not. A CANCEL has
    STATUS:CANCELLED. Without a seat yet
    (`is_tentative`) it has STATUS:TENTATIVE. Equal input gives equal bytes. Raises ValueError where
    `attendee` does not fit `method`.
    """
    if (attendee is None) != (method == "PUBLISH"):
        raise ValueError(f"{method}: a PUBLISH names no attendee, REQUEST and CANCEL name one")
    entry = Entry.new(
        uid=uid,
        stamp=stamp.replace(tzinfo=UTC),
        start=_on_its_clock(event.starts_at, event.time_zone),
        end=_on_its_clock(event.ends_at, event.time_zone),
        summary=event.name,
        description=wording.description,
        sequence=sequence,
        status=STATUS.CANCELLED if method == "CANCEL" else STATUS.TENTATIVE if is_tentative else STATUS.CONFIRMED,
        organizer=_address(organizer.address, CN=organizer.name),
        attendees=[_address(attendee, PARTSTAT="NEEDS-ACTION" if method == "REQUEST" else "ACCEPTED", RSVP="FALSE")]
        if attendee
        else None,
        url=wording.url,
        location=wording.location,
    )
    calendar = Calendar.new(prodid=PRODUCT, method=method, calscale="GREGORIAN", uid=uid)
    calendar.pop("UID")  # of the whole calendar (RFC 7986): a scheduling message has none, a random one would differ
    calendar.add_component(entry)
    head, begin, rest = bytes(calendar.to_ical()).partition(b"BEGIN:VEVENT")
    return head + _zone_of(event) + begin + rest


def mime_type(method: Method) -> str:
    """The Content-Type of a file: its method parameter is the file's METHOD (RFC 6047 2.4)."""
    return f'text/calendar; charset="utf-8"; method={method}; component=VEVENT'


def _address(address: str, **parameters: str) -> vCalAddress:
    """A calendar address; parameters with their names."""
    found = vCalAddress(f"mailto:{address}")
    for name, value in parameters.items():
        found.params[name] = vText(value)
    return found


def _on_its_clock(instant: datetime, zone: str) -> datetime:
    """The local time of an instant; UTC in the second of two equal hours, which no local time names."""
    aware = instant.replace(tzinfo=UTC)
    local = aware.astimezone(ZoneInfo(zone))
    return aware if local.fold else local


def _zone_of(event: Event) -> bytes:
    """The VTIMEZONE of an event, with the changes of the clock of a year around it."""
    year = timedelta(days=366)
    return _zone(event.time_zone, event.local_date - year, event.ends_at.date() + year)


@lru_cache(256)
def _zone(time_zone: str, first: date, last: date) -> bytes:
    """One VTIMEZONE, which all the files of an event share."""
    zone = Timezone.from_tzid(time_zone, first_date=first, last_date=last)
    zone.pop("COMMENT", None)
    zone.subcomponents = [each for change in zone.subcomponents for each in _changes(change)]
    return bytes(zone.to_ical())


def _changes(change: Any) -> Iterator[Any]:
    """A change of the clock for each of its dates, with its onset in the time before it (RFC 5545 3.6.5).

    The library writes the later of both clocks, an hour late where clocks go forward; and of a change with further
    dates (RDATE) ical.js reads these alone.
    """
    forward = max(change["TZOFFSETTO"].td - change["TZOFFSETFROM"].td, timedelta(0))
    others = change.pop("RDATE", None)
    lists = others if isinstance(others, list) else [others] if others else []
    for onset in (change["DTSTART"].dt, *(each.dt for dates in lists for each in dates.dts)):
        each = type(change)()
        each.add("DTSTART", onset - forward)
        for name in ("TZNAME", "TZOFFSETFROM", "TZOFFSETTO"):
            each[name] = change[name]
        yield each
