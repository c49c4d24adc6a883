"""Whether a model in use still fits: calibration of what has matured, and features that fall to their default.

Each figure stands beside what chance alone would give for so many rows, so that few rows raise no alarm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import polars as pl

from engage_assets.domain.errors import ModelError
from engage_assets.domain.feature_views import missing_flag
from engage_assets.scoring.calibration import MOST_ERROR, calibration_error, chance_error
from engage_assets.scoring.curves import Floats, Labels, wilson
from engage_assets.scoring.drift import QUANTILE

MOST_RISE: Final = 0.1
"""By how much a feature's share of defaults may exceed that of the training window."""


@dataclass(frozen=True)
class MaturedCalibration:
    """Predicted probabilities against what came, once the time for an answer is over. None: no rows."""

    value: float | None
    threshold: float
    by_chance: float | None
    rows: int
    predicted: float | None
    """Mean probability."""
    answered: float | None
    is_alarming: bool
    words: str


@dataclass(frozen=True)
class DefaultShares:
    """The share of rows of which a feature knew nothing, beside the same share among the training examples."""

    rows: int
    shares: Mapping[str, float]
    trained: Mapping[str, float]
    risen: tuple[str, ...]
    is_alarming: bool
    words: str


def matured_calibration(probabilities: Floats, labels: Labels, *, seed: int) -> MaturedCalibration:
    """The calibration error over ten equally large bins of rows whose time for an answer is over.

    Alarming is an error above MOST_ERROR that chance does not explain (`calibration.chance_error`).
    """
    if not len(labels):
        words = "no calibration to measure: no row whose time for an answer is over"
        return MaturedCalibration(None, MOST_ERROR, None, 0, None, None, is_alarming=False, words=words)
    error = calibration_error(labels, probabilities)
    by_chance = chance_error(probabilities, np.random.default_rng(seed))
    predicted, answered = float(probabilities.mean()), float(labels.mean())
    return MaturedCalibration(
        value=round(error, 6),
        threshold=MOST_ERROR,
        by_chance=round(by_chance, 6),
        rows=len(labels),
        predicted=round(predicted, 6),
        answered=round(answered, 6),
        is_alarming=error > max(MOST_ERROR, by_chance),
        words=f"calibration error {error:.4f} over {len(labels):,} rows: {predicted:.1%} predicted, {answered:.1%}"
        f" answered; alarming above {MOST_ERROR:g}, chance alone gives up to {by_chance:.4f}",
    )


def missing_shares(frame: pl.DataFrame, features: Sequence[str]) -> dict[str, float]:
    """The share of rows of which each feature knew nothing, out of its Boolean flag `<feature>_missing`.

    Raises ModelError where a flag is not among the columns.
    """
    lacking = [missing_flag(name) for name in features if missing_flag(name) not in frame.columns]
    if lacking:
        raise ModelError(
            f"the rows lack {', '.join(lacking)}; they have {', '.join(frame.columns)}."
            " Join the features with the feature store, which adds the flags"
        )
    if frame.is_empty():
        return dict.fromkeys(features, 0.0)
    return {name: round(int(frame[missing_flag(name)].sum()) / frame.height, 6) for name in features}


def default_shares(frame: pl.DataFrame, features: Sequence[str], trained: Mapping[str, float]) -> DefaultShares:
    """Compare each feature's share of defaults with `trained`, the same share among the training examples.

    Alarming is a share that exceeds it by more than MOST_RISE, and not by chance (the lower end of the share's 99 %
    interval does), or a feature of which nothing is known any more though something was. A feature that `trained`
    lacks is shown and never alarming.
    """
    shares = missing_shares(frame, features)
    compared = {name: trained[name] for name in features if name in trained}
    risen = tuple(name for name, before in compared.items() if _has_risen(shares[name], before, frame.height))
    return DefaultShares(
        rows=frame.height,
        shares=shares,
        trained=compared,
        risen=risen,
        is_alarming=bool(risen),
        words=_words(shares, compared, risen, frame.height),
    )


def _has_risen(share: float, trained: float, rows: int) -> bool:
    if not rows:
        return False
    low, _ = wilson(share * rows, rows, z=NormalDist().inv_cdf(0.995))
    is_extinct = share == 1 and trained**rows < 1 - QUANTILE
    return low > trained + MOST_RISE or is_extinct


def _words(shares: Mapping[str, float], trained: Mapping[str, float], risen: Sequence[str], rows: int) -> str:
    if not risen:
        return f"{len(trained)} of {len(shares)} features compared over {rows:,} rows; no share of defaults has risen"
    told = ", ".join(f"{name} in {shares[name]:.1%} (training: {trained[name]:.1%})" for name in risen)
    return f"nothing is known of {told} of {rows:,} rows"
