"""Input volume: the band around earlier same weekdays."""

import numpy as np
import pytest

from engage_assets.dispatch.volume import judge_volume

DAYS = [9_000, 9_600, 10_000, 10_400, 30_000]
"""Median 10,000; distances 1,000 400 0 400 20,000: MAD 400, 593 as a standard deviation, the band 7,628 to 12,372."""


@pytest.mark.parametrize(
    ("count", "earlier", "minimum", "action"),
    [
        (7_628, DAYS, 0, "ok"),
        (7_627, DAYS, 0, "refused"),
        (12_372, DAYS, 0, "ok"),
        (12_373, DAYS, 0, "refused"),
        (0, DAYS, 0, "refused"),
        (10_000, DAYS[:3], 0, "needs_approval"),
        (50, DAYS[:3], 0, "needs_approval"),
        (10_000, DAYS, 10_001, "needs_approval"),
        (7_000, DAYS, 7_001, "needs_approval"),
        (9_000, [10_000] * 4, 0, "ok"),
        (8_999, [10_000] * 4, 0, "refused"),
        (40, [100] * 4, 0, "refused"),
        (60, [100] * 4, 0, "ok"),
        (4, [0] * 4, 0, "ok"),
        (5, [0] * 4, 0, "refused"),
    ],
)
def test_band(count, earlier, minimum, action):
    assert judge_volume(count, earlier, minimum).action == action


def test_it_says_the_arithmetic():
    assert judge_volume(100, [1_000] * 4, 0).why == (
        "100 input records, outside 874 to 1,126 (median 1,000 of 4 same weekdays ± 4 × 31.6)"
    )
    assert judge_volume(7, [], 20).why == "7 input records, fewer than minimumVolume 20"


def test_good_days_pass_and_half_days_do_not():
    random = np.random.default_rng(1)
    weeks = random.lognormal(np.log(10_000), 0.05, (2_000, 5)).astype(int).tolist()

    good = [judge_volume(today, earlier, 0).action for *earlier, today in weeks]
    half = [judge_volume(today // 2, earlier, 0).action for *earlier, today in weeks]

    assert good.count("refused") < 0.05 * len(weeks)
    assert half.count("refused") > 0.99 * len(weeks)
