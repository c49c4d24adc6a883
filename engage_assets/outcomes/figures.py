"""Figures of a report: looking them up among the metrics, and writing numbers and days for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Self

import polars as pl

from engage_assets.outcomes.rows import ALL

UNMEASURED: Final = "–"
"""Stands where a value is null."""

# Written out because names out of the C library follow the machine's locale.
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True)
class Figures:
    """METRICS rows of one partition as of one night, by metric, dimension and member."""

    rows: Mapping[tuple[str, str, str], tuple[float | None, str]]

    @classmethod
    def of(cls, metrics: pl.DataFrame) -> Self:
        """Take METRICS rows of one partition and one night."""
        columns = metrics.select("metric", "dimension", "member", "value", "note")
        return cls({(row[0], row[1], row[2]): (row[3], row[4]) for row in columns.iter_rows()})

    def value(self, metric: str, dimension: str = ALL, member: str = ALL) -> float | None:
        """The value; null where it could not be measured or is not among the rows."""
        return self.rows.get((metric, dimension, member), (None, ""))[0]

    def has(self, metric: str) -> bool:
        """Whether the figure is among the rows, measured or not; others are of other kinds of programs."""
        return (metric, ALL, ALL) in self.rows

    def count(self, metric: str, dimension: str = ALL, member: str = ALL) -> int:
        """A value that is always measured: records."""
        return int(self.value(metric, dimension, member) or 0)

    def note(self, metric: str) -> str:
        """Formula or missing input of a figure that is not broken down."""
        return self.rows.get((metric, ALL, ALL), (None, "not among the metrics of this night"))[1]

    def members(self, metric: str, dimension: str) -> list[str]:
        """Members of a dimension, as sorted in the metrics."""
        return [key[2] for key in self.rows if key[:2] == (metric, dimension)]


def thousands(value: float | None) -> str:
    """1,234,567; what was not measured is a dash."""
    return UNMEASURED if value is None else f"{value:,.0f}"


def compact(value: float) -> str:
    """Ticks of an axis: 500k, 1.5M."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def percent(part: float | None, whole: float | None = 1) -> str:
    """A share with one decimal; what is neither nothing nor all never reads 0.0% or 100.0%."""
    if part is None or not whole:
        return UNMEASURED
    share = 100 * part / whole
    if 0 < share < 0.05:
        return "<0.1%"
    if 99.95 <= share < 100:
        return ">99.9%"
    return f"{share:.1f}%"


def signed_percent(share: float | None) -> str:
    """A change with its sign: +28.6%."""
    return UNMEASURED if share is None else f"{100 * share:+.1f}%"


def duration(seconds: float | None) -> str:
    """12.4 s, 3 min 05 s, 1 h 02 min, 2 h."""
    if seconds is None:
        return UNMEASURED
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    larger, smaller = (f"{minutes} min", f"{rest:02d} s") if minutes < 60 else _hours(minutes)
    return larger if smaller.startswith("00 ") else f"{larger} {smaller}"


def _hours(minutes: int) -> tuple[str, str]:
    return f"{minutes // 60} h", f"{minutes % 60:02d} min"


def long_day(day: date) -> str:
    """Friday, 20 November 2026."""
    return f"{_WEEKDAYS[day.weekday()]}, {day.day} {_MONTHS[day.month - 1]} {day.year}"


def short_day(day: date) -> str:
    """20 Nov."""
    return f"{day.day} {_MONTHS[day.month - 1][:3]}"


def instant(at: datetime) -> str:
    """20 November 2026, 02:00 UTC."""
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M} UTC"
