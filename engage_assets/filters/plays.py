"""Plays: do they look automated? Facts and the trust filter's clauses of a source of plays. On any engine.

What is asked about the week up to the batch instant; each table is counted by listener first, and only the plays of
the few whose counts are suspicious are looked at one by one.
"""

from datetime import datetime, timedelta
from typing import Final

import narwhals as nw

from engage_assets.domain.facts import Frame
from engage_assets.domain.filter_specs import TrustFilter, TrustParameters
from engage_assets.domain.music import PLAYS, TRACK_PLAYS
from engage_assets.filters.asking import Asking, Fact, Tables, mark
from engage_assets.filters.clauses import Clause

WEEK: Final = timedelta(days=7)
_PLAY: Final = ("customer_id", "track_id", "device_id", "started_at", "ended_at")
_DAY_MS: Final = 86_400_000


def busy(joined: Frame, batch: Frame, tables: Tables, asking: Asking) -> Frame:
    """`plays_too_many`: on one UTC day of the week more than `maxPlaysPerDay` plays, over all tracks and devices.

    A row that repeats another in listener, track, device, instant and count is the same one again.
    """
    limits = _limits(asking)
    if TRACK_PLAYS.name not in tables or limits is None:
        return joined
    history = _known_days(tables[TRACK_PLAYS.name], asking)
    # No day holds more than the week does, and the sum by listener alone is the cheaper one.
    weeks = history.group_by("customer_id").agg(nw.col("play_count").sum())
    weeks = asking.settle(weeks.filter(nw.col("play_count") > limits.max_plays_per_day).select("customer_id"))
    single = history.join(_of_batch(weeks, batch), on="customer_id", how="semi").unique()
    single = single.with_columns(nw.col("played_at").dt.date().alias("day"))
    days = single.group_by("customer_id", "day").agg(nw.col("play_count").sum())
    found = days.filter(nw.col("play_count") > limits.max_plays_per_day).select("customer_id").unique()
    return mark(joined, asking.settle(found), "plays_too_many", "customer_id")


def automated(joined: Frame, batch: Frame, tables: Tables, asking: Asking) -> Frame:
    """`plays_too_regular` and `devices_at_once`, out of the single plays."""
    limits = _limits(asking)
    if PLAYS.name not in tables or limits is None:
        return joined
    heard = _ended(tables[PLAYS.name], asking)
    plays = asking.settle(heard.join(_of_batch(_suspects(heard, limits, asking), batch), on="customer_id", how="semi"))
    regular = asking.settle(_regular(plays, limits, asking))
    at_once = asking.settle(_at_once(plays, limits))
    joined = mark(joined, regular, "plays_too_regular", "customer_id")
    return mark(joined, at_once, "devices_at_once", "customer_id")


def _suspects(heard: Frame, limits: TrustParameters, asking: Asking) -> Frame:
    """`customer_id` of who played often enough to be regular, or on devices enough to play on too many at once."""
    of_devices = heard.group_by("customer_id", "device_id").agg(nw.len().alias("_n"))
    counts = of_devices.group_by("customer_id").agg(nw.col("_n").sum(), nw.len().alias("_devices"))
    several = (nw.col("_n") >= limits.regular_plays) | (nw.col("_devices") > limits.max_devices_at_once)
    return asking.settle(counts.filter(several).select("customer_id"))


def _regular(plays: Frame, limits: TrustParameters, asking: Asking) -> Frame:
    """Who played one track `regularPlays` times or more, with gaps that hardly differ.

    Gaps lie between the starts of consecutive plays, in whole milliseconds; their deviation is that of the
    population, sqrt(Σgap² / n - (Σgap / n)²), and has to be below `minGapDeviationSeconds`.
    """
    pair = ["customer_id", "track_id"]
    often = plays.group_by(*pair).agg(nw.len().alias("_n")).filter(nw.col("_n") >= limits.regular_plays)
    few = asking.settle(plays.join(often.select(*pair), on=pair, how="semi").unique())
    timed = few.select(*pair, _milliseconds("started_at", asking.instant - WEEK).alias("_at"))
    earlier = nw.col("_at").shift(1).over(*pair, order_by="_at")
    gaps = timed.with_columns((nw.col("_at") - earlier).alias("_gap")).filter(~nw.col("_gap").is_null())
    gaps = gaps.with_columns((nw.col("_gap") * nw.col("_gap")).alias("_square"))
    sums = gaps.group_by(*pair).agg(nw.len().alias("_n"), nw.col("_gap").sum(), nw.col("_square").sum())
    return sums.filter(_is_regular(limits)).select("customer_id").unique()


def _at_once(plays: Frame, limits: TrustParameters) -> Frame:
    """Who had more than `maxDevicesAtOnce` devices playing at one instant; a play ends before its end."""
    lasting = (nw.col("ended_at") > nw.col("started_at")) & ~nw.col("device_id").is_null()
    switched = _switches(plays.filter(lasting))
    playing = nw.col("_change").cum_sum().over("customer_id", order_by=["_at", "_change"])
    most = switched.with_columns(playing.alias("_playing")).filter(nw.col("_playing") > limits.max_devices_at_once)
    return most.select("customer_id").unique()


FACTS: Final[tuple[Fact, ...]] = (busy, automated)


def clauses(parameters: TrustParameters) -> list[Clause]:  # noqa: ARG001 - the facts know the thresholds
    """The trust filter's clauses; each is evaluated where its own table is there."""
    single = {f"{PLAYS.name}.started_at"}
    return [
        Clause("BOT_ACTIVITY", {f"{TRACK_PLAYS.name}.played_at"}, nw.col("plays_too_many")),
        Clause("BOT_ACTIVITY", single, nw.col("plays_too_regular")),
        Clause("BOT_ACTIVITY", single, nw.col("devices_at_once")),
    ]


def _limits(asking: Asking) -> TrustParameters | None:
    """The thresholds of the program's trust filter; None where it has none."""
    found = (spec.parameters for spec in asking.program.filter_chain if isinstance(spec, TrustFilter))
    return next(found, None)


def _known_days(table: Frame, asking: Asking) -> Frame:
    """The week's rows that had arrived by the instant, a null arrival being the row's own day."""
    within = (nw.col("played_at") > asking.instant - WEEK) & (nw.col("played_at") <= asking.instant)
    names = table.collect_schema().names()
    arrival = asking.program.connector.config.arrival_column
    if arrival in names:
        within &= (nw.col(arrival) <= asking.instant).fill_null(True)
    known = table.filter(within & (nw.col("play_count") > 0))
    same = [name for name in ("track_id", "device_id", "played_at", "play_count") if name in names]
    named = known.select(nw.col("listener_id").alias("customer_id"), *same)
    return asking.of_customers(named)


def _ended(table: Frame, asking: Asking) -> Frame:
    """Single plays that began within the week and had ended by the instant."""
    within = (nw.col("started_at") > asking.instant - WEEK) & (nw.col("ended_at") <= asking.instant)
    named = table.filter(within).select(nw.col("listener_id").alias("customer_id"), *_PLAY[1:])
    return asking.of_customers(named)


def _of_batch(table: Frame, batch: Frame) -> Frame:
    return table.join(batch.select("customer_id"), on="customer_id", how="semi")


def _milliseconds(column: str, since: datetime) -> nw.Expr:
    """Whole milliseconds since the midnight before `since`; not every engine counts an instant so by itself."""
    midnight = datetime.combine(since.date(), datetime.min.time())
    at = nw.col(column)
    days = sum(
        ((at >= midnight + timedelta(days=day)).cast(nw.Int64) for day in range(1, WEEK.days + 2)), start=nw.lit(0)
    )
    clock = (at.dt.hour().cast(nw.Int64) * 60 + at.dt.minute().cast(nw.Int64)) * 60 + at.dt.second().cast(nw.Int64)
    return days.cast(nw.Int64) * _DAY_MS + clock * 1000 + at.dt.millisecond().cast(nw.Int64)


def _is_regular(limits: TrustParameters) -> nw.Expr:
    """Enough plays, and n times the gaps' variance below n times the square of the least deviation."""
    gaps = nw.col("_n").cast(nw.Int64).cast(nw.Float64)
    total = nw.col("_gap").cast(nw.Int64).cast(nw.Float64)
    squares = nw.col("_square").cast(nw.Int64).cast(nw.Float64)
    least = (limits.min_gap_deviation_seconds * 1000) ** 2
    return (gaps >= limits.regular_plays - 1) & (squares - total * total / gaps < gaps * least)


def _switches(plays: Frame) -> Frame:
    """`_at` and `_change` (1, -1): when a device of a customer begins to play, and when it stops."""
    who = ("customer_id", "device_id")
    starts = plays.select(*who, nw.col("started_at").alias("_at"), nw.lit(1).cast(nw.Int64).alias("_change"))
    ends = plays.select(*who, nw.col("ended_at").alias("_at"), nw.lit(-1).cast(nw.Int64).alias("_change"))
    depth = nw.col("_change").cum_sum().over(*who, order_by=["_at", "_change"])
    both = nw.concat([starts, ends], how="vertical").with_columns(depth.alias("_depth"))
    begins = (nw.col("_change") == 1) & (nw.col("_depth") == 1)
    stops = (nw.col("_change") == -1) & (nw.col("_depth") == 0)
    return both.filter(begins | stops)
