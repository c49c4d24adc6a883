"""Geography: does a customer live where an event invites, and does it start while he is awake? On any engine.

What the clocks of a zone show when an event starts is laid out beforehand (`waking`): engines know no zones alike.
"""

from collections.abc import Iterable
from datetime import UTC, time
from typing import Final
from zoneinfo import ZoneInfo

import narwhals as nw
import polars as pl

from engage_assets.domain.events import CUSTOMER_PROFILES, EVENTS, Event
from engage_assets.domain.facts import Frame
from engage_assets.domain.filter_specs import GeographicFilter, GeographicParameters
from engage_assets.domain.program import Program
from engage_assets.domain.slots import zones_by_name
from engage_assets.filters.asking import Asking, Tables, mark
from engage_assets.filters.clauses import Clause

REGIONS: Final = "event_regions"
"""Noun of the frame that `regions` makes."""
WAKING: Final = "event_waking"
"""Noun of the frame that `waking` makes."""


def regions(events: Iterable[Event], program: Program) -> pl.DataFrame:
    """`subject_id`, `geographic_region`: where an event invites; the program's regions where it names none."""
    own = parameters_of(program)
    rows = [
        (event.event_id, region)
        for event in events
        for region in sorted({one for one in event.target_regions if one.strip()} or {*own.target_regions})
    ]
    return pl.DataFrame(rows, schema={"subject_id": pl.String, "geographic_region": pl.String}, orient="row")


def waking(events: Iterable[Event], program: Program) -> pl.DataFrame:
    """`subject_id`, `time_zone`: the zones in which people are awake when an event starts."""
    own = parameters_of(program)
    rows = [
        (event.event_id, name)
        for event in events
        for name, zone in zones_by_name().items()
        if own.starts_from <= _clock(event, zone) < own.starts_before
    ]
    return pl.DataFrame(rows, schema={"subject_id": pl.String, "time_zone": pl.String}, orient="row")


def _clock(event: Event, zone: ZoneInfo) -> time:
    return event.starts_at.replace(tzinfo=UTC).astimezone(zone).time()


def parameters_of(program: Program) -> GeographicParameters:
    """What the program's geographic filter says; nothing is asked where it has none."""
    found = (spec.parameters for spec in program.filter_chain if isinstance(spec, GeographicFilter))
    return next(found, GeographicParameters(target_regions=()))


def living(joined: Frame, batch: Frame, tables: Tables, asking: Asking) -> Frame:
    """`lives_in_region` and `is_awake`: whether the event invites there, and starts within waking hours there."""
    names = batch.collect_schema().names()
    if REGIONS in tables and "geographic_region" in names:
        joined = mark(joined, tables[REGIONS], "lives_in_region", "subject_id", "geographic_region")
    if WAKING in tables and "time_zone" in names and parameters_of(asking.program).timezone_compatibility:
        joined = mark(joined, tables[WAKING], "is_awake", "subject_id", "time_zone")
    return joined


def geographic(spec: GeographicFilter, program: Program) -> list[Clause]:  # noqa: ARG001 - filters are called alike
    """Clauses of the geographic filter, in the order in which they give the reason."""
    region = Clause("REGION", {f"{CUSTOMER_PROFILES.name}.geographic_region"}, ~nw.col("lives_in_region"))
    zone = Clause("TIME_ZONE", {f"{EVENTS.name}.starts_at"}, ~nw.col("is_awake"))
    return [region, zone] if spec.parameters.timezone_compatibility else [region]
