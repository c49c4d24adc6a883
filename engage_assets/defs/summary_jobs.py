"""Jobs and schedules of summaries: a family of a service each, and the close of the day over all services."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import dagster as dg

from engage_assets.defs.summary_columns import SHEETS
from engage_assets.defs.summary_desk import ServiceDesk
from engage_assets.defs.summary_families import FAMILIES
from engage_assets.defs.summary_sheets import day_key, table_key
from engage_assets.defs.summary_times import allowed, begins_at, cron, due_day, final_day, utc
from engage_assets.defs.summary_watch import DASHBOARD, MONITORING
from engage_assets.domain.summary_spec import DOCUMENTED, CommerceAnalytics, Family, Service
from engage_assets.home import Home
from engage_assets.summaries.atoms import MONTHLY

CLOSE: Final = "summaries_close"
AssetJob = Any
"""An unresolved asset job; Dagster exports no name for its type."""


def job_name(service: Service, family: Family) -> str:
    """The job that makes a family's tables of a service."""
    return f"{service.table_prefix}_{family}"


def family_job(service: Service, family: Family) -> AssetJob:
    """Silver, atoms and roll-ups, then the family's tables: a failure of one family leaves the other alone."""
    keys = [
        *(day_key(service, name) for name in (*SHEETS, *MONTHLY)),
        *(table_key(service, name) for name in DOCUMENTED[family]),
    ]
    return dg.define_asset_job(
        job_name(service, family),
        selection=dg.AssetSelection.assets(*keys),
        description=f"The {family} tables of {service.service} of one business date, with what they are made of where"
        " that is missing or its logs have changed.",
        tags={"service": service.service, "family": family},
        executor_def=dg.in_process_executor,
    )


def family_schedule(spec: CommerceAnalytics, service: Service, family: Family, job: AssetJob) -> dg.ScheduleDefinition:
    """The day that is over, and the day that became final: a table is published twice, then stays as it is."""

    @dg.schedule(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=cron(begins_at(spec, family, service)),
        execution_timezone="UTC",
        description=f"The {family} tables of {service.service}: those of the last complete day ({service.time_zone}),"
        " and once more those of the day whose late events are in.",
    )
    def when_the_day_is_over(
        context: dg.ScheduleEvaluationContext, home: dg.ResourceParam[Home]
    ) -> Iterator[dg.RunRequest]:
        now = utc(context.scheduled_execution_time)
        new, final = due_day(spec, family, service, now), final_day(service, now)
        yield dg.RunRequest(run_key=str(new), partition_key=str(new), tags={"edition": "first"})
        desk = ServiceDesk(spec, service, home)
        if final != new and any(desk.path(table, final).is_file() for table in DOCUMENTED[family]):
            yield dg.RunRequest(run_key=f"{final}:final", partition_key=str(final), tags={"edition": "final"})

    return when_the_day_is_over


def close_job(spec: CommerceAnalytics) -> tuple[AssetJob, dg.ScheduleDefinition]:
    """The dashboard and the monitoring table, when the last deadline has passed."""
    job = dg.define_asset_job(
        CLOSE,
        selection=dg.AssetSelection.assets(DASHBOARD, MONITORING),
        description="The dashboard of a calculation date, and which tables there are.",
        executor_def=dg.in_process_executor,
    )
    ends = max(
        begins_at(spec, family, service) + allowed(spec, family, service)
        for service in spec.services
        for family in FAMILIES
    )

    @dg.schedule(
        name=f"{CLOSE}_schedule",
        job=job,
        cron_schedule=cron(ends + timedelta(minutes=1)),
        execution_timezone="UTC",
        description="After the deadline of all services: the dashboard of the newest day, and what is missing.",
    )
    def when_all_must_be_there(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        began = utc(context.scheduled_execution_time) - ends
        day = (began.date() - timedelta(days=1)).isoformat()
        return dg.RunRequest(run_key=day, partition_key=day)

    return job, when_all_must_be_there
