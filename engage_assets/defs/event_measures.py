"""What figures of events are made of: the batch's events, and what the ledger knows of them, as of one night."""

from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from engage_assets.defs.event_stages import config_of, invited, known_events
from engage_assets.domain.events import ATTENDANCE_FORECASTS, EVENTS, PAST_REGISTRATIONS, REGISTRATIONS_LOG, Event
from engage_assets.domain.notices import SURVEY_LOG
from engage_assets.domain.tables import INTERACTIONS_LOG, SENDS_LOG
from engage_assets.events.openings import seats_taken
from engage_assets.lake import Lake
from engage_assets.outcomes.event_tables import EVENT_STATES

if TYPE_CHECKING:
    from engage_assets.defs.batch import Batch
    from engage_assets.defs.outcome_assets import Logs


def measured(batch: "Batch", logs: "Logs", lake: Lake) -> dict[str, pl.LazyFrame]:
    """Tables for outcomes.event_figures, by name; none where the deployment has no catalogue of events.

    The night's forecasts are among them once they are made.
    """
    if EVENTS.name not in batch.tables:
        return {}
    log = logs.registrations(lake)
    made = {
        EVENT_STATES.name: states(batch, log, logs.until).lazy(),
        SENDS_LOG.name: logs.sends.lazy(),
        INTERACTIONS_LOG.name: logs.interactions.lazy(),
        REGISTRATIONS_LOG.name: log,
        SURVEY_LOG.name: logs.survey_answers().lazy(),
    }
    night = (batch.program.key, ATTENDANCE_FORECASTS.name, batch.partition.isoformat())
    path = lake.path(night, logs.as_of.isoformat())
    return {**made, ATTENDANCE_FORECASTS.name: pl.scan_parquet(path)} if path.is_file() else made


def states(batch: "Batch", log: pl.LazyFrame, until: datetime) -> pl.DataFrame:
    """EVENT_STATES of the events that the batch invited for, as known at `until`; `log`: REGISTRATIONS_LOG."""
    now = known_events(batch, until)
    before = {one.event_id: one for one in invited(batch, batch.partition, batch.instant)}
    there = [event for event in before if event in now]
    elsewhere = batch.tables.get(PAST_REGISTRATIONS.name)
    taken = seats_taken(there, log, elsewhere, batch.program.program_id, until)
    config = config_of(batch.program)
    rows = [
        {
            **{name: getattr(now[one], name) for name in ("event_id", "name", "starts_at", "ends_at", "time_zone")},
            "deadline": now[one].deadline(config.registration_deadline_days),
            "seats": now[one].seats(config.capacity_limit),
            "taken": taken.get(one, 0),
            "is_cancelled": now[one].is_cancelled,
            "is_moved": _time(now[one]) != _time(before[one]),
        }
        for one in there
    ]
    return pl.DataFrame(rows, schema=EVENT_STATES.schema)


def _time(event: Event) -> tuple[datetime, int, str]:
    return event.starts_at, event.duration_minutes, event.time_zone
