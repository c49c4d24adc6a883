"""The point-in-time join of views of groups: what all subjects of a group have seen, and what a customer turns to.

A row is seen from the later of its event and of its becoming known until it leaves the feature's window. So what is
seen at an instant is a sum of rows that came in, less one of rows that went out, both running over the instants that
are asked for. Rows are added up by key and instant while they stream by: memory holds keys times instants, and the
work does not grow with the instants.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from typing import Final

import polars as pl

from engage_assets.domain.feature_views import Feature, FeatureView

_MILLIONTHS: Final = 1_000_000
_UNIT: Final = 2**20
"""A weight is added up as a whole number of its 2⁻²⁰th parts, so that the order of rows does not matter."""
_FINE: Final = 2**32
"""Faded weights likewise, as whole floats: up to 2⁵³ their sums are exact."""
_PARTS: Final = 2**22
_HALVES: Final = 8
"""Half-lives of a period. Inside one, weights are stated as of its begin, and grow by at most 2⁸."""


@dataclass(frozen=True)
class _Running:
    """Sums as of each instant that is asked for, by key."""

    keys: tuple[str, ...]
    sums: pl.LazyFrame
    """The keys, `_place` (of the instant among the sorted ones, from which on a row counts), `_n`, `_sum`: running."""

    def at(self, asked: pl.LazyFrame) -> pl.LazyFrame:
        """`asked` (the keys and `_place`) with `_n` and `_sum` as of the place; null where no row was seen by then."""
        return asked.sort("_place").join_asof(
            self.sums.sort("_place"), on="_place", by=list(self.keys), strategy="backward", check_sortedness=False
        )


def known_of_groups(
    view: FeatureView, rows: pl.LazyFrame, groups: pl.LazyFrame, pairs: pl.DataFrame, features: Sequence[Feature]
) -> pl.LazyFrame:
    """`pairs` with the features' values, null where nothing is known.

    `rows` as `view_rows` gives them; `groups`: `_subject`, `_group`, `_weight`; `pairs`: the distinct keys and
    `_as_of` that are asked for.
    """
    instants = pairs["_as_of"].unique().sort()
    places = pl.DataFrame({"_as_of": instants, "_place": pl.int_range(len(instants), dtype=pl.Int64, eager=True)})
    seen = rows.filter(pl.col(name).is_not_null() for name in ("_subject", "_event", "_known"))
    if view.entity == "pair":
        return _of_pair(seen, groups, pairs.join(places, on="_as_of"), instants, features)
    asked = pairs.join(places, on="_as_of").lazy()
    parts = [_of_subject(seen, groups, asked, instants, feature) for feature in features]
    return reduce(lambda left, right: left.join(right, on=pairs.columns), parts)


def _of_subject(
    rows: pl.LazyFrame, groups: pl.LazyFrame, asked: pl.LazyFrame, instants: pl.Series, feature: Feature
) -> pl.LazyFrame:
    """Count, sum or mean over the rows of all subjects of the subject's group (of several the first by name)."""
    own_group = groups.group_by("_subject").agg(pl.col("_group").min())
    wanted = asked.join(own_group, on="_subject", how="left")
    value = pl.lit(1) if feature.source_column is None else _whole(pl.col(feature.name))
    given = rows.with_columns(_n=value.is_not_null().cast(pl.Int64), _sum=value.fill_null(0).cast(pl.Int128))
    grouped = given.join(own_group.join(wanted, on="_group", how="semi"), on="_subject")
    found = _running(grouped, ("_group",), instants, feature).at(wanted)
    if feature.aggregate == "mean":
        found = _with_mean(found, given, asked, instants, feature)
    else:
        found = found.with_columns(_value=_stated(feature))
    return found.select("_subject", "_as_of", pl.col("_value").alias(feature.name))


def _stated(feature: Feature) -> pl.Expr:
    """A count or a sum; null where no row is in the window."""
    total = pl.col("_n") if feature.aggregate == "count" else (pl.col("_sum").cast(pl.Float64) / _MILLIONTHS).round(6)
    return pl.when(pl.col("_n") > 0).then(total)


def _with_mean(
    found: pl.LazyFrame, given: pl.LazyFrame, asked: pl.LazyFrame, instants: pl.Series, feature: Feature
) -> pl.LazyFrame:
    """`found` with `_value`: (sum + shrinkage · mean of all) ÷ (rows + shrinkage), without the subject's own rows."""
    number, total = pl.col("_n").fill_null(0), pl.col("_sum").fill_null(0)
    if feature.others:
        own = _running(given.join(asked, on="_subject", how="semi"), ("_subject",), instants, feature).at(asked)
        own = own.select("_subject", "_as_of", _own_n="_n", _own_sum="_sum")
        found = found.join(own, on=["_subject", "_as_of"], how="left")
        number, total = number - pl.col("_own_n").fill_null(0), total - pl.col("_own_sum").fill_null(0)
    whole = _running(given.with_columns(_all=pl.lit(0)), ("_all",), instants, feature)
    overall = whole.at(asked.select("_as_of", "_place", _all=pl.lit(0)).unique())
    overall = overall.select("_as_of", _mean=pl.col("_sum").cast(pl.Float64) / pl.col("_n") / _MILLIONTHS)
    added = pl.col("_mean").fill_null(0) * feature.shrinkage if feature.shrinkage else pl.lit(0.0)
    shrunk = (total.cast(pl.Float64) / _MILLIONTHS + added) / (number + feature.shrinkage)
    is_known = (number > 0) | (pl.lit(feature.shrinkage > 0) & pl.col("_mean").is_not_null())
    known = pl.col("_group").is_not_null() & is_known
    return found.join(overall, on="_as_of", how="left").with_columns(_value=pl.when(known).then(shrunk.round(6)))


def _of_pair(
    rows: pl.LazyFrame, groups: pl.LazyFrame, pairs: pl.DataFrame, instants: pl.Series, features: Sequence[Feature]
) -> pl.LazyFrame:
    """Share or similarity of the subject's groups in what the customer turned to, for all pairs."""
    keys = pairs.select(pl.col("_customer").unique()).with_row_index("_number")  # numbers are joined in half the time
    named = groups.group_by("_subject", "_group").agg(pl.col("_weight").max()).collect()
    codes = named.select(pl.col("_group").unique()).with_row_index("_code")
    of_groups = named.join(codes, on="_group").select("_subject", "_weight", _group="_code").lazy()
    mine = rows.join(keys.lazy(), on="_customer").with_columns(_customer="_number").drop("_number")
    asked = pairs.join(keys, on="_customer").with_columns(_customer="_number").drop("_number").with_row_index("_pair")
    tastes = _tastes(mine.join(of_groups, on="_subject"), asked.lazy(), instants, features)
    stated = _likeness(tastes, of_groups, asked.lazy(), features)
    return stated.rename({"_customer": "_number"}).join(keys.lazy(), on="_number").drop("_number", "_place")


def _tastes(mine: pl.LazyFrame, asked: pl.LazyFrame, instants: pl.Series, features: Sequence[Feature]) -> pl.LazyFrame:
    """`_customer`, `_place`, `_group` and each feature's taste by its name, null where it has none.

    The rows are read once.
    """
    if len(instants) == 1 and len({one.half_life for one in features if one.half_life}) < 2:
        return _tastes_then(mine, instants.item(), features)
    keys = ("_customer", "_group", "_period")
    running = [_running(_weighed(mine, feature), keys, instants, feature) for feature in features]
    sums = pl.collect_all([one.sums for one in running], engine="streaming")
    tastes = [
        _taste(replace(one, sums=added.lazy()), asked, instants, feature).rename({"_taste": feature.name})
        for one, added, feature in zip(running, sums, features, strict=True)
    ]
    names = [feature.name for feature in features]
    return pl.concat(tastes, how="diagonal").group_by("_customer", "_place", "_group").agg(pl.col(names).max())


def _tastes_then(mine: pl.LazyFrame, instant: datetime, features: Sequence[Feature]) -> pl.LazyFrame:
    """Those as of one instant, where all that fades has one half-life: what rows weigh is added up side by side."""
    names, fading = [one.name for one in features], next((one for one in features if one.half_life), None)
    # What does not fade is added up by period too, which changes no sum; without periods there is no key to group by.
    period = {"_period": _period(fading)} if fading else {}
    weighed = mine.filter(pl.max_horizontal("_event", "_known") <= instant).select(
        "_customer", "_group", **period, **{one.name: _weight_then(one, instant) for one in features}
    )
    added = weighed.group_by("_customer", "_group", *period).agg(pl.col(names).sum()).collect(engine="streaming")
    dated = added.lazy().with_columns(_as_of=pl.lit(instant, pl.Datetime("us")))
    tastes = dated.group_by("_customer", "_group").agg(_fine(one.name, one).sum().alias(one.name) for one in features)
    stated = [pl.when(pl.col(name) > 0).then(pl.col(name)).alias(name) for name in names]
    has_any = pl.any_horizontal(pl.col(names).is_not_null())
    return tastes.with_columns(*stated, _place=pl.lit(0, pl.Int64)).filter(has_any)


def _weight_then(feature: Feature, instant: datetime) -> pl.Expr:
    """What a row weighs at an instant, grown since the period's begin; null where it is not in the window."""
    is_in = _weighs(feature)
    if feature.window is not None:
        is_in &= pl.col("_event") + feature.window > instant
    return _in_parts(pl.when(is_in).then(_weight(feature)), feature)


def _weight(feature: Feature) -> pl.Expr:
    """What a row weighs for its group."""
    own = pl.lit(1.0) if feature.source_column is None else pl.col(feature.name).cast(pl.Float64)
    return own * pl.col("_weight")


def _weighs(feature: Feature) -> pl.Expr:
    return _weight(feature).is_finite() & (_weight(feature) > 0)


def _in_parts(weight: pl.Expr, feature: Feature) -> pl.Expr:
    """A weight as grown since the begin of its period, in whole parts."""
    return (weight * _grown(feature) * _UNIT).round().cast(pl.Int64)


def _weighed(mine: pl.LazyFrame, feature: Feature) -> pl.LazyFrame:
    """The rows with `_period`, `_n` 1 and `_sum`: what each weighs for its group, grown since the period's begin."""
    return mine.filter(_weighs(feature)).select(
        "_customer",
        "_group",
        "_event",
        "_known",
        _period=_period(feature),
        _n=pl.lit(1, pl.Int64),
        _sum=_in_parts(_weight(feature), feature),
    )


def _likeness(
    tastes: pl.LazyFrame, of_groups: pl.LazyFrame, asked: pl.LazyFrame, features: Sequence[Feature]
) -> pl.LazyFrame:
    """`asked` with the features: of each taste the share, or the cosine, of the subject's groups."""
    whose, names = ["_customer", "_place"], [feature.name for feature in features]
    # Two use it, and one plan would make it twice.
    mine = _scaled(tastes, names, whose).collect(engine="streaming").lazy()
    theirs = _scaled(
        of_groups.join(asked.select("_subject").unique(), on="_subject", how="semi"), ["_weight"], ["_subject"]
    )
    met = (
        asked.join(theirs, on="_subject")
        .join(mine, on=[*whose, "_group"])
        .group_by("_pair")
        .agg(
            (pl.col(names) * pl.col("_weight")).sum().name.prefix("_dot_"),
            pl.col(names).sum().name.prefix("_met_"),
        )
    )
    found = (
        asked.join(_measured(mine, names, whose), on=whose, how="left")
        .join(_measured(theirs, ["_weight"], ["_subject"]), on="_subject", how="left")
        .join(met, on="_pair", how="left")
    )
    return found.select("_customer", "_subject", "_as_of", "_place", *map(_likeness_of, features))


def _likeness_of(feature: Feature) -> pl.Expr:
    """The share or cosine out of what was met and measured; null where either side has nothing."""
    ratio = pl.col(f"_met_{feature.name}").fill_null(0) / pl.col(f"_total_{feature.name}")
    if feature.aggregate == "similarity":
        lengths = pl.col(f"_length_{feature.name}") * pl.col("_length__weight")
        ratio = pl.col(f"_dot_{feature.name}").fill_null(0) / lengths
    is_known = (pl.col(f"_total_{feature.name}") > 0) & pl.col("_length__weight").is_not_null()
    return pl.when(is_known).then(pl.min_horizontal(ratio, 1.0).round(6)).alias(feature.name)


def _scaled(rows: pl.LazyFrame, values: list[str], keys: list[str]) -> pl.LazyFrame:
    """The rows with each value in whole parts of the key's greatest, so that sums of its squares are exact."""
    greatest = rows.group_by(keys).agg(pl.col(values).max().name.prefix("_greatest_"))
    return rows.join(greatest, on=keys).select(
        *keys, "_group", *((pl.col(name) / pl.col(f"_greatest_{name}") * _PARTS).round() for name in values)
    )


def _measured(rows: pl.LazyFrame, values: list[str], keys: list[str]) -> pl.LazyFrame:
    """By key the length of the vector that its values are, `_length_<name>`, and their sum, `_total_<name>`."""
    return rows.group_by(keys).agg(
        (pl.col(values) * pl.col(values)).sum().sqrt().name.prefix("_length_"),
        pl.col(values).sum().name.prefix("_total_"),
    )


def _taste(running: _Running, asked: pl.LazyFrame, instants: pl.Series, feature: Feature) -> pl.LazyFrame:
    """`_customer`, `_place`, `_group` and `_taste`: what the group weighs for the customer then, in whole parts."""
    places = pl.LazyFrame({"_as_of": instants}).with_row_index("_place").cast({"_place": pl.Int64})
    when, weighed = asked.select("_customer", "_place").unique(), running.sums
    summed = running.at(when.join(weighed.select("_customer", "_group", "_period").unique(), on="_customer"))
    fine = summed.join(places, on="_place").with_columns(_taste=_fine("_sum", feature))
    taste = fine.group_by("_customer", "_place", "_group").agg(pl.col("_taste").sum())
    return taste.filter(pl.col("_taste") > 0)


def _fine(name: str, feature: Feature) -> pl.Expr:
    """The sum of a period's weights as of `_as_of`, in whole parts; null for none."""
    total = pl.col(name)
    return pl.when(total > 0).then((total.cast(pl.Float64) * _faded(feature) * (_FINE / _UNIT)).round())


def _running(rows: pl.LazyFrame, keys: tuple[str, ...], instants: pl.Series, feature: Feature) -> _Running:
    """Sums of `_n` and `_sum` of the rows in the feature's window, as of each of the sorted `instants`."""
    seen_from = pl.max_horizontal("_event", "_known")
    came, left = _place_of(seen_from, instants), pl.lit(len(instants), pl.Int64)
    if feature.window is not None:
        left = _place_of(pl.max_horizontal(seen_from, pl.col("_event") + feature.window), instants)
    placed = rows.select(*keys, "_n", "_sum", _came=came, _left=left).filter(pl.col("_came") < pl.col("_left"))
    sums = _added(placed, keys, "_came", 1)
    if feature.window is not None and len(instants) > 1:
        gone = _added(placed.filter(pl.col("_left") < len(instants)), keys, "_left", -1)
        sums = pl.concat([sums, gone]).group_by(*keys, "_place").agg(pl.col("_n", "_sum").sum())
    if len(instants) == 1:
        return _Running(keys, sums)
    return _Running(keys, sums.sort(*keys, "_place").with_columns(pl.col("_n", "_sum").cum_sum().over(keys)))


def _added(rows: pl.LazyFrame, keys: tuple[str, ...], place: str, sign: int) -> pl.LazyFrame:
    return rows.group_by(*keys, pl.col(place).alias("_place")).agg(pl.col("_n", "_sum").sum() * sign)


def _place_of(instant: pl.Expr, instants: pl.Series) -> pl.Expr:
    """The place of the first of `instants` at or after `instant`; their number where there is none."""
    return instant.map_batches(
        lambda values: instants.search_sorted(values, side="left").cast(pl.Int64),
        return_dtype=pl.Int64,
        is_elementwise=True,
    )


def _period(feature: Feature) -> pl.Expr:
    """The period of the row's event; 0 for all where weights do not fade."""
    if feature.half_life is None:
        return pl.lit(0, pl.Int64)
    return pl.col("_event").cast(pl.Int64) // (_HALVES * _microseconds(feature))


def _grown(feature: Feature) -> pl.Expr:
    """2 to the half-lives between the begin of the event's period and the event."""
    if feature.half_life is None:
        return pl.lit(1.0)
    since = pl.col("_event").cast(pl.Int64) % (_HALVES * _microseconds(feature))
    return pl.lit(2.0).pow(since / _microseconds(feature))


def _faded(feature: Feature) -> pl.Expr:
    """2 to the half-lives between the instant and the begin of the period before it: at most 1."""
    if feature.half_life is None:
        return pl.lit(1.0)
    begin = pl.col("_period") * (_HALVES * _microseconds(feature))
    return pl.lit(2.0).pow((begin - pl.col("_as_of").cast(pl.Int64)) / _microseconds(feature))


def _microseconds(feature: Feature) -> int:
    assert feature.half_life is not None
    return round(feature.half_life.total_seconds() * _MILLIONTHS)


def _whole(value: pl.Expr) -> pl.Expr:
    """A value as whole millionths; null for what is not finite."""
    number = value.cast(pl.Float64)
    return (pl.when(number.is_finite()).then(number) * _MILLIONTHS).round().cast(pl.Int128)
