"""Slots: ten o'clock where a person lives, strictly after an instant, through gaps and folds."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.domain.slots import SEND_WINDOW, instant_of, known_zones, next_slot
from engage_assets_tests.builders import instant

TEN = time(10)
AFTER_BATCH = instant("2026-11-20 04:00")  # 02:00 and a deadline of two hours


def shown(at, zone):
    """What the clocks of `zone` show at a UTC instant."""
    return at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@pytest.mark.parametrize(
    ("local", "zone", "expected"),
    [
        ("2026-11-20 10:00", "Europe/Berlin", "2026-11-20 09:00"),
        ("2026-11-20 10:00", "Asia/Kolkata", "2026-11-20 04:30"),
        # Gap: spring in the north, and in the south half a year later; Lord Howe moves by half an hour.
        ("2026-03-29 02:30", "Europe/Berlin", "2026-03-29 01:00"),
        ("2026-03-29 02:00", "Europe/Berlin", "2026-03-29 01:00"),
        ("2026-03-29 03:00", "Europe/Berlin", "2026-03-29 01:00"),
        ("2026-03-08 02:59", "America/New_York", "2026-03-08 07:00"),
        ("2026-10-04 02:30", "Australia/Sydney", "2026-10-03 16:00"),
        ("2026-10-04 02:15", "Australia/Lord_Howe", "2026-10-03 15:30"),
        ("2026-04-24 00:30", "Africa/Cairo", "2026-04-23 22:00"),  # midnight itself is missing
        # Fold: the first of the two.
        ("2026-10-25 02:30", "Europe/Berlin", "2026-10-25 00:30"),
        ("2026-11-01 01:30", "America/New_York", "2026-11-01 05:30"),
        ("2026-04-05 02:30", "Australia/Sydney", "2026-04-04 15:30"),
        # A day that Samoa never had: its gap ends at midnight of the next.
        ("2011-12-30 10:00", "Pacific/Apia", "2011-12-30 10:00"),
    ],
)
def test_instant_of_a_local_time(local, zone, expected):
    assert instant_of(instant(local), zone) == instant(expected)


def test_a_gap_moves_to_the_transition():
    assert shown(instant_of(instant("2026-03-29 02:30"), "Europe/Berlin"), "Europe/Berlin") == instant(
        "2026-03-29 03:00"
    )


@pytest.mark.parametrize(
    ("zone", "local", "at"),
    [
        ("America/New_York", "2026-11-20 10:00", "2026-11-20 15:00"),
        ("America/Los_Angeles", "2026-11-20 10:00", "2026-11-20 18:00"),  # it is still the 19th there
        ("Europe/London", "2026-11-20 10:00", "2026-11-20 10:00"),
        ("Europe/Berlin", "2026-11-20 10:00", "2026-11-20 09:00"),
        ("Asia/Kolkata", "2026-11-20 10:00", "2026-11-20 04:30"),
        # Their 10:00 lies before the batch: the next day.
        ("Asia/Tokyo", "2026-11-21 10:00", "2026-11-21 01:00"),
        ("Australia/Sydney", "2026-11-21 10:00", "2026-11-20 23:00"),
    ],
)
def test_slot_after_the_batch(zone, local, at):
    assert next_slot(zone, TEN, AFTER_BATCH) == (instant(local), instant(at))


def test_after_is_strict():
    ten_in_berlin = instant("2026-11-20 09:00")
    assert next_slot("Europe/Berlin", TEN, ten_in_berlin)[0] == instant("2026-11-21 10:00")
    assert next_slot("Europe/Berlin", TEN, ten_in_berlin - timedelta(microseconds=1))[0] == instant("2026-11-20 10:00")


@given(
    st.sampled_from(sorted(known_zones())),
    st.times(min_value=time(0), max_value=time(23, 59)).map(lambda at: at.replace(second=0, microsecond=0, fold=0)),
    st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2035, 1, 1)),  # noqa: DTZ001 - UTC, as everywhere
)
@settings(max_examples=300, deadline=None)
def test_every_zone_has_a_next_slot_and_none_before_it(zone, at, after):
    local, slot = next_slot(zone, at, after)
    assert after < slot <= after + timedelta(hours=50)
    assert local.time() == at
    clock = shown(slot, zone)
    in_gap = clock != local
    assert clock == local or (clock > local and shown(slot - timedelta(microseconds=1), zone) < local)
    day_before = instant_of(local - timedelta(days=1), zone)
    assert day_before <= after or in_gap


def test_zones_do_not_depend_on_the_machine():
    assert {"Europe/Berlin", "Asia/Tokyo", "UTC"} <= known_zones()
    assert not {"localtime", "Factory", ""} & known_zones()


def test_send_window_is_two_hours():
    assert timedelta(hours=2) == SEND_WINDOW
