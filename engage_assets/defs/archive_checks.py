"""The day checks of the archive: nothing read is unaccounted for, totals are what the files hold, schemas are ours."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import dagster as dg
import polars as pl

from engage_assets.archive.avro_files import count_rows, open_container
from engage_assets.archive.lanes import LARGEST_RANGE
from engage_assets.archive.live import Partition, live_below
from engage_assets.archive.schemas import SCHEMAS, TYPES, refuse_evolution
from engage_assets.archive.state import State, Total
from engage_assets.defs.archive_assets import CHANGES, type_key
from engage_assets.defs.archive_desk import ArchiveDesk
from engage_assets.defs.archive_watching import WATCH_CHECKS, evaluations, look
from engage_assets.defs.describe import markdown_table, mistakes_as_failures
from engage_assets.domain.archive_spec import DemandArchive
from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import Clock, Operations
from engage_assets.home import Home

ACCOUNTED: Final = "read_is_accounted_for"
TOTALS: Final = "totals_are_what_files_hold"
SCHEMA: Final = "schemas_are_the_committed"
RECENT: Final = timedelta(days=2)
"""Partitions that got something since then are counted."""
_ATTEMPTS: Final = 5
_LISTED: Final = 20
DAY_CHECKS: Final = (
    dg.AssetCheckSpec(
        ACCOUNTED,
        asset=CHANGES,
        description="On each day read = archived + errors + duplicates.",
    ),
    *(
        dg.AssetCheckSpec(name, asset=type_key(kind), description=words)
        for kind in TYPES
        for name, words in (
            (TOTALS, "Rows in the files of each partition that got something lately = what the worker counted."),
            (SCHEMA, "Each of these files states the committed schema, or an older one that it is compatible with."),
        )
    ),
)


def archive_checks(spec: DemandArchive) -> list[dg.AssetChecksDefinition]:
    """Checks that a person, or the day close, can run; the sensor tells those of the watch too."""

    @dg.multi_asset_check(name="archive_day_checks", specs=DAY_CHECKS)
    def day_checks(home: dg.ResourceParam[Home], clock: dg.ResourceParam[Clock]) -> Iterator[dg.AssetCheckResult]:
        desk = ArchiveDesk(spec, home)
        with mistakes_as_failures(), closing(desk.open_state()) as state:
            yield from map(_result, day_evaluations(desk, state, clock.now()))

    @dg.multi_asset_check(name="archive_watch_checks", specs=WATCH_CHECKS)
    def watch_checks(home: dg.ResourceParam[Home], clock: dg.ResourceParam[Clock]) -> Iterator[dg.AssetCheckResult]:
        desk = ArchiveDesk(spec, home)
        with mistakes_as_failures(), closing(desk.open_state()) as state:
            yield from map(_result, evaluations(look(desk, state, clock.now().replace(tzinfo=UTC).timestamp()), spec))

    return [day_checks, watch_checks]


def _result(found: dg.AssetCheckEvaluation) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=found.passed,
        asset_key=found.asset_key,
        check_name=found.check_name,
        severity=found.severity,
        description=found.description,
        metadata=found.metadata,
    )


def close_day(
    desk: ArchiveDesk, state: State, now: datetime, instance: dg.DagsterInstance, operations: Operations
) -> dict[str, str]:
    """Check the day, tell the assets, and raise an alert for each check that failed; returns what they say.

    The results are told beside the run: Dagster hides those of a run as soon as something new comes to their asset,
    which is every minute here.
    """
    failed: dict[str, str] = {}
    for found, cause in _day_results(desk, state, now):
        instance.report_runless_asset_event(found)
        if not found.passed:
            name = f"{found.asset_key.path[-1]}: {found.check_name}"
            failed[name] = found.description or ""
            text = f"the day check {name} of the archive failed: {found.description}; see the asset's checks"
            operations.raise_alert(
                f"archive:day:{found.asset_key.path[-1]}:{found.check_name}:{_mark(cause)}", text, now
            )
    return failed


def day_evaluations(desk: ArchiveDesk, state: State, now: datetime) -> Iterator[dg.AssetCheckEvaluation]:
    """The results of DAY_CHECKS. Raises OSError, EngageError."""
    for found, _ in _day_results(desk, state, now):
        yield found


def _day_results(
    desk: ArchiveDesk, state: State, now: datetime
) -> Iterator[tuple[dg.AssetCheckEvaluation, Mapping[str, Any]]]:
    """Each result and what it comes of: the same from day to day while nothing else is wrong."""
    yield _accounted(state)
    since = (now - RECENT).replace(tzinfo=UTC).timestamp()
    recent = {place for place, total in state.totals().items() if total.at >= since}
    for kind in TYPES:
        count = count_partitions(desk, state, [Partition(*place) for place in sorted(recent) if place[0] == kind])
        yield _told(kind, TOTALS, count.wrong, {"partitions": count.partitions, "rows": count.rows}), count.missing
        yield _told(kind, SCHEMA, count.strange, {"files": count.files}), count.strange


def _mark(cause: Mapping[str, Any]) -> str:
    return sha256(json.dumps(sorted(cause.items())).encode()).hexdigest()[:16]


def _accounted(state: State) -> tuple[dg.AssetCheckEvaluation, Mapping[str, Any]]:
    open_days = {
        day.day: day.counts.read - day.counts.archived - day.counts.errors - day.counts.duplicates
        for day in state.days()
    }
    wrong = {day: f"{missing:+,} records" for day, missing in open_days.items() if missing}
    newest = state.days()[-1:]
    counts = [("day", newest[0].day), *vars(newest[0].counts).items()] if newest else []
    found = dg.AssetCheckEvaluation(
        passed=not wrong,
        asset_key=CHANGES,
        check_name=ACCOUNTED,
        description=_words(wrong) or f"{len(open_days):,} days close",
        metadata=dict(counts),
    )
    return found, wrong


def _told(kind: str, name: str, wrong: Mapping[str, str], counts: Mapping[str, int]) -> dg.AssetCheckEvaluation:
    frame = pl.DataFrame(sorted(wrong.items())[:_LISTED], schema={"where": pl.String, "what": pl.String}, orient="row")
    listed: dict[str, Any] = {"wrong": markdown_table(frame)} if wrong else {}
    return dg.AssetCheckEvaluation(
        passed=not wrong,
        asset_key=type_key(kind),
        check_name=name,
        description=_words(wrong) or ", ".join(f"{count:,} {noun}" for noun, count in counts.items()),
        metadata={**counts, **listed},
    )


def _words(wrong: Mapping[str, str]) -> str:
    """The first of what is wrong, and how many there are."""
    if not wrong:
        return ""
    place, what = min(wrong.items())
    return f"{place}: {what}{f' (and {len(wrong) - 1} more)' if len(wrong) > 1 else ''}"


@dataclass
class Count:
    """What the live files of some partitions hold."""

    partitions: int = 0
    files: int = 0
    rows: int = 0
    wrong: dict[str, str] = field(default_factory=dict)
    """Partitions whose total is another, and what it is."""
    missing: dict[str, int] = field(default_factory=dict)
    """Of these: rows that the files hold too few."""
    strange: dict[str, str] = field(default_factory=dict)
    """Files whose schema does not fit, and why."""


def count_partitions(desk: ArchiveDesk, state: State, partitions: list[Partition]) -> Count:
    """Count rows in files and compare them with the totals; a worker and upkeep may run. Raises OSError, EngageError.

    A file counts in its total only when its range is committed: while ranges are in work, files may hold more.
    """
    count = Count(partitions=len(partitions))
    for partition in partitions:
        before = state.totals().get((partition.type, partition.date), Total(0, 0))
        rows = _count_live(desk, partition, count)
        in_work = sum(shard.pending is not None for shard in state.shards())
        after = state.totals().get((partition.type, partition.date), Total(0, 0))
        count.rows += rows
        low, high = sorted((before.records, after.records))
        if not low <= rows <= high + in_work * LARGEST_RANGE:
            count.wrong[partition.folder] = f"files hold {rows:,} rows, counted were {after.records:,}"
            count.missing[partition.folder] = after.records - rows
    return count


def _count_live(desk: ArchiveDesk, partition: Partition, count: Count) -> int:
    """Rows of the live files of a partition; again from the start where upkeep takes one away meanwhile."""
    for _ in range(_ATTEMPTS):
        rows = files = 0
        try:
            for file in live_below(desk.root, partition.folder):
                container = open_container(desk.root.get(file.key), file.key)
                rows += count_rows(container, file.key)
                files += 1
                faults = refuse_evolution(json.loads(container.schema), SCHEMAS[partition.type])
                if faults:
                    count.strange[file.key] = faults[0]
        except FileNotFoundError:
            continue
        count.files += files
        return rows
    raise EngageError(f"{partition.folder}: its files go while they are counted; run the checks again")
