"""The job of a program's playlists and its schedule: once a day, at the update time."""

from typing import Any

import dagster as dg

from engage_assets.defs.playlist_sheets import NAMES
from engage_assets.domain.program import Program


def playlist_jobs(program: Program) -> tuple[list[Any], list[Any]]:
    """Job and schedule that update the playlists; none where the program fills none, no schedule where it is off."""
    if program.playlists is None:
        return [], []
    job = dg.define_asset_job(
        f"{program.key}_playlists",
        selection=dg.AssetSelection.assets(*(dg.AssetKey([program.key, name]) for name in NAMES)),
        description="Answers to track scores to playlists, with what changed. Contacts nobody.",
        tags={"program": program.program_id},
        executor_def=dg.in_process_executor,
    )
    if not program.enabled:
        return [job], []
    at = program.playlists.update_time
    schedule = dg.build_schedule_from_partitioned_job(
        job, name=f"{program.key}_playlists_schedule", hour_of_day=at.hour, minute_of_hour=at.minute
    )
    return [job], [schedule]
