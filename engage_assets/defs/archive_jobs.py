"""Jobs on the archive: draining the source in bounded batches, redaction, and the day close with its asset."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import dagster as dg

from engage_assets.archive.compaction import CompactionSummary, compact
from engage_assets.archive.handle import Archive
from engage_assets.archive.maintenance import MaintenanceRuns
from engage_assets.archive.redaction import redact_removed
from engage_assets.archive.retention import retain
from engage_assets.archive.schemas import TYPES
from engage_assets.archive.worker import Summary, run
from engage_assets.defs.archive_assets import COMPACTED, GROUP, type_key
from engage_assets.defs.archive_checks import close_day
from engage_assets.defs.archive_desk import ArchiveDesk
from engage_assets.defs.archive_reports import messages_table
from engage_assets.defs.archive_sensor import DRAIN, REDACT
from engage_assets.defs.describe import mistakes_as_failures
from engage_assets.defs.desk import Result
from engage_assets.domain.archive_spec import DemandArchive
from engage_assets.domain.ports import Clock, Operations
from engage_assets.home import Home

POOL: Final = "archive_upkeep"
RETRIES: Final = 5
WAIT_SECONDS: Final = 60
"""Pause before an upkeep is tried again because another was running."""


def drain_job(spec: DemandArchive) -> dg.JobDefinition:
    """The job that archives a bounded number of batches."""

    @dg.op(name="drain_archive", out=dg.Out(dg.Nothing))
    def drain(context: dg.OpExecutionContext, home: dg.ResourceParam[Home]) -> dg.Output[None]:
        with mistakes_as_failures(), ArchiveDesk(spec, home).opened(f"dagster-{context.run.run_id}") as archive:
            summary = run(archive, max_batches=spec.drain.batches, max_seconds=spec.drain.seconds)
        context.log.info(words_of(summary))
        if summary.stopped:
            raise dg.Failure("\n".join(sorted(summary.stopped.values())), allow_retries=False)
        return dg.Output(None, metadata=_metadata(summary))

    @dg.job(
        name=DRAIN,
        description="Archive what the source has, as many batches and seconds as programs/demand-archive.yaml allows;"
        " started by the sensor where no worker is alive.",
        executor_def=dg.in_process_executor,
    )
    def archive_drain() -> None:
        drain()

    return archive_drain


def words_of(summary: Summary) -> str:
    """What a run did, in a line."""
    counts = summary.counts
    return (
        f"{counts.read:,} read = {counts.archived:,} archived + {counts.errors:,} errors + {counts.duplicates:,}"
        f" duplicates, in {summary.batches:,} batches and {sum(summary.data_files.values()):,} files"
    )


def _metadata(summary: Summary) -> dict[str, Any]:
    listed = {"messages": messages_table(summary.messages)} if summary.messages else {}
    return {**vars(summary.counts), "batches": summary.batches, **listed}


def redact_job(spec: DemandArchive) -> dg.JobDefinition:
    """The job that redacts what was archived of records that are deleted now."""

    @dg.op(name="redact_archive", pool=POOL, out=dg.Out(dg.Nothing))
    def redact(context: dg.OpExecutionContext, home: dg.ResourceParam[Home]) -> dg.Output[None]:
        with _upkeep(spec, home, context.run.run_id) as (desk, archive):
            done = redact_removed(archive, mirror=desk.mirror)
        return dg.Output(None, metadata={"removals": done.removals, "files": done.files, "versions": done.records})

    @dg.job(
        name=REDACT,
        description="Redact the earlier versions of records that were deleted.",
        executor_def=dg.in_process_executor,
    )
    def archive_redact() -> None:
        redact()

    return archive_redact


def compacted_asset(spec: DemandArchive) -> dg.AssetsDefinition:
    """`archive/compacted`: redaction, compaction and retention of a day."""

    @dg.asset(
        key=COMPACTED,
        deps=[type_key(name) for name in TYPES],
        group_name=GROUP,
        kinds={"avro"},
        owners=list(spec.owners),
        code_version="1",
        pool=POOL,
        description="The upkeep of the archive, once a day: versions of deleted records are redacted, small files of a"
        f" partition that was quiet for {spec.quiet_days} days become one, what is older than its retention goes, and"
        " the day checks are made.\n\n**Grain:** one upkeep. Readers see each record exactly once while it runs.",
    )
    def compacted(
        context: dg.AssetExecutionContext,
        home: dg.ResourceParam[Home],
        clock: dg.ResourceParam[Clock],
        operations: dg.ResourceParam[Operations],
    ) -> Result:
        with _upkeep(spec, home, context.run.run_id) as (desk, archive):
            redacted = redact_removed(archive, mirror=desk.mirror)
            joined = compact(archive, now=archive.clock(), quiet_days=spec.quiet_days)
            days = spec.retention_days.model_dump()
            dropped = retain(archive, now=archive.clock(), days=days, mirror=desk.mirror)
            failed = close_day(desk, archive.state, clock.now(), context.instance, operations)
        metadata = {
            "removals_redacted": redacted.removals,
            "versions_redacted": redacted.records,
            "partitions_dropped": dropped.partitions,
            "error_files_dropped": dropped.errors,
            "day_checks_failed": len(failed),
        }
        return dg.MaterializeResult(metadata={**metadata, **_compaction(joined)})

    return compacted


def _compaction(summary: CompactionSummary) -> dict[str, Any]:
    skipped = "\n".join(f"- {one.partition.folder}: {one.why}" for one in summary.skipped)
    return {
        "partitions_compacted": summary.partitions,
        "files_replaced": summary.files,
        "records": summary.records,
        "duplicates_dropped": summary.duplicates,
        "files_deleted": summary.deleted,
        "partitions_not_quiet_yet": summary.waiting,
        **({"skipped": dg.MetadataValue.md(skipped)} if skipped else {}),
    }


@contextmanager
def _upkeep(spec: DemandArchive, home: Home, run_id: str) -> Iterator[tuple[ArchiveDesk, Archive]]:
    """Open the archive for upkeep, which is one at a time: where another runs, this one is tried again."""
    desk = ArchiveDesk(spec, home)
    try:
        with mistakes_as_failures(), desk.opened(f"dagster-{run_id}") as archive:
            yield desk, archive
    except dg.Failure as failure:
        if isinstance(failure.__cause__, MaintenanceRuns):
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=WAIT_SECONDS) from failure
        raise
