"""The ledger's mirror in the lake, cut at each batch instant: what batches read instead of the ledger itself.

Rows of a partition are the changes in (previous batch instant, this one]. A mirror that misses a day would
let a cap be broken, so a run also makes the days before it that the ledger has and the lake lacks.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

import dagster as dg
import polars as pl

from engage_assets.defs.describe import file_metadata, mistakes_as_failures, schema_of
from engage_assets.defs.desk import Result
from engage_assets.defs.partitions import DAILY, partition_date, partitions_of
from engage_assets.defs.sheets import (
    GIVEN_OPT_OUTS,
    GIVEN_REGISTRATIONS,
    GIVEN_RESPONSES,
    GIVEN_SURVEY_ANSWERS,
    MIRRORED,
    SEND_EVENTS,
    Key,
)
from engage_assets.domain.errors import EngageError
from engage_assets.domain.events import REGISTRATIONS_LOG
from engage_assets.domain.notices import SURVEY_LOG
from engage_assets.domain.ports import Clock, Ledger
from engage_assets.domain.program import Program
from engage_assets.domain.tables import OPT_OUT_LOG, RESPONSES_LOG, SENDS_LOG, Table
from engage_assets.lake import Lake

_DAY: Final = timedelta(days=1)


def ledger_assets(programs: Mapping[str, Program]) -> list[dg.AssetsDefinition]:
    """`ledger/send_events`, `…/responses`, `…/opt_outs`, `…/registrations`, `…/survey_answers`, of all programs.

    And of each weekly program `<program>/ledger_mirrored`, which makes of them what its batch lacks.
    """
    at = _batch_time(programs)
    weekly = [program for program in programs.values() if program.cadence.period == "weekly"]
    return [
        *(_mirror_asset(mirror, at) for mirror in MIRRORS),
        *(_state_asset(state, at) for state in STATES),
        *(_mirror_for(program, at) for program in weekly),
    ]


def _state_asset(state: "State", at: time) -> dg.AssetsDefinition:
    """What the ledger knew at each batch instant, whole."""

    @dg.asset(
        key=dg.AssetKey(list(state.key)),
        group_name="ledger",
        kinds={"sqlite", "parquet"},
        partitions_def=DAILY,
        code_version="1",
        description=f"{state.description}\n\n**Grain:** {state.table.grain}.",
        metadata={"dagster/column_schema": schema_of(state.table.columns), "dagster/table_name": ".".join(state.key)},
    )
    def know(
        context: dg.AssetExecutionContext,
        ledger: dg.ResourceParam[Ledger],
        lake: dg.ResourceParam[Lake],
        clock: dg.ResourceParam[Clock],
    ) -> Result:
        instant = _instant(partition_date(context), at)
        with mistakes_as_failures():
            _require_past(instant, clock)
            rows = lake.write(state.key, context.partition_key, state.read(ledger, instant))
        return dg.MaterializeResult(metadata=file_metadata(lake.path(state.key, context.partition_key), rows))

    return know


def _mirror_for(program: Program, at: time) -> dg.AssetsDefinition:
    """The day's mirror that a weekly batch reads, and the days before it that the lake lacks."""

    @dg.asset(
        key=dg.AssetKey([program.key, MIRRORED]),
        group_name=program.key,
        owners=list(program.owners),
        kinds={"sqlite", "parquet"},
        tags={"program": program.program_id},
        partitions_def=partitions_of(program),
        code_version="1",
        description="The ledger's mirror, brought up to the batch instant: the days of `ledger/…` that the lake"
        " lacked.\n\n**Grain:** no file of its own.",
    )
    def mirror_ledger(
        context: dg.AssetExecutionContext,
        ledger: dg.ResourceParam[Ledger],
        lake: dg.ResourceParam[Lake],
        clock: dg.ResourceParam[Clock],
    ) -> Result:
        day = program.cadence.last_day(partition_date(context))
        made: dict[str, int] = {}
        with mistakes_as_failures():
            _require_past(_instant(day, at), clock)
            for mirror in MIRRORS:
                for missing in (*_missing_days(mirror, ledger, lake, day, at), day):
                    instant = _instant(missing, at)
                    rows = mirror.read(ledger, instant - _DAY, instant)
                    made[mirror.key[-1]] = lake.write(mirror.key, missing.isoformat(), rows)
                    _report(context, mirror.key, missing)
            for state in STATES:
                made[state.key[-1]] = lake.write(state.key, day.isoformat(), state.read(ledger, _instant(day, at)))
                _report(context, state.key, day)
        return dg.MaterializeResult(metadata={"day": day.isoformat(), **made})

    return mirror_ledger


def _report(context: dg.AssetExecutionContext, key: Key, day: date) -> None:
    context.instance.report_runless_asset_event(
        dg.AssetMaterialization(dg.AssetKey(list(key)), partition=day.isoformat())
    )


def _batch_time(programs: Mapping[str, Program]) -> time:
    """The time of day at which mirrors are cut: that of the programs' batches, which must be one.

    Raises EngageError where daily programs differ, as one mirror serves them all.
    """
    times = {program.cadence.at for program in programs.values()}
    if len(times) > 1:
        raise EngageError(
            "the programs' batches start at different times"
            f" ({', '.join(sorted(f'{at:%H:%M}' for at in times))} UTC), but the ledger's mirror is cut once a day:"
            " give all batchSchedule keys the same time"
        )
    return next(iter(times), time(2))


def _instant(day: date, at: time) -> datetime:
    return datetime.combine(day + _DAY, at)


def _require_past(instant: datetime, clock: Clock) -> None:
    """Refuse to mirror what has not happened yet."""
    if clock.now() < instant:
        raise EngageError(
            f"the batch instant {instant:%Y-%m-%d %H:%M} UTC lies ahead (it is {clock.now():%Y-%m-%d %H:%M} UTC):"
            " this partition cannot be decided yet"
        )


def _missing_days(mirror: "Mirror", ledger: Ledger, lake: Lake, day: date, at: time) -> Iterator[date]:
    """Days before `day` since the ledger's first event which the lake lacks, or holds with the columns of before."""
    first = ledger.first_event_at()
    if first is None:
        return
    names = [name for name in lake.partitions(mirror.key) if name < day.isoformat()]
    there = {name for name in names if lake.scan(mirror.key, name).collect_schema() == mirror.table.schema}
    missing = (first - timedelta(hours=at.hour, minutes=at.minute)).date() - _DAY
    while missing < day:
        if missing.isoformat() not in there:
            yield missing
        missing += _DAY


def _mirror_asset(mirror: "Mirror", at: time) -> dg.AssetsDefinition:
    """One log of the ledger, day by day."""

    def write(ledger: Ledger, lake: Lake, day: date) -> int:
        instant = _instant(day, at)
        return lake.write(mirror.key, day.isoformat(), mirror.read(ledger, instant - _DAY, instant))

    @dg.asset(
        key=dg.AssetKey(list(mirror.key)),
        group_name="ledger",
        kinds={"sqlite", "parquet"},
        partitions_def=DAILY,
        code_version="1",
        description=f"{mirror.description}\n\n**Grain:** {mirror.table.grain}.",
        metadata={
            "dagster/column_schema": schema_of(mirror.table.columns),
            "dagster/table_name": ".".join(mirror.key),
        },
    )
    def follow(
        context: dg.AssetExecutionContext,
        ledger: dg.ResourceParam[Ledger],
        lake: dg.ResourceParam[Lake],
        clock: dg.ResourceParam[Clock],
    ) -> Result:
        day = partition_date(context)
        with mistakes_as_failures():
            _require_past(_instant(day, at), clock)
            for missing in _missing_days(mirror, ledger, lake, day, at):
                write(ledger, lake, missing)
                _report(context, mirror.key, missing)
            rows = write(ledger, lake, day)
        return dg.MaterializeResult(metadata=file_metadata(lake.path(mirror.key, context.partition_key), rows))

    return follow


@dataclass(frozen=True)
class Mirror:
    """A log of the ledger that the lake mirrors day by day."""

    key: Key
    table: Table
    description: str
    read: Callable[[Ledger, datetime, datetime], pl.DataFrame]


@dataclass(frozen=True)
class State:
    """What the lake keeps whole of the ledger for each batch instant."""

    key: Key
    table: Table
    description: str
    read: Callable[[Ledger, datetime], pl.DataFrame]


STATES: Final = (
    State(
        GIVEN_OPT_OUTS,
        OPT_OUT_LOG,
        "Opt-outs given to us, as known at the batch instant.",
        lambda ledger, instant: ledger.opt_outs(instant),
    ),
    State(
        GIVEN_REGISTRATIONS,
        REGISTRATIONS_LOG,
        "Changes of registrations, as known at the batch instant.",
        lambda ledger, instant: ledger.registrations(instant),
    ),
    State(
        GIVEN_SURVEY_ANSWERS,
        SURVEY_LOG,
        "Answers of who attended an event, as known at the batch instant. No texts.",
        lambda ledger, instant: ledger.survey_answers(instant),
    ),
)
MIRRORS: Final = (
    Mirror(
        SEND_EVENTS,
        SENDS_LOG,
        "What became of sends, day by day, as the ledger knew it at the batch instant.",
        lambda ledger, after, until: ledger.send_events(after, until),
    ),
    Mirror(
        GIVEN_RESPONSES,
        RESPONSES_LOG,
        "Answers given on our pages, day by day, as the ledger knew them at the batch instant. No texts.",
        lambda ledger, after, until: ledger.responses(after, until),
    ),
)
