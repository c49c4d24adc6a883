"""What crosses rows when a partition is measured, counted on the engine that holds the rows."""

from collections.abc import Mapping, Sequence
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


def latest_states(sends: Frame, program: Program, partition: date, until: datetime) -> pl.DataFrame:
    """Sends of the partition's campaigns by channel and by their latest state at `until`: channel, state, sends."""
    own = last_states(sends.filter(of_partition(program, partition)), until)
    counted = own.group_by("channel", "state").agg(sends=nw.len()).collect("polars").to_polars()
    return counted.cast({"sends": pl.Int64})


def segment_of(columns: Sequence[str]) -> nw.Expr:
    """What a subject belongs to, out of the columns by which campaigns are split; null: not known, or no columns."""
    if not columns:
        return nw.lit(None).cast(nw.String)
    return nw.concat_str([nw.col(name) for name in columns], separator=" / ")


def count_model_scores(scored: Frame, columns: Mapping[str, str]) -> dict[str, list[int]]:
    """Scored candidates by tenth of each model's own score, by model; `columns`: where a model's score stands."""
    counts = {}
    for model, column in columns.items():
        tenths = scored.with_columns(micros=(nw.col(column) * MILLION).round(0).cast(nw.Int64)).with_columns(
            tenth=nw.when(nw.col("micros") >= MILLION).then(nw.lit(9)).otherwise(nw.col("micros") // (MILLION // 10))
        )
        found = tenths.group_by("tenth").agg(records=nw.len()).collect("polars").to_polars()
        by_tenth = dict(found.select("tenth", "records").iter_rows())
        counts[model] = [int(by_tenth.get(tenth, 0)) for tenth in range(10)]
    return counts


def count_outcomes(outcomes: Frame, segments: Frame | None = None) -> pl.DataFrame:
    """Sends by everything that figures of OUTCOMES are broken down by, and by what people and machines did.

    `segments`: `segment` of each customer and subject; null, not there, or None: UNKNOWN.

    The flags `opened`, `clicked`: a person did; with `_raw`: anybody did, machines included. `displayed`: an
    application did. `is_reported`: the provider said something of the send.
    """
    pair = ["customer_id", "subject_id"]
    known = outcomes.with_columns(segment=nw.lit(None).cast(nw.String))
    if segments is not None:
        known = outcomes.join(segments.select(*pair, "segment").unique(pair, keep="any"), on=pair, how="left")
    reported = [nw.col(name).is_null() for name in ("delivered_at", "bounced_at", "complained_at")]
    return (
        known.with_columns(
            opened=nw.col("human_opens") > 0,
            opened_raw=nw.col("human_opens") + nw.col("machine_opens") > 0,
            clicked=nw.col("human_clicks") > 0,
            clicked_raw=nw.col("human_clicks") + nw.col("machine_clicks") > 0,
            displayed=~nw.col("displayed_at").is_null(),
            bounced=~nw.col("bounced_at").is_null(),
            complained=~nw.col("complained_at").is_null(),
            is_reported=~(reported[0] & reported[1] & reported[2]),
        )
        .group_by(
            *("marketplace", "channel", "outcome", "reason", "rating", "is_positive", "segment", "opened"),
            *("opened_raw", "clicked", "clicked_raw", "displayed", "bounced", "complained", "is_reported"),
        )
        .agg(sends=nw.len())
        .collect("polars")
        .to_polars()
        .cast({"sends": pl.Int64, "rating": pl.Int64})
        .with_columns(pl.col("marketplace", "segment").fill_null(UNKNOWN))
    )


def count_headroom(verdicts: Frame) -> dict[int | None, int]:
    """Customers by the requests that the cap still allows them (null: no limit)."""
    each = verdicts.group_by("customer_id").agg(quota_left=nw.col("quota_left").min())
    counted = each.group_by("quota_left").agg(customers=nw.len()).collect("polars").to_polars()
    return {quota: int(customers) for quota, customers in counted.select("quota_left", "customers").iter_rows()}
