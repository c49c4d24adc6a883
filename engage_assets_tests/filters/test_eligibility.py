from copy import deepcopy
from datetime import timedelta

import pytest

from engage_assets.filters import not_evaluated
from engage_assets_tests.builders import PRODUCT_REVIEWS, a_program
from engage_assets_tests.filters.worlds import AFTER, BEFORE, INSTANT, TICK, a_send, judged, refused_by

EMAIL = PRODUCT_REVIEWS["channels"][0]
IN_APP = {
    "channelId": "banner",
    "type": "in-app",
    "enabled": True,
    "config": {"bannerType": "slim", "displayDuration": 3, "placement": "home"},
}
PUSH = {"channelId": "push", "type": "push", "config": {"reminderDaysBefore": 1, "title": "t", "body": "b"}}
VOICE = {"channelId": "voice", "type": "voice", "config": {"prompt": "p", "responseOptions": ["yes", "no"]}}
ALL_CHANNELS = a_program(channels=[EMAIL, IN_APP, PUSH, VOICE])


def reachable(verdict: dict) -> set[str]:
    return {name.removesuffix("_eligible") for name, value in verdict.items() if name.endswith("_eligible") and value}


def test_an_open_subject_that_nobody_asked_about_is_accepted():
    verdict = judged()
    assert verdict["reason"] is None
    assert not verdict["refused_by_eligibility"]


@pytest.mark.parametrize(
    ("reviews", "reason"),
    [
        ({"reviewed_at": BEFORE}, "ALREADY_ANSWERED"),
        ({"reviewed_at": INSTANT}, "ALREADY_ANSWERED"),
        ({"reviewed_at": None}, "ALREADY_ANSWERED"),
        ([{"reviewed_at": AFTER}, {}, {}], "ALREADY_ANSWERED"),
        ({"reviewed_at": INSTANT + TICK}, None),
        ({"product_id": "p-2"}, None),
        ({"customer_id": "c-2"}, None),
    ],
)
def test_reviews_up_to_the_batch_instant(reviews, reason):
    assert refused_by(reviews=reviews) == reason


@pytest.mark.parametrize(
    ("send", "reason"),
    [
        (a_send(), "ALREADY_ASKED"),
        (a_send("claimed"), "ALREADY_ASKED"),
        (a_send("claimed", "handed_over"), "ALREADY_ASKED"),
        (a_send("claimed", "handed_over", "sent"), "ALREADY_ASKED"),
        (a_send("claimed", "handed_over", "in_doubt"), "ALREADY_ASKED"),
        (a_send("claimed", "failed"), None),
        (a_send("skipped"), None),
        (a_send("held_out"), None),
        (a_send(at=INSTANT), "ALREADY_ASKED"),
        (a_send(at=INSTANT + TICK), None),
        # What becomes of it later changes nothing for this batch.
        (a_send("skipped", at=INSTANT), "ALREADY_ASKED"),
        (a_send("skipped", at=INSTANT - timedelta(minutes=1)), None),
        (a_send(slot_at=AFTER), "ALREADY_ASKED"),
        (a_send(at=INSTANT - timedelta(days=900), slot_at=INSTANT - timedelta(days=899)), "ALREADY_ASKED"),
        (a_send(channel="voice"), "ALREADY_ASKED"),
        (a_send(program="music-feedback"), None),
        (a_send(is_solicitation=False), None),
        (a_send(subject_id="p-2"), None),
        (a_send(customer_id="c-2"), None),
        # One of two sends was made.
        (a_send("skipped") + a_send(send_id="s-2"), "ALREADY_ASKED"),
    ],
)
def test_who_was_asked_about_the_subject_before(send, reason):
    assert refused_by(send_events=send) == reason


@pytest.mark.parametrize(
    ("products", "reason"),
    [
        ({"is_reviewable": False}, "SUBJECT_CLOSED"),
        ({"is_reviewable": None}, "SUBJECT_CLOSED"),
        ([], "SUBJECT_CLOSED"),
        ({"product_id": "p-2"}, "SUBJECT_CLOSED"),
        ([{}, {"is_reviewable": False}], "SUBJECT_CLOSED"),
        ([{}, {"is_reviewable": None}], "SUBJECT_CLOSED"),
        ([{}, {}], None),
        ([{}, {"name": "Lamp, blue"}], None),
    ],
)
def test_whether_the_product_takes_reviews(products, reason):
    assert refused_by(products=products) == reason


@pytest.mark.parametrize("table", ["opt_outs", "given_opt_outs"])
@pytest.mark.parametrize(
    ("opt_outs", "reason"),
    [
        ({}, "OPTED_OUT"),
        ({"program": "product-reviews"}, "OPTED_OUT"),
        ({"channel": "email"}, "OPTED_OUT"),
        ({"program": "product-reviews", "channel": "email"}, "OPTED_OUT"),
        ({"at": INSTANT}, "OPTED_OUT"),
        ({"at": None}, "OPTED_OUT"),
        ({"at": INSTANT + TICK}, None),
        ({"program": "music-feedback"}, None),
        ({"channel": "voice"}, None),
        ({"customer_id": "c-2"}, None),
        ({"revoked_at": INSTANT}, None),
        ({"at": None, "revoked_at": BEFORE}, None),
        ({"revoked_at": INSTANT + TICK}, "OPTED_OUT"),
        ([{"revoked_at": BEFORE}, {"channel": "email"}, {"channel": "voice"}], "OPTED_OUT"),
    ],
)
def test_opting_out(table, opt_outs, reason):
    """Of everything, of the program, or of the only channel that it has."""
    assert refused_by(**{table: opt_outs}) == reason


def test_opting_out_of_some_channels_leaves_the_others():
    of_some = [{"channel": "email"}, {"channel": "voice", "program": "product-reviews"}]
    verdict = judged(program=ALL_CHANNELS, opt_outs=of_some, candidate={"push_known": True, "voice_allowed": True})
    assert verdict["reason"] is None
    assert reachable(verdict) == {"in_app", "push"}
    both = {"opt_outs": of_some, "given_opt_outs": [{"channel": "in-app"}, {"channel": "push"}]}
    assert refused_by(program=ALL_CHANNELS, **both) == "OPTED_OUT"
    assert reachable(judged(program=ALL_CHANNELS, **both)) == set()


def test_an_optional_column_that_opt_outs_lack_means_all():
    assert refused_by(opt_outs={}, lacks=("opt_outs.program", "opt_outs.channel", "opt_outs.revoked_at")) == "OPTED_OUT"


@pytest.mark.parametrize(
    ("candidate", "channels"),
    [
        ({"email_known": True, "push_known": True, "voice_allowed": True}, {"email", "in_app", "push", "voice"}),
        ({"email_known": False, "push_known": False, "voice_allowed": False}, {"in_app"}),
        ({"email_known": None, "push_known": None, "voice_allowed": None}, {"in_app"}),
    ],
)
def test_a_channel_needs_what_reaches_the_customer(candidate, channels):
    assert reachable(judged(program=ALL_CHANNELS, candidate=candidate)) == channels


def test_an_address_that_the_deployment_does_not_declare_is_not_asked_for():
    unknown = {"email_known": None, "push_known": None, "voice_allowed": None}
    lacks = ("customers.email", "customers.push_subscription", "customers.voice_allowed")
    verdict = judged(program=ALL_CHANNELS, candidate=unknown, lacks=lacks)
    assert reachable(verdict) == {"email", "in_app", "push", "voice"}


def test_a_disabled_channel_reaches_nobody():
    only_email = a_program(channels=[EMAIL, {**IN_APP, "enabled": False}])
    assert reachable(judged(program=only_email)) == {"email"}
    assert refused_by(program=only_email, opt_outs={"channel": "email"}) == "OPTED_OUT"
    none = a_program(channels=[{**EMAIL, "enabled": False}])
    assert reachable(judged(program=none)) == set()
    assert refused_by(program=none, opt_outs={}) is None, "nothing to opt out of"


def test_the_first_failing_clause_gives_the_reason():
    faults = {
        "ALREADY_ANSWERED": {"reviews": {}},
        "ALREADY_ASKED": {"send_events": a_send()},
        "SUBJECT_CLOSED": {"products": []},
        "OPTED_OUT": {"opt_outs": {}},
    }
    changes: dict = {}
    for code, fault in reversed(faults.items()):
        changes |= fault
        assert refused_by(**changes) == code


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"reviews": None}, ["ALREADY_ANSWERED"]),
        ({"products": None}, ["SUBJECT_CLOSED"]),
        ({"lacks": ("products.is_reviewable",)}, ["SUBJECT_CLOSED"]),
        ({"opt_outs": None}, []),
    ],
)
def test_what_no_table_declares_is_not_evaluated(changes, codes):
    """Opt-outs are always known: the ledger keeps them."""
    verdict = judged(**changes)
    assert (verdict["reason"], verdict["rows"]) == (None, 1)
    assert [code for code, _ in not_evaluated(a_program(), verdict["available"])] == codes
    assert refused_by(**changes, given_opt_outs={}) == "OPTED_OUT"


def reviews_chain(*order: str):
    """The program with its filters in another order; they stand in the file as always."""
    chain = [{**section, "order": order.index(section["filterId"]) + 1} for section in PRODUCT_REVIEWS["filterChain"]]
    return a_program(filterChain=deepcopy(chain))


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (("trust", "eligibility", "frequency-cap"), "RETURNED"),
        (("eligibility", "trust", "frequency-cap"), "ALREADY_ANSWERED"),
        (("frequency-cap", "eligibility", "trust"), "FREQUENCY_CAP"),
    ],
)
def test_the_order_of_the_filters_decides_the_reason_and_every_flag_is_kept(order, reason):
    asked = [row for number in range(3) for row in a_send(send_id=f"s-{number}", subject_id=f"p-{number + 5}")]
    faults = {"returns": {}, "reviews": {}, "send_events": asked}
    verdict = judged(program=reviews_chain(*order), **faults)
    flags = {name: value for name, value in verdict.items() if name.startswith("refused_by_")}
    assert verdict["reason"] == reason
    assert flags == dict.fromkeys(("refused_by_trust", "refused_by_eligibility", "refused_by_frequency_cap"), True)
    alone = judged(program=reviews_chain(*order), reviews={})
    assert (alone["reason"], alone["refused_by_trust"], alone["refused_by_eligibility"]) == (
        "ALREADY_ANSWERED",
        False,
        True,
    )
