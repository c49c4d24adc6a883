"""What a batch about events reads of the catalogue: whom its records meet, and what filters ask of an event."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from engage_assets.domain.errors import WarehouseError
from engage_assets.domain.events import EVENTS, PAST_REGISTRATIONS, TOPICS, Event
from engage_assets.domain.program import EventConfig, Program
from engage_assets.domain.source import Asked
from engage_assets.domain.topics import Topics
from engage_assets.events.catalogue import Catalogue, invited_by
from engage_assets.events.openings import openings, seats_taken
from engage_assets.filters import geography, interests

if TYPE_CHECKING:
    from engage_assets.defs.batch import Batch

_NO_CONFIG: Final = EventConfig()


def config_of(program: Program) -> EventConfig:
    """The program's eventConfig, else its defaults."""
    return program.event_config or _NO_CONFIG


def catalogue_of(batch: "Batch") -> Catalogue:
    """The event catalogue. Raises WarehouseError where there is none."""
    table = batch.tables.get(EVENTS.name)
    if table is None:
        raise WarehouseError(
            f"table {EVENTS.database}.{EVENTS.name} is missing, and {batch.program.program_id} invites for what stands"
            f" there: put {EVENTS.name}.parquet into {batch.warehouse.root / str(EVENTS.database)}, or add an event"
            " with `engage events add`"
        )
    return Catalogue.of(table.collect())


def known_events(batch: "Batch", instant: datetime) -> dict[str, Event]:
    """Every event as it was known at `instant`. Raises WarehouseError where there is no catalogue."""
    return catalogue_of(batch).known(instant)


def topics_of(batch: "Batch") -> Topics:
    """The topic tree; an empty one where the deployment has none."""
    table = batch.tables.get(TOPICS.name)
    return Topics.of(table.collect().iter_rows(named=True) if table is not None else ())


def invited(batch: "Batch", partition: date, instant: datetime) -> list[Event]:
    """The events that the batch of a Monday invites for, as known at `instant`, cancelled ones among them."""
    return invited_by(known_events(batch, instant), partition, config_of(batch.program).invite_lead_days)


def asked(batch: "Batch") -> list[Asked]:
    """The events that every record of the batch meets, each with the names of its topics and their synonyms."""
    topics = topics_of(batch)
    found = invited(batch, batch.partition, batch.instant)
    return [Asked(event.event_id, topics.words(event.topics)) for event in found]


def explain(batch: "Batch", record: Mapping[str, Any]) -> list[str]:
    """The interest match of a record, in lines: each topic of its event, and the interest that comes nearest to it."""
    event = known_events(batch, batch.instant).get(record[batch.source.subject])
    if event is None:
        return []
    tags = [tag for tag in record["interest_tags"] or () if tag]
    found = interests.explained(tags, event.topics, topics_of(batch))
    lines = [f"interest match with {event.event_id}, {event.name}: {interests.match_of(found):.6f}, the mean of"]
    return [*lines, *(f"  {one.similarity:g}  {one.topic}: {one.interest or 'nothing is near'}" for one in found)]


def stated(
    batch: "Batch", instant: datetime, registrations: pl.LazyFrame | None, subjects: Sequence[str] | None = None
) -> dict[str, pl.LazyFrame]:
    """By noun what filters ask of events as of `instant`; it is laid over the warehouse's tables.

    `registrations` is REGISTRATIONS_LOG up to then; `subjects` the events that are asked about, by default those that
    the batch invites for.
    """
    if subjects is None:
        events = invited(batch, batch.partition, batch.instant)
    else:
        known = known_events(batch, instant)
        events = [known[one] for one in sorted(set(subjects)) if one in known]
    topics, program = topics_of(batch), batch.program
    others = batch.tables.get(PAST_REGISTRATIONS.name)
    taken = seats_taken([one.event_id for one in events], registrations, others, program.program_id, instant)
    frames = {
        EVENTS.name: openings(events, taken, config_of(program), instant),
        interests.LIKENESS: interests.likeness(events, topics),
        interests.MATCHES: interests.matches(events, topics),
        geography.REGIONS: geography.regions(events, program),
        geography.WAKING: geography.waking(events, program),
    }
    return {name: frame.lazy() for name, frame in frames.items()}
