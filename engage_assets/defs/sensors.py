"""Sensors: failed runs and late batches become alerts, alerts reach people, responses reach the assets.

Like schedules they are turned on by a person.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import dagster as dg

from engage_assets.alerts.telling import UNCONFIGURED, Destination, tell
from engage_assets.domain.ports import Clock, Ledger, Operations, Outbox
from engage_assets.domain.program import Program
from engage_assets.domain.responses import OutboxEntry
from engage_assets.domain.tables import DECISIONS
from engage_assets.lake import Lake

TICK_SECONDS: Final = 30
RESPONSES: Final = "responses"
FAILURES_AT_ONCE: Final = 50
"""Failed runs that one tick looks at; the next tick goes on."""
RESPONSES_AT_ONCE: Final = 10_000
LONGEST: Final = 600
"""Characters of an alert's text that come from a failed step."""

_SILENT: Final = "its process ended without a word (killed, out of memory, or over its time)"
_SPEAKING: Final = frozenset({"DagsterAssetCheckFailedError"})
"""Errors whose own message names assets and checks alone."""


def alert_sensors(programs: Mapping[str, Program]) -> list[dg.SensorDefinition]:
    """`run_failures`, `alerts` and `responses`, of all programs by id. Resources: see each sensor's parameters."""
    return [_run_failures(), _alerts(programs), _responses(programs)]


def responses_asset(program: Program) -> dg.AssetSpec:
    """The external asset that answers of people are reported to."""
    return dg.AssetSpec(
        dg.AssetKey([program.key, RESPONSES]),
        deps=[dg.AssetKey([program.key, "email_sends"])],
        description="Answers that came in through our pages: an event for what came since the last, by marketplace.\n\n"
        "Reported by the sensor `responses`; the operational database has each, `outcomes` joins them to their sends.",
        group_name=program.key,
        owners=list(program.owners),
        kinds={"http"},
        tags={"program": program.program_id},
    )


def _run_failures() -> dg.SensorDefinition:
    # Dagster's own run failure sensor moves on when it fails: where the database is down, that lost the very alert.
    @dg.sensor(
        name="run_failures",
        minimum_interval_seconds=TICK_SECONDS,
        description="Raises an alert for each failed run of this code location; those before its first tick are past.",
    )
    def run_failures(
        context: dg.SensorEvaluationContext,
        operations: dg.ResourceParam[Operations],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SensorResult:
        if context.cursor is None:
            return dg.SensorResult(skip_reason="looks at failures from now on", cursor=str(_newest(context.instance)))
        failed = _failed(context.instance, int(context.cursor))
        raised = 0
        for record in failed:
            run = context.instance.get_run_by_id(record.event_log_entry.run_id)
            if run and _is_ours(context, run):
                cause, text = _failure(context.instance, run, record.timestamp)
                raised += operations.raise_alert(cause, text, clock.now())
        cursor = str(failed[-1].storage_id) if failed else context.cursor
        return dg.SensorResult(skip_reason=f"{len(failed)} failed runs, {raised} new alerts", cursor=cursor)

    return run_failures


def _is_ours(context: dg.SensorEvaluationContext, run: dg.DagsterRun) -> bool:
    """Whether the run is of a job of this code location; others may share the instance."""
    return context.repository_def is None or context.repository_def.has_job(run.job_name)


def _newest(instance: dg.DagsterInstance) -> int:
    """Storage id of the newest failure; 0 where there is none."""
    records = instance.fetch_run_status_changes(dg.DagsterEventType.RUN_FAILURE, limit=1).records
    return records[0].storage_id if records else 0


def _failed(instance: dg.DagsterInstance, after: int) -> Sequence[dg.EventLogRecord]:
    wanted = dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_FAILURE, after_storage_id=after)
    return instance.fetch_run_status_changes(wanted, limit=FAILURES_AT_ONCE, ascending=True).records


def _failure(instance: dg.DagsterInstance, run: dg.DagsterRun, timestamp: float) -> tuple[str, str]:
    """Cause and text of a failed run. Without a partition, one fault is one cause for a day, however often it fails."""
    partition = run.tags.get("dagster/partition")
    step, why = _why(instance, run.run_id)
    day = datetime.fromtimestamp(timestamp, UTC).date()
    cause = f"run:{run.job_name}:{partition or f'{day}:{sha256(why.encode()).hexdigest()[:8]}'}"
    of = f" of {partition}" if partition else ""
    return cause, f"{run.job_name}{of} failed{f' at {step}' if step else ''}: {why} (in the UI: /runs/{run.run_id})"


def _why(instance: dg.DagsterInstance, run_id: str) -> tuple[str | None, str]:
    """The first failed step, and what it said of itself; of an error that was not meant for people, its class."""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
    steps = [event for record in records if (event := record.event_log_entry.dagster_event) is not None]
    return (steps[0].step_key, _said(steps[0])) if steps else (None, _SILENT)


def _said(failure: dg.DagsterEvent) -> str:
    said, error = failure.step_failure_data.user_failure_data, failure.step_failure_data.error
    if said and said.description:
        return _safe(said.description)
    source = error.cause or error if error else None
    if source is None or not source.cls_name:
        return _SILENT
    return _safe(source.message.partition(": ")[2]) if source.cls_name in _SPEAKING else source.cls_name


def _safe(text: str) -> str:
    """One paragraph of bearable length, in which nothing looks like an address of a person."""
    plain = re.sub(r"\S+@\S+", "…", " ".join(text.split()))
    return plain if len(plain) <= LONGEST else f"{plain[: LONGEST - 1]}…"


def _alerts(programs: Mapping[str, Program]) -> dg.SensorDefinition:
    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=TICK_SECONDS,
        description="Raises alerts for late batches and sends in doubt, then tells people what they were not told yet.",
    )
    def alerts(
        ledger: dg.ResourceParam[Ledger],
        operations: dg.ResourceParam[Operations],
        clock: dg.ResourceParam[Clock],
        lake: dg.ResourceParam[Lake],
        alert_destinations: dg.ResourceParam[Any],
    ) -> dg.SkipReason:
        now, destinations = clock.now(), list[Destination](alert_destinations)
        try:
            raise_late(programs.values(), lake, operations, now)
            raise_doubts(programs.values(), ledger, operations, now)
        finally:
            told = tell(operations, destinations, now)
        waiting = len(operations.untold())
        return dg.SkipReason(f"{told} alerts told, {waiting} wait{'' if destinations else f'; {UNCONFIGURED}'}")

    return alerts


def raise_late(programs: Iterable[Program], lake: Lake, operations: Operations, now: datetime) -> None:
    """An alert for each enabled program whose newest due partition was not decided by its deadline."""
    for program in programs:
        partition = program.cadence.partition_of(now - program.deadline)
        is_decided = lake.path((program.key, DECISIONS.name), partition.isoformat()).is_file()
        if program.enabled and not is_decided:
            due = program.cadence.batch_instant(partition) + program.deadline
            operations.raise_alert(
                f"late:{program.program_id}:{partition}",
                f"{program.program_id}: the batch of {partition} was due at {due:%Y-%m-%d %H:%M} UTC and has decided"
                f" nothing; see its runs, or run it: engage run {program.program_id} --date {partition}",
                now,
            )


def raise_doubts(programs: Iterable[Program], ledger: Ledger, operations: Operations, now: datetime) -> None:
    """An alert for sends that came into doubt together: later ones alert again, and resolving some does not."""
    for program in programs:
        moments = Counter(ledger.in_doubt(program.program_id)["at"].to_list())
        for at, sends in sorted(moments.items()):
            operations.raise_alert(
                f"in_doubt:{program.program_id}:{at.isoformat()}",
                f"{program.program_id}: {sends} sends are in doubt since {at:%Y-%m-%d %H:%M} UTC: whether they went out"
                " is unknown, and they are not sent again; `engage sends in-doubt` lists them",
                now,
            )


def _responses(programs: Mapping[str, Program]) -> dg.SensorDefinition:
    @dg.sensor(
        name="responses",
        minimum_interval_seconds=TICK_SECONDS,
        description="Reports answers that came in to the asset `responses` of their program, by marketplace.",
    )
    def responses(
        context: dg.SensorEvaluationContext,
        outbox: dg.ResourceParam[Outbox],
        clock: dg.ResourceParam[Clock],
    ) -> dg.SkipReason:
        entries = outbox.waiting(["response"], RESPONSES_AT_ONCE)
        for program in programs.values():
            own = [entry for entry in entries if entry.payload["program"] == program.program_id]
            if own:
                context.instance.report_runless_asset_event(_report(program, own))
        outbox.done([entry.entry_id for entry in entries], clock.now())
        return dg.SkipReason(f"{len(entries)} responses reported")

    return responses


def _report(program: Program, entries: Sequence[OutboxEntry]) -> dg.AssetMaterialization:
    """What came in; after a crash an entry may be reported twice, never not at all."""
    counts = Counter(entry.payload["marketplace"] for entry in entries)
    moments = sorted(entry.payload["at"] for entry in entries)
    by_marketplace: dict[str, Any] = {f"responses_{name}": count for name, count in sorted(counts.items())}
    return dg.AssetMaterialization(
        dg.AssetKey([program.key, RESPONSES]),
        description=f"{len(entries)} responses",
        metadata={"responses": len(entries), **by_marketplace, "first_at": moments[0], "last_at": moments[-1]},
    )
