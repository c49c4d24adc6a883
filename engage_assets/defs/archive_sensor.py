"""The archive's sensor: reports what came, watches lag and errors, starts upkeep, and drains where no worker is alive.

Its cursor is about reporting alone: what is archived never depends on it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import dagster as dg

from engage_assets.archive.state import State
from engage_assets.defs.archive_desk import ArchiveDesk
from engage_assets.defs.archive_reports import partition_requests, reports_of
from engage_assets.defs.archive_watching import Watch, evaluations, look, raise_troubles, troubles
from engage_assets.domain.archive_spec import DemandArchive
from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import Clock, Operations
from engage_assets.home import Home

NAME: Final = "archive_sensor"
DRAIN: Final = "archive_drain"
DAY_CLOSE: Final = "archive_day_close"
REDACT: Final = "archive_redact"
TICK_SECONDS: Final = 30
REPORT_SECONDS: Final = 60
"""Reports, and so materializations of a partition, are at least so far apart."""
CHECK_SECONDS: Final = 3600
"""A check whose result stays the same is told so often."""
REDACT_HOURS: Final = 6
BATCHES_AT_ONCE: Final = 5_000


@dataclass(frozen=True)
class Cursor:
    """What the sensor told already; instants in s since 1970."""

    batch: int = 0
    reported_at: float = 0.0
    checked_at: float = 0.0
    troubles: dict[str, str] = field(default_factory=dict)
    """What is wrong, and since when it is."""
    unread: dict[str, float] = field(default_factory=dict)
    """Shards with more to read that no worker had, and since when."""
    asked: dict[str, str] = field(default_factory=dict)
    """By job: the key of the run that was asked for last."""

    @classmethod
    def read(cls, text: str | None) -> "Cursor":
        """A cursor out of its text; None: a new one. What another version noted beside is dropped."""
        noted = json.loads(text) if text else {}
        return cls(**{one.name: noted[one.name] for one in fields(cls) if one.name in noted})

    @property
    def text(self) -> str:
        """As Dagster keeps it."""
        return json.dumps(asdict(self), separators=(",", ":"))


def archive_sensor(spec: DemandArchive, jobs: Sequence[Any]) -> dg.SensorDefinition:
    """The sensor over one archive; `jobs` are those of DRAIN, DAY_CLOSE and REDACT."""

    @dg.sensor(
        name=NAME,
        jobs=list(jobs),
        minimum_interval_seconds=TICK_SECONDS,
        description="Reports archived batches to their assets, raises alerts for lag, shards that stand still and"
        " spikes of errors, starts the day close and redactions, and drains the source where no worker is alive.",
    )
    def sense(
        context: dg.SensorEvaluationContext,
        home: dg.ResourceParam[Home],
        operations: dg.ResourceParam[Operations],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult | dg.SkipReason:
        desk, cursor, now = ArchiveDesk(spec, home), Cursor.read(context.cursor), clock.now()
        if not desk.has_state and not desk.has_source:
            return dg.SkipReason(f"nothing to archive yet: {desk.source_text} is not there")
        with closing(desk.open_state()) as state:
            return _tick(desk, state, cursor, now, operations, is_draining=_is_draining(context.instance))

    return sense


def _is_draining(instance: dg.DagsterInstance) -> bool:
    unfinished = [
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    return instance.get_runs_count(dg.RunsFilter(job_name=DRAIN, statuses=unfinished)) > 0


def _tick(
    desk: ArchiveDesk,
    state: State,
    cursor: Cursor,
    now: datetime,
    operations: Operations,
    *,
    is_draining: bool,
) -> dg.SensorResult:
    seconds = now.replace(tzinfo=UTC).timestamp()
    watch = _look(desk, state, seconds, cursor)
    is_seen = isinstance(watch, Watch)
    is_manned = isinstance(watch, Watch) and watch.has_worker
    unread = watch.unread if isinstance(watch, Watch) else {}
    found = troubles(watch, desk.spec) if isinstance(watch, Watch) else {"watch": watch}
    lasting = raise_troubles(operations, found, cursor.troubles, now)
    told = replace(cursor, troubles=lasting, unread=dict(unread) if is_seen else cursor.unread)
    events, requests, told = _report(desk, state, told, seconds, watch)
    has_changed = lasting.keys() != cursor.troubles.keys()
    if isinstance(watch, Watch) and (has_changed or seconds - cursor.checked_at >= CHECK_SECONDS):
        events += evaluations(watch, desk.spec)
        told = replace(told, checked_at=seconds)
    runs = [
        run
        for run in _runs(state, desk, {} if is_manned else unread, now, is_draining=is_draining)
        if run.run_key != cursor.asked.get(run.job_name or "")
    ]
    told = replace(told, asked={**cursor.asked, **{run.job_name or "": run.run_key or "" for run in runs}})
    return dg.SensorResult(
        run_requests=runs,
        skip_reason=None if runs else _words(watch, len(events)),
        asset_events=events,
        dynamic_partitions_requests=requests,
        cursor=told.text,
    )


def _report(
    desk: ArchiveDesk, state: State, cursor: Cursor, seconds: float, watch: Watch | str
) -> tuple[list[Any], list[dg.AddDynamicPartitionsRequest], Cursor]:
    """What came since the last report, where it is time for one."""
    is_due = seconds - cursor.reported_at >= REPORT_SECONDS
    batches = state.batches(cursor.batch, BATCHES_AT_ONCE) if is_due else []
    if not batches:
        return [], [], cursor
    reports = reports_of(desk, batches, state.totals(), watch.lag if isinstance(watch, Watch) else None)
    told = replace(cursor, batch=reports.last, reported_at=seconds)
    return list(reports.events), partition_requests(reports.days), told


def _look(desk: ArchiveDesk, state: State, seconds: float, cursor: Cursor) -> Watch | str:
    """A look at state and source, else why there is none: what came is reported all the same."""
    try:
        return look(desk, state, seconds, cursor.unread)
    except (EngageError, OSError) as error:
        return f"the archive's lag is not known: {error}"


def _words(watch: Watch | str, events: int) -> str:
    if isinstance(watch, str):
        return watch
    return f"{watch.lag:.0f} s behind, {events} events reported"


def _runs(
    state: State, desk: ArchiveDesk, unread: Mapping[str, float], now: datetime, *, is_draining: bool
) -> Iterator[dg.RunRequest]:
    """The day close once a day, a redaction where one waits, a drain where nobody reads what is there."""
    if state.newest_batch():
        yield dg.RunRequest(f"{DAY_CLOSE}:{now.date()}", job_name=DAY_CLOSE)
        if state.pending_removals(1):
            yield dg.RunRequest(f"{REDACT}:{now.date()}:{now.hour // REDACT_HOURS}", job_name=REDACT)
    if unread and not is_draining:
        yield dg.RunRequest(_drain_key(state, desk.source.stream, unread, now), job_name=DRAIN)


def _drain_key(state: State, stream: str, unread: Mapping[str, float], now: datetime) -> str:
    """A name for what is to be drained: the same until a checkpoint moves, so that no drain starts twice.

    The hour is part of it, so that a drain that failed is tried again.
    """
    checkpoints = {shard.name: shard.checkpoint for shard in state.shards() if shard.stream == stream}
    places = json.dumps([stream, {name: checkpoints.get(name) for name in sorted(unread)}])
    return f"{DRAIN}:{now:%Y-%m-%dT%H}:{sha256(places.encode()).hexdigest()[:16]}"
