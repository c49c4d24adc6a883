"""How far probabilities are from what came true, and how far they would be by chance alone."""

from typing import Final

import numpy as np
import numpy.typing as npt

BINS: Final = 10
MOST_ERROR: Final = 0.02
"""Calibration error above which a model is not put into use."""
_DRAWS: Final = 2000
_CHANCE_QUANTILE: Final = 97.5

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def calibration_error(labels: Flags, probabilities: Floats) -> float:
    """Expected calibration error: mean over 10 equally large bins of |mean probability − share of answers|."""
    gaps = [len(rows) * abs(probabilities[rows].mean() - labels[rows].mean()) for rows in _equally_large(probabilities)]
    return float(sum(gaps) / len(probabilities))


def chance_error(probabilities: Floats, rng: np.random.Generator) -> float:
    """The calibration error that perfectly calibrated probabilities stay below in 97.5 % of draws of the labels.

    The share of answers of a bin of n rows is taken as normal about its mean probability, with variance
    Σ p (1 − p) ÷ n². With many rows it is near zero; with 1,000 rows and a base rate of 10 % it is about 0.04.
    """
    bins = _equally_large(probabilities)
    spread = np.array([np.sqrt((probabilities[rows] * (1 - probabilities[rows])).sum()) for rows in bins])
    gaps = np.abs(rng.standard_normal((_DRAWS, len(bins)))) @ spread
    return float(np.percentile(gaps / len(probabilities), _CHANCE_QUANTILE))


def _equally_large(probabilities: Floats) -> list[npt.NDArray[np.intp]]:
    order = np.argsort(probabilities, kind="stable")
    return np.array_split(order, min(BINS, len(order)))
