"""Partition definitions: one per cadence, shared by all assets, in whole UTC days.

The hours of the batches are in the schedules, never here.
"""

from datetime import date, timedelta
from functools import cache

import dagster as dg

from engage_assets.domain.program import Program

DAILY = dg.DailyPartitionsDefinition(start_date="2016-01-01", timezone="UTC")
WEEKLY = dg.WeeklyPartitionsDefinition(start_date="2012-01-02", timezone="UTC", day_offset=1, end_offset=1)
"""Keyed by the Monday on which the batch runs, and open from that day on (docs/decisions.md, 28)."""


def partitions_of(program: Program) -> dg.TimeWindowPartitionsDefinition:
    """The partitions of a program's assets."""
    return {"daily": DAILY, "weekly": WEEKLY}[program.cadence.period]


def partition_date(context: dg.AssetExecutionContext) -> date:
    """The partition that a run is for."""
    return date.fromisoformat(context.partition_key)


@cache
def made_by(deadline: str, before: timedelta) -> dg.FreshnessPolicy:
    """Fresh when made up to `before` ahead of the last deadline (cron, UTC). Kept, as Dagster tries 1,000 dates."""
    return dg.FreshnessPolicy.cron(deadline_cron=deadline, lower_bound_delta=before, timezone="UTC")
