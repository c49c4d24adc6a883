"""What crosses rows when a partition is measured, counted on the engine that holds the rows."""

from datetime import date, datetime
from functools import reduce
from typing import Any, Final

import narwhals as nw
import polars as pl

from engage_assets.domain.keys import campaign_id
from engage_assets.domain.program import Program

UNKNOWN: Final = "unknown"
"""Member for records whose marketplace is not known."""
MILLION: Final = 1_000_000

_STATES: Final = ("planned", "claimed", "handed_over", "in_doubt", "held_out", "skipped", "failed", "sent")


def count_records(decisions: nw.LazyFrame[Any]) -> pl.DataFrame:
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


def latest_states(sends: nw.LazyFrame[Any], program: Program, partition: date, until: datetime) -> dict[str, int]:
    """Sends of the partition's campaigns by their latest state at `until`."""
    campaigns = "^" + campaign_id(program.program_id, "[^:]+", partition) + "(:|$)"
    # States of one instant are told apart by their place in a send's life.
    place = reduce(
        lambda otherwise, at: nw.when(nw.col("state") == _STATES[at]).then(nw.lit(at)).otherwise(otherwise),
        range(len(_STATES)),
        nw.lit(0),
    )
    counted = (
        sends.filter(nw.col("campaign_id").str.contains(campaigns), nw.col("at") <= until)
        .with_columns(age=nw.col("at").rank("dense", descending=True).over("send_id"))
        .filter(nw.col("age") == 1)
        .with_columns(place=place)
        .group_by("send_id")
        .agg(place=nw.col("place").max())
        .group_by("place")
        .agg(sends=nw.len())
        .collect("polars")
        .to_polars()
    )
    return {_STATES[place]: sends for place, sends in counted.iter_rows()}
