"""Geometry of a forecast's picture: what was expected from the opening to the start, its interval, and what came."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from engage_assets.outcomes.charts import Mark
from engage_assets.outcomes.figures import compact, short_day

_LEFT: Final = 44
_TOP: Final = 12
_BOTTOM: Final = 28
_RIGHT: Final = 84
_GAP: Final = 16
_STEPS: Final = (1, 2, 5)


@dataclass(frozen=True)
class Moment:
    """A forecast at a moment."""

    at: datetime
    registered: int
    expected: float
    low: int
    high: int
    is_past: bool = False
    """Whether it comes of past events alone, nobody being registered."""


@dataclass(frozen=True)
class Outlook:
    """Curves and band over time, in SVG units."""

    width: int
    height: int
    left: float
    right: float
    band: str
    expected: str
    registered: str
    dots: tuple[tuple[str, float, float], ...]
    """Kind, and place: a forecast out of past events is pale."""
    came: float | None
    """Height of the line of who came."""
    labels: tuple[tuple[str, Mark], ...]
    """Kind, and the text at the right."""
    x_ticks: tuple[Mark, ...]
    y_ticks: tuple[Mark, ...]


def outlook(moments: Sequence[Moment], came: int | None, width: int, height: int = 260) -> Outlook:
    """The picture of at least one moment."""
    right, ground = width - _RIGHT, height - _BOTTOM
    highest = max([came or 0, *(max(one.high, one.registered) for one in moments), 1])
    ticks = _ticks(highest)
    first, last = moments[0].at, moments[-1].at
    span = (last - first).total_seconds()

    def x(at: datetime) -> float:
        return round(_LEFT + (right - _LEFT) * ((at - first).total_seconds() / span if span else 1), 2)

    def y(value: float) -> float:
        return round(ground - (ground - _TOP) * value / ticks[-1], 2)

    def curve(points: Sequence[tuple[datetime, float]]) -> str:
        return " ".join(f"{x(at)},{y(value)}" for at, value in points)

    upper = [(one.at, float(one.high)) for one in moments]
    lower = [(one.at, float(one.low)) for one in reversed(moments)]
    newest = moments[-1]
    ends = {"expected": newest.expected, "registered": float(newest.registered)}
    if came is not None:
        ends["came"] = float(came)
    names = {"expected": "Forecast", "registered": "Registered", "came": "Came"}
    places = _apart({kind: y(value) for kind, value in ends.items()})
    return Outlook(
        width,
        height,
        left=_LEFT,
        right=right,
        band=curve([*upper, *lower]),
        expected=curve([(one.at, one.expected) for one in moments]),
        registered=curve([(one.at, float(one.registered)) for one in moments]),
        dots=tuple(("accepted" if one.is_past else "listed", x(one.at), y(one.expected)) for one in moments),
        came=None if came is None else y(came),
        labels=tuple((kind, Mark(right + 8, places[kind] + 4, names[kind])) for kind in ends),
        x_ticks=_days(first, last, x, height - 8),
        y_ticks=tuple(Mark(_LEFT - 8, y(tick), compact(tick)) for tick in ticks),
    )


def _days(first: datetime, last: datetime, x: Callable[[datetime], float], y: float) -> tuple[Mark, ...]:
    """The first and the last day, and one between where there is room."""
    if first.date() == last.date():
        return (Mark(x(last), y, short_day(last.date())),)
    middle = first + (last - first) / 2
    shown = [first, middle, last] if (last - first).days > 3 else [first, last]
    return tuple(Mark(x(at), y, short_day(at.date())) for at in shown)


def _ticks(highest: float) -> list[float]:
    """From 0 to at least `highest` in two to five round steps, whole numbers."""
    unit = 1
    while True:
        for factor in _STEPS:
            step = factor * unit
            count = -(-highest // step)
            if count <= 5:
                return [float(step * at) for at in range(int(count) + 1)]
        unit *= 10


def _apart(heights: dict[str, float]) -> dict[str, float]:
    """Labels moved up until none covers another."""
    placed: dict[str, float] = {}
    edge = float("inf")
    for name, y in sorted(heights.items(), key=lambda item: -item[1]):
        edge = placed[name] = min(y, edge - _GAP)
    return placed
