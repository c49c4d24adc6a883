"""The summaries' definitions: assets, checks, jobs and schedules of all services."""

import dagster as dg

from engage_assets.defs.summary_days import day_assets, roll_up_assets
from engage_assets.defs.summary_families import FAMILIES
from engage_assets.defs.summary_jobs import close_job, family_job, family_schedule
from engage_assets.defs.summary_sheets import logs_spec
from engage_assets.defs.summary_tables import table_assets
from engage_assets.defs.summary_watch import watch_assets
from engage_assets.domain.summary_spec import CommerceAnalytics


def summary_definitions(spec: CommerceAnalytics) -> dg.Definitions:
    """Everything that `commerceAnalytics` asks for. Resources: home, operations, clock."""
    close, close_schedule = close_job(spec)
    jobs = {(service.service, family): family_job(service, family) for service in spec.services for family in FAMILIES}
    return dg.Definitions(
        assets=[
            *(logs_spec(service) for service in spec.services),
            *(day_assets(spec, service) for service in spec.services),
            *(roll_up_assets(spec, service) for service in spec.services),
            *(table_assets(spec, service, family) for service in spec.services for family in FAMILIES),
            *watch_assets(spec),
        ],
        jobs=[*jobs.values(), close],
        schedules=[
            *(
                family_schedule(spec, service, family, jobs[service.service, family])
                for service in spec.services
                for family in FAMILIES
            ),
            close_schedule,
        ],
    )
