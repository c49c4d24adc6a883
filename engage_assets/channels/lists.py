"""A day's lists: who may stand on a channel's list, what becomes of who is listed, and why the others are not.

What every row needs is judged on any engine; `filling` then fills the lists.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

import narwhals as nw
import polars as pl

from engage_assets.domain.channel_specs import EmailChannel, ListSection
from engage_assets.domain.facts import Frame
from engage_assets.domain.keys import campaign_id, segment
from engage_assets.domain.program import Program
from engage_assets.domain.reasons import LISTED, REASONS
from engage_assets.domain.slots import next_slot
from engage_assets.domain.source import UNKNOWN
from engage_assets.domain.sources import SOURCES
from engage_assets.domain.tables import LIST_COLUMNS

_RANKED: Final = ["record_id", "customer_id", "subject_id", "event_at", "score", "quota_left"]


def judge_for_list(scored: Frame, channel: ListSection) -> Frame:
    """`record_id`, what ranks a row, and `reason`: null where the row may stand on the channel's list.

    Rows without a score are not there: they ended before the list.
    """
    ineligible = ~nw.col(f"{channel.type.replace('-', '_')}_eligible").fill_null(False)
    below = (nw.col("score") < channel.min_score).fill_null(True)
    reason = (
        nw.when(ineligible)
        .then(nw.lit("CHANNEL_INELIGIBLE"))
        .otherwise(nw.when(below).then(nw.lit("BELOW_MIN_SCORE")).otherwise(nw.lit(None).cast(nw.String)))
    )
    return scored.filter(~nw.col("score").is_null()).select(*_RANKED, reason.alias("reason"))


def email_list(
    scored: pl.LazyFrame,
    verdicts: pl.DataFrame,
    *,
    program: Program,
    channel: EmailChannel,
    partition: date,
) -> pl.DataFrame:
    """LIST_COLUMNS of the listed rows, by rank: a campaign per marketplace and segment, each recipient's own slot.

    The segments are the columns that the program's source names. The slot is the channel's send time where the
    recipient lives, at the first such instant strictly after batch instant + deadline (docs/decisions.md, 4).
    """
    after = program.cadence.batch_instant(partition) + program.deadline
    rows = listed_rows(scored, verdicts, channel)
    zones = (
        [channel.config.timezone] * rows.height if channel.config.timezone != "local" else rows["time_zone"].to_list()
    )
    slots = {zone: next_slot(zone, channel.config.send_time, after) for zone in set(zones)}
    built = in_campaigns(rows, program, channel, partition).with_columns(
        template_id=pl.lit(channel.config.template_id),
        slot_local=pl.Series([slots[zone][0] for zone in zones], dtype=pl.Datetime("us")),
        slot_at=pl.Series([slots[zone][1] for zone in zones], dtype=pl.Datetime("us")),
    )
    return built.select(column.name for column in LIST_COLUMNS)


def listed_rows(scored: pl.LazyFrame, verdicts: pl.DataFrame, channel: ListSection) -> pl.DataFrame:
    """The scored rows that a channel's list holds, by rank, with `rank` and `is_exploration`."""
    listed = verdicts.lazy().filter(pl.col("reason") == LISTED, pl.col("channel") == channel.channel_id)
    places = listed.select("record_id", "rank", "is_exploration")
    return scored.join(places, on="record_id", how="inner").sort("rank").collect()


def in_campaigns(rows: pl.DataFrame, program: Program, channel: ListSection, partition: date) -> pl.DataFrame:
    """The rows, in their order, with `segments` and `campaign_id`."""
    names = SOURCES[program.source_table].segments
    values = rows.select("marketplace", *(pl.col(name).fill_null(UNKNOWN) for name in names))
    ids = {
        key: campaign_id(program.program_id, channel.channel_id, partition, key[0], *map(segment, key[1:]))
        for key in values.unique().iter_rows()
    }
    return rows.with_columns(
        segments=pl.concat_list(pl.col(name).fill_null(UNKNOWN) for name in names) if names else None,
        campaign_id=pl.Series([ids[key] for key in values.iter_rows()], dtype=pl.String),
    ).cast({"segments": pl.List(pl.String)})


def explored(listed: pl.LazyFrame) -> pl.LazyFrame:
    """`campaign_id`, `customer_id` and `subject_id` of the rows of an EMAIL_LIST that were drawn by lot.

    A list that was made before lists had the flag has none.
    """
    has_flag = "is_exploration" in listed.collect_schema().names()
    drawn = listed.filter(pl.col("is_exploration") if has_flag else pl.lit(False))
    return drawn.select("campaign_id", "customer_id", "subject_id")


def final_reasons(verdicts: Frame, channels: Sequence[str]) -> Frame:
    """One row per scored record over all its channels: `record_id`, `reason`, and `channels` where it is listed.

    Listed anywhere is listed; otherwise the reason latest in the order of the list stage counts. `channels` are
    the ids of the program's channels with a list, in the order in which they are named.
    """
    order = REASONS["list"]
    rank = nw.lit(0)
    for place, code in enumerate(order, start=1):
        rank = nw.when(nw.col("reason") == code).then(nw.lit(place)).otherwise(rank)
    ranked = verdicts.with_columns(rank.alias("_rank"))
    latest = ranked.group_by("record_id").agg(nw.col("_rank").max())
    reason = nw.lit(None).cast(nw.String)
    for place, code in enumerate(order, start=1):
        reason = nw.when(nw.col("_rank") == place).then(nw.lit(code)).otherwise(reason)
    return latest.select("record_id", reason.alias("reason")).join(
        _listed_channels(ranked, channels), on="record_id", how="left"
    )


def _listed_channels(verdicts: Frame, channels: Sequence[str]) -> Frame:
    """`record_id` and `channels`: the listing channels by name, comma-separated."""
    listed = verdicts.filter(nw.col("reason") == LISTED)
    flags = [
        (nw.col("channel") == channel).cast(nw.Int64).max().alias(f"_{place}") for place, channel in enumerate(channels)
    ]
    held = listed.group_by("record_id").agg(*flags)
    names = [
        nw.when(nw.col(f"_{place}") == 1).then(nw.lit(channel)).otherwise(nw.lit(None).cast(nw.String))
        for place, channel in enumerate(channels)
    ]
    # Without a name to join there is nothing listed, but the column stays.
    names = names or [nw.lit(None).cast(nw.String)]
    return held.select("record_id", nw.concat_str(names, separator=",", ignore_nulls=True).alias("channels"))
