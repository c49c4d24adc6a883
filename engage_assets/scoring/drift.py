"""Whether the scores of a partition still spread as those of the model's reference population did."""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from engage_assets.scoring.curves import BINS, Floats

MOST_PSI: Final = 0.2
"""A population stability index above which scores have drifted, by the custom of credit scoring."""
QUANTILE: Final = 0.99
"""Of what chance alone gives: of 100 partitions in which nothing changed, one at most exceeds it."""

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ScoreDrift:
    """The population stability index of scores against the reference population. None: nothing to compare."""

    value: float | None
    threshold: float
    by_chance: float | None
    rows: int
    reference_rows: int
    is_alarming: bool
    words: str


def psi(reference: Floats, scores: Floats, bins: int = BINS) -> float:
    """Population stability index, Σ (q − p) ln (q ÷ p), over fixed tenths of the reference.

    p and q are the shares of `reference` and `scores` in each tenth. Half a row is added to each, so that an empty
    tenth gives no infinity; tenths that ties leave empty in both count nothing. Neither may be empty.
    """
    return _index(*_used_tenths(reference, scores, bins))


def psi_null(reference_rows: int, rows: int, bins: int = BINS, quantile: float = QUANTILE) -> float:
    """The index that chance alone exceeds in 1 − `quantile` of cases, where nothing has changed.

    Two samples of one population: the index is near (1 ÷ reference_rows + 1 ÷ rows) × chi-square of bins − 1 degrees
    of freedom (Yurdakul 2018, Statistical Properties of Population Stability Index), as ln (q ÷ p) ≈ (q − p) ÷ p
    makes it Pearson's statistic. Rows count as independent.
    """
    return chi_square_quantile(bins - 1, quantile) * (1 / reference_rows + 1 / rows)


def chi_square_quantile(degrees: int, quantile: float) -> float:
    """Within 3 % of the quantile (0.5 % from 5 degrees on), quantiles from 0.9 to 0.99 (Wilson and Hilferty 1931)."""
    if degrees < 1:
        return 0.0
    spread = 2 / (9 * degrees)
    return float(degrees * (1 - spread + NormalDist().inv_cdf(quantile) * sqrt(spread)) ** 3)


def score_drift(reference: Floats, scores: Floats) -> ScoreDrift:
    """Compare a partition's scores with the model's reference population, both on one scale.

    Probabilities do as well as scores, as only ranks matter. NaN (refused by a model) is left out. Alarming is an
    index above MOST_PSI that chance does not explain.
    """
    scores = scores[~np.isnan(scores)]
    if not len(scores) or not len(reference):
        words = f"no drift to measure: {len(scores):,} scores, {len(reference):,} reference rows"
        return ScoreDrift(None, MOST_PSI, None, len(scores), len(reference), is_alarming=False, words=words)
    before, now = _used_tenths(reference, scores, BINS)
    value, by_chance = _index(before, now), psi_null(len(reference), len(scores), len(before))
    return ScoreDrift(
        value=round(value, 6),
        threshold=MOST_PSI,
        by_chance=round(by_chance, 6),
        rows=len(scores),
        reference_rows=len(reference),
        is_alarming=value > max(MOST_PSI, by_chance),
        words=f"PSI {value:.3f} of {len(scores):,} scores against {len(reference):,} reference rows;"
        f" alarming above {MOST_PSI:g}, chance alone gives up to {by_chance:.3f}",
    )


def _used_tenths(reference: Floats, scores: Floats, bins: int) -> tuple[Counts, Counts]:
    """Rows of both in each tenth of the reference that holds any: tenth t has ranks from t ÷ bins on."""
    ascending = np.sort(reference)
    before, now = (
        np.bincount(np.minimum(below * bins // len(ascending), bins - 1), minlength=bins)
        for below in (np.searchsorted(ascending, values, side="left") for values in (ascending, scores))
    )
    used = (before + now) > 0
    return before[used], now[used]


def _index(before: Counts, now: Counts) -> float:
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (before, now))
    return float(((q - p) * np.log(q / p)).sum())
