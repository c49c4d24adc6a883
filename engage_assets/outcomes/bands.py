"""How scores are parted for people: tenths, and the bands that these make up."""

from typing import Final

TENTHS: Final = tuple(f"{low / 10:.1f}-{(low + 1) / 10:.1f}" for low in range(10))
"""The buckets of the score, each including its lower end; the last includes 1."""
BANDS: Final = {"low": 0, "medium": 4, "high": 7}
"""Bands by their lowest tenth."""
