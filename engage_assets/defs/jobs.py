"""Jobs and schedules of a program: batch, export, delivery, metrics, and the store's clean-up.

Times are the program's or the document's: ingestion at the batch instant, the export after it, a delivery tick every
quarter of an hour, metrics at 23:59 UTC, clean-up on Sunday.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import dagster as dg
import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import delivery
from engage_assets.defs.batch import in_app_channel
from engage_assets.defs.describe import mistakes_as_failures
from engage_assets.defs.event_report_sheets import OPS, event_report_sheets
from engage_assets.defs.event_upkeep import erase_dietary, erase_marks
from engage_assets.defs.model_assets import model_keys, training_config
from engage_assets.defs.own import OWN
from engage_assets.defs.sheets import Key, features_name, history_keys
from engage_assets.dispatch.relay import relay
from engage_assets.domain.attendance import Attendances
from engage_assets.domain.cadence import read_weekly_cron
from engage_assets.domain.ports import CandidateWriter, Clock, Outbox
from engage_assets.domain.program import Program
from engage_assets.domain.registrations import DietaryPreferences
from engage_assets.domain.sources import INPUT_TABLES, SOURCES
from engage_assets.domain.tables import IN_APP_BANNERS

OUTBOX_KEPT: Final = timedelta(days=30)
"""Outbox entries that were done are kept so long."""
ASKED_FOR: Final = 1_000
"""Expired candidates that the clean-up asks for, to see that none is served."""
METRIC_NIGHTS: Final = 14
"""Nights after that of its last slot, or of the last message about it, on which a partition is measured again."""
AssetJob = Any
"""An unresolved asset job; Dagster exports no name for its type."""
Schedule = Any
"""A schedule, resolved or not."""


def batch_keys(program: Program) -> list[Key]:
    """Assets of the batch, in one job, so that its blocking checks block."""
    names = (
        SOURCES[program.source_table].raw_asset,
        "candidates",
        "set_aside",
        "filter_verdicts",
        "filtered_candidates",
        *(features_name(view) for view in program.used_views),
        "scored_candidates",
        "stored_candidates",
        "list_verdicts",
        "email_list",
        "decisions",
        "email_campaigns",
        *((IN_APP_BANNERS.name,) if in_app_channel(program) else ()),
    )
    return [*history_keys(program), *((program.key, name) for name in names)]


def asset_jobs(program: Program) -> dict[str, AssetJob]:
    """The jobs that materialize assets, by what they do: batch, export, metrics, training."""
    selections: dict[str, list[Key]] = {
        "batch": batch_keys(program),
        "export": [(program.key, "warehouse_export")],
        "metrics": [
            *((program.key, name) for name in ("outcomes", "daily_metrics", "daily_report")),
            *(sheet.key for sheet in event_report_sheets(program).values()),
        ],
        "training": model_keys(program),
    }
    said = {
        "batch": "From the source's records to rendered campaigns and decisions. Sends nothing.",
        "export": "Scored candidates and decisions to the warehouse export.",
        "metrics": "Outcomes, figures and report of a partition, as of one night.",
        "training": "Train the program's models; a version that passes its gate is put into use.",
    }
    return {
        name: dg.define_asset_job(
            f"{program.key}_{name}",
            selection=dg.AssetSelection.assets(*(dg.AssetKey(list(key)) for key in keys)),
            description=said[name],
            tags={"program": program.program_id},
            executor_def=dg.in_process_executor,
        )
        for name, keys in selections.items()
    }


def night_config(program: Program, as_of: date) -> dict[str, Any]:
    """Run configuration of the metrics job: the night that its ops measure."""
    night = {"config": {"as_of": as_of.isoformat()}}
    names = ("outcomes", "measure", "report", *(OPS[name] for name in event_report_sheets(program)))
    return {"ops": {f"{program.key}__{name}": night for name in names}}


def program_schedules(program: Program, jobs: Mapping[str, AssetJob], deliver: dg.JobDefinition) -> list[Schedule]:
    """The schedules of an enabled program, all in UTC; a person turns them on."""
    if not program.enabled:
        return []
    at = program.cadence.at

    @dg.schedule(
        name=f"{program.key}_export_schedule",
        job=jobs["export"],
        cron_schedule=program.export_cadence.cron,
        execution_timezone="UTC",
    )
    def export_after_the_batch(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        """The newest partition whose batch has begun."""
        now = context.scheduled_execution_time.replace(tzinfo=None)
        partition = program.cadence.partition_of(now).isoformat()
        return dg.RunRequest(run_key=partition, partition_key=partition)

    @dg.schedule(
        name=f"{program.key}_metrics_schedule",
        job=jobs["metrics"],
        cron_schedule="59 23 * * *",
        execution_timezone="UTC",
    )
    def measure_every_night(
        context: dg.ScheduleEvaluationContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.RunRequest]:
        """The partition that was decided today, and those whose later figures may still change."""
        tonight = context.scheduled_execution_time.date()
        decided = context.instance.get_materialized_partitions(dg.AssetKey([program.key, "decisions"]))
        last_night = _last_nights(program, warehouse, datetime.combine(tonight, time(23, 59)))
        for partition in sorted(decided, reverse=True):
            day = date.fromisoformat(partition)
            if program.cadence.batch_instant(day).date() <= tonight <= last_night(day):
                config = night_config(program, tonight)
                yield dg.RunRequest(run_key=f"{partition}:{tonight}", partition_key=partition, run_config=config)

    @dg.schedule(
        name=f"{program.key}_training_schedule",
        job=jobs["training"],
        cron_schedule=read_weekly_cron(program.retraining_schedule),
        execution_timezone="UTC",
    )
    def retrain_every_week(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        """What was known by that day is learned from."""
        day = context.scheduled_execution_time.date()
        return dg.RunRequest(run_key=day.isoformat(), run_config=training_config(program, day))

    return [
        retrain_every_week,
        dg.build_schedule_from_partitioned_job(
            jobs["batch"],
            name=f"{program.key}_batch_schedule",
            hour_of_day=at.hour,
            minute_of_hour=at.minute,
        ),
        export_after_the_batch,
        measure_every_night,
        dg.ScheduleDefinition(
            name=f"{program.key}_delivery_schedule", job=deliver, cron_schedule="*/15 * * * *", execution_timezone="UTC"
        ),
    ]


def _last_nights(program: Program, warehouse: Warehouse, now: datetime) -> Callable[[date], date]:
    """The night on which a partition is measured last: METRIC_NIGHTS after that of what is sent about it last."""
    own = OWN.get(program.source_table)
    last_said = own.last_said(program, warehouse, now) if own else lambda _: None

    def last_night(partition: date) -> date:
        # The sun rises last where the last slot of its lists is.
        last = program.cadence.batch_instant(partition) + program.deadline + delivery.LAST_MORNING
        return max(last, last_said(partition) or last).date() + timedelta(days=METRIC_NIGHTS)

    return last_night


def clean_up() -> tuple[dg.JobDefinition, dg.ScheduleDefinition]:
    """Sunday 01:00 UTC: delete expired candidates, and verify that none is left or served."""

    @dg.op
    def delete_expired(
        context: dg.OpExecutionContext,
        store: dg.ResourceParam[Any],
        outbox: dg.ResourceParam[Outbox],
        dietary: dg.ResourceParam[DietaryPreferences],
        attendances: dg.ResourceParam[Attendances],
        warehouse: dg.ResourceParam[Warehouse],
        clock: dg.ResourceParam[Clock],
    ) -> None:
        now = clock.now()
        outbox.purge(now - OUTBOX_KEPT)
        with mistakes_as_failures():
            context.log.info("erased the dietary preferences of %s people", erase_dietary(dietary, warehouse, now))
            context.log.info("erased %s joins and leaves of events", erase_marks(attendances, warehouse, now))
        expiring = store.expired(now, ASKED_FOR)
        served = list(store.statuses(expiring, now))
        deleted = store.delete_expired(now)
        left = len(store.expired(now, 1))
        context.log.info(
            "deleted %s expired candidates; of %s of them that were asked for before, %s were served",
            deleted, len(expiring), len(served),
        )  # fmt: skip
        if left or served:
            raise dg.Failure(
                f"{len(served)} of {len(expiring)} expired candidates were still served, and"
                f" {'some were' if left else 'none was'} left after the clean-up; look for a writer with an old clock"
            )

    @dg.job(
        description="Delete expired candidates, and verify that none is left or served.",
        executor_def=dg.in_process_executor,
    )
    def candidates_clean_up() -> None:
        delete_expired()

    return candidates_clean_up, dg.ScheduleDefinition(
        name="candidates_clean_up_schedule",
        job=candidates_clean_up,
        cron_schedule="0 1 * * SUN",
        execution_timezone="UTC",
    )


def opt_out_sweep(programs: Mapping[str, Program]) -> tuple[dg.JobDefinition, dg.ScheduleDefinition]:
    """Every six hours: waiting candidates of customers who opted out are removed, and the outbox is emptied.

    Opt-outs given to us act at once through the outbox; this is the sweep after a crash, and it takes those of the
    warehouse, so that all are gone within 24 hours.
    """

    @dg.op
    def sweep(
        context: dg.OpExecutionContext,
        store: dg.ResourceParam[Any],
        outbox: dg.ResourceParam[Outbox],
        dietary: dg.ResourceParam[DietaryPreferences],
        warehouse: dg.ResourceParam[Warehouse],
        clock: dg.ResourceParam[Clock],
    ) -> None:
        now = clock.now()
        with mistakes_as_failures():
            erase_dietary(dietary, warehouse, now)
            carried = relay(outbox, store, now)
            removed = 0
            for database in sorted({program.connector.config.database for program in programs.values()}):
                given = warehouse.scan(INPUT_TABLES["opt_outs"], database, required=False)
                if given is not None:
                    removed += _remove_opted_out(given, store, now)
        context.log.info("carried %s outbox entries; %s waiting candidates changed by opt-outs", carried, removed)

    @dg.job(
        description="Remove waiting candidates of customers who opted out; empty the outbox.",
        executor_def=dg.in_process_executor,
    )
    def opt_outs_sweep() -> None:
        sweep()

    return opt_outs_sweep, dg.ScheduleDefinition(
        name="opt_outs_sweep_schedule", job=opt_outs_sweep, cron_schedule="30 */6 * * *", execution_timezone="UTC"
    )


def _remove_opted_out(given: pl.LazyFrame, store: CandidateWriter, now: datetime) -> int:
    """Apply the warehouse's opt-outs that are in force; a null instant counts as long ago."""
    names = given.collect_schema().names()
    wanted = [pl.col(name) if name in names else pl.lit(None, pl.String).alias(name) for name in ("program", "channel")]
    in_force = pl.col("at").is_null() | (pl.col("at") <= now)
    if "revoked_at" in names:
        in_force &= pl.col("revoked_at").is_null() | (pl.col("revoked_at") > now)
    chosen = given.filter(in_force).select("customer_id", *wanted).unique().collect()
    return sum(
        store.suppress(sorted(rows["customer_id"]), now, program=scope[0], channel=scope[1])
        for scope, rows in chosen.group_by("program", "channel")
    )
