"""Metrics of a model on resampled customers, exactly, and many resamples at a time."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

RESAMPLES: Final = 1000
_AT_ONCE: Final = 500_000
"""Weights in memory at a time."""
_HALF_A_STEP: Final = 5e-7
"""Probabilities have 6 decimals: one that was rounded to 0 or 1 costs as much as half a step inside."""

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
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


def _tied(labels: Flags, probabilities: Floats, codes: npt.NDArray[np.intp]) -> Callable[[Floats], tuple[Floats, ...]]:
    """From weights of customers to those of rows with and without an answer, added up by probability, ascending."""
    order = np.argsort(probabilities, kind="stable")
    ascending = probabilities[order]
    starts = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]])
    answered, who = labels[order].astype(np.float64), codes[order]

    def added_up(weights: Floats) -> tuple[Floats, ...]:
        rows = weights[:, who]
        positive = rows * answered
        return np.add.reduceat(positive, starts, axis=1), np.add.reduceat(rows - positive, starts, axis=1)

    return added_up


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Part ÷ whole; NaN where the whole is 0."""
    ratio: Floats = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return ratio


def _roc_auc(labels: Flags, probabilities: Floats, codes: npt.NDArray[np.intp]) -> Measure:
    """The share of pairs (answered, silent) in which the answered one has the higher probability; ties count half."""
    added_up = _tied(labels, probabilities, codes)

    def measure(weights: Floats) -> Floats:
        positive, negative = added_up(weights)
        below = np.cumsum(negative, axis=1) - negative / 2
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        return _ratio((positive * below).sum(axis=1), pairs)

    return measure


def _average_precision(labels: Flags, probabilities: Floats, codes: npt.NDArray[np.intp]) -> Measure:
    """Mean precision over the answered, at the threshold that each one's own probability makes."""
    added_up = _tied(labels, probabilities, codes)

    def measure(weights: Floats) -> Floats:
        positive, negative = (side[:, ::-1] for side in added_up(weights))
        found, taken = np.cumsum(positive, axis=1), np.cumsum(positive + negative, axis=1)
        precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
        return _ratio((positive * precision).sum(axis=1), positive.sum(axis=1))

    return measure


def _log_loss(labels: Flags, probabilities: Floats, codes: npt.NDArray[np.intp]) -> Measure:
    """Mean of −log of the probability that was given to what came true."""
    given = np.clip(probabilities, _HALF_A_STEP, 1 - _HALF_A_STEP)
    lost = -np.log(np.where(labels, given, 1 - given))
    by_customer = np.bincount(codes, weights=lost)
    rows = np.bincount(codes).astype(np.float64)

    def measure(weights: Floats) -> Floats:
        loss: Floats = (weights @ by_customer) / (weights @ rows)
        return loss

    return measure


METRICS: Final[dict[str, Callable[[Flags, Floats, npt.NDArray[np.intp]], Measure]]] = {
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
    "log_loss": _log_loss,
}
"""What a model may be judged by."""
LOWER_IS_BETTER: Final = frozenset({"log_loss"})
