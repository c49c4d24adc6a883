"""A day's lists: who is on a channel's list, in which place, and why the others are not.

What every row needs is judged on any engine; the list is then filled in one pass over the rows that may
stand on it, in a total order (docs/decisions.md, 12): the one step that does not run on every engine. A share of the
places may go by lot before that (docs/program-files.md, explorationShare).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import narwhals as nw
import polars as pl

from engage_assets.channels.exploration import Exploration
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


def fill(judged: pl.DataFrame, channel: ListSection, exploration: Exploration | None = None) -> pl.DataFrame:
    """LIST_VERDICTS of one channel: every judged row with its reason and, where listed, its rank.

    First the places of `exploration` are drawn among all eligible rows, also those below the minimum score; a drawn
    row that a quota or the subject's limit refuses leaves its place to the next lot. Then the others at or above the
    minimum fill the list in the total order: score descending, newest event, subject, customer. Each customer keeps
    the best of what is left of the quota; once the list is full every row that is left is `BELOW_LIMIT`. Quota,
    subject's limit and limit hold for both together. Rows that were drawn rank last, in the order of their lots.
    """
    taken = _Taken()
    drawn = _draw(judged, channel, exploration, taken)
    rest = judged.join(drawn, on="record_id", how="anti") if drawn.height else judged
    chosen = _placed(_in_rank_order(rest), channel, taken, channel.limit)
    others = rest.filter(pl.col("reason").is_not_null()).select(
        "record_id", "customer_id", "reason", rank=pl.lit(None, dtype=pl.Int64)
    )
    last = chosen.height - chosen["rank"].null_count()
    verdicts = pl.concat(
        [
            chosen.with_columns(is_exploration=False),
            drawn.with_columns(pl.col("rank") + last, is_exploration=True),
            others.with_columns(is_exploration=False),
        ]
    ).with_columns(channel=pl.lit(channel.channel_id))
    return verdicts.select(LIST_VERDICTS.names).sort("customer_id", "record_id")


def _in_rank_order(judged: pl.DataFrame) -> pl.DataFrame:
    """The rows that may stand on the list by their score, best first."""
    return judged.filter(pl.col("reason").is_null()).sort(
        "score", "event_at", "subject_id", "customer_id", descending=[True, True, False, False], nulls_last=True
    )


@dataclass
class _Taken:
    """Places of a list that are taken so far: of the whole, by customer and by subject."""

    places: int = 0
    by_customer: Counter[str] = field(default_factory=Counter)
    by_subject: Counter[str] = field(default_factory=Counter)


def _draw(judged: pl.DataFrame, channel: ListSection, exploration: Exploration | None, taken: _Taken) -> pl.DataFrame:
    """The rows that are listed by lot, ranked from 1 in the order of their lots; takes their places."""
    if exploration is None or not exploration.share:
        return _placed(judged.clear(), channel, taken, channel.limit)
    by_score_alone = _placed(_in_rank_order(judged), channel, _Taken(), channel.limit)
    eligible = judged.filter(pl.col("reason").is_null() | (pl.col("reason") == "BELOW_MIN_SCORE"))
    listed = by_score_alone.height - by_score_alone["rank"].null_count()
    places = exploration.places(listed=listed, eligible=eligible.height, limit=channel.limit)
    return _placed(exploration.in_drawn_order(eligible), channel, taken, places).drop_nulls("rank")


def _placed(rows: pl.DataFrame, channel: ListSection, taken: _Taken, limit: int | None) -> pl.DataFrame:
    """Each row with its reason, and its rank from 1 where it is listed, in the order of `rows`."""
    reasons, ranks = _fill(
        rows["customer_id"].to_list(),
        rows["subject_id"].to_list(),
        rows["quota_left"].to_list(),
        limit,
        channel.per_track_limit,
        taken,
    )
    return rows.select("record_id", "customer_id").with_columns(
        reason=pl.Series(reasons, dtype=pl.String), rank=pl.Series(ranks, dtype=pl.Int64)
    )


def _fill(
    customers: Sequence[str],
    subjects: Sequence[str],
    quotas: Sequence[int | None],
    limit: int | None,
    per_subject: int | None,
    taken: _Taken,
) -> tuple[list[str], list[int | None]]:
    """Reason and rank of each row in the order of the list; `limit` counts the places that are taken already."""
    reasons: list[str] = []
    ranks: list[int | None] = []
    before = places = taken.places
    by_customer, by_subject = taken.by_customer, taken.by_subject
    for customer, subject, quota in zip(customers, subjects, quotas, strict=True):
        if limit is not None and places >= limit:
            reasons.append("BELOW_LIMIT")
        elif quota is not None and by_customer[customer] >= quota:
            reasons.append("FREQUENCY_CAP")
        elif per_subject is not None and by_subject[subject] >= per_subject:
            reasons.append("TRACK_CAP")
        else:
            places += 1
            by_customer[customer] += 1
            by_subject[subject] += 1
            reasons.append(LISTED)
            ranks.append(places - before)
            continue
        ranks.append(None)
    taken.places = places
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
    places = listed.select("record_id", "rank", "is_exploration")
    rows = scored.join(places, on="record_id", how="inner").sort("rank").collect()
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
