"""Geometry of the report's charts, in SVG units from the top left corner. The markup lies in the templates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import floor, log10
from typing import Final

from engage_assets.outcomes.bands import BANDS
from engage_assets.outcomes.figures import compact, percent, short_day, thousands

_ROW: Final = 46
_LEFT: Final = 44
_TOP: Final = 52
_BOTTOM: Final = 28
_RIGHT: Final = 6
_LABEL_GAP: Final = 16


@dataclass(frozen=True)
class Step:
    """One stage of the funnel: what ended there (or is shown beside it) and what went on."""

    name: str
    ended: int | None
    went_on: int


@dataclass(frozen=True)
class FunnelRow:
    """A step as a bar: what goes on, then what ends here (or is shown beside it)."""

    name: str
    figures: str
    y: int
    went_on: float
    ended: float


@dataclass(frozen=True)
class Bar:
    """A named share of the whole, with what it says in figures."""

    name: str
    figures: str
    share: float


@dataclass(frozen=True)
class Mark:
    """A text or a line at a place."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Box:
    """A bar."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


@dataclass(frozen=True)
class Funnel:
    """The funnel's rows from the input to the list."""

    width: int
    height: int
    rows: tuple[FunnelRow, ...]


@dataclass(frozen=True)
class Histogram:
    """Scored records by tenth of the score, coloured by band, with the lists' lowest scores."""

    width: int
    height: int
    top: float
    floor: float
    boxes: tuple[Box, ...]
    bands: tuple[tuple[Mark, Mark], ...]
    x_ticks: tuple[Mark, ...]
    y_ticks: tuple[Mark, ...]
    minima: tuple[Mark, ...]


@dataclass(frozen=True)
class Curve:
    """One series: unbroken runs of points (a gap stays a gap), lone points, and its name at the end."""

    kind: str
    runs: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    label: Mark | None


@dataclass(frozen=True)
class Trend:
    """Series over the last partitions."""

    width: int
    height: int
    left: float
    right: float
    curves: tuple[Curve, ...]
    x_ticks: tuple[Mark, ...]
    y_ticks: tuple[Mark, ...]


def funnel(steps: Sequence[Step], width: int) -> Funnel:
    """One row per step; widths are shares of the first step's records."""
    whole = steps[0].went_on
    scale = width / whole if whole else 0
    rows = tuple(
        FunnelRow(
            name=step.name,
            figures=_with_share(step.went_on, whole),
            y=at * _ROW,
            went_on=round(step.went_on * scale, 2),
            ended=round((step.ended or 0) * scale, 2),
        )
        for at, step in enumerate(steps)
    )
    return Funnel(width, len(rows) * _ROW, rows)


def bars(rows: Sequence[Bar], width: int) -> Funnel:
    """One row per bar, as wide as its share."""
    drawn = tuple(
        FunnelRow(bar.name, bar.figures, at * _ROW, round(bar.share * width, 2), 0) for at, bar in enumerate(rows)
    )
    return Funnel(width, len(rows) * _ROW, drawn)


def histogram(counts: Mapping[str, int], minima: Sequence[float], width: int, height: int = 280) -> Histogram:
    """`counts` by tenth, in order; `minima` are the lists' lowest scores."""
    ground = height - _BOTTOM
    ticks = _ticks(max(counts.values()))
    scale, step = (ground - _TOP) / ticks[-1], (width - _LEFT - _RIGHT) / len(counts)
    edges, whole = [*BANDS.values(), len(counts)], sum(counts.values())
    band_of = [max(band for band in BANDS.values() if band <= tenth) for tenth in range(len(counts))]
    names = {low: name for name, low in BANDS.items()}
    boxes = tuple(
        Box(
            x=round(_LEFT + at * step + 1.5, 2),
            y=round(ground - count * scale, 2),
            width=round(step - 3, 2),
            height=round(count * scale, 2),
            kind=names[band_of[at]],
            title=f"{bucket.replace('-', ' to ')}: {thousands(count)}",
        )
        for at, (bucket, count) in enumerate(counts.items())
    )
    bands = []
    for at, (name, low) in enumerate(BANDS.items()):
        count = sum(list(counts.values())[low : edges[at + 1]])
        x = round(_LEFT + (low + edges[at + 1]) / 2 * step, 2)
        heading = f"{name.capitalize()} {percent(count, whole)}" if whole else name.capitalize()
        bands.append((Mark(x, 14, heading), Mark(x, 31, thousands(count))))
    return Histogram(
        width,
        height,
        top=_TOP,
        floor=ground,
        boxes=boxes,
        bands=tuple(bands),
        x_ticks=tuple(
            Mark(round(_LEFT + at * step, 2), height - 8, f"{at / len(counts):g}")
            for at in range(0, len(counts) + 1, 2)
        ),
        y_ticks=_y_ticks(ticks, ground, scale),
        minima=tuple(Mark(round(_LEFT + at * len(counts) * step, 2), _TOP, f"{at:g}") for at in sorted(set(minima))),
    )


def trend(days: Sequence[date], series: Mapping[str, Sequence[float | None]], width: int, height: int = 240) -> Trend:
    """One curve per series over at least two `days`; None is a gap."""
    top, ground, right = 12, height - _BOTTOM, width - 84
    ticks = _ticks(max((value for values in series.values() for value in values if value is not None), default=0))
    scale, step = (ground - top) / ticks[-1], (right - _LEFT) / (len(days) - 1)

    def place(at: int, value: float) -> tuple[float, float]:
        return round(_LEFT + at * step, 2), round(ground - value * scale, 2)

    ends = {
        name: next((place(at, value) for at, value in reversed(list(enumerate(values))) if value is not None), None)
        for name, values in series.items()
    }
    labels = _spread({name: end[1] for name, end in ends.items() if end})
    curves = tuple(
        Curve(
            kind=name,
            runs=tuple(" ".join(f"{x},{y}" for x, y in run) for run in runs if len(run) > 1),
            dots=tuple(run[0] for run in runs if len(run) == 1),
            label=Mark(right + 8, labels[name] + 4, name.capitalize()) if name in labels else None,
        )
        for name, values in series.items()
        for runs in [_runs([None if value is None else place(at, value) for at, value in enumerate(values)])]
    )
    return Trend(
        width,
        height,
        left=_LEFT,
        right=right,
        curves=curves,
        x_ticks=tuple(Mark(place(at, 0)[0], height - 8, short_day(days[at])) for at in _spaced(len(days), width)),
        y_ticks=_y_ticks(ticks, ground, scale),
    )


def _with_share(count: int, whole: int) -> str:
    return f"{thousands(count)} · {percent(count, whole)}" if whole else thousands(count)


def _ticks(most: float) -> list[float]:
    """From 0 to at least `most` in three to five round steps, whole numbers."""
    rough = max(most, 1) / 4
    unit = 10 ** floor(log10(rough))
    step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough)
    step = max(1, step)
    return [step * at for at in range(int(-(-max(most, 1) // step)) + 1)]


def _y_ticks(ticks: Sequence[float], ground: float, scale: float) -> tuple[Mark, ...]:
    return tuple(Mark(_LEFT - 8, round(ground - tick * scale, 2), compact(tick)) for tick in ticks)


def _spaced(count: int, width: int) -> list[int]:
    """Evenly spaced places of day labels, first and last included."""
    labels = min(count, max(2, width // 150))
    return sorted({round(at * (count - 1) / (labels - 1)) for at in range(labels)})


def _runs(points: Sequence[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """Unbroken runs between gaps."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]


def _spread(heights: Mapping[str, float]) -> dict[str, float]:
    """Move labels apart: up until none covers another, then down again where they would leave the picture."""
    placed: dict[str, float] = {}
    edge = float("inf")
    for name, y in sorted(heights.items(), key=lambda item: -item[1]):
        edge = placed[name] = min(y, edge - _LABEL_GAP)
    edge = 10 - _LABEL_GAP
    for name in reversed(placed):
        edge = placed[name] = max(placed[name], edge + _LABEL_GAP)
    return placed
