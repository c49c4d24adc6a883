"""How many of those who are registered will come: the sum of their probabilities, and an interval about it."""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

LEVEL: Final = 0.9
"""The share of events whose attendance an interval shall hold."""
EXACT: Final = 100
"""People up to which the distribution of their sum is exact; of more it is normal."""

Floats = npt.NDArray[np.float64]

_NORMAL: Final = NormalDist()


def _equally_likely(places: int) -> Floats:
    """Values of a standard normal deviate, each with the same chance."""
    found = np.array([_NORMAL.inv_cdf((place + 0.5) / places) for place in range(places)])
    return np.asarray(found / found.std())


_NODES: Final = _equally_likely(101)
"""Many, as each makes a narrow peak where many are registered."""
_FEW_NODES: Final = _equally_likely(15)
_SPREADS: Final[Floats] = np.arange(0, 1.51, 0.05)
_PRIOR_SCALE: Final = 0.5
_DAMPING: Final = (16 * math.sqrt(3) / (15 * math.pi)) ** 2
_DECIMALS: Final = 6


@dataclass(frozen=True)
class Forecast:
    """Attendance that is expected, and the interval that holds it with probability LEVEL, both ends included."""

    expected: float
    low: int
    high: int


def forecast(probabilities: Floats, spread: float) -> Forecast:
    """Attendance of people with these probabilities of coming; `spread`: see `spread_of`.

    Given what all of them share, people come independently of each other: the sum is Poisson-binomial. What they
    share, the weather or the speaker, moves the logit of all by a normal deviate of standard deviation `spread`.
    """
    at_most = _exactly(probabilities, spread) if len(probabilities) <= EXACT else _nearly(probabilities, spread)
    low, high = (_first(at_most, len(probabilities), edge) for edge in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Forecast(round(float(probabilities.sum()), _DECIMALS), low, high)


def spread_of(events: Sequence[tuple[Floats, int]]) -> float:
    """How far events lie from what single people's probabilities let expect: a standard deviation of the logit.

    `events`: of each, probabilities of who was registered and how many came, both of events that no model has learned
    from. The posterior mean on a grid from 0 to 1.5 under a half-normal prior of scale 0.5: without events 0.38, with
    many what they show.
    """
    logs = -0.5 * (_SPREADS / _PRIOR_SCALE) ** 2
    for probabilities, attended in events:
        if len(probabilities):
            logs = logs + np.array([_log_likelihood(probabilities, attended, spread) for spread in _SPREADS])
    weights = np.exp(logs - logs.max())
    return round(float((weights * _SPREADS).sum() / weights.sum()), _DECIMALS)


def from_history(attended: Sequence[int]) -> Forecast | None:
    """What past events let expect of one for which nobody is registered; None: there are none."""
    if not attended:
        return None
    edges = np.quantile(attended, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
    return Forecast(round(float(np.mean(attended)), _DECIMALS), int(edges[0]), int(edges[1]))


def share_of(attended: int, registered: int) -> float:
    """The probability of coming where nothing tells people apart: (attended + 1) ÷ (registered + 2)."""
    return round((attended + 1) / (registered + 2), _DECIMALS)


def _moved(probabilities: Floats, spread: float, nodes: Floats) -> Floats:
    """Probabilities once the logit of all has moved, a row per node.

    The mean over the moves stays, as nearly as a probit's would.
    """
    sure = np.clip(probabilities, 1e-9, 1 - 1e-9)
    logits = np.log(sure / (1 - sure)) * math.sqrt(1 + _DAMPING * spread**2)
    moved: Floats = 1 / (1 + np.exp(-(logits + spread * nodes[:, None])))
    return moved


def _exactly(probabilities: Floats, spread: float) -> Callable[[int], float]:
    """The chance of at most so many: Poisson-binomial, all nodes at once."""
    moved = _moved(probabilities, spread, _NODES)
    masses = np.zeros((len(_NODES), len(probabilities) + 1))
    masses[:, 0] = 1
    for one in moved.T:
        masses[:, 1:] = masses[:, 1:] * (1 - one)[:, None] + masses[:, :-1] * one[:, None]
        masses[:, 0] *= 1 - one
    below = np.cumsum(masses.mean(axis=0))
    return lambda number: float(below[number])


def _nearly(probabilities: Floats, spread: float) -> Callable[[int], float]:
    """Likewise, the sum being taken as normal at each node."""
    moved = _moved(probabilities, spread, _NODES)
    means, deviations = moved.sum(axis=1), np.sqrt((moved * (1 - moved)).sum(axis=1) + 1e-12)

    def at_most(number: int) -> float:
        return sum(map(_NORMAL.cdf, (number + 0.5 - means) / deviations)) / len(means)

    return at_most


def _first(at_most: Callable[[int], float], people: int, edge: float) -> int:
    """The least number that is not exceeded with probability `edge`."""
    return bisect_left(range(people), edge - 1e-9, key=at_most)


def _log_likelihood(probabilities: Floats, attended: int, spread: float) -> float:
    """Of an event's attendance, which is taken as normal about its mean over the moves."""
    moved = _moved(probabilities, spread, _FEW_NODES)
    sums = moved.sum(axis=1)
    variance = (moved * (1 - moved)).sum(axis=1).mean() + sums.var() + 1 / 12
    return float(-0.5 * (attended - sums.mean()) ** 2 / variance - 0.5 * math.log(variance))
