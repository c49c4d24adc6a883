"""Engagement, eligibility and cap of a program about tracks."""

from datetime import timedelta

import pytest

from engage_assets_tests.filters.listening import MUSIC, PLAY, refused
from engage_assets_tests.filters.worlds import AFTER, BEFORE, INSTANT, TICK, a_send, judged

WEEK = timedelta(days=7)


@pytest.mark.parametrize(
    ("score", "reason"), [(0.6, None), (0.599999, "ENGAGEMENT_LOW"), (None, "ENGAGEMENT_LOW"), (1.0, None)]
)
def test_engagement_at_the_minimum_passes(score, reason):
    assert refused(candidate={"engagement_score": score}) == reason


def test_engagement_that_the_deployment_does_not_declare_is_an_error():
    with pytest.raises(Exception, match=r"engagement of music-feedback.*track_plays\.engagement_score"):
        judged(scene=PLAY, lacks=("track_plays.engagement_score",))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"feedback": {"given_at": INSTANT}}, "ALREADY_ANSWERED"),
        ({"feedback": {"given_at": None}}, "ALREADY_ANSWERED"),
        ({"feedback": {"given_at": INSTANT + TICK}}, None),
        ({"feedback": {"track_id": "t-2"}}, None),
        ({"feedback": None}, None),
        ({"tracks": {"is_open_for_feedback": False}}, "SUBJECT_CLOSED"),
        ({"tracks": []}, "SUBJECT_CLOSED"),
        ({"tracks": None}, None),
        ({"opt_outs": {"program": "music-feedback"}}, "OPTED_OUT"),
        ({"opt_outs": {"channel": "email"}}, None),
        ({"opt_outs": [{"channel": "email"}, {"channel": "voice"}]}, "OPTED_OUT"),
    ],
)
def test_eligibility(changes, reason):
    assert refused(**changes) == reason


def test_voice_needs_the_listeners_leave():
    def channels(**candidate):
        verdict = judged(scene=PLAY, candidate=candidate)
        return verdict["email_eligible"], verdict["voice_eligible"]

    assert channels(voice_allowed=True) == (True, True)
    assert channels(voice_allowed=False) == channels(voice_allowed=None) == (True, False)


def test_two_requests_in_seven_days():
    def left(*slots, **changes):
        sends = [
            row
            for place, slot in enumerate(slots)
            for row in a_send(
                send_id=f"s-{place}",
                subject_id=f"t-{place + 5}",
                slot_at=slot,
                at=min(slot, INSTANT),
                **{"program": "music-feedback", "cap_scope": "music-feedback", **changes},
            )
        ]
        verdict = judged(scene=PLAY, send_events=sends)
        return verdict["quota_left"], verdict["reason"]

    assert left() == (2, None)
    assert left(BEFORE) == (1, None)
    assert left(BEFORE, channel="voice-assistant") == (1, None)
    assert left(BEFORE, AFTER) == (0, "FREQUENCY_CAP")
    assert left(BEFORE, INSTANT - WEEK) == (1, None)
    assert left(BEFORE, INSTANT - WEEK + TICK) == (0, "FREQUENCY_CAP")
    assert left(BEFORE, BEFORE, program="product-reviews", cap_scope="product-reviews") == (2, None)
    assert MUSIC.cap is not None
