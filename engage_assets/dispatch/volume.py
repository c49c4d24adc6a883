"""Input volume: whether a day's records are so many or so few that something must be wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median
from typing import Final, Literal

ENOUGH: Final = 4
"""Earlier same weekdays that a band needs."""
_MADS: Final = 4
_NORMAL: Final = 1.4826
"""The MAD of normal data times this is their standard deviation."""
_SHARE: Final = 0.025


@dataclass(frozen=True)
class VolumeVerdict:
    """What is to be done, and why, with the arithmetic."""

    action: Literal["ok", "needs_approval", "refused"]
    why: str


def judge_volume(count: int, earlier_same_weekdays: Sequence[int], minimum: int) -> VolumeVerdict:
    """Judge the input records of a day by those of the same weekdays before it.

    `refused` outside median ± 4 MAD. With fewer than four earlier days, or fewer records than `minimum`, no band says
    anything: `needs_approval`.

    The MAD (median distance from the median) is scaled by 1.4826, so that 4 of them are 4 standard deviations of
    normal data; it is at least 2.5 % of the median, the square root of the median, and 1. Unscaled, or without that
    floor, the MAD of four days is too often tiny by chance, and 0 where all are equal: with counts that vary by 5 %
    one good day in six would be refused (unscaled, floor of 1 %), with both it is one in thirty, and a day that has
    only half of its records is refused all the same. Counts of independent events vary by their square root at least.
    """
    days = len(earlier_same_weekdays)
    if count < minimum:
        return VolumeVerdict("needs_approval", f"{count:,} input records, fewer than minimumVolume {minimum:,}")
    if days < ENOUGH:
        return VolumeVerdict(
            "needs_approval", f"{count:,} input records, and only {days} earlier same weekdays of the {ENOUGH} needed"
        )
    middle = median(earlier_same_weekdays)
    mad = median(abs(earlier - middle) for earlier in earlier_same_weekdays)
    spread = max(mad * _NORMAL, middle * _SHARE, sqrt(middle), 1)
    low, high = max(middle - _MADS * spread, 0), middle + _MADS * spread
    is_inside = low <= count <= high
    place = "inside" if is_inside else "outside"
    band = f"{low:,.0f} to {high:,.0f} (median {middle:,.0f} of {days} same weekdays ± {_MADS} × {spread:,.1f})"
    return VolumeVerdict("ok" if is_inside else "refused", f"{count:,} input records, {place} {band}")
