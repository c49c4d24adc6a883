"""Pace: whether a campaign fits its window; quiet hours where a person lives."""

from datetime import time, timedelta

import pytest

from engage_assets.dispatch.pace import finishes_within, is_quiet, local_time
from engage_assets.domain.program import QuietHours
from engage_assets_tests.builders import instant

NIGHT = QuietHours.model_validate({"from": "21:00", "to": "08:00"})


@pytest.mark.parametrize(
    ("messages", "per_second", "fits"),
    [
        (50_000, None, True),
        (50_000, 7, True),
        (36_000, 5, True),
        (36_001, 5, False),
        (0, 0, True),
        (1, 0, False),
    ],
)
def test_two_hours(messages, per_second, fits):
    assert (finishes_within(messages, per_second) is None) == fits


def test_it_says_the_arithmetic():
    assert finishes_within(50_000, 5, timedelta(hours=2)) == (
        "50,000 messages at 5 a second take 2 h 46 min 40 s, longer than the send window of 2 h:"
        " 6.95 a second are needed, or at most 36,000 messages"
    )
    assert "take for ever" in finishes_within(1, 0)


@pytest.mark.parametrize(
    ("at", "zone", "local", "quiet"),
    [
        ("2026-11-20 09:00", "Europe/Berlin", time(10), False),
        ("2026-11-20 20:00", "Europe/Berlin", time(21), True),
        ("2026-11-20 19:59", "Europe/Berlin", time(20, 59), False),
        ("2026-11-20 23:00", "Asia/Tokyo", time(8), False),
        ("2026-11-20 22:59", "Asia/Tokyo", time(7, 59), True),
        ("2026-07-20 20:00", "Europe/London", time(21), True),
        ("2026-10-25 01:30", "Europe/Berlin", time(2, 30), True),
    ],
)
def test_quiet_hours(at, zone, local, quiet):
    assert local_time(instant(at), zone) == local
    assert is_quiet(NIGHT, instant(at), zone) == quiet
    assert not is_quiet(None, instant(at), zone)
