"""What crosses rows when a partition is measured, counted on the engine that holds the rows."""

from datetime import date, datetime
from typing import Any, Final

import narwhals as nw
import polars as pl

from engage_assets.domain.program import Program
from engage_assets.outcomes.states import last_states, of_partition

Frame = nw.LazyFrame[Any]

UNKNOWN: Final = "unknown"
"""Member for records whose marketplace is not known."""
MILLION: Final = 1_000_000


def count_records(decisions: Frame) -> pl.DataFrame:
    """Records and the sum of their scores in millionths by everything that figures are broken down by."""
    # Scores have 6 decimals: as integers their sum does not depend on the order of rows.
    micros = (nw.col("score") * MILLION).round(0).cast(nw.Int64)
    tenth = nw.when(nw.col("micros") >= MILLION).then(nw.lit(9)).otherwise(nw.col("micros") // (MILLION // 10))
    return (
        decisions.with_columns(micros=micros)
        .with_columns(tenth=tenth)
        .group_by("stage", "reason", "marketplace", "channels", "config_hash", "model_version", "tenth")
        .agg(records=nw.len(), micros=nw.col("micros").sum())
        .collect("polars")
        .to_polars()
        .cast({"records": pl.Int64, "micros": pl.Int64, "tenth": pl.Int64})
        .with_columns(marketplace=pl.col("marketplace").fill_null(UNKNOWN))
    )


def latest_states(sends: Frame, program: Program, partition: date, until: datetime) -> dict[str, int]:
    """Sends of the partition's campaigns by their latest state at `until`."""
    own = last_states(sends.filter(of_partition(program, partition)), until)
    counted = own.group_by("state").agg(sends=nw.len()).collect("polars").to_polars()
    return {str(state): int(sends) for state, sends in counted.select("state", "sends").iter_rows()}


def count_outcomes(outcomes: Frame) -> pl.DataFrame:
    """Sends by everything that figures of OUTCOMES are broken down by, and by what people and machines did.

    The flags `opened`, `clicked`: a person did; with `_raw`: anybody did, machines included. `is_reported`: the
    provider said something of the send.
    """
    reported = [nw.col(name).is_null() for name in ("delivered_at", "bounced_at", "complained_at")]
    return (
        outcomes.with_columns(
            opened=nw.col("human_opens") > 0,
            opened_raw=nw.col("human_opens") + nw.col("machine_opens") > 0,
            clicked=nw.col("human_clicks") > 0,
            clicked_raw=nw.col("human_clicks") + nw.col("machine_clicks") > 0,
            bounced=~nw.col("bounced_at").is_null(),
            complained=~nw.col("complained_at").is_null(),
            is_reported=~(reported[0] & reported[1] & reported[2]),
        )
        .group_by(
            *("marketplace", "channel", "outcome", "reason", "rating", "opened", "opened_raw", "clicked"),
            *("clicked_raw", "bounced", "complained", "is_reported"),
        )
        .agg(sends=nw.len())
        .collect("polars")
        .to_polars()
        .cast({"sends": pl.Int64, "rating": pl.Int64})
        .with_columns(pl.col("marketplace").fill_null(UNKNOWN))
    )


def count_headroom(verdicts: Frame) -> dict[int | None, int]:
    """Customers by the requests that the cap still allows them (null: no limit)."""
    each = verdicts.group_by("customer_id").agg(quota_left=nw.col("quota_left").min())
    counted = each.group_by("quota_left").agg(customers=nw.len()).collect("polars").to_polars()
    return {quota: int(customers) for quota, customers in counted.select("quota_left", "customers").iter_rows()}
