"""A day's lists: who is on a channel's list, in which place, and why the others are not.

What every row needs is judged on any engine; the list is then filled in one pass over the rows that may
stand on it, in a total order (docs/decisions.md, 12): the one step that does not run on every engine.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import narwhals as nw
import polars as pl

from engage_assets.domain.channel_specs import EmailChannel, ListSection
from engage_assets.domain.facts import Frame
from engage_assets.domain.keys import campaign_id
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.program import Program
from engage_assets.domain.reasons import LISTED, REASONS
from engage_assets.domain.slots import next_slot
from engage_assets.domain.tables import LIST_COLUMNS, LIST_VERDICTS

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


def fill(judged: pl.DataFrame, channel: ListSection) -> pl.DataFrame:
    """LIST_VERDICTS of one channel: every judged row with its reason and, where listed, its rank.

    The total order is score descending, newest event, subject, customer. Each customer keeps the best of
    the quota; once the list is full every row that is left is `BELOW_LIMIT`.
    """
    ranked = judged.filter(pl.col("reason").is_null()).sort(
        "score", "event_at", "subject_id", "customer_id", descending=[True, True, False, False], nulls_last=True
    )
    reasons, ranks = _fill(
        ranked["customer_id"].to_list(),
        ranked["subject_id"].to_list(),
        ranked["quota_left"].to_list(),
        channel.limit,
        channel.per_track_limit,
    )
    filled = ranked.select("record_id", "customer_id").with_columns(
        reason=pl.Series(reasons, dtype=pl.String), rank=pl.Series(ranks, dtype=pl.Int64)
    )
    others = judged.filter(pl.col("reason").is_not_null()).select(
        "record_id", "customer_id", "reason", rank=pl.lit(None, dtype=pl.Int64)
    )
    verdicts = pl.concat([filled, others]).with_columns(channel=pl.lit(channel.channel_id))
    return verdicts.select(LIST_VERDICTS.names).sort("customer_id", "record_id")


def _fill(
    customers: Sequence[str],
    subjects: Sequence[str],
    quotas: Sequence[int | None],
    limit: int | None,
    per_subject: int | None,
) -> tuple[list[str], list[int | None]]:
    """Reason and rank of each row in the order of the list."""
    reasons: list[str] = []
    ranks: list[int | None] = []
    taken_by_customer: Counter[str] = Counter()
    taken_by_subject: Counter[str] = Counter()
    places = 0
    for customer, subject, quota in zip(customers, subjects, quotas, strict=True):
        if limit is not None and places >= limit:
            reasons.append("BELOW_LIMIT")
        elif quota is not None and taken_by_customer[customer] >= quota:
            reasons.append("FREQUENCY_CAP")
        elif per_subject is not None and taken_by_subject[subject] >= per_subject:
            reasons.append("TRACK_CAP")
        else:
            places += 1
            taken_by_customer[customer] += 1
            taken_by_subject[subject] += 1
            reasons.append(LISTED)
            ranks.append(places)
            continue
        ranks.append(None)
    return reasons, ranks


def email_list(
    scored: pl.LazyFrame,
    verdicts: pl.DataFrame,
    *,
    program: Program,
    channel: EmailChannel,
    partition: date,
    marketplaces: Mapping[str, Marketplace],
) -> pl.DataFrame:
    """LIST_COLUMNS of the listed rows, by rank: a campaign per marketplace, each recipient's own slot.

    The slot is the channel's send time where the recipient lives, at the first such instant strictly after
    batch instant + deadline (docs/decisions.md, 4).
    """
    after = program.cadence.batch_instant(partition) + program.deadline
    listed = verdicts.lazy().filter(pl.col("reason") == LISTED, pl.col("channel") == channel.channel_id)
    rows = scored.join(listed.select("record_id", "rank"), on="record_id", how="inner").sort("rank").collect()
    zones = (
        [channel.config.timezone] * rows.height if channel.config.timezone != "local" else rows["time_zone"].to_list()
    )
    slots = {zone: next_slot(zone, channel.config.send_time, after) for zone in set(zones)}
    campaigns = {code: campaign_id(program.program_id, channel.channel_id, partition, code) for code in marketplaces}
    built = rows.with_columns(
        campaign_id=pl.col("marketplace").replace_strict(campaigns, return_dtype=pl.String),
        template_id=pl.lit(channel.config.template_id),
        slot_local=pl.Series([slots[zone][0] for zone in zones], dtype=pl.Datetime("us")),
        slot_at=pl.Series([slots[zone][1] for zone in zones], dtype=pl.Datetime("us")),
    )
    return built.select(column.name for column in LIST_COLUMNS)


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
