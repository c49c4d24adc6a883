"""Bot activity: by plays a day, by the gaps between plays, by devices at once."""

import statistics
from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.domain.music import PLAYS
from engage_assets.filters import not_evaluated
from engage_assets.filters.asking import Asking
from engage_assets.filters.plays import automated
from engage_assets_tests.filters.listening import DAY, MUSIC, PLAY, in_a_row, on_devices, refused, with_trust
from engage_assets_tests.filters.worlds import INSTANT, TICK, _lazy, judged

WEEK = timedelta(days=7)
SECOND = timedelta(seconds=1)


def test_a_listener_is_accepted():
    verdict = judged(scene=PLAY)
    assert (verdict["reason"], verdict["refused_by_trust"], verdict["quota_left"]) == (None, False, 2)
    assert not_evaluated(MUSIC, verdict["available"]) == []


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        ({"play_count": 500}, None),
        ({"play_count": 501}, "BOT_ACTIVITY"),
        ([{"play_count": 251}, {"play_count": 250, "track_id": "t-2", "device_id": "tv"}], "BOT_ACTIVITY"),
        ([{"play_count": 251}, {"play_count": 250, "played_at": DAY - timedelta(days=1)}], None),
        ([{"play_count": 251}, {"play_count": 250, "listener_id": "c-2"}], None),
        ([{"play_count": 400}, {"play_count": 400}], None),  # the same row again
        ([{"play_count": 400}, {"play_count": 400, "arrived_at": INSTANT}], None),  # and again, sent later
        ([{"play_count": 501}, {"play_count": -100, "track_id": "t-2"}], "BOT_ACTIVITY"),
        ({"play_count": 501, "played_at": INSTANT - WEEK}, None),
        ({"play_count": 501, "played_at": INSTANT - WEEK + TICK}, "BOT_ACTIVITY"),
        ({"play_count": 501, "played_at": INSTANT}, "BOT_ACTIVITY"),
        ({"play_count": 501, "played_at": INSTANT + TICK}, None),
        ({"play_count": 501, "arrived_at": INSTANT}, "BOT_ACTIVITY"),
        ({"play_count": 501, "arrived_at": INSTANT + TICK}, None),
        ({"play_count": None}, None),
        ([], None),
    ],
)
def test_plays_of_a_day(history, reason):
    assert refused(track_plays=history) == reason


@pytest.mark.parametrize(
    ("plays", "reason"),
    [
        (in_a_row([60] * 19), "BOT_ACTIVITY"),
        (in_a_row([60] * 18), None),
        (in_a_row([0.001] * 19), "BOT_ACTIVITY"),
        (in_a_row([60, 62] * 10), None),  # a deviation of one second to the millisecond
        (in_a_row([60.001, 62] * 10), "BOT_ACTIVITY"),
        (in_a_row([60] * 10) + in_a_row([60] * 9, track_id="t-2"), None),
        (in_a_row([60] * 19, listener_id="c-2"), None),
        (in_a_row([60] * 9) * 2, None),  # the same rows again
        (in_a_row([60] * 18) + in_a_row([7200], ended_at=None)[1:], None),  # one of which is not over
        (list(reversed(in_a_row([60] * 19, track_id="t-7"))), "BOT_ACTIVITY"),
    ],
)
def test_gaps_between_plays_of_one_track(plays, reason):
    assert refused(plays=plays) == reason


@pytest.mark.parametrize(
    ("plays", "reason"),
    [
        (on_devices(("a", 0, 9), ("b", 1, 9), ("c", 2, 9)), "BOT_ACTIVITY"),
        (on_devices(("a", 0, 9), ("b", 1, 9), ("c", 9, 12)), None),  # one ends as another begins
        (on_devices(("a", 0, 9), ("b", 1, 9), ("b", 2, 9)), None),
        (on_devices(("a", 0, 9), ("a", 1, 3), ("b", 2, 9), ("c", 8, 9)), "BOT_ACTIVITY"),
        (on_devices(("a", 0, 4), ("a", 4, 9), ("b", 0, 9), ("c", 9, 10)), None),
        (on_devices(("a", 0, 9), ("b", 0, 9), ("c", 5, 5)), None),  # a play of no length
        (on_devices(("a", 0, 9), ("b", 0, 9), (None, 0, 9)), None),
        ([*on_devices(("a", 0, 9), ("b", 0, 9)), {"device_id": "c", "listener_id": "c-2"}], None),
    ],
)
def test_devices_at_one_instant(plays, reason):
    assert refused(plays=plays) == reason


@pytest.mark.parametrize(
    ("began", "ended", "reason"),
    [
        (INSTANT - WEEK, INSTANT - WEEK + SECOND, None),
        (INSTANT - WEEK + TICK, INSTANT - WEEK + SECOND, "BOT_ACTIVITY"),
        (INSTANT - SECOND, INSTANT, "BOT_ACTIVITY"),
        (INSTANT - SECOND, INSTANT + TICK, None),
    ],
)
def test_single_plays_are_those_of_the_week_that_are_over(began, ended, reason):
    three = [{"device_id": name, "started_at": began, "ended_at": ended} for name in "abc"]
    assert refused(plays=three) == reason


def test_thresholds_are_the_programs():
    assert refused(program=with_trust(maxPlaysPerDay=9), track_plays={"play_count": 10}) == "BOT_ACTIVITY"
    assert refused(program=with_trust(regularPlays=4), plays=in_a_row([60] * 3)) == "BOT_ACTIVITY"
    assert refused(program=with_trust(minGapDeviationSeconds=0), plays=in_a_row([60] * 30)) is None
    assert refused(program=with_trust(maxDevicesAtOnce=1), plays=on_devices(("a", 0, 9), ("b", 1, 2))) == "BOT_ACTIVITY"


def test_single_plays_are_optional_and_each_clause_has_its_own_needs():
    verdict = judged(scene=PLAY, plays=None, track_plays={"play_count": 501})
    assert verdict["reason"] == "BOT_ACTIVITY"
    assert not_evaluated(MUSIC, verdict["available"]) == [("BOT_ACTIVITY", "plays.started_at")]
    assert refused(plays=None) is None


def test_the_first_failing_clause_gives_the_reason():
    faults = {
        "TEST_ACCOUNT": {"candidate": {"is_test": True}},
        "BOT_ACTIVITY": {"track_plays": {"play_count": 999}},
        "ACCOUNT_STATUS": {"customer_trust": {"account_status": "closed", "trust_score": 0.1}},
        "TRUST_SCORE_LOW": {"customer_trust": {"trust_score": 0.1}},
        "ALREADY_ANSWERED": {"feedback": {}},
        "SUBJECT_CLOSED": {"tracks": {"is_open_for_feedback": False}},
        "OPTED_OUT": {"opt_outs": {}},
    }
    changes: dict = {}
    for code, fault in reversed(faults.items()):
        changes |= fault
        assert refused(**changes) == code


SPANS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 12), st.integers(0, 12)), max_size=12)


@settings(max_examples=40)
@given(SPANS)
def test_devices_at_once_are_those_of_a_count_minute_by_minute(spans):
    spans = [(device, min(one, two), max(one, two)) for device, one, two in spans]
    most = max((len({d for d, start, end in spans if start <= minute < end}) for minute in range(13)), default=0)
    assert _found("devices_at_once", on_devices(*spans)) == (most > 2)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 2500), min_size=18, max_size=24), st.floats(1, 500))
def test_regularity_is_that_of_the_standard_deviation(milliseconds, pace):
    gaps = [round(pace + extra / 1000, 3) for extra in milliseconds]
    expected = len(gaps) >= 19 and statistics.pstdev(round(gap * 1000) for gap in gaps) < 1000
    assert _found("plays_too_regular", in_a_row(gaps)) == expected


def _found(name, plays) -> bool:
    rows = [{**PLAY.filled_in["plays"], **play} for play in plays]
    frame = pl.DataFrame(rows, schema=PLAYS.schema)
    batch = _lazy(pl.DataFrame({"customer_id": ["c-1"], "subject_id": ["t-1"]}))
    joined = automated(batch, batch, {"plays": _lazy(frame)}, Asking(MUSIC, INSTANT))
    return joined.to_native().collect()[name].item()
