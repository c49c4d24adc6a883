"""Metrics of a model on resampled customers, exactly, and many resamples at a time."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

RESAMPLES: Final = 1000
_AT_ONCE: Final = 500_000
"""Weights in memory at a time."""
_HALF_A_STEP: Final = 5e-7
"""Probabilities have 6 decimals: one that was rounded to 0 or 1 costs as much as half a step inside."""

_SIDES: Final[tuple[Literal["left"], Literal["right"]]] = ("left", "right")

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.intp]
Measure = Callable[[Floats], Floats]
"""From weights (resamples × customers) to the metric of each resample; NaN where a class is missing."""


def metric_of(metric: str, labels: Flags, probabilities: Floats) -> float:
    """The metric on all rows, each counted once."""
    alone = np.arange(len(labels))
    return float(METRICS[metric](labels, probabilities, alone)(np.ones((1, len(labels))))[0])


def resampled(
    metric: str,
    labels: Flags,
    customers: pl.Series,
    probabilities: Mapping[str, Floats],
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> dict[str, Floats]:
    """The metric of each model of `probabilities` on the same resamples, one value per resample.

    A resample draws as many customers as there are, with replacement, and all rows of a customer come with it: rows
    of one person are not independent. All models see the same resamples, so differences can be taken one by one.
    `metric` is roc_auc, average_precision or log_loss. The order of rows changes nothing but ties in the last digit.
    """
    codes = customers.rank("dense").to_numpy().astype(np.intp) - 1
    measures = {name: METRICS[metric](labels, given, codes) for name, given in probabilities.items()}
    blocks = [
        {name: measure(weights) for name, measure in measures.items()}
        for weights in _draws(int(codes.max()) + 1, max(1, _AT_ONCE // len(codes)), resamples, seed)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in measures}


def _draws(customers: int, at_once: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each customer was drawn, some resamples at a time."""
    rng = np.random.default_rng(seed)
    for begin in range(0, resamples, at_once):
        drawn = [
            np.bincount(rng.integers(0, customers, customers), minlength=customers)
            for _ in range(min(at_once, resamples - begin))
        ]
        yield np.stack(drawn).astype(np.float64)


def _ascending(rows: Flags, probabilities: Floats, codes: Codes) -> tuple[Floats, Codes]:
    """Of the rows that `rows` marks: their probabilities, ascending, and their customers."""
    order = np.argsort(probabilities[rows], kind="stable")
    return probabilities[rows][order], codes[rows][order]


def _added_up(weights: Floats, codes: Codes) -> Floats:
    """For each resample the weights of the first 0, 1, 2, … rows together."""
    added_up = np.zeros((len(weights), len(codes) + 1))
    np.cumsum(np.take(weights, codes, axis=1), axis=1, out=added_up[:, 1:])
    return added_up


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Part ÷ whole; NaN where the whole is 0."""
    ratio: Floats = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return ratio


def _roc_auc(labels: Flags, probabilities: Floats, codes: Codes) -> Measure:
    """The share of pairs (answered, silent) in which the answered one has the higher probability; ties count half."""
    answered, who = _ascending(labels, probabilities, codes)
    silent, others = _ascending(~labels, probabilities, codes)
    below, up_to = (np.searchsorted(silent, answered, side) for side in _SIDES)

    def measure(weights: Floats) -> Floats:
        mine, theirs = np.take(weights, who, axis=1), _added_up(weights, others)
        won = (theirs[:, below] + theirs[:, up_to]) / 2
        return _ratio((mine * won).sum(axis=1), mine.sum(axis=1) * theirs[:, -1])

    return measure


def _average_precision(labels: Flags, probabilities: Floats, codes: Codes) -> Measure:
    """Mean precision over the answered, at the threshold that each one's own probability makes."""
    answered, who = _ascending(labels, probabilities, codes)
    silent, others = _ascending(~labels, probabilities, codes)
    own_below, below = (np.searchsorted(side, answered, "left") for side in (answered, silent))

    def measure(weights: Floats) -> Floats:
        mine, theirs = _added_up(weights, who), _added_up(weights, others)
        found = mine[:, -1:] - mine[:, own_below]
        taken = found + theirs[:, -1:] - theirs[:, below]
        precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
        return _ratio((np.diff(mine, axis=1) * precision).sum(axis=1), mine[:, -1])

    return measure


def _log_loss(labels: Flags, probabilities: Floats, codes: Codes) -> Measure:
    """Mean of −log of the probability that was given to what came true."""
    given = np.clip(probabilities, _HALF_A_STEP, 1 - _HALF_A_STEP)
    lost = -np.log(np.where(labels, given, 1 - given))
    by_customer = np.bincount(codes, weights=lost)
    rows = np.bincount(codes).astype(np.float64)

    def measure(weights: Floats) -> Floats:
        loss: Floats = (weights @ by_customer) / (weights @ rows)
        return loss

    return measure


METRICS: Final[dict[str, Callable[[Flags, Floats, Codes], Measure]]] = {
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
    "log_loss": _log_loss,
}
"""What a model may be judged by."""
LOWER_IS_BETTER: Final = frozenset({"log_loss"})
