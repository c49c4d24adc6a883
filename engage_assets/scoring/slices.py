"""How good a model is within each marketplace, where there are rows enough to say so."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engage_assets.scoring.calibration import calibration_error, chance_error
from engage_assets.scoring.curves import Floats, Labels, auc

FEWEST: Final = 30
"""Rows with and rows without an answer below which a slice's figures would be noise."""
UNKNOWN: Final = "unknown"


@dataclass(frozen=True)
class Slice:
    """A model's figures on the rows of one marketplace; None where the rows are too few."""

    name: str
    rows: int
    base_rate: float
    auc: float | None
    calibration_error: float | None
    calibration_by_chance: float | None
    """What the error of perfectly calibrated probabilities stays below in 97.5 % of draws on so many rows."""
    note: str
    """Why it is not judged; empty where it is."""

    @property
    def is_judged(self) -> bool:
        """Whether there were rows enough."""
        return not self.note


def slices(
    labels: Labels, probabilities: Floats, marketplaces: Sequence[str | None], *, seed: int
) -> tuple[Slice, ...]:
    """One slice per marketplace, by name; rows without one are `unknown`. `seed` decides what chance gives."""
    names = np.array([name or UNKNOWN for name in marketplaces], dtype=object)
    return tuple(
        _slice(name, labels[rows], probabilities[rows], seed) for name in sorted(set(names)) for rows in [names == name]
    )


def _slice(name: str, labels: Labels, probabilities: Floats, seed: int) -> Slice:
    answered = int(labels.sum())
    silent = len(labels) - answered
    note = "" if min(answered, silent) >= FEWEST else _too_few(answered, silent)
    return Slice(
        name=name,
        rows=len(labels),
        base_rate=round(float(labels.mean()), 6),
        auc=None if note else _rounded(auc(labels, probabilities)),
        calibration_error=None if note else _rounded(calibration_error(labels, probabilities)),
        calibration_by_chance=None if note else _rounded(chance_error(probabilities, np.random.default_rng(seed))),
        note=note,
    )


def _too_few(answered: int, silent: int) -> str:
    return f"too few to judge: {answered:,} with and {silent:,} without an answer; {FEWEST} of each are needed"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
