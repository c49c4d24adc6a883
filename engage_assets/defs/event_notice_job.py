"""The job that tells people of their registrations, the sensor that sees when, and the external asset of both."""

from collections.abc import Mapping
from typing import Any, Final

import dagster as dg
import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.delivery import require_permission
from engage_assets.defs.describe import markdown_table, mistakes_as_failures
from engage_assets.defs.event_desk import Bureau
from engage_assets.defs.event_due import Lookout, in_words
from engage_assets.defs.event_notices import Noticed, deliver_notices
from engage_assets.dispatch.relay import Relay
from engage_assets.domain import events
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.notices import Notices, PushSubscriptions
from engage_assets.domain.ports import Clock, Ledger, Operations, Outbox, Sender
from engage_assets.domain.program import Program
from engage_assets.domain.registrations import Registrations
from engage_assets.watermark import Watermark

NOTICES: Final = "notices"
TICK_SECONDS: Final = 60
_RUNNING: Final = (
    *(dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED),
    *(dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED),
)


def notice_definitions(program: Program, marketplaces: Mapping[str, Marketplace]) -> dg.Definitions:
    """Job, sensor and external asset of a program whose people register for events; nothing for others."""
    if program.source_table != events.SOURCE.table.name:
        return dg.Definitions()
    job = notices_job(program, marketplaces)
    sensors = [_notices_sensor(program, marketplaces, job)] if program.enabled else []
    return dg.Definitions(jobs=[job], sensors=sensors, assets=[_notices_asset(program)])


def notices_job(program: Program, marketplaces: Mapping[str, Marketplace]) -> dg.JobDefinition:
    """The job that tells what is due. An op, not an asset: no backfill can ever reach it."""

    @dg.op(name=f"{program.key}__tell", pool=NOTICES)
    def tell(
        context: dg.OpExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        ledger: dg.ResourceParam[Ledger],
        operations: dg.ResourceParam[Operations],
        store: dg.ResourceParam[Any],
        outbox: dg.ResourceParam[Outbox],
        registrations: dg.ResourceParam[Registrations],
        notices: dg.ResourceParam[Notices],
        push_addresses: dg.ResourceParam[PushSubscriptions],
        sender: dg.ResourceParam[Sender],
        push_sender: dg.ResourceParam[Sender],
        clock: dg.ResourceParam[Clock],
        links: dg.ResourceParam[Any],
        watermark: dg.ResourceParam[Watermark],
    ) -> None:
        lookout = Lookout(program, marketplaces, warehouse, registrations, notices, outbox)
        bureau = Bureau(
            lookout, ledger, operations, push_addresses, sender, push_sender, clock, watermark, links
        )  # fmt: skip
        with mistakes_as_failures():
            for transport in (sender, push_sender):
                require_permission(program, context.run.tags, transport, clock)
            with Relay(outbox, store, clock):
                done = deliver_notices(bureau)
        context.log.info("told: %s", done.said())
        if done.halted:
            context.log.warning("halted: %s", done.halted)
        if done.in_doubt:
            context.log.warning(
                "%s sends are in doubt after a crash; `engage sends in-doubt` lists them", len(done.in_doubt)
            )
        if done.outcomes:
            context.log_event(_report(program, done, bureau))

    @dg.job(
        name=f"{program.key}_notices",
        description="Tells people what became of their registrations, reminds them, and asks how it was: once each.",
        tags={"program": program.program_id},
        executor_def=dg.in_process_executor,
    )
    def notices_job_() -> None:
        tell()

    return notices_job_


def _report(program: Program, done: Noticed, bureau: Bureau) -> dg.AssetMaterialization:
    """What a tick told: counts, and no person."""
    rows = [(*key, count) for key, count in sorted(done.outcomes.items(), key=str)]
    schema = {name: pl.String() for name in ("kind", "channel", "state", "reason")} | {"notices": pl.Int64()}
    return dg.AssetMaterialization(
        dg.AssetKey([program.key, NOTICES]),
        description=done.said(),
        metadata={
            "notices": sum(done.outcomes.values()),
            "outcomes": markdown_table(pl.DataFrame(rows, schema=schema, orient="row")),
            "at": f"{bureau.clock.now():%Y-%m-%d %H:%M} UTC",
            "is_declared_clock": bureau.clock.is_declared,
            "transports": f"{bureau.sender.transport}, {bureau.push_sender.transport}",
        },
    )


def _notices_sensor(
    program: Program, marketplaces: Mapping[str, Marketplace], job: dg.JobDefinition
) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{program.key}_notices_sensor",
        job=job,
        minimum_interval_seconds=TICK_SECONDS,
        description="Looks at the outbox and the event catalogue every minute, and has told what is due.",
    )
    def see_what_is_due(
        context: dg.SensorEvaluationContext,
        warehouse: dg.ResourceParam[Warehouse],
        outbox: dg.ResourceParam[Outbox],
        registrations: dg.ResourceParam[Registrations],
        notices: dg.ResourceParam[Notices],
        clock: dg.ResourceParam[Clock],
    ) -> dg.RunRequest | dg.SkipReason:
        lookout, now = Lookout(program, marketplaces, warehouse, registrations, notices, outbox), clock.now()
        changed, waiting = lookout.told_by(lookout.entries()), notices.waiting(program.program_id, now)
        due = lookout.due(now)
        if not (changed or waiting or due):
            return dg.SkipReason("nothing is due")
        said = in_words([*(one.kind for one in changed), *(one.kind for one in waiting), *(one.kind for one in due)])
        running = context.instance.get_runs_count(dg.RunsFilter(job_name=job.name, statuses=list(_RUNNING)))
        if running:
            return dg.SkipReason(f"{said}: a run is on its way")
        return dg.RunRequest(tags={"engage/due": said})

    return see_what_is_due


def _notices_asset(program: Program) -> dg.AssetSpec:
    """The external asset that the job reports to."""
    return dg.AssetSpec(
        dg.AssetKey([program.key, NOTICES]),
        deps=[dg.AssetKey([program.key, "email_sends"])],
        description="What single people were told of an event: confirmations, places in line, moves, reminders,"
        " surveys. Reported by the notices job, with counts by kind, channel, state, reason; the ledger has each.\n\n"
        "A notice solicits nothing and is told at most once; every one that may have been lost is counted and shown.",
        group_name=program.key,
        owners=list(program.owners),
        kinds={"email"},
        tags={"program": program.program_id},
    )
