"""Bands and the histogram of scores, as narwhals expressions that run on every engine."""

from collections.abc import Sequence
from typing import Any, Final

import narwhals as nw

HIGH: Final = 0.7
MEDIUM: Final = 0.4
TENTHS: Final = tuple(f"tenth_{tenth}" for tenth in range(10))
"""Columns of a histogram: `tenth_3` counts 0.3 ≤ score < 0.4, and `tenth_9` takes 1.0 in."""


def band(column: str) -> nw.Expr:
    """`high` from 0.7, `medium` from 0.4, else `low`; null where the score is null."""
    score = nw.col(column)
    below_high = nw.when(score >= MEDIUM).then(nw.lit("medium")).otherwise(nw.lit("low"))
    banded = nw.when(score >= HIGH).then(nw.lit("high")).otherwise(below_high)
    return nw.when(~score.is_null()).then(banded)


def histogram(frame: nw.LazyFrame[Any], column: str = "score", by: Sequence[str] = ()) -> nw.LazyFrame[Any]:
    """Rows by tenth of the score: one row (per combination of `by`) with the Int64 columns TENTHS.

    Null scores are in no tenth. Without `by` there is always one row, with zeros for an empty frame.
    """
    # Compared with decimals, not multiplied and cut: 6-decimal scores equal their decimal literals exactly.
    score = nw.col(column)
    counted = [
        ((score >= tenth / 10) & (score < (tenth + 1) / 10 if tenth < 9 else score <= 1))
        .cast(nw.Int64)
        .sum()
        .alias(name)
        for tenth, name in enumerate(TENTHS)
    ]
    counts = frame.group_by(*by).agg(*counted) if by else frame.select(*counted)
    return counts.with_columns(nw.col(*TENTHS).fill_null(0).cast(nw.Int64))
