"""What each feature is worth to a model: the AUC that it loses when the feature's values are shuffled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.curves import Floats, Labels, auc

MOST_ROWS: Final = 20_000
"""More rows are sampled down to so many: the loss is then known to about 0.005, and a card takes seconds."""


@dataclass(frozen=True)
class Importance:
    """The mean loss of AUC over the shuffles, and their standard deviation. Below 0: chance."""

    feature: str
    loss: float
    spread: float


def permutation_importance(
    predict: Callable[[pl.DataFrame], Floats],
    rows: pl.DataFrame,
    labels: Labels,
    features: Sequence[str],
    *,
    seed: int,
    repeats: int = 5,
) -> tuple[Importance, ...]:
    """The features by falling loss of AUC (Breiman 2001); `predict` gives the probability of each row.

    Each feature is shuffled by itself, so two that say the same share what they are worth. The same seed gives the
    same figures, whatever the order of `features`. Raises ModelError where `labels` are of one class.
    """
    rows, labels = _sampled(rows, labels, seed)
    whole = auc(labels, predict(rows))
    if whole is None:
        raise ModelError(
            f"importance of features cannot be measured: {int(labels.sum())} of {len(labels)} rows are answered;"
            " rows with and without an answer are needed"
        )
    found = [_importance(predict, rows, labels, name, whole=whole, seed=seed, repeats=repeats) for name in features]
    return tuple(sorted(found, key=lambda one: (-one.loss, one.feature)))


def _importance(
    predict: Callable[[pl.DataFrame], Floats],
    rows: pl.DataFrame,
    labels: Labels,
    feature: str,
    *,
    whole: float,
    seed: int,
    repeats: int,
) -> Importance:
    random = np.random.default_rng(seed)
    losses = []
    for _ in range(repeats):
        shuffled = rows.with_columns(rows[feature][random.permutation(rows.height)])
        losses.append(whole - (auc(labels, predict(shuffled)) or 0))
    return Importance(feature, round(float(np.mean(losses)), 6), round(float(np.std(losses)), 6))


def _sampled(rows: pl.DataFrame, labels: Labels, seed: int) -> tuple[pl.DataFrame, Labels]:
    if rows.height <= MOST_ROWS:
        return rows, labels
    kept = np.sort(np.random.default_rng(seed).choice(rows.height, MOST_ROWS, replace=False))
    return rows[kept], labels[kept]
