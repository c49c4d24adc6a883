"""Lag, standing still, and spikes of errors: rules by example, and what holds for any history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.domain.archive_spec import ErrorSpike
from engage_assets.domain.archive_watch import ShardNow, Window, error_spike, lag_seconds, stands_still

NOW = 1_800_000_000.0
RULE = ErrorSpike()


def a_shard(**changes):
    """A shard whose worker archived something 10 s ago and was 2 s behind then."""
    given = {
        "name": "shard-1",
        "is_pending": False,
        "has_worker": True,
        "unread_since": None,
        "behind_seconds": 2.0,
        "at": NOW - 10,
    }
    return ShardNow(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "lag"),
    [
        ({}, 2),
        ({"behind_seconds": None}, 0),
        ({"behind_seconds": 300.0}, 300),
        ({"is_pending": True}, 12),
        ({"is_pending": True, "at": NOW + 50}, 2),  # a clock that is set back
        ({"has_worker": False}, 0),
        ({"has_worker": False, "unread_since": NOW - 130}, 130),
        ({"has_worker": False, "unread_since": NOW + 5}, 0),
        ({"has_worker": False, "unread_since": NOW - 30, "at": None}, 30),
    ],
)
def test_lag(changes, lag):
    assert lag_seconds(a_shard(**changes), NOW) == lag


@pytest.mark.parametrize(
    ("changes", "stands"),
    [
        ({"is_pending": True, "has_worker": False, "at": NOW - 121}, True),
        ({"is_pending": True, "has_worker": False, "at": NOW - 119}, False),
        ({"is_pending": True, "has_worker": True, "at": NOW - 121}, False),
        ({"is_pending": False, "has_worker": False, "at": NOW - 121}, False),
    ],
)
def test_standing_still(changes, stands):
    assert stands_still(a_shard(**changes), NOW, 120) is stands


def windows(*errors):
    return [Window(1000, count) for count in errors]


@pytest.mark.parametrize(
    ("batches", "is_one"),
    [
        ([], False),
        (windows(10), False),  # at the floor
        (windows(11), True),
        ([Window(3, 3)], False),  # three bad records are no share of a thousand
        ([Window(20, 11)], True),
        (windows(0, 0, 0, 0, 0, 0, 200), True),
        (windows(0, 0, 0, 0, 0, 200, 0), False),  # over
        (windows(*[200] * 8), False),  # a source that is always so
        (windows(*[200] * 8, 260), True),
        (windows(20, 60, 40, 50, 30, 40, 99), False),  # 40 + 4 x 1.4826 x 10 = 99.3
        (windows(20, 60, 40, 50, 30, 40, 100), True),
        ([Window(10, 0)] * 500 + [Window(10, 1)] * 100, True),  # small batches make windows together
    ],
)
def test_a_spike(batches, is_one):
    assert error_spike(batches, RULE).is_one is is_one


COUNTS = st.integers(0, 1000).flatmap(lambda read: st.tuples(st.just(read), st.integers(0, read)))


@given(st.lists(COUNTS, max_size=60))
def test_a_spike_is_never_within_the_floor_nor_without_errors(pairs):
    batches = [Window(*pair) for pair in pairs]
    found = error_spike(batches, RULE)

    assert 0 <= found.share <= 1
    assert found.band >= RULE.floor
    assert not error_spike([*batches, Window(1000, 0)], RULE).is_one


@given(st.lists(st.integers(0, 1000), min_size=6, max_size=60), st.integers(1, 50))
def test_one_wild_window_before_does_not_hide_a_spike(errors, steady):
    """The band is robust: a quarter of wild windows does not widen it beyond the steady ones."""
    wild = errors[: len(errors) // 4]
    history = windows(*[steady] * (3 * len(wild) + 6), *wild)

    assert error_spike([*history, Window(1000, max(steady, 10) + 1)], RULE).is_one
