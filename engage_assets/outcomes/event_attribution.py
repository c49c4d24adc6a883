"""Which channel brought a registration: last touch, first touch and time decay, each summing to the registrations.

It says who was there before the registration, not what caused it; lift is what a holdout measures.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import narwhals as nw
import polars as pl

Frame = nw.LazyFrame[Any]

REACH: Final = timedelta(days=14)
"""How long before the request for a seat a touch still counts."""
HALF_LIFE: Final = timedelta(days=3)
DIRECT: Final = "direct"
"""Who was touched by nothing of ours."""
MILLION: Final = 1_000_000
MODELS: Final = ("last_touch", "first_touch", "time_decay")
_CLICKS: Final = ("click",)
_SIGHTS: Final = ("displayed", "open")
_KEYS: Final = ["customer_id", "subject_id"]


def registrants(registrations: Frame) -> Frame:
    """One row per customer and event that got a seat: customer_id, subject_id, asked_at, send_id, is_cancelled.

    `registrations`: REGISTRATIONS_LOG rows of the events, as far as they are known. `asked_at` is the first request,
    `send_id` the send whose link it came by; who stood in line counts once promoted. Who cancelled stays, and is
    flagged where that was the last word.
    """
    named = registrations.with_columns(nw.col("event_id").alias("subject_id"))
    has_seat = nw.col("status").is_in(["registered", "attended", "no_show"]).cast(nw.Int64)
    each = named.with_columns(has_seat.alias("_seat")).group_by(*_KEYS).agg(
        nw.col("at").min().alias("asked_at"), nw.col("_seat").max(),
        nw.col("sequence").min().alias("_first"), nw.col("sequence").max().alias("_last"),
    )  # fmt: skip
    last = named.select(*_KEYS, nw.col("sequence").alias("_last"), "status")
    first = named.select(*_KEYS, nw.col("sequence").alias("_first"), "send_id")
    standing = each.filter(nw.col("_seat") == 1).join(last, on=[*_KEYS, "_last"], how="left")
    asked = standing.join(first, on=[*_KEYS, "_first"], how="left")
    return asked.select(*_KEYS, "asked_at", "send_id", (nw.col("status") == "cancelled").alias("is_cancelled"))


def touches(sends: Frame, interactions: Frame, seated: Frame) -> Frame:
    """Touches that may have brought a registration: customer_id, subject_id, channel, at, event_id, asked_at, kind.

    `sends`: SENDS_LOG rows; of these solicitations count. `interactions`: INTERACTIONS_LOG; of these a person's clicks,
    displays and opens within REACH before the request, both ends included. `seated`: as `registrants`. A request by
    the link of another send than that of the last click, or of one without a recorded click, is a click of its own:
    what came between takes no registration from the send whose link was used.
    """
    asked = sends.filter(nw.col("is_solicitation")).select("send_id", *_KEYS, "channel").unique()
    kinds = [*_CLICKS, *_SIGHTS]
    people = interactions.filter(nw.col("machine_rule").is_null(), nw.col("kind").is_in(kinds))
    seen = people.select("send_id", "event_id", "kind", "at").join(asked, on="send_id", how="inner")
    used = seated.select(*_KEYS, "asked_at", nw.col("send_id").alias("_used"))
    joined = seen.join(used, on=_KEYS, how="inner")
    within = (nw.col("at") <= nw.col("asked_at")) & (nw.col("at") >= nw.col("asked_at") - REACH)
    found, columns = joined.filter(within), [*_KEYS, "channel", "at", "event_id", "asked_at", "kind"]
    return nw.concat([found.select(columns), _requests(found, asked, used).select(columns)])


def _requests(found: Frame, asked: Frame, used: Frame) -> Frame:
    """Requests by a link that is not that of the last click, as clicks; their event_id is after every other's."""
    clicks = found.filter(nw.col("kind").is_in(_CLICKS))
    is_own = nw.col("send_id") == nw.col("_used")
    own = clicks.filter(is_own).group_by(*_KEYS).agg(nw.col("at").max().alias("_own"))
    other = clicks.filter(~is_own).group_by(*_KEYS).agg(nw.col("at").max().alias("_other"))
    by_link = used.join(asked, left_on=[*_KEYS, "_used"], right_on=[*_KEYS, "send_id"], how="inner")
    known = by_link.join(own, on=_KEYS, how="left").join(other, on=_KEYS, how="left")
    is_apart = nw.col("_own").is_null() | (nw.col("_other") >= nw.col("_own"))
    said = (nw.col("asked_at").alias("at"), nw.lit("~").alias("event_id"), nw.lit(_CLICKS[0]).alias("kind"))
    return known.filter(is_apart).with_columns(*said)


def attribute(seated: pl.DataFrame, touched: pl.DataFrame) -> pl.DataFrame:
    """Millionths of a registration by customer, event and channel: one column per model of MODELS.

    `seated` and `touched`: as `registrants` and `touches`, collected. Clicks are the touches where there are any, else
    displays and opens; of touches at one instant the greater event_id is the later. Each model's millionths of one
    registration sum to a million; what rounding leaves over is the last touch's. Without touches: DIRECT.
    """
    ordered = _counted(touched).sort(*_KEYS, "at", "event_id")
    age = (pl.col("asked_at") - pl.col("at")).dt.total_microseconds() / (HALF_LIFE / timedelta(microseconds=1))
    place = pl.int_range(pl.len()).over(_KEYS)
    weighed = ordered.with_columns(
        first_touch=(place == 0).cast(pl.Int64) * MILLION,
        last_touch=(place == pl.len().over(_KEYS) - 1).cast(pl.Int64) * MILLION,
        _decayed=(0.5**age),
    )
    share = pl.col("_decayed") / pl.col("_decayed").sum().over(_KEYS)
    rounded = weighed.with_columns(_share=(share * MILLION).floor().cast(pl.Int64))
    left = MILLION - pl.col("_share").sum().over(_KEYS)
    whole = rounded.with_columns(
        time_decay=pl.when(pl.col("last_touch") > 0).then(pl.col("_share") + left).otherwise("_share")
    )
    by_channel = whole.group_by(*_KEYS, "channel").agg(pl.col(name).sum() for name in MODELS)
    untouched = seated.join(by_channel, on=_KEYS, how="anti").select(
        *_KEYS, channel=pl.lit(DIRECT), **dict.fromkeys(MODELS, pl.lit(MILLION, dtype=pl.Int64))
    )
    columns = [*_KEYS, "channel", *MODELS]
    return pl.concat([by_channel.select(columns), untouched.select(columns)]).sort(*_KEYS, "channel")


def _counted(touched: pl.DataFrame) -> pl.DataFrame:
    """Clicks where a customer made any for an event, else all."""
    clicked = pl.col("kind").is_in(_CLICKS)
    return touched.filter(clicked | ~clicked.any().over(_KEYS))


def by_channel(attributed: pl.DataFrame, channels: Sequence[str] = ()) -> pl.DataFrame:
    """Registrations by channel and model, in millionths; `channels` that brought none stand there with 0."""
    sums = attributed.group_by("channel").agg(pl.col(name).sum() for name in MODELS)
    missing = [one for one in (*channels, DIRECT) if one not in sums["channel"].to_list()]
    zero = pl.DataFrame([{"channel": one, **dict.fromkeys(MODELS, 0)} for one in missing], schema=sums.schema)
    return pl.concat([sums, zero]).sort("channel")


def multi_channel_share(touched: pl.DataFrame, seated: pl.DataFrame) -> tuple[int, int]:
    """Registrations that touches of more than one channel preceded, and all: (numerator, denominator)."""
    several = touched.group_by(*_KEYS).agg(pl.col("channel").n_unique().alias("channels"))
    return several.filter(pl.col("channels") > 1).height, seated.height
