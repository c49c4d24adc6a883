"""The same customer and subject again in one partition. On any engine."""

from datetime import datetime
from typing import Final

import narwhals as nw

from engage_assets.domain.facts import Frame

_LONG_AGO: Final = datetime(1, 1, 1)  # noqa: DTZ001 - instants are UTC without a zone


def refuse_duplicates(checked: Frame) -> Frame:
    """Give `DUPLICATE` to all but one of the records that keep the contract and share customer and subject.

    The latest `event_at` survives, one that is not known being the earliest, then the greatest `record_id`; it keeps
    its own values. Records that break the contract do not compete. `checked` is what `check_contract` returns.
    """
    pair = ["customer_id", "subject_id"]
    competing = checked.filter(nw.col("reason").is_null()).select(*pair, "event_at", "record_id")
    repeated = competing.group_by(*pair).agg(nw.len().alias("_n")).filter(nw.col("_n") > 1).select(*pair)
    contested = competing.join(repeated, on=pair, how="semi")
    dated = contested.with_columns(nw.col("event_at").fill_null(_LONG_AGO).alias("event_at"))
    latest = dated.filter(nw.col("event_at") == nw.col("event_at").max().over(*pair))
    survivors = latest.group_by(*pair).agg(nw.col("record_id").max())
    losers = contested.join(survivors, on=[*pair, "record_id"], how="anti").select(
        "record_id", nw.lit("DUPLICATE").alias("_loses")
    )
    return (
        checked.join(losers, on="record_id", how="left")
        .with_columns(nw.coalesce(nw.col("reason"), nw.col("_loses")).alias("reason"))
        .drop("_loses")
    )
