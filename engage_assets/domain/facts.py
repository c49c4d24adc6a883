"""What tables of facts have in common, on any engine (narwhals lazy frames)."""

from collections.abc import Sequence
from typing import Any

import narwhals as nw

Frame = nw.LazyFrame[Any]
"""A lazy frame of any engine that narwhals knows."""


def stated_once(table: Frame, *keys: str) -> Frame:
    """The distinct rows of `table` whose key occurs once.

    A key that stands there with different values states nothing: its facts are missing, and a missing
    fact refuses (spec, decision 6). Rows that repeat each other count as one.
    """
    distinct = table.unique()
    contradicted = distinct.group_by(*keys).agg(nw.len().alias("_n")).filter(nw.col("_n") > 1).select(*keys)
    return distinct.join(contradicted, on=list(keys), how="anti")


def latest_known(table: Frame, key: str, at: str, ties: Sequence[str]) -> Frame:
    """Per `key` the row with the greatest `at`; among equals the row that is greater as canonical JSON.

    `ties` are the other columns in the order of their names, as canonical JSON writes them: strings
    quoted, numbers in their shortest form, null as `null`.
    """
    newest = table.group_by(key).agg(nw.col(at).max())
    candidates = table.join(newest, on=[key, at], how="inner").unique()
    tied = candidates.group_by(key).agg(nw.len().alias("_n"))
    settled = candidates.join(tied.filter(nw.col("_n") == 1).select(key), on=key, how="semi")
    open_ties = candidates.join(tied.filter(nw.col("_n") > 1).select(key), on=key, how="semi")
    json = nw.concat_str([_json(column, open_ties) for column in ties], separator=",")
    best = open_ties.with_columns(json.alias("_json"))
    best = best.filter(nw.col("_json") == nw.col("_json").max().over(key)).drop("_json")
    return nw.concat([settled, best], how="vertical")


def _json(column: str, table: Frame) -> nw.Expr:
    """A column as its canonical JSON value."""
    text = nw.col(column).cast(nw.String)
    if table.collect_schema()[column] == nw.String:
        quoted = nw.concat_str([nw.lit('"'), text, nw.lit('"')])
        return nw.when(~nw.col(column).is_null()).then(quoted).otherwise(nw.lit("null"))
    return text.str.replace_all(r"\.0$", "").fill_null("null")
