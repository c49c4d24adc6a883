"""One row of METRICS: a count, a quotient, or a figure that could not be measured and says why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

ALL: Final = "all"
"""Dimension, and its member, of a figure that is not broken down."""


@dataclass(frozen=True)
class Figure:
    """A row of METRICS, without its program and dates."""

    metric: str
    value: float | None
    note: str
    dimension: str = ALL
    member: str = ALL
    numerator: float | None = None
    denominator: float | None = None


def count(metric: str, number: int, note: str, dimension: str = ALL, member: str = ALL) -> Figure:
    """A plain count."""
    return Figure(metric, number, note, dimension, member, numerator=number)


def ratio(
    metric: str,
    numerator: float,
    denominator: float,
    note: str,
    nothing: str,
    dimension: str = ALL,
    member: str = ALL,
) -> Figure:
    """A quotient, 6 decimals; null with the note `nothing` where the denominator is 0."""
    if not denominator:
        return Figure(metric, None, nothing, dimension, member, numerator, denominator)
    return Figure(metric, round(numerator / denominator, 6), note, dimension, member, numerator, denominator)


def missing(metric: str, note: str, dimension: str = ALL, member: str = ALL) -> Figure:
    """A figure that cannot be measured; `note` names the missing input."""
    return Figure(metric, None, note, dimension, member)


def members(tally: pl.DataFrame, column: str, known: Sequence[str] = ()) -> list[str]:
    """The known members of a dimension, then those that occur besides."""
    return [*known, *sorted(set(tally[column].drop_nulls()) - set(known))]
