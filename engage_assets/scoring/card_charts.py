"""Geometry of a card's charts, in SVG units from the top left corner. The markup lies in the templates."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final

from engage_assets.scoring.curves import CalibrationBin, Point, Tenth
from engage_assets.scoring.importance import Importance

_HEIGHT: Final = 320
_LEFT: Final = 48
_TOP: Final = 30
_BOTTOM: Final = 46
_RIGHT: Final = 22
_ROW: Final = 46


@dataclass(frozen=True)
class Mark:
    """A text at a place."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Line:
    """A run of points; its kind is its style: `curve`, or `chance` for what a model without skill would give."""

    kind: str
    points: str


@dataclass(frozen=True)
class Dot:
    """A point with its interval."""

    x: float
    y: float
    high: float
    low: float
    title: str


@dataclass(frozen=True)
class Box:
    """An upright bar."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Plot:
    """Lines, dots and boxes over two named axes."""

    width: int
    height: int
    left: float
    right: float
    x_ticks: tuple[Mark, ...]
    y_ticks: tuple[Mark, ...]
    x_name: Mark
    y_name: Mark
    lines: tuple[Line, ...] = ()
    dots: tuple[Dot, ...] = ()
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Bar:
    """A lying bar with its name above it; `low` and `high` are the ends of its spread."""

    name: str
    figures: str
    y: int
    width: float
    low: float
    high: float


@dataclass(frozen=True)
class Bars:
    """Lying bars, one below the other."""

    width: int
    height: int
    rows: tuple[Bar, ...]


@dataclass(frozen=True)
class _Axes:
    """Places values from 0 to the last tick of each axis."""

    width: int
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]

    def x(self, value: float) -> float:
        return round(_LEFT + value / self.x_ticks[-1] * (self.width - _LEFT - _RIGHT), 2)

    def y(self, value: float) -> float:
        return round(_HEIGHT - _BOTTOM - value / self.y_ticks[-1] * (_HEIGHT - _BOTTOM - _TOP), 2)

    def line(self, kind: str, points: Sequence[Point]) -> Line:
        return Line(kind, " ".join(f"{self.x(x)},{self.y(y)}" for x, y in points))

    def y_marks(self, sign: str = "%") -> tuple[Mark, ...]:
        return tuple(Mark(_LEFT - 8, self.y(tick), _written(tick, sign)) for tick in self.y_ticks)

    def x_marks(self) -> tuple[Mark, ...]:
        return tuple(Mark(self.x(tick), _HEIGHT - _BOTTOM + 18, _written(tick, "%")) for tick in self.x_ticks)

    def x_name(self, text: str) -> Mark:
        return Mark(round((_LEFT + self.width - _RIGHT) / 2, 2), _HEIGHT - 8, text)


def curve(points: Sequence[Point], chance: Sequence[Point], x_name: str, y_name: str, width: int) -> Plot:
    """A curve of shares against shares, and what chance would give, dashed."""
    axes = _Axes(width, ticks(1), ticks(1))
    return Plot(
        width=width,
        height=_HEIGHT,
        left=_LEFT,
        right=width - _RIGHT,
        x_ticks=axes.x_marks(),
        y_ticks=axes.y_marks(),
        x_name=axes.x_name(x_name),
        y_name=Mark(0, 12, y_name),
        lines=(axes.line("chance", chance), axes.line("curve", points)),
    )


def calibration(bins: Sequence[CalibrationBin], width: int) -> Plot:
    """The share answered over the probability predicted, with 95 % intervals; on the dashed line both agree."""
    most = max(max(one.high, one.predicted) for one in bins)
    steps = ticks(min(most, 1))
    axes = _Axes(width, steps, steps)
    return Plot(
        width=width,
        height=_HEIGHT,
        left=_LEFT,
        right=width - _RIGHT,
        x_ticks=axes.x_marks(),
        y_ticks=axes.y_marks(),
        x_name=axes.x_name("Mean probability predicted"),
        y_name=Mark(0, 12, "Share answered"),
        lines=(axes.line("chance", [(0, 0), (steps[-1], steps[-1])]),),
        dots=tuple(
            Dot(
                x=axes.x(one.predicted),
                y=axes.y(one.answered),
                high=axes.y(one.high),
                low=axes.y(one.low),
                title=f"predicted {one.predicted:.1%}, answered {one.answered:.1%} of {one.rows:,}",
            )
            for one in bins
        ),
    )


def lift(tenths: Sequence[Tenth], width: int) -> Plot:
    """The share answered in each tenth of the ranking as times the share of all, which is dashed."""
    axes = _Axes(width, [0, len(tenths)], ticks(max(1, *(one.times for one in tenths))))
    step = (width - _LEFT - _RIGHT) / len(tenths)
    ground = axes.y(0)
    return Plot(
        width=width,
        height=_HEIGHT,
        left=_LEFT,
        right=width - _RIGHT,
        x_ticks=tuple(Mark(axes.x(at + 0.5), _HEIGHT - _BOTTOM + 18, str(at + 1)) for at in range(len(tenths))),
        y_ticks=axes.y_marks(sign="×"),
        x_name=axes.x_name("Tenth of the ranking, the most probable first"),
        y_name=Mark(0, 12, "Times the share of all rows"),
        boxes=tuple(
            Box(
                x=round(_LEFT + at * step + 1.5, 2),
                y=axes.y(one.times),
                width=round(step - 3, 2),
                height=round(ground - axes.y(one.times), 2),
                title=f"tenth {at + 1}: {one.answered:.1%} of {one.rows:,} answered, {one.times:.2f} times all",
            )
            for at, one in enumerate(tenths)
        ),
        lines=(axes.line("chance", [(0, 1), (len(tenths), 1)]),),
    )


def importance(features: Sequence[Importance], width: int) -> Bars:
    """One bar per feature, as long as its loss; a loss below 0 is drawn as none."""
    most = max((one.loss + one.spread for one in features), default=0)
    scale = width / most if most > 0 else 0
    rows = tuple(
        Bar(
            name=one.feature,
            figures=f"{one.loss:.4f} ± {one.spread:.4f}".replace("-", "−"),
            y=at * _ROW,
            width=round(max(one.loss, 0) * scale, 2),
            low=round(max(one.loss - one.spread, 0) * scale, 2),
            high=round(max(one.loss + one.spread, 0) * scale, 2),
        )
        for at, one in enumerate(features)
    )
    return Bars(width, len(rows) * _ROW, rows)


def ticks(most: float) -> list[float]:
    """From 0 to at least `most` in three to five round steps."""
    rough = max(most, 1e-6) / 5
    unit = 10.0 ** floor(log10(rough))
    step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough * (1 - 1e-9))
    return [round(step * at, 9) for at in range(ceil(max(most, 1e-6) / step - 1e-9) + 1)]


def _written(tick: float, sign: str) -> str:
    return f"{100 * tick:g}%" if sign == "%" else f"{tick:g}{sign}"
