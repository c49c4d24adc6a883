"""A card's pictures: each one's title, what it shows in words, and its chart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from engage_assets.scoring import card_charts as charts
from engage_assets.scoring.curves import Curves, Point
from engage_assets.scoring.importance import Importance

PICTURE_WIDTH: Final = 640
"""Of a picture that stands by itself."""


@dataclass(frozen=True)
class Picture:
    """A chart with its words. `shape` names the template's macro that draws it."""

    name: str
    title: str
    words: str
    legend: tuple[tuple[str, str], ...]
    """Style and meaning of each mark: `curve`, `chance`, `dot`, `box` or `bar`."""
    shape: Literal["plot", "bars"]
    chart: charts.Plot | charts.Bars


def pictures(curves: Curves, importance: Sequence[Importance], width: int) -> dict[str, Picture]:
    """`roc`, `precision_recall`, `calibration`, `lift`, `importance`, without those that have nothing to draw."""
    drawn = []
    if curves.roc:
        drawn.append(_roc(curves, width))
    if curves.precision_recall:
        drawn.append(_precision_recall(curves, width))
    if curves.calibration:
        drawn.append(_calibration(curves, width))
    if curves.lift:
        drawn.append(_lift(curves, width))
    if importance:
        drawn.append(_importance(importance, width))
    return {picture.name: picture for picture in drawn}


def _roc(curves: Curves, width: int) -> Picture:
    found, missed = _at(curves.roc, 0.1, axis=0), _at(curves.roc, 0.5, axis=1)
    return Picture(
        name="roc",
        title="Finding those who answer (ROC curve)",
        words=f"Going down the ranking, the first 10% of those who do not answer come with {found[1]:.0%} of those who"
        f" do. Half of those who answer are found with {missed[0]:.0%} of those who do not.",
        legend=(("curve", "this model"), ("chance", "without skill")),
        shape="plot",
        chart=charts.curve(
            curves.roc, [(0, 0), (1, 1)], "Reached of those who do not answer", "Reached of those who answer", width
        ),
    )


def _precision_recall(curves: Curves, width: int) -> Picture:
    some, half = _at(curves.precision_recall, 0.1, axis=0), _at(curves.precision_recall, 0.5, axis=0)
    return Picture(
        name="precision_recall",
        title="What is found (precision and recall)",
        words=f"To reach 10% of the answers, rows are taken of which {some[1]:.1%} answer; to reach half of them,"
        f" {half[1]:.1%}. Of all rows {curves.base_rate:.1%} answer.",
        legend=(("curve", "this model"), ("chance", "all rows")),
        shape="plot",
        chart=charts.curve(
            curves.precision_recall,
            [(0, curves.base_rate), (1, curves.base_rate)],
            "Answers reached (recall)",
            "Share answered (precision)",
            width,
        ),
    )


def _calibration(curves: Curves, width: int) -> Picture:
    within = sum(one.low <= one.predicted <= one.high for one in curves.calibration)
    lowest, highest = curves.calibration[0], curves.calibration[-1]
    return Picture(
        name="calibration",
        title="Whether probabilities hold (calibration)",
        words=f"Where the model says {lowest.predicted:.1%} on average, {lowest.answered:.1%} answered; where it says"
        f" {highest.predicted:.1%}, {highest.answered:.1%}. In {within} of {len(curves.calibration)} equally large"
        " groups the probability lies within the 95% interval of the share answered.",
        legend=(("dot", "share answered, 95% interval"), ("chance", "as predicted")),
        shape="plot",
        chart=charts.calibration(curves.calibration, width),
    )


def _lift(curves: Curves, width: int) -> Picture:
    first, last = curves.lift[0], curves.lift[-1]
    return Picture(
        name="lift",
        title="Answers by tenth of the ranking",
        words=f"Of the most probable tenth {first.answered:.1%} answered, {first.times:.2f} times the share of all rows"
        f" ({curves.base_rate:.1%}); of the least probable {last.answered:.1%}, {last.times:.2f} times. What a request"
        " itself causes only a random holdout can tell.",
        legend=(("box", "this model"), ("chance", "all rows")),
        shape="plot",
        chart=charts.lift(curves.lift, width),
    )


def _importance(importance: Sequence[Importance], width: int) -> Picture:
    best = importance[0]
    idle = [one.feature for one in importance if one.loss <= one.spread]
    words = f"Shuffling {best.feature} costs most: {best.loss:.4f} of AUC."
    if idle:
        words += f" No more than chance: {', '.join(idle)}."
    return Picture(
        name="importance",
        title="What each feature is worth",
        words=words + " Features that say the same share their worth.",
        legend=(("bar", "loss of AUC when shuffled, with its spread"),),
        shape="bars",
        chart=charts.importance(importance, width),
    )


def _at(points: Sequence[Point], value: float, axis: int) -> Point:
    """The first point of a curve that has reached `value`."""
    return next(point for point in points if point[axis] >= value)
