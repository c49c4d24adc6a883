"""Attendance: joins and leaves as event platforms export them, and who came for how long."""

import csv
import io
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from engage_assets.domain.attendance import Mark, Stay
from engage_assets.domain.errors import EngageError
from engage_assets.domain.events import Event
from engage_assets.domain.registrations import Status

NO_SHOW_AFTER: Final = timedelta(hours=24)
"""Time after an event's end from which on who did not come is a `no_show`."""

EARLY: Final = timedelta(hours=12)
"""Who joined longer before an event's start came for something else."""


@dataclass(frozen=True)
class Columns:
    """What an export calls its columns; several names where versions differ. Compared without case and blanks."""

    person: tuple[str, ...]
    joined: tuple[str, ...]
    left: tuple[str, ...]


PLATFORMS: Final[Mapping[str, Columns]] = {
    "engage": Columns(("customer_id",), ("joined_at",), ("left_at",)),
    "zoom": Columns(
        ("Custom Field customer_id", "Email", "User Email", "Registrant ID"), ("Join Time",), ("Leave Time",)
    ),
    "teams": Columns(
        ("customer_id", "Participant ID (UPN)", "Email"), ("First Join", "Join Time"), ("Last Leave", "Leave Time")
    ),
    "webex": Columns(
        ("customer_id", "Attendee Email", "Email"), ("Join Time", "Join time"), ("Leave Time", "Leave time")
    ),
}
"""Exports that are known, by platform."""
_FORMS: Final = (
    "%Y-%m-%d %H:%M:%S",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y, %I:%M:%S %p",
    "%m/%d/%y, %I:%M:%S %p",
    "%d/%m/%Y %H:%M:%S",
    "%b %d, %Y %H:%M:%S",
)
"""Times that platforms write beside ISO 8601, most frequent first."""


@dataclass(frozen=True)
class Refused:
    """A line that says nothing of a stay."""

    line: int
    """As an editor counts, the header being 1."""
    reason: str


@dataclass(frozen=True)
class Sheet:
    """What an export holds."""

    joins: tuple[Stay, ...]
    refused: tuple[Refused, ...]


def read_export(text: str, platform: str, zone: str = "UTC") -> Sheet:
    """The stays of a CSV export. Lines before the header (Teams and Zoom write some) are passed over.

    Times without an offset are those of `zone`, an IANA name. Raises EngageError for an unknown platform, and where no
    line holds the columns that are needed, naming them.
    """
    if platform not in PLATFORMS:
        raise EngageError(f"platform {platform!r} is not known; known: {', '.join(PLATFORMS)}")
    lines = list(csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=_delimiter(text)))
    top, places = _header(lines, platform)
    joins, refused = [], []
    for number, cells in enumerate(lines[top + 1 :], start=top + 2):
        if not any(cell.strip() for cell in cells):
            continue
        found = _stay(cells, places, ZoneInfo(zone))
        if isinstance(found, str):
            refused.append(Refused(number, found))
        else:
            joins.append(found)
    return Sheet(tuple(joins), tuple(refused))


def stays_of(marks: Iterable[Mark], now: datetime) -> list[Stay]:
    """Joins and leaves as stays: within a customer's session each leave ends the join that has waited longest.

    Who has not left is there until `now`. A leave without a join says nothing.
    """
    waiting: dict[tuple[str, str], deque[datetime]] = defaultdict(deque)
    found = []
    for mark in sorted(marks):
        joins = waiting[mark.customer_id, mark.session]
        if mark.kind == "joined":
            joins.append(mark.at)
        elif joins:
            found.append(Stay(mark.customer_id, joins.popleft(), mark.at))
    still = ((customer, joined) for (customer, _), joins in waiting.items() for joined in joins)
    return [*found, *(Stay(customer, joined, max(joined, now)) for customer, joined in still)]


def minutes_of(marks: Iterable[Mark], event: Event, now: datetime) -> dict[str, float]:
    """Minutes by customer as far as they are told by `now`; who came long before the event came for something else."""
    return watched(stays_of((one for one in marks if one.at >= event.starts_at - EARLY), now), event)


def watched(joins: Iterable[Stay], event: Event) -> dict[str, float]:
    """Minutes by person, rounded to 2 decimals: the union of the stays, cut to the event. 0: not during it."""
    stays: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for join in joins:
        first = max(join.joined_at, event.starts_at)
        last = min(join.left_at or event.ends_at, event.ends_at)
        stays[join.person].append((first, max(first, last)))
    return {person: round(_union(sorted(spans)).total_seconds() / 60, 2) for person, spans in stays.items()}


def of_customers(
    joins: Iterable[Stay], customers: Collection[str], addresses: Mapping[str, str]
) -> tuple[list[Stay], int]:
    """The stays of known customers, each under the customer's key; and how many others there were.

    `customers`: keys; `addresses`: keys by e-mail address in lower case.
    """
    found: list[Stay] = []
    strangers: set[str] = set()
    for join in joins:
        key = join.person if join.person in customers else addresses.get(join.person.casefold())
        if key is None:
            strangers.add(join.person.casefold())
        else:
            found.append(replace(join, person=key))
    return found, len(strangers)


def statuses(minutes: Mapping[str, float], seated: Iterable[str], event: Event, now: datetime) -> dict[str, Status]:
    """What an import says of those with a seat: who was there attended; the others are no-shows once it is time."""
    is_time = now >= event.ends_at + NO_SHOW_AFTER
    found: dict[str, Status] = {}
    for customer in seated:
        if minutes.get(customer, 0) > 0:
            found[customer] = "attended"
        elif is_time:
            found[customer] = "no_show"
    return found


def _union(spans: Sequence[tuple[datetime, datetime]]) -> timedelta:
    total, reached = timedelta(0), spans[0][0]
    for first, last in spans:
        total += max(last - max(first, reached), timedelta(0))
        reached = max(reached, last)
    return total


def _delimiter(text: str) -> str:
    """Teams writes tabs."""
    return "\t" if text.count("\t") > text.count(",") else ","


def _header(lines: Sequence[Sequence[str]], platform: str) -> tuple[int, tuple[int, int, int]]:
    columns = PLATFORMS[platform]
    for number, cells in enumerate(lines):
        names = [_plain(cell) for cell in cells]
        places = [_place(names, wanted) for wanted in (columns.person, columns.joined, columns.left)]
        if None not in places:
            person, joined, left = (place for place in places if place is not None)
            return number, (person, joined, left)
    wanted = "; ".join(" or ".join(names) for names in (columns.person, columns.joined, columns.left))
    raise EngageError(f"no line has the columns of an export of {platform}: {wanted}")


def _place(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(_plain(one)) for one in wanted if _plain(one) in names), None)


def _plain(name: str) -> str:
    return "".join(name.casefold().split())


def _stay(cells: Sequence[str], places: tuple[int, int, int], zone: ZoneInfo) -> Stay | str:
    """A stay, or why the line is none; the reason names no person."""
    if len(cells) <= max(places):
        return "the line has too few columns"
    person, joined, left = (cells[place].strip() for place in places)
    if not person:
        return "nobody is named"
    joined_at = _instant(joined, zone)
    if joined_at is None:
        return "the time of joining cannot be read"
    left_at = _instant(left, zone)
    if left and left_at is None:
        return "the time of leaving cannot be read"
    if left_at is not None and left_at < joined_at:
        return "the person left before joining"
    return Stay(person, joined_at, left_at)


def _instant(text: str, zone: ZoneInfo) -> datetime | None:
    """UTC without a zone attached."""
    for read in (datetime.fromisoformat, *(_reader(form) for form in _FORMS)):
        try:
            found = read(text)
        except ValueError:
            continue
        aware = found if found.tzinfo else found.replace(tzinfo=zone)
        return aware.astimezone(UTC).replace(tzinfo=None)
    return None


def _reader(form: str) -> Callable[[str], datetime]:
    return lambda text: datetime.strptime(text, form)  # noqa: DTZ007 - the zone is attached by the caller
