"""What came of a model's probabilities: exact AUC, curves, calibration bins and tenths of its ranking.

All functions take `labels` (whether a row was answered) and `probabilities` of the same rows, and give the same for
any order of them: rows of equal probability share their answers evenly where a bin ends among them.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Point = tuple[float, float]

BINS: Final = 10
MOST_POINTS: Final = 200
"""Points of a curve that is kept for a picture."""
_Z95: Final = 1.959964


@dataclass(frozen=True)
class CalibrationBin:
    """Rows of similar probability: what was predicted and what came, with the 95 % Wilson interval of its share."""

    rows: int
    predicted: float
    answered: float
    low: float
    high: float


@dataclass(frozen=True)
class Tenth:
    """A tenth of the ranking: the share of its rows that answered, and that share ÷ the share of all."""

    rows: int
    answered: float
    times: float


@dataclass(frozen=True)
class Curves:
    """What a card draws of one model on one set of rows."""

    rows: int
    base_rate: float
    roc: tuple[Point, ...]
    """(false positive rate, true positive rate), from (0, 0) to (1, 1)."""
    precision_recall: tuple[Point, ...]
    """(recall, precision), by rising recall."""
    calibration: tuple[CalibrationBin, ...]
    lift: tuple[Tenth, ...]
    """The best tenth first."""


def curves(labels: Labels, probabilities: Floats) -> Curves:
    """Everything that a card draws, each curve thinned to MOST_POINTS. Empty where a class is missing."""
    return Curves(
        rows=len(labels),
        base_rate=_rounded(labels.mean()) if len(labels) else 0.0,
        roc=thinned(roc_points(labels, probabilities)),
        precision_recall=thinned(precision_recall_points(labels, probabilities)),
        calibration=calibration_bins(labels, probabilities),
        lift=lift_by_decile(labels, probabilities),
    )


def auc(labels: Labels, probabilities: Floats) -> float | None:
    """The share of pairs, one answered and one not, in which the answered has the greater probability; ties half.

    Exact (Mann and Whitney's U ÷ pairs). None where there is no pair.
    """
    _, rows, answered = _by_probability(labels, probabilities)
    silent = rows - answered
    pairs = answered.sum() * silent.sum()
    if not pairs:
        return None
    below = np.cumsum(silent) - silent
    return float((answered * (below + silent / 2)).sum() / pairs)


def roc_points(labels: Labels, probabilities: Floats) -> tuple[Point, ...]:
    """(false positive rate, true positive rate) at every different probability, from (0, 0); () without a pair."""
    found, missed = _reached(labels, probabilities)
    if not len(found) or not found[-1] or not missed[-1]:
        return ()
    return ((0.0, 0.0), *_points(missed / missed[-1], found / found[-1]))


def precision_recall_points(labels: Labels, probabilities: Floats) -> tuple[Point, ...]:
    """(recall, precision) at every different probability, by rising recall, from recall 0; () without an answer."""
    found, missed = _reached(labels, probabilities)
    if not len(found) or not found[-1]:
        return ()
    points = _points(found / found[-1], found / (found + missed))
    return ((0.0, points[0][1]), *points)


def thinned(points: tuple[Point, ...], most: int = MOST_POINTS) -> tuple[Point, ...]:
    """At most `most` of the points of a curve, spread evenly along it, the first and the last included."""
    if len(points) <= most:
        return points
    steps = np.abs(np.diff(np.array(points), axis=0)).sum(axis=1)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.searchsorted(way, np.linspace(0, way[-1], most - 1), side="left")
    return tuple(points[at] for at in sorted({0, *wanted.tolist(), len(points) - 1}))


def calibration_bins(labels: Labels, probabilities: Floats, bins: int = BINS) -> tuple[CalibrationBin, ...]:
    """Bins of equally many rows, by rising probability; fewer bins where there are fewer rows."""
    made = []
    for rows, predicted, answered in _equal_parts(labels, probabilities, bins):
        low, high = wilson(answered, rows)
        made.append(CalibrationBin(int(rows), _rounded(predicted / rows), _rounded(answered / rows), low, high))
    return tuple(made)


def lift_by_decile(labels: Labels, probabilities: Floats) -> tuple[Tenth, ...]:
    """The share answered in each tenth of the ranking, the most probable first; () without an answer."""
    if not labels.any():
        return ()
    base_rate = labels.mean()
    return tuple(
        Tenth(int(rows), _rounded(answered / rows), _rounded(answered / rows / base_rate))
        for rows, _, answered in _equal_parts(labels, -probabilities, BINS)
    )


def wilson(answered: float, rows: float, z: float = _Z95) -> tuple[float, float]:
    """Wilson's score interval of a share, 95 % by default (Wilson 1927)."""
    share, spread = answered / rows, z * z / rows
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * sqrt(max(share * (1 - share), 0) / rows + spread / rows / 4)
    return _rounded(max(middle - half, 0)), _rounded(min(middle + half, 1))


def _by_probability(labels: Labels, probabilities: Floats) -> tuple[Floats, Floats, Floats]:
    """The different probabilities, ascending, with the rows and the answers of each."""
    values, place = np.unique(probabilities, return_inverse=True)
    rows = np.bincount(place, minlength=len(values)).astype(np.float64)
    answered = np.bincount(place, weights=labels, minlength=len(values)).astype(np.float64)
    return values, rows, answered


def _reached(labels: Labels, probabilities: Floats) -> tuple[Floats, Floats]:
    """Answers and silent rows among those of at least each different probability, the greatest first."""
    _, rows, answered = _by_probability(labels, probabilities)
    return np.cumsum(answered[::-1]), np.cumsum((rows - answered)[::-1])


def _equal_parts(labels: Labels, values: Floats, parts: int) -> list[tuple[float, float, float]]:
    """Rows, sum of the values and answers of `parts` runs of equally many rows, by rising value."""
    if not len(labels):
        return []
    different, rows, answered = _by_probability(labels, values)
    sizes = [len(part) for part in np.array_split(np.arange(len(labels)), min(parts, len(labels)))]
    ends, known = np.cumsum([0, *sizes]), np.cumsum([0, *rows])
    sums = np.diff(np.interp(ends, known, np.cumsum([0, *(different * rows)])))
    counts = np.diff(np.interp(ends, known, np.cumsum([0, *answered])))
    return list(zip(map(float, sizes), sums.tolist(), counts.tolist(), strict=True))


def _points(across: Floats, up: Floats) -> tuple[Point, ...]:
    return tuple((_rounded(x), _rounded(y)) for x, y in zip(across, up, strict=True))


def _rounded(value: float) -> float:
    return round(float(value), 6)
