from datetime import timedelta

import pytest

from engage_assets_tests.builders import PRODUCT_REVIEWS, a_program
from engage_assets_tests.filters.worlds import AFTER, INSTANT, TICK, a_send, judged, refused_by

MONTH, WEEK = timedelta(days=30), timedelta(days=7)


def capped(scope: str | None = None, **parameters: int):
    """The program with another cap; without parameters, with none."""
    others = [section for section in PRODUCT_REVIEWS["filterChain"] if section["filterId"] != "frequency-cap"]
    cap = {"filterId": "frequency-cap", "type": "business-rule", "order": 3, "parameters": parameters}
    return a_program(filterChain=[*others, cap] if parameters else others, capScope=scope)


def sends(*each: dict, **all_of_them) -> list[dict]:
    """Sends about other subjects, one per dict of changes."""
    return [
        row
        for number, changes in enumerate(each, start=1)
        for row in a_send(**{"send_id": f"s-{number}", "subject_id": f"p-{number + 1}", **all_of_them, **changes})
    ]


def quota(**changes) -> tuple[int | None, str | None]:
    verdict = judged(**changes)
    assert verdict["rows"] == 1
    assert verdict.get("refused_by_frequency_cap", False) == (verdict["reason"] == "FREQUENCY_CAP")
    return verdict["quota_left"], verdict["reason"]


@pytest.mark.parametrize(
    ("made", "left", "reason"),
    [(0, 3, None), (1, 2, None), (2, 1, None), (3, 0, "FREQUENCY_CAP"), (5, 0, "FREQUENCY_CAP")],
)
def test_the_quota_is_the_cap_less_the_sends_in_the_window(made, left, reason):
    assert quota(send_events=sends(*[{}] * made)) == (left, reason)


@pytest.mark.parametrize(
    ("program", "window"),
    [
        (capped(maxRequestsPerMonth=1), MONTH),
        (capped(maxInvitationsPerMonth=1), MONTH),
        (capped(maxRequestsPerWeek=1), WEEK),
    ],
)
def test_a_month_is_thirty_days_and_a_week_seven_up_to_the_batch_instant(program, window):
    def at(slot):
        return quota(program=program, send_events=sends({}, slot_at=slot, at=INSTANT - window - WEEK))

    assert at(INSTANT - window) == (1, None), "the window's older end is outside"
    assert at(INSTANT - window + TICK) == (0, "FREQUENCY_CAP")
    assert at(INSTANT) == (0, "FREQUENCY_CAP")
    assert at(AFTER) == (0, "FREQUENCY_CAP"), "plans for later slots count"


@pytest.mark.parametrize(("planned_at", "left"), [(INSTANT - TICK, 2), (INSTANT, 2), (INSTANT + TICK, 3)])
def test_a_send_counts_from_the_instant_at_which_it_was_planned(planned_at, left):
    assert quota(send_events=sends({}, at=planned_at, slot_at=AFTER)) == (left, None)


@pytest.mark.parametrize(
    ("states", "counts"),
    [
        ([], True),
        (["claimed"], True),
        (["claimed", "handed_over"], True),
        (["claimed", "handed_over", "sent"], True),
        (["claimed", "handed_over", "in_doubt"], True),
        (["claimed", "failed"], False),
        (["claimed", "handed_over", "failed"], False),
        (["skipped"], False),
        (["held_out"], False),
    ],
)
def test_sends_that_were_not_made_do_not_count(states, counts):
    assert quota(send_events=a_send(*states, subject_id="p-2")) == (2 if counts else 3, None)
    failed_later = a_send(*states, subject_id="p-2", at=INSTANT)
    assert quota(send_events=failed_later) == (2, None), "the state as of the batch instant counts"


@pytest.mark.parametrize(
    ("send", "left"),
    [
        ({"channel": "voice"}, 2),
        ({"campaign_id": "product-reviews:email:2026-11-01:DE"}, 2),
        ({"is_solicitation": False}, 3),
        ({"customer_id": "c-2"}, 3),
        ({"program": "music-feedback", "cap_scope": "music-feedback"}, 3),
    ],
)
def test_solicitations_to_the_customer_count(send, left):
    assert quota(send_events=sends(send)) == (left, None)


def test_programs_of_one_scope_share_the_quota():
    shared = capped("marketing", maxRequestsPerMonth=3)
    theirs = {"program": "music-feedback", "cap_scope": "marketing"}
    assert quota(program=shared, send_events=sends({"cap_scope": "marketing"}, theirs, theirs)) == (0, "FREQUENCY_CAP")
    assert quota(program=shared, send_events=sends({"cap_scope": "product-reviews"}, theirs)) == (2, None)
    assert quota(send_events=sends(theirs, theirs, theirs)) == (3, None), "the default scope is the program's own"


def test_each_program_applies_its_own_window_and_maximum_to_all_sends_of_the_scope():
    theirs = sends({}, {}, program="music-feedback", cap_scope="marketing", slot_at=INSTANT - timedelta(days=8))
    assert quota(program=capped("marketing", maxRequestsPerWeek=1), send_events=theirs) == (1, None)
    assert quota(program=capped("marketing", maxRequestsPerMonth=2), send_events=theirs) == (0, "FREQUENCY_CAP")


def test_a_subject_counts_once_over_all_channels():
    two_channels = sends({}, {"channel": "voice"}, {"slot_at": INSTANT - WEEK}, subject_id="p-2")
    assert quota(send_events=two_channels) == (2, None)
    one_failed = two_channels + a_send("skipped", send_id="s-9", subject_id="p-2")
    assert quota(send_events=one_failed) == (2, None)


def test_zero_allows_nobody_and_an_absent_cap_everybody():
    assert quota(program=capped(maxRequestsPerMonth=0)) == (0, "FREQUENCY_CAP")
    assert quota(program=capped(), send_events=sends(*[{}] * 9)) == (None, None)


def test_the_cap_comes_last_in_the_documented_chain():
    used_up = sends({}, {}, {})
    assert refused_by(send_events=used_up) == "FREQUENCY_CAP"
    assert refused_by(send_events=used_up, opt_outs={}) == "OPTED_OUT"
    assert refused_by(send_events=used_up + a_send(send_id="s-9")) == "ALREADY_ASKED"
