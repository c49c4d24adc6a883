"""What tables of facts have in common, on any engine (narwhals lazy frames)."""

from collections.abc import Sequence
from typing import Any, Final

import narwhals as nw

INK: Final = r"[^\s\p{Z}\x0B\x85]"
r"""A character that is not white space. Engines differ in what `\S` means beyond ASCII; they agree on this."""
Frame = nw.LazyFrame[Any]
"""A lazy frame of any engine that narwhals knows."""


def as_planned(frame: Frame) -> Frame:
    """Leave a frame to its engine's plan: what `settle` does where the engine needs no help."""
    return frame


def stated_once(table: Frame, *keys: str) -> Frame:
    """The distinct rows of `table` whose key occurs once.

    A key that stands there with different values states nothing: its facts are missing, and a missing
    fact refuses (docs/decisions.md, 6). Rows that repeat each other count as one.
    """
    # Keys seldom repeat, so only those that do are compared row by row.
    repeated = table.select(*keys).group_by(*keys).agg(nw.len().alias("_n")).filter(nw.col("_n") > 1).select(*keys)
    several = table.join(repeated, on=list(keys), how="semi").unique()
    contradicted = several.group_by(*keys).agg(nw.len().alias("_n")).filter(nw.col("_n") > 1).select(*keys)
    single = table.join(repeated, on=list(keys), how="anti")
    return nw.concat([single, several.join(contradicted, on=list(keys), how="anti")], how="vertical")


def latest_known(table: Frame, key: str, at: str, ties: Sequence[str]) -> Frame:
    """Per `key` the row with the greatest `at`; among equals the row that is greater as canonical JSON.

    `ties` are the other columns, sorted by name as canonical JSON has them: texts without control characters,
    and numbers that are 0 or from a millionth to 1 with at most 12 decimals.
    """
    # Only keys with several rows need to be compared.
    versions = table.select(key).group_by(key).agg(nw.len().alias("_n")).filter(nw.col("_n") > 1).select(key)
    single, several = (table.join(versions, on=key, how=how) for how in ("anti", "semi"))
    newest = several.group_by(key).agg(nw.col(at).max())
    latest = several.join(newest, on=[key, at], how="semi").unique()
    tied = latest.group_by(key).agg(nw.len().alias("_n")).filter(nw.col("_n") > 1).select(key)
    settled, open_ties = (latest.join(tied, on=key, how=how) for how in ("anti", "semi"))
    if not ties:
        return nw.concat([single, settled], how="vertical")
    # Key and instant are equal among ties, so the other values decide, each with the sign that follows it.
    last = max(key, at, *ties)
    parts = ((_json(column, latest), nw.lit("}" if column == last else ",")) for column in ties)
    json = nw.concat_str([text for part in parts for text in part])
    best = open_ties.with_columns(json.alias("_json"))
    best = best.filter(nw.col("_json") == nw.col("_json").max().over(key)).drop("_json")
    return nw.concat([single, settled, best], how="vertical")


def _json(column: str, table: Frame) -> nw.Expr:
    """A column as its canonical JSON value."""
    value = nw.col(column)
    if table.collect_schema()[column] == nw.String:
        escaped = value.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
        return nw.concat_str([nw.lit('"'), escaped, nw.lit('"')]).fill_null("null")
    # Each engine writes small numbers with an exponent of its own form, JSON from a millionth up without.
    decimals = (value * 1000).round(12).cast(nw.String).str.slice(2)
    small = nw.concat_str([nw.lit("0.000"), decimals])
    plain = value.cast(nw.String).str.replace_all(r"\.0$", "")
    return nw.when((value > 0) & (value < 0.001)).then(small).otherwise(plain).fill_null("null")
