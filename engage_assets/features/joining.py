"""The point-in-time join of one view: what its rows, as known at each instant, make of its features.

A row is seen at an instant when it had happened and was known by then. Rows meet the instants of their own entity
alone, and are reduced while they stream by, so that memory holds the entities and not the history. The work grows
with an entity's rows times its different instants.
"""

from collections.abc import Callable, Sequence
from typing import Final

import polars as pl

from engage_assets.domain.errors import ModelError
from engage_assets.domain.feature_views import Feature, FeatureView
from engage_assets.features.queries import require

TYPES: Final[dict[str, pl.DataType]] = {"number": pl.Float64(), "text": pl.String()}
_MILLIONTHS: Final = 1_000_000
_DAY: Final = 86_400_000_000
_PAIR: Final = ("_key", "_as_of")
_NEXT: Final = pl.lit(2**64, pl.Int128)


def key_names(view: FeatureView) -> dict[str, str]:
    """Columns of the entity's key by the names that they have while rows are joined."""
    if view.groups is None:
        return {"_key": view.key_columns[0]}
    return {f"_{name.removesuffix('_id')}": name for name in view.key_columns}


def view_rows(view: FeatureView, rows: pl.LazyFrame, features: Sequence[Feature]) -> pl.LazyFrame:
    """The rows of the view's query: `_key`, `_event` and `_known` (Datetime us, UTC), and the features' columns.

    Of groups `_customer` and `_subject` are the key. Raises ModelError where a column is missing or does not hold what
    the view says.
    """
    schema = rows.collect_schema()
    columns = {feature.source_column for feature in features if feature.source_column}
    require(view, schema.names(), {*key_names(view).values(), view.event_time, view.known_at, *columns})
    for feature in features:
        _check_type(view, feature, schema)
    return rows.select(
        *(pl.col(column).alias(name) for name, column in key_names(view).items()),
        _instant(view, view.event_time, schema).alias("_event"),
        _instant(view, view.known_at, schema).alias("_known"),
        *(_column(feature, schema) for feature in features if feature.source_column),
    )


def known_values(rows: pl.LazyFrame, pairs: pl.DataFrame, features: Sequence[Feature]) -> pl.LazyFrame:
    """`_key`, `_as_of` and the features' values, null where nothing is known; at most one row per pair.

    `rows` as `view_rows` gives them, `pairs` the distinct `_key` and `_as_of` that are asked for.
    """
    latest = [feature for feature in features if feature.aggregate == "last"]
    if len(latest) < 2:  # several would each carry their row's times, which costs more than to read the rows again
        return _reduced(rows, pairs, [_AGGREGATES[one.aggregate](one).alias(one.name) for one in features])
    reduced = [_AGGREGATES[one.aggregate](one).alias(one.name) for one in features if one not in latest]
    newest = [_order().max().alias("_order"), pl.col("_event").max()]
    found = _reduced(rows, pairs, [*reduced, *newest]).collect(engine="streaming")
    known = pl.col("_order") - pl.col("_event").cast(pl.Int64).cast(pl.Int128) * _NEXT
    return _latest(rows, found.with_columns(_known=known.cast(pl.Int64).cast(pl.Datetime("us"))), latest)


def finished(feature: Feature) -> pl.Expr:
    """A value as models take it: of its type, NaN as null; a rate, a logarithm, a share of `full` where stated so."""
    value = pl.col(feature.name)
    if feature.type == "text":
        return value.cast(pl.String)
    value = value.cast(pl.Float64).fill_nan(None) + 0.0  # of -0.0 and 0.0 either might have come first
    if feature.per is not None and feature.window is not None:
        value = (value * (feature.per / feature.window)).round(6)
    if feature.scale == "log":
        value = value.log1p().round(6)
    if feature.full is None:
        return value
    # Polars may multiply by 1/10 instead of dividing, depending on the plan: 0.30000000000000004 without `round`.
    share = (pl.min_horizontal(value, feature.full) / feature.full).round(6)
    return pl.when(value.is_not_null()).then(share)  # `min_horizontal` passes over a null


def _seen(rows: pl.LazyFrame, pairs: pl.DataFrame) -> pl.LazyFrame:
    """Rows that had happened and were known at the instant of each pair; a null instant is never seen."""
    instants = pairs["_as_of"].unique()
    if len(instants) == 1:
        rows = rows.with_columns(_as_of=pl.lit(instants.item(), pl.Datetime("us")))
    else:
        rows = rows.join(pairs.lazy(), on="_key")
    return rows.filter(pl.col("_event") <= pl.col("_as_of"), pl.col("_known") <= pl.col("_as_of"))


def _reduced(rows: pl.LazyFrame, pairs: pl.DataFrame, aggregates: Sequence[pl.Expr]) -> pl.LazyFrame:
    """`_key`, `_as_of` and aggregates of what is seen of each pair. By number, keys are grouped in half the time."""
    keys = pairs.select(pl.col("_key").unique()).with_row_index("_number")
    numbered = pairs.join(keys, on="_key").select(_key="_number", _as_of="_as_of")
    mine = rows.join(keys.lazy(), on="_key").with_columns(_key="_number").drop("_number")
    seen, instants = _seen(mine, numbered), numbered["_as_of"].unique()
    if len(instants) == 1:  # by one key instead of two
        then = pl.lit(instants.item(), pl.Datetime("us")).alias("_as_of")
        found = seen.group_by("_key").agg(aggregates).with_columns(then)
    else:
        found = seen.group_by(_PAIR).agg(aggregates)
    return found.rename({"_key": "_number"}).join(keys.lazy(), on="_number").drop("_number")


def _latest(rows: pl.LazyFrame, found: pl.DataFrame, features: Sequence[Feature]) -> pl.LazyFrame:
    """Values of several features as `_last` says. `found`: pairs with both times of their latest row.

    The rows are read a second time, so that memory holds none but those.
    """
    names = [feature.name for feature in features]
    versions = found.select("_key", "_event", "_known").unique().with_row_index("_version")
    newest = rows.join(versions.lazy(), on=["_key", "_event", "_known"]).group_by("_version").agg(pl.col(names).max())
    stated = found.lazy().join(versions.lazy().join(newest, on="_version"), on=["_key", "_event", "_known"])
    return stated.with_columns(
        pl.when(pl.col("_event") > pl.col("_as_of") - feature.window).then(pl.col(feature.name)).alias(feature.name)
        for feature in features
        if feature.window
    ).drop("_event", "_known", "_order", "_version")


def _order() -> pl.Expr:
    """One number that orders rows by event time, then by time of knowledge."""
    event, known = (pl.col(name).cast(pl.Int64).cast(pl.Int128) for name in ("_event", "_known"))
    return event * _NEXT + known


def _inside(feature: Feature) -> pl.Expr:
    """Whether a row lies in the feature's window."""
    if feature.window is None:
        return pl.col("_event").is_not_null()
    return pl.col("_event") > pl.col("_as_of") - feature.window


def _value(feature: Feature) -> pl.Expr:
    """The feature's value in a row; null outside the window."""
    column = pl.col(feature.name)
    return column if feature.window is None else pl.when(_inside(feature)).then(column)


def _last(feature: Feature) -> pl.Expr:
    """Of the row with the greatest event time, then the greatest time of knowledge, then the greatest value."""
    # The latest row within a window is the latest of all, or there is none.
    return _value(feature).max_by(pl.struct("_event", "_known", feature.name))


def _age(feature: Feature) -> pl.Expr:
    """Days since the latest row."""
    since = (pl.col("_as_of") - pl.col("_event")).dt.total_microseconds()
    return (pl.when(_inside(feature)).then(since).min() / _DAY).round(6)


def _count(feature: Feature) -> pl.Expr:
    rows = _inside(feature).sum()
    return pl.when(rows > 0).then(rows)


def _sum(feature: Feature) -> pl.Expr:
    """Added as whole millionths, so that the order of the rows does not matter."""
    value = _value(feature).cast(pl.Float64)
    millionths = (pl.when(value.is_finite()).then(value) * _MILLIONTHS).round().cast(pl.Int128)
    total = millionths.sum().cast(pl.Float64) / _MILLIONTHS
    return pl.when(millionths.count() > 0).then(total.round(6))  # as in `finished`


def _only(feature: Feature) -> pl.Expr:
    value = _value(feature)
    is_stated = (_inside(feature) & pl.col(feature.name).is_null()).sum() == 0
    return pl.when(is_stated & (value.min() == value.max())).then(value.min())


def _distinct(feature: Feature) -> pl.Expr:
    values = _value(feature).drop_nulls().n_unique()
    return pl.when(values > 0).then(values)


_AGGREGATES: Final[dict[str, Callable[[Feature], pl.Expr]]] = {
    "last": _last,
    "age": _age,
    "count": _count,
    "sum": _sum,
    "min": lambda feature: _value(feature).min(),
    "max": lambda feature: _value(feature).max(),
    "only": _only,
    "distinct": _distinct,
}


def _instant(view: FeatureView, column: str, schema: pl.Schema) -> pl.Expr:
    kind, value = schema[column], pl.col(column)
    if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
        value = value.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    elif not isinstance(kind, pl.Datetime | pl.Date | pl.Null):
        raise ModelError(
            f"feature view {view.view}: query: {column} is to be an instant and holds {kind};"
            f" write CAST({column} AS TIMESTAMP) AS {column}"
        )
    return value.cast(pl.Datetime("us"))


def _column(feature: Feature, schema: pl.Schema) -> pl.Expr:
    """The feature's column; NaN is null, where the aggregate would not pass over it."""
    value = pl.col(str(feature.source_column)).alias(feature.name)
    is_counted = feature.aggregate in ("only", "distinct", "last") and schema[str(feature.source_column)].is_float()
    return value.fill_nan(None) if is_counted else value


def _check_type(view: FeatureView, feature: Feature, schema: pl.Schema) -> None:
    if feature.source_column is None or feature.aggregate == "distinct":
        return
    kind = schema[feature.source_column]
    is_number, is_text = kind.is_numeric() or kind == pl.Boolean, isinstance(kind, pl.String | pl.Categorical | pl.Enum)
    if kind != pl.Null and not (is_text if feature.type == "text" else is_number):
        raise ModelError(
            f"feature view {view.view}: feature {feature.name} is a {feature.type}, but its column"
            f" {feature.source_column} holds {kind}; cast it in the query, or correct the feature's `type`"
        )
