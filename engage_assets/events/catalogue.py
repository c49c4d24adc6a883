"""The event catalogue: versions of events, which of them was known when, and which batch invites for an event."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

import polars as pl
import rfc8785

from engage_assets.domain.events import EVENTS, Event
from engage_assets.domain.slots import known_zones

LONGEST: Final = timedelta(days=366)
"""No event takes longer: more is a slip in the units."""
_TEXTS: Final = ("topics", "speakers", "target_regions", "languages")


@dataclass(frozen=True)
class SetAside:
    """A row of the catalogue that keeps no contract, and why."""

    row: int
    """From 0, in the order of the table."""
    event_id: str | None
    reason: str


@dataclass(frozen=True)
class Catalogue:
    """All versions of all events that keep the contract."""

    versions: tuple[Event, ...]
    set_aside: tuple[SetAside, ...] = ()

    @classmethod
    def of(cls, rows: pl.DataFrame) -> "Catalogue":
        """Read EVENTS rows; columns that are not required may lack. What is wrong is set aside with its reason."""
        versions, refused = [], []
        for place, row in enumerate(rows.iter_rows(named=True)):
            fault = _fault(row)
            if fault:
                refused.append(SetAside(place, row["event_id"], fault))
            else:
                versions.append(_event(row))
        return cls(_in_order(versions), tuple(refused))

    def known(self, instant: datetime) -> dict[str, Event]:
        """The latest version of each event that was known at `instant`, by event id.

        Of versions that became known at once the one that is greater as canonical JSON (RFC 8785) counts.
        """
        return {one.event_id: one for one in self.versions if one.known_at <= instant}

    def history(self, event_id: str, instant: datetime) -> list[Event]:
        """Versions of an event that were known at `instant`, oldest first."""
        return [one for one in self.versions if one.event_id == event_id and one.known_at <= instant]


def invited_by(events: Mapping[str, Event], monday: date, lead_days: tuple[int, int]) -> list[Event]:
    """The events that the batch of `monday` invites for, by id, cancelled ones among them.

    Those whose day, in the event's own zone, lies `lead_days` (first and last, inclusive) after that Monday.
    """
    first, last = (monday + timedelta(days=days) for days in lead_days)
    found = (one for one in events.values() if first <= one.local_date <= last)
    return sorted(found, key=lambda one: one.event_id)


def batch_of(event: Event, lead_days: tuple[int, int]) -> date | None:
    """The last Monday whose batch invites for `event`; None where the days between leave none."""
    latest = event.local_date - timedelta(days=lead_days[0])
    monday = latest - timedelta(days=latest.weekday())
    return monday if monday + timedelta(days=lead_days[1]) >= event.local_date else None


Change = Literal["moved", "cancelled", "revived"]


def change_between(before: Event, after: Event) -> Change | None:
    """What registrants must be told of a new version: it moved (start, zone or length), was cancelled, takes place."""
    if after.is_cancelled != before.is_cancelled:
        return "cancelled" if after.is_cancelled else "revived"
    moved = (before.starts_at, before.duration_minutes, before.time_zone) != (
        after.starts_at, after.duration_minutes, after.time_zone,
    )  # fmt: skip
    return "moved" if moved and not after.is_cancelled else None


def row_of(event: Event) -> dict[str, Any]:
    """The version as a row of EVENTS."""
    values = vars(event)
    return {name: list(values[name]) if name in _TEXTS else values[name] for name in EVENTS.names}


def frame_of(events: Iterable[Event]) -> pl.DataFrame:
    """Versions as EVENTS rows."""
    return pl.DataFrame([row_of(one) for one in events], schema=EVENTS.schema)


def fault_of(event: Event) -> str | None:
    """What is wrong with a version before it is written, in words; None where it keeps the contract."""
    return _fault(row_of(event))


def _fault(row: Mapping[str, Any]) -> str | None:
    """The first rule that a row breaks."""
    for name in ("event_id", "known_at", "name", "topics", "starts_at", "time_zone", "duration_minutes"):
        value = row[name]
        if value is None or (isinstance(value, str) and not value.strip()):
            return f"{name} is missing"
    minutes, capacity = row["duration_minutes"], row.get("capacity")
    if row["time_zone"] not in known_zones():
        return f"time_zone {row['time_zone']!r} is no IANA zone such as Europe/Berlin"
    if not timedelta(0) < timedelta(minutes=minutes) <= LONGEST:
        return f"duration_minutes {minutes} must lie between 1 and {int(LONGEST.total_seconds() // 60)}"
    if capacity is not None and capacity < 0:
        return f"capacity {capacity} must not be negative"
    if row.get("status") not in (None, "scheduled", "cancelled"):
        return f"status {row['status']!r} must be scheduled or cancelled"
    return None


def _event(row: Mapping[str, Any]) -> Event:
    texts: dict[str, Any] = {name: tuple(one for one in row.get(name) or () if one is not None) for name in _TEXTS}
    others = {name: row[name] for name in EVENTS.names if name in row and name not in (*_TEXTS, "status")}
    return Event(**others, **texts, status=row.get("status") or "scheduled")


def _in_order(versions: Iterable[Event]) -> tuple[Event, ...]:
    """By the time they became known; versions of one event that became known at once, as canonical JSON."""
    given = list(versions)
    at_once = Counter((one.event_id, one.known_at) for one in given)

    def order(one: Event) -> tuple[datetime, bytes]:
        return one.known_at, _canonical(one) if at_once[one.event_id, one.known_at] > 1 else b""

    return tuple(sorted(given, key=order))


def _canonical(event: Event) -> bytes:
    row = row_of(event)
    return rfc8785.dumps({name: one.isoformat() if isinstance(one, datetime) else one for name, one in row.items()})
