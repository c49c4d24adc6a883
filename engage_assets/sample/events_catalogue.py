"""The event catalogue of the synthetic world: every week a few events in several zones, with what happens to them.

A week's events are those that the batch of its Monday invites for, from that Monday week on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import numpy as np
import polars as pl

from engage_assets.domain.events import EVENTS, TOPICS, Event
from engage_assets.domain.slots import instant_of
from engage_assets.sample.events_vocabulary import FAMILIES, SPEAKERS, TREE, TYPES
from engage_assets.sample.people import generator

LEAD: Final = timedelta(days=7)
"""From a Monday to the first event that its batch invites for."""
EVERY: Final = 4
"""In one week of so many an event is moved, and another called off, after people were invited."""
SMALL: Final = 400
"""One seat of the small event for so many customers of the world."""
JOIN: Final = "https://meet.example.invalid/"


@dataclass(frozen=True)
class _Kind:
    """One of a week's events: where its clock stands, when it begins there, and whose customers it invites."""

    zone: str
    hours: tuple[int, ...]
    regions: tuple[str, ...] = ()
    """Empty: the program's."""


_OPEN: Final = _Kind("Europe/Berlin", (17, 16, 18))
_SMALL: Final = _Kind("Europe/London", (15, 14))
_OVERSEAS: Final = _Kind("America/New_York", (11, 12, 10), ("US", "UK"))
_AFAR: Final = (
    _Kind("Asia/Kolkata", (19, 17), ("IN", "UK", "DE")),
    _Kind("Asia/Tokyo", (18, 12), ("JP", "AU")),
    _Kind("America/Sao_Paulo", (14, 16), ("BR", "US")),
    _Kind("Australia/Sydney", (18, 19), ("AU", "JP")),
)
_MOVING: Final = 2
"""Place of the event that moves at times."""
_DAYS: Final = (0, 0, 2, 3)
"""Days after the Monday week, by event."""


def mondays(first: date, last: date) -> list[date]:
    """Mondays from `first` to `last`, both included where they are some."""
    start = first + timedelta(days=-first.weekday() % 7)
    return [start + timedelta(days=7 * week) for week in range((last - start).days // 7 + 1)]


def draw_events(seed: int, anchor: date, first: date, last: date, customers: int) -> list[Event]:
    """Versions of the events of the Mondays from `first` to `last`, four a week, oldest first.

    Each week has one of Europe for everybody, a small one that more people want than it has seats, one overseas, one
    far away. In the weeks that lie a multiple of four after the first Monday from `anchor` on the overseas one moves by
    a day on the Thursday, and the far one is called off on the Friday after the batch; one week of four has one that
    was called off before its batch. A week's events do not depend on which other weeks are drawn.
    """
    begun = anchor + timedelta(days=-anchor.weekday() % 7)
    found: list[Event] = []
    for monday in mondays(first, last):
        week = (monday - begun).days // 7
        found.extend(_week(generator(seed, f"events of {monday}"), monday, week, customers))
    return sorted(found, key=lambda one: (one.known_at, one.event_id))


def events_frame(versions: list[Event]) -> pl.DataFrame:
    """EVENTS rows."""
    rows = [
        {name: list(value) if isinstance(value, tuple) else value for name, value in vars(one).items()}
        for one in versions
    ]
    return pl.DataFrame(rows, schema=EVENTS.schema)


def event_of(row: Mapping[str, Any]) -> Event:
    """The version that an EVENTS row states."""
    known: dict[str, Any] = {name: row[name] for name in EVENTS.names if row.get(name) is not None}
    return Event(**known | {name: tuple(value) for name, value in known.items() if isinstance(value, list)})


def topics_frame() -> pl.DataFrame:
    """TOPICS: the tree, by name."""
    leaves = [(leaf, family, list(topic.synonyms)) for family, own in TREE.items() for leaf, topic in own.items()]
    rows = sorted([*((family, None, []) for family in TREE), *leaves])
    return pl.DataFrame(rows, schema=TOPICS.schema, orient="row")


def _week(rng: np.random.Generator, monday: date, week: int, customers: int) -> Iterator[Event]:
    kinds = (_OPEN, _SMALL, _OVERSEAS, _AFAR[week // EVERY % len(_AFAR)])
    families = rng.permutation(len(FAMILIES))[: len(kinds)]
    for place, (kind, family) in enumerate(zip(kinds, families, strict=True)):
        event = _event(rng, monday, week, place, kind, FAMILIES[family])
        if place == 1:
            event = replace(event, capacity=max(3, customers // SMALL), event_type="workshop")
        yield event
        yield from _later(event, monday, week, place)


def _event(rng: np.random.Generator, monday: date, week: int, place: int, kind: _Kind, family: str) -> Event:
    leaves = list(TREE[family])
    chosen = [leaves[one] for one in rng.permutation(len(leaves))[: rng.integers(1, 3)]]
    if place == _MOVING:
        chosen = chosen[:1]  # fewer people are keen on two topics at once, and somebody is to be told of the move
    day = monday + LEAD + timedelta(days=_DAYS[place])
    starts = instant_of(datetime.combine(day, time(kind.hours[week % len(kind.hours)])), kind.zone)
    known = datetime.combine(monday, time()) - timedelta(minutes=int(rng.integers(3 * 1_440, 12 * 1_440)))
    speakers = rng.choice(SPEAKERS, int(rng.integers(1, 3)), replace=False).tolist()
    event_id = f"e-{day:%Y%m%d}-{place + 1}"
    return Event(
        event_id=event_id,
        known_at=known,
        name=TREE[family][chosen[0]].title,
        topics=tuple(chosen),
        starts_at=starts,
        time_zone=kind.zone,
        duration_minutes=int(rng.choice([45, 60, 90])),
        event_type=str(rng.choice(TYPES)),
        speakers=tuple(speakers),
        target_regions=kind.regions,
        capacity=None,
        join_link=JOIN + event_id,
        languages=("en",),
    )


def _later(event: Event, monday: date, week: int, place: int) -> Iterator[Event]:
    """What becomes of an event after it was announced."""
    begins = datetime.combine(monday, time())
    if week % EVERY == 0 and place == _MOVING:
        yield replace(
            event, known_at=begins + timedelta(days=3, hours=9), starts_at=event.starts_at + timedelta(days=1)
        )
    if week % EVERY == 0 and place == 3:
        yield replace(event, known_at=begins + timedelta(days=4, hours=8), status="cancelled")
    if week % EVERY == 2 and place == 3:
        yield replace(event, known_at=begins - timedelta(days=2), status="cancelled")
