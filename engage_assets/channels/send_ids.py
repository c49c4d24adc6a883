"""The ids of a list's sends: `domain.keys.send_id` for all rows at once."""

import polars as pl

from engage_assets.domain.keys import BETWEEN_PARTS, id_of_parts


def send_ids(rows: pl.DataFrame, program: str, channel: str) -> pl.Series:
    """`send_id` of each of `rows`, which have campaign_id, customer_id, subject_id and slot_at; none may be null."""
    slots = rows["slot_at"].unique()
    texts = pl.Series([slot.isoformat() for slot in slots], dtype=pl.String)
    slot = pl.col("slot_at").replace_strict(slots, texts, return_dtype=pl.String)
    keys = (pl.lit(program), "campaign_id", "customer_id", "subject_id", pl.lit(channel), slot)
    parts = rows.select(pl.concat_str(keys, separator=BETWEEN_PARTS)).to_series()
    return pl.Series("send_id", [id_of_parts(one) for one in parts], pl.String)
