"""What tables of facts have in common, on any engine (narwhals lazy frames)."""

from collections.abc import Sequence
from typing import Any

import narwhals as nw

Frame = nw.LazyFrame[Any]
"""A lazy frame of any engine that narwhals knows."""


def as_planned(frame: Frame) -> Frame:
    """Leave a frame to its engine's plan: what `settle` does where the engine needs no help."""
    return frame


def stated_once(table: Frame, *keys: str) -> Frame:
    """The distinct rows of `table` whose key occurs once.

    A key that stands there with different values states nothing: its facts are missing, and a missing
    fact refuses (spec, decision 6). Rows that repeat each other count as one.
    """
    # Keys seldom repeat, so only those that do are compared row by row.
    repeated = table.select(*keys).group_by(*keys).agg(nw.len().alias("_n")).filter(nw.col("_n") > 1).select(*keys)
    several = table.join(repeated, on=list(keys), how="semi").unique()
    contradicted = several.group_by(*keys).agg(nw.len().alias("_n")).filter(nw.col("_n") > 1).select(*keys)
    single = table.join(repeated, on=list(keys), how="anti")
    return nw.concat([single, several.join(contradicted, on=list(keys), how="anti")], how="vertical")


def latest_known(table: Frame, key: str, at: str, ties: Sequence[str]) -> Frame:
    """Per `key` the row with the greatest `at`; among equals the row that is greater as canonical JSON.

    `ties` are the other columns in the order of their names, as canonical JSON writes them: texts in quotes,
    numbers from 0 to 1 (whose texts are ordered as they are, down to a millionth), null above both.
    """
    newest = table.group_by(key).agg(nw.col(at).max())
    latest = table.join(newest, on=[key, at], how="inner").unique()
    tied = latest.group_by(key).agg(nw.len().alias("_n")).filter(nw.col("_n") > 1).select(key)
    best = latest.join(tied, on=key, how="semi")
    for column in ties:
        best = _greatest(best, key, column)
    return nw.concat([latest.join(tied, on=key, how="anti"), best], how="vertical")


def _greatest(table: Frame, key: str, column: str) -> Frame:
    """The rows of each `key` whose `column` is the greatest as JSON."""
    value, is_null = nw.col(column), nw.col(column).is_null()
    if table.collect_schema()[column] == nw.String:
        escaped = value.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
        value = nw.concat_str([nw.lit('"'), escaped, nw.lit('"')])
    ranked = table.with_columns(value.alias("_value"), is_null.cast(nw.Int64).alias("_null"))
    any_null = nw.col("_null").max().over(key) == 1
    is_greatest = nw.col("_value") == nw.col("_value").max().over(key)
    kept = ranked.filter(nw.when(any_null).then(nw.col("_null") == 1).otherwise(is_greatest))
    return kept.drop("_value", "_null")
