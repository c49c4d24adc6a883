"""Which events take registrations at an instant, and who has their seats by then."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import polars as pl

from engage_assets.domain.events import EVENTS, Event
from engage_assets.domain.program import EventConfig, Program
from engage_assets.domain.registrations import SEATED, Seats

_NO_CONFIG: Final = EventConfig()


def seats_of(program: Program, event: Event, elsewhere: frozenset[str]) -> Seats:
    """What an event offers to whoever registers through a program."""
    config = program.event_config or _NO_CONFIG
    return Seats(
        program=program.program_id,
        event_id=event.event_id,
        seats=event.seats(config.capacity_limit),
        deadline=event.deadline(config.registration_deadline_days),
        is_cancelled=event.is_cancelled,
        elsewhere=elsewhere,
    )


def openings(events: Iterable[Event], taken: Mapping[str, int], config: EventConfig, instant: datetime) -> pl.DataFrame:
    """`event_id`, `name`, `starts_at`, `closes_at` (the deadline), and `is_open`.

    Open: takes place, has a seat left, and the deadline lies ahead. `taken`: seats by event, those that nobody has
    left out.
    """

    def is_open(event: Event) -> bool:
        seats = event.seats(config.capacity_limit)
        has_seat = seats is None or taken.get(event.event_id, 0) < seats
        return not event.is_cancelled and has_seat and instant < closes(event)

    def closes(event: Event) -> datetime:
        return event.deadline(config.registration_deadline_days)

    rows = [(event.event_id, event.name, event.starts_at, closes(event), is_open(event)) for event in events]
    names = ("event_id", "name", "starts_at")
    made = {"closes_at": EVENTS.schema["starts_at"], "is_open": pl.Boolean()}
    return pl.DataFrame(rows, schema={**{name: EVENTS.schema[name] for name in names}, **made}, orient="row")


def seats_taken(
    events: Iterable[str],
    registrations: pl.LazyFrame | None,
    elsewhere: pl.LazyFrame | None,
    program: str,
    instant: datetime,
) -> dict[str, int]:
    """Seats that customers have at `instant`, by event: of REGISTRATIONS_LOG and of PAST_REGISTRATIONS, united.

    What happened at an unknown time counts as long ago.
    """
    wanted, keys = list(events), ["event_id", "customer_id"]
    people = []
    if registrations is not None:
        own = registrations.filter(
            pl.col("program") == program, pl.col("event_id").is_in(wanted), pl.col("at") <= instant
        )
        stands = own.group_by(keys).agg(pl.col("status").sort_by("sequence").last())
        people.append(stands.filter(pl.col("status").is_in(sorted(SEATED))).select(keys))
    if elsewhere is not None:
        earlier = (pl.col("registered_at") <= instant).fill_null(value=True)
        people.append(elsewhere.filter(pl.col("event_id").is_in(wanted), earlier).select(keys))
    if not people:
        return {}
    counted = pl.concat(people).drop_nulls().unique().group_by("event_id").len().collect()
    return {event: int(count) for event, count in counted.iter_rows()}
