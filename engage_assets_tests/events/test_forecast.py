"""How many will come: the sum of probabilities, its interval, and how far events lie from it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.events.forecast import EXACT, forecast, from_history, share_of, spread_of


def shown(probabilities, spread=0.0):
    found = forecast(np.array(probabilities, dtype=float), spread)
    return found.expected, found.low, found.high


def test_the_interval_of_few_is_exact():
    assert shown([]) == (0, 0, 0)
    assert shown([1, 1]) == (2, 2, 2)
    assert shown([0.5]) == (0.5, 0, 1)
    # Of 20 who come with 0.7: at most 10 with 4.8 %, at most 11 with 11.3 %; at most 16 with 89.3, 17 with 96.5 %.
    assert shown([0.7] * 20) == (14, 11, 17)


def test_many_are_taken_as_normal_and_join_on_to_the_few():
    assert shown([0.7] * 1000) == (700, 676, 724)
    few, many = ([0.3 + 0.4 * (place / number) for place in range(number)] for number in (EXACT, EXACT + 1))
    assert np.allclose(shown(few), shown(many), atol=1.5)


def test_what_people_share_widens_the_interval_and_moves_no_mean():
    alone, together = shown([0.7] * 200), shown([0.7] * 200, spread=0.5)
    assert alone[0] == together[0]
    assert together[1] < alone[1]
    assert together[2] > alone[2]


@given(st.lists(st.floats(0, 1), max_size=150), st.floats(0, 1.5))
@settings(max_examples=40, deadline=None)
def test_the_interval_lies_among_the_people_and_is_wider_the_more_events_differ(chances, spread):
    expected, low, high = shown(chances, spread)
    assert 0 <= low <= high <= len(chances)
    assert expected == pytest.approx(sum(chances), abs=1e-5)
    _, narrow_low, narrow_high = shown(chances, 0)
    assert high - low >= narrow_high - narrow_low - 1


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_nine_of_ten_events_lie_within_their_interval(spread):
    random = np.random.default_rng(3)

    def event():
        chances = random.beta(6, 3, 60)
        moved = 1 / (1 + np.exp(-(np.log(chances / (1 - chances)) + spread * random.standard_normal())))
        return chances, int((random.random(60) < moved).sum())

    learned = spread_of([event() for _ in range(60)])
    assert learned == pytest.approx(spread, abs=0.15)
    later = [event() for _ in range(200)]
    held = [found.low <= came <= found.high for chances, came in later for found in [forecast(chances, learned)]]
    assert 0.85 <= np.mean(held) <= 0.97


def test_without_events_a_moderate_spread_is_taken():
    assert spread_of([]) == spread_of([(np.array([]), 0)]) == pytest.approx(0.38, abs=0.01)


def test_nobody_is_registered_yet():
    assert from_history([]) is None
    found = from_history([10, 20, 30])
    assert (found.expected, found.low, found.high) == (20, 10, 30)
    assert share_of(0, 0) == 0.5
    assert share_of(7, 8) == 0.8
