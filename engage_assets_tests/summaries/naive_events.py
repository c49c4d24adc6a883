"""Raw log records → events as the document understands them, one by one, in plain Python."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from engage_assets_tests.summaries.naive_spec import (
    ATTRIBUTED,
    COUNT,
    HOST,
    LATE_DAYS,
    MONEY,
    QUANTITY,
    UUID,
    WHITE,
    Spec,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Event:
    """One event; `values` holds the texts of the aliases that were filled."""

    event_id: str
    at: datetime
    day: date
    hour: int
    name: str | None
    kind: str | None
    values: dict[str, str] = field(default_factory=dict)
    user: str | None = None
    session: str | None = None
    term: str | None = None
    quantity: int | None = None
    price: Decimal | None = None
    results: int | None = None
    amount: Decimal | None = None
    invalid: set[str] = field(default_factory=set)
    from_path: str | None = None
    to_path: str | None = None


@dataclass
class Log:
    """The events of a service up to a day, by time, and what was set aside."""

    events: list[Event]
    late: int
    duplicates: int


def read_log(records: Iterable[dict[str, Any]], service: str, day: date, spec: Spec) -> Log:
    """Events of `service` up to `day`: late ones set aside, duplicates removed, aliases and fallbacks resolved.

    A record has timestamp (text or nanoseconds), body, attributes, resource, record_id, service (its folder) and
    arrival (the date of its file).
    """
    own = [(instant(record["timestamp"]), record) for record in records if record["service"] == service]
    timely = [(at, record) for at, record in own if record["arrival"] - at.date() <= timedelta(days=LATE_DAYS)]
    kept = distinct(timely)
    zone = ZoneInfo(spec.zones[service])
    events = [read_event(at, event_id, record, zone, spec) for at, event_id, record in kept]
    events = sorted((event for event in events if event.day <= day), key=lambda event: (event.at, event.event_id))
    attribute_clicks(events)
    follow_pages(events, spec.page_memory)
    return Log(events, late=len(own) - len(timely), duplicates=len(timely) - len(kept))


def instant(value: str | int) -> datetime:
    if isinstance(value, int) or value.isdigit():
        return EPOCH + timedelta(microseconds=int(value) // 1000)
    return datetime.fromisoformat(value).astimezone(UTC)


def distinct(timely: list[tuple[datetime, dict[str, Any]]]) -> list[tuple[datetime, str, dict[str, Any]]]:
    """One record per record id (the first by time, then by content), else per content."""
    first: dict[tuple[bool, str], tuple[datetime, str, dict[str, Any]]] = {}
    for at, record in timely:
        text = content(record)
        record_id = clean(record.get("record_id"))
        key = (record_id is not None, record_id or text)
        if key not in first or (at, text) < first[key][:2]:
            first[key] = (at, text, record)
    return [(at, key[1], record) for key, (at, _, record) in first.items()]


def content(record: dict[str, Any]) -> str:
    """All raw fields in one text: the same for records that differ in the order of their attributes alone."""
    fields = [record.get(name) for name in ("timestamp", "body", "attributes", "resource")]
    return json.dumps(fields, sort_keys=True, ensure_ascii=False)


def read_event(at: datetime, event_id: str, record: dict[str, Any], zone: ZoneInfo, spec: Spec) -> Event:
    local = at.astimezone(zone)
    name = clean(record.get("body"))
    attributes = record.get("attributes") or {}
    event = Event(event_id, at, local.date(), local.hour, name, spec.events.get(name or ""))
    for meaning, aliases in spec.attributes.items():
        filled = [text for alias in aliases if (text := clean(attributes.get(alias))) is not None]
        if filled:
            event.values[meaning] = filled[0]
    event.user, event.session = event.values.get("user"), event.values.get("session")
    if term := event.values.get("term"):
        event.term = " ".join(word for word in split_white(term) if word).lower()
    read_numbers(event)
    event.from_path, event.to_path = templated(event.values.get("from_path")), templated(event.values.get("to_path"))
    return event


def clean(value: Any) -> str | None:
    return None if value is None else str(value).strip(WHITE) or None


def split_white(text: str) -> list[str]:
    return "".join(" " if letter in WHITE else letter for letter in text).split(" ")


def read_numbers(event: Event) -> None:
    for meaning, guard, convert in (
        ("quantity", QUANTITY, int),
        ("price", MONEY, Decimal),
        ("results", COUNT, int),
        ("amount", MONEY, Decimal),
    ):
        text = event.values.get(meaning)
        if text is None:
            continue
        value = convert(text) if guard.fullmatch(text) else None
        if value is None or (meaning == "quantity" and value == 0):
            event.invalid.add(meaning)
        else:
            setattr(event, meaning, value)


def templated(path: str | None) -> str | None:
    """Without query string and fragment, numbers and uuids as {id}; the host stays."""
    if path is None:
        return None
    bare = path.split("#")[0].split("?")[0]
    host, rest = HOST.fullmatch(bare).groups()
    return clean((host or "") + "/".join("{id}" if is_id(part) else part for part in rest.split("/")))


def is_id(part: str) -> bool:
    return (part.isascii() and part.isdigit()) or bool(UUID.fullmatch(part))


def by_session(events: Iterable[Event]) -> dict[str, list[Event]]:
    grouped = defaultdict(list)
    for event in events:
        if event.session is not None:
            grouped[event.session].append(event)
    return grouped


def attribute_clicks(events: list[Event]) -> None:
    """A click without term takes that of the session's last search before it, up to 30 minutes."""
    for own in by_session(event for event in events if event.kind in ("search", "result_click")).values():
        for click in own:
            if click.kind == "result_click" and click.term is None:
                before = [
                    (search.at, search.term)
                    for search in own
                    if search.kind == "search" and search.term and timedelta(0) < click.at - search.at <= ATTRIBUTED
                ]
                click.term = max(before)[1] if before else None


def follow_pages(events: list[Event], memory: timedelta | None) -> None:
    """A page change with `path` only comes from the page that the session's page change before it went to."""
    for own in by_session(event for event in events if event.kind == "page_change").values():
        for change in own:
            if not {"from_path", "to_path_itself"} & change.values.keys():
                before = [
                    (other.at, other.to_path)
                    for other in own
                    if other.to_path and other.at < change.at and (memory is None or change.at - other.at <= memory)
                ]
                change.from_path = max(before)[1] if before else None
