"""Whether a new model is put into use: compared with the one in use, the baseline and a constant on the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from threadpoolctl import threadpool_limits

from engage_assets.scoring.bootstrap import LOWER_IS_BETTER, RESAMPLES, metric_of, resampled
from engage_assets.scoring.calibration import MOST_ERROR, calibration_error, chance_error

FEWEST_JUDGED: Final = 20
"""Rows with and without an answer below which nothing is compared."""
_LEAST, _TAIL = 0.1, 2.5
_DECIMALS: Final = 6

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Verdict:
    """Whether a model may be put into use, why, and the figures that say so."""

    deploy: bool
    metric: str
    reasons: tuple[str, ...]
    """Where it may: what was found. Where not: every rule that it breaks."""
    figures: Mapping[str, float]
    """rows, customers, answered; of challenger, champion, baseline and constant the metric; of each but the first
    `<name>_gain`, `_gain_low`, `_gain_high` (the challenger's over it, and what 2.5 and 97.5 % of resamples lie below,
    as `_tail` has it; larger is better, whatever the metric); constant_gain_least (0.1 %); calibration_error and
    calibration_limit. To 6 decimals."""
    against: str | None = None
    """Version of the champion; None: there was none."""
    population: Literal["all", "explored"] = "all"
    """Which of the later rows were compared: all, or those that were drawn at random."""

    def to_json(self) -> dict[str, Any]:
        """As JSON takes it; `from_json` gives an equal verdict."""
        return {**asdict(self), "reasons": list(self.reasons), "figures": dict(self.figures)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The verdict that `to_json` wrote."""
        return cls(**{**content, "reasons": tuple(content["reasons"])})


def evaluate(
    challenger: Floats,
    champion: Floats | None,
    baseline: Floats,
    labels: Flags,
    customers: pl.Series,
    *,
    metric: str,
    seed: int,
    faults: Sequence[str] = (),
    resamples: int = RESAMPLES,
) -> Verdict:
    """Judge the challenger's probabilities on rows that no model learned from; all arrays have one entry per row.

    It may be put into use when all of this holds:
    1. there are at least 20 rows with and 20 without an answer;
    2. it is better than the champion: of the gains in `metric` on resampled customers, 97.5 % are above 0;
    3. it is not worse than the baseline: its metric on all rows is at least the baseline's. Without a champion, so
       that a program can begin: not surely worse (97.5 % of the gains are not below 0);
    4. without a champion, it is better than a constant: 99.9 % of the gains are above 0. A model that learned nothing
       equals its baseline, and there is no champion that would stop it;
    5. its calibration error is at most 0.02, or at most what a perfectly calibrated model stays below in 97.5 % of
       draws (`calibration.chance_error`), where the rows are too few to measure 0.02;
    6. there are no `faults`, such as features out of their contract: one line each.

    A challenger that is as good as the champion passes rule 2 in 2.5 % of cases; the other rules only take away. So
    that this holds with few customers too, the percentiles are moved outwards as `_tail` says.
    """
    answered = int(labels.sum())
    counts = {"rows": float(len(labels)), "customers": float(customers.n_unique()), "answered": float(answered)}
    if min(answered, len(labels) - answered) < FEWEST_JUDGED:
        few = (
            f"only {answered} rows with and {len(labels) - answered} without an answer came later than what the models"
            f" learned from; at least {FEWEST_JUDGED} of each are needed"
        )
        return Verdict(deploy=False, metric=metric, reasons=(few, *faults), figures=counts)
    rivals = {"baseline": baseline, "constant": np.full(len(labels), labels.mean())}
    if champion is not None:
        rivals = {"champion": champion, **rivals}
    with threadpool_limits(1):
        figures = counts | _comparison(metric, labels, customers, challenger, rivals, seed, resamples)
    figures |= {
        "calibration_error": calibration_error(labels, challenger),
        "calibration_limit": max(MOST_ERROR, chance_error(challenger, np.random.default_rng(seed))),
    }
    figures = {name: round(value, _DECIMALS) for name, value in figures.items()}
    broken = [*_broken(metric, figures), *faults]
    reasons = broken or _found(metric, figures)
    return Verdict(deploy=not broken, metric=metric, reasons=tuple(reasons), figures=figures)


def _comparison(
    metric: str,
    labels: Flags,
    customers: pl.Series,
    challenger: Floats,
    rivals: Mapping[str, Floats],
    seed: int,
    resamples: int,
) -> dict[str, float]:
    """The metric of each model, and the challenger's gain over each rival."""
    models = {"challenger": challenger, **rivals}
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    figures = {name: metric_of(metric, labels, given) for name, given in models.items()}
    tail = _tail(labels, customers)
    drawn = resampled(metric, labels, customers, models, seed=seed, resamples=resamples)
    for name in rivals:
        # A resample in which nobody answered shows no gain.
        gains = np.nan_to_num(sign * (drawn["challenger"] - drawn[name]))
        least, low, high = (float(bound) for bound in np.percentile(gains, [_LEAST, tail, 100 - tail]))
        gain = sign * (figures["challenger"] - figures[name])
        figures |= {f"{name}_gain": gain, f"{name}_gain_low": low, f"{name}_gain_high": high}
        if name == "constant":
            figures["constant_gain_least"] = least
    return figures


def _tail(labels: Flags, customers: pl.Series) -> float:
    """2.5 %, less where few customers make resamples vary too little.

    The expanded percentile interval of Hesterberg (2015), What Teachers Should Know About the Bootstrap: the tail is
    Φ(√(n ÷ (n − 1)) t), t the 2.5 % point of Student's t with n − 1 degrees of freedom. n is the number of customers
    with, or without, an answer, whichever is smaller.
    """
    from scipy.special import ndtr, stdtrit  # noqa: PLC0415  as heavy as scikit-learn, for training only

    n = max(2, min(customers.filter(pl.Series(side)).n_unique() for side in (labels, ~labels)))
    return float(100 * ndtr(np.sqrt(n / (n - 1)) * stdtrit(n - 1, _TAIL / 100)))


def _broken(metric: str, figures: Mapping[str, float]) -> list[str]:
    """The rules that the figures break, one line each."""
    found = []
    if "champion" in figures:
        if figures["champion_gain_low"] <= 0:
            found.append(f"not surely better than the champion: {_gain(metric, figures, 'champion')}")
        if figures["baseline_gain"] < 0:
            found.append(f"worse than the baseline: {_gain(metric, figures, 'baseline')}")
    else:
        if figures["baseline_gain_high"] < 0:
            found.append(f"surely worse than the baseline: {_gain(metric, figures, 'baseline')}")
        if figures["constant_gain_least"] <= 0:
            found.append(f"not surely better than a constant: {_gain(metric, figures, 'constant')}")
    if figures["calibration_error"] > figures["calibration_limit"]:
        found.append(f"badly calibrated: {_calibration(figures)}")
    return found


def _found(metric: str, figures: Mapping[str, float]) -> list[str]:
    rivals = [name for name in ("champion", "baseline") if name in figures]
    return [*(f"against the {name}: {_gain(metric, figures, name)}" for name in rivals), _calibration(figures)]


def _gain(metric: str, figures: Mapping[str, float], rival: str) -> str:
    gain, low, high = (figures[f"{rival}_gain{end}"] for end in ("", "_low", "_high"))
    return (
        f"{metric} {figures['challenger']:.4f}, the {rival}'s {figures[rival]:.4f}; gain {gain:+.4f}"
        f" ({low:+.4f} to {high:+.4f} in 95 % of resamples of {figures['customers']:.0f} customers)"
    )


def _calibration(figures: Mapping[str, float]) -> str:
    limit = figures["calibration_limit"]
    why = "" if limit <= MOST_ERROR else f", as {figures['rows']:.0f} rows cannot show {MOST_ERROR} (chance alone)"
    return f"calibration error {figures['calibration_error']:.4f}, at most {limit:.4f} allowed{why}"
