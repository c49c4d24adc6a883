"""Partition definitions: one per cadence, shared by all assets, in whole UTC days.

The hours of the batches are in the schedules, never here.
"""

from datetime import date

import dagster as dg

DAILY = dg.DailyPartitionsDefinition(start_date="2016-01-01", timezone="UTC")


def partition_date(context: dg.AssetExecutionContext) -> date:
    """The partition that a run is for."""
    return date.fromisoformat(context.partition_key)
