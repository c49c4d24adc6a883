"""The assembly: programs and resources → definitions."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from engage_assets.defs.archive_build import archive_definitions
from engage_assets.defs.banner_assets import banner_assets, opened_banners
from engage_assets.defs.campaign_assets import campaign_assets
from engage_assets.defs.decision_assets import decision_assets
from engage_assets.defs.delivery_job import delivery_checks, delivery_job, sends_asset
from engage_assets.defs.event_attendance import attendance_definitions
from engage_assets.defs.event_notice_job import notice_definitions
from engage_assets.defs.event_report_assets import event_report_assets, event_report_jobs
from engage_assets.defs.event_watch import catalogue_definitions
from engage_assets.defs.feature_assets import feature_assets
from engage_assets.defs.intake_assets import intake_assets
from engage_assets.defs.jobs import asset_jobs, clean_up, opt_out_sweep, program_schedules
from engage_assets.defs.ledger_assets import ledger_assets
from engage_assets.defs.model_assets import model_assets
from engage_assets.defs.playlist_assets import playlist_assets
from engage_assets.defs.playlist_jobs import playlist_jobs
from engage_assets.defs.report_assets import report_assets
from engage_assets.defs.sensors import alert_sensors, responses_asset
from engage_assets.defs.summary_build import summary_definitions
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.program import Program
from engage_assets.programs import ProgramFolder


def build_definitions(folder: ProgramFolder, resources: Mapping[str, Any]) -> dg.Definitions:
    """All programs of `folder` with what they share, and what stands behind their ports."""
    return with_resources(definitions_of(folder), resources)


def with_resources(definitions: dg.Definitions, resources: Mapping[str, Any]) -> dg.Definitions:
    """The same definitions on these resources."""
    return dg.Definitions.merge(definitions, dg.Definitions(resources=resources))


def definitions_of(folder: ProgramFolder) -> dg.Definitions:
    """All programs of `folder` with what they share, for whatever resources."""
    clean_up_job, clean_up_schedule = clean_up()
    sweep_job, sweep_schedule = opt_out_sweep(folder.programs)
    shared = dg.Definitions(
        assets=ledger_assets(folder.programs),
        jobs=[clean_up_job, sweep_job],
        schedules=[clean_up_schedule, sweep_schedule],
        sensors=alert_sensors(folder.programs),
        executor=dg.in_process_executor,
    )
    own = [program_definitions(program, folder.marketplaces) for program in folder.programs.values()]
    notices = [notice_definitions(program, folder.marketplaces) for program in folder.programs.values()]
    attendance = [attendance_definitions(program) for program in folder.programs.values()]
    events = [catalogue_definitions(folder.programs.values())]
    archive = [archive_definitions(folder.archive)] if folder.archive else []
    summaries = [summary_definitions(folder.summaries)] if folder.summaries else []
    return dg.Definitions.merge(shared, *own, *notices, *attendance, *events, *archive, *summaries)


def program_definitions(program: Program, marketplaces: Mapping[str, Marketplace]) -> dg.Definitions:
    """Assets, jobs and schedules of one program."""
    jobs = asset_jobs(program)
    deliver = delivery_job(program, marketplaces)
    playlist_job, playlist_schedule = playlist_jobs(program)
    event_job, event_schedule = event_report_jobs(program)
    return dg.Definitions(
        assets=[
            *model_assets(program, marketplaces),
            *intake_assets(program, marketplaces),
            *feature_assets(program, marketplaces),
            *decision_assets(program, marketplaces),
            *campaign_assets(program, marketplaces),
            *banner_assets(program, marketplaces),
            *report_assets(program, marketplaces),
            *playlist_assets(program, marketplaces),
            *event_report_assets(program, marketplaces),
            sends_asset(program),
            *opened_banners(program),
            responses_asset(program),
        ],
        asset_checks=[delivery_checks(program, marketplaces)],
        jobs=[*jobs.values(), deliver, *playlist_job, *event_job],
        schedules=[*program_schedules(program, jobs, deliver), *playlist_schedule, *event_schedule],
    )
