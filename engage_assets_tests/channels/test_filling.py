"""Lists that share one pass: each customer's quota is used once for a row, whichever lists take it."""

from collections import Counter
from typing import Any

import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.channels.exploration import Exploration
from engage_assets.channels.filling import fill
from engage_assets.channels.lists import judge_for_list
from engage_assets.domain.channel_specs import EmailChannel, InAppChannel, ListSection
from engage_assets_tests.builders import PRODUCT_REVIEWS, a_candidate, candidates, instant
from engage_assets_tests.channels.test_exploration import PARTITION

BANNER = {"bannerType": "slim", "displayDuration": 3, "placement": "home"}


def an_email(**changes: Any) -> EmailChannel:
    channel = {**PRODUCT_REVIEWS["channels"][0], "minScore": 0.6, "limit": None}
    return EmailChannel.model_validate(channel | changes)


def a_banner(**changes: Any) -> InAppChannel:
    channel = {"channelId": "banner", "type": "in-app", "minScore": 0.5, "config": BANNER}
    return InAppChannel.model_validate(channel | changes)


def filled(
    rows: list[dict[str, Any]], *channels: ListSection, share: float = 0, per_subject: bool = False
) -> pl.DataFrame:
    frame = nw.from_native(candidates(*rows).lazy())
    judged = [(channel, judge_for_list(frame, channel).to_native().collect()) for channel in channels]
    return fill(judged, Exploration("any", PARTITION, share), per_subject=per_subject)


def people(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    """Each row is a change to a good candidate of its own, whom both channels may reach."""
    own = [{"record_id": f"r-{n}", "customer_id": f"c-{n}", "subject_id": f"p-{n}"} for n in range(1, len(rows) + 1)]
    return [a_candidate(**{"in_app_eligible": True} | keys | row) for keys, row in zip(own, rows, strict=True)]


def reasons(found: pl.DataFrame) -> dict[tuple[str, str], str | int]:
    """By record and channel: the rank, or why it is not listed."""
    return {
        (row["record_id"], row["channel"]): row["rank"] if row["reason"] == "LISTED" else row["reason"]
        for row in found.iter_rows(named=True)
    }


def test_a_row_on_two_lists_uses_the_quota_once():
    mine = {"customer_id": "c-0", "quota_left": 2}
    rows = people({**mine, "score": 0.9}, {**mine, "score": 0.8}, {**mine, "score": 0.7})
    assert reasons(filled(rows, an_email(), a_banner())) == {
        ("r-1", "email"): 1,
        ("r-1", "banner"): 1,
        ("r-2", "email"): 2,
        ("r-2", "banner"): 2,
        ("r-3", "email"): "FREQUENCY_CAP",
        ("r-3", "banner"): "FREQUENCY_CAP",
    }


def test_what_one_list_took_counts_on_the_other():
    mine = {"customer_id": "c-0", "quota_left": 1}
    rows = people({**mine, "score": 0.9, "in_app_eligible": False}, {**mine, "score": 0.8})
    assert reasons(filled(rows, an_email(), a_banner())) == {
        ("r-1", "email"): 1,
        ("r-1", "banner"): "CHANNEL_INELIGIBLE",
        ("r-2", "email"): "FREQUENCY_CAP",
        ("r-2", "banner"): "FREQUENCY_CAP",
    }


def test_a_limit_may_be_of_each_subject():
    full, other = {"subject_id": "e-1"}, {"subject_id": "e-2"}
    mine = {"customer_id": "c-0", "quota_left": 1}
    rows = people(
        {**full, "score": 0.9}, {**mine, **full, "score": 0.8}, {**mine, **other, "score": 0.7}, other | {"score": 0.6}
    )
    found = reasons(filled(rows, an_email(limit=1, minScore=0), per_subject=True))
    assert found == {
        ("r-1", "email"): 1,
        ("r-2", "email"): "BELOW_LIMIT",  # which leaves the quota to the next
        ("r-3", "email"): 2,
        ("r-4", "email"): "BELOW_LIMIT",
    }
    assert reasons(filled(rows, an_email(limit=1, minScore=0)))["r-3", "email"] == "BELOW_LIMIT"


def test_a_row_that_no_list_takes_gives_its_quota_back():
    mine, full = {"customer_id": "c-0", "quota_left": 1}, {"subject_id": "p-0"}
    rows = people({**full, "score": 0.9}, {**mine, **full, "score": 0.8}, {**mine, "score": 0.7})
    found = reasons(filled(rows, an_email(perTrackLimit=1), a_banner(perTrackLimit=1)))
    assert (found["r-2", "email"], found["r-2", "banner"]) == ("TRACK_CAP", "TRACK_CAP")
    assert (found["r-3", "email"], found["r-3", "banner"]) == (2, 2)


def test_each_list_has_its_own_minimum_and_places():
    rows = people({"score": 0.9}, {"score": 0.6}, {"score": 0.599999}, {"score": 0.5})
    assert reasons(filled(rows, an_email(), a_banner(limit=3))) == {
        ("r-1", "email"): 1,
        ("r-1", "banner"): 1,
        ("r-2", "email"): 2,
        ("r-2", "banner"): 2,
        ("r-3", "email"): "BELOW_MIN_SCORE",
        ("r-3", "banner"): 3,
        ("r-4", "email"): "BELOW_MIN_SCORE",
        ("r-4", "banner"): "BELOW_LIMIT",
    }


@pytest.mark.parametrize("scores", [(0.9, 0.8), (0.8, 0.9)])
def test_who_was_drawn_for_one_list_stands_on_another_without_more_quota(scores):
    """One of two e-mail places goes by lot, the banner's one place by score; whoever was drawn, the best gets it."""
    rows = people(*({"quota_left": 1, "score": score} for score in scores))
    found = filled(rows, an_email(), a_banner(limit=1), share=0.5)
    assert found.filter(channel="email", is_exploration=True).height == 1
    banner = dict(found.filter(channel="banner").select("record_id", "reason").iter_rows())
    assert sorted(banner.values()) == ["BELOW_LIMIT", "LISTED"]
    assert banner[f"r-{scores.index(0.9) + 1}"] == "LISTED"


def test_a_customer_with_forty_subjects_is_listed_for_the_best_two():
    rows = people(*({"customer_id": "c-0", "quota_left": 2, "score": 0.6 + place / 100} for place in range(40)))
    found = filled(rows, an_email(limit=100_000, perTrackLimit=10_000))
    assert found.filter(reason="LISTED").sort("rank")["record_id"].to_list() == ["r-40", "r-39"]
    assert Counter(found["reason"]) == {"LISTED": 2, "FREQUENCY_CAP": 38}


@st.composite
def crowds(draw) -> tuple[list[dict[str, Any]], list[ListSection]]:
    """Few customers, subjects, scores and instants, so that everything collides, and two lists."""
    quotas = draw(st.lists(st.one_of(st.none(), st.integers(0, 2)), min_size=1, max_size=4))
    pairs = draw(
        st.lists(st.tuples(st.integers(0, len(quotas) - 1), st.integers(0, 4)), unique=True, min_size=1, max_size=14)
    )
    rows = [
        a_candidate(
            record_id=f"r-{place}",
            customer_id=f"c-{customer}",
            subject_id=f"p-{subject}",
            quota_left=quotas[customer],
            score=draw(st.sampled_from([0.5, 0.599999, 0.6, 0.8])),
            event_at=draw(st.sampled_from([None, instant("2026-11-19 10:00")])),
            email_eligible=draw(st.booleans()),
            in_app_eligible=draw(st.booleans()),
        )
        for place, (customer, subject) in enumerate(pairs)
    ]
    limits = st.fixed_dictionaries(dict.fromkeys(("limit", "perTrackLimit"), st.none() | st.integers(0, 4)))
    return rows, [an_email(**draw(limits)), a_banner(**draw(limits))]


def naive(rows: list[dict[str, Any]], channels: list[ListSection]) -> dict[tuple[str, str], str]:
    """The documented rules, row by row."""
    found: dict[tuple[str, str], str] = {}
    listed: dict[str, list[dict[str, Any]]] = {channel.channel_id: [] for channel in channels}
    asked: Counter[str] = Counter()
    rows = sorted(rows, key=lambda row: (-row["score"], row["event_at"] is None, row["subject_id"], row["customer_id"]))
    for row in rows:
        has_quota = row["quota_left"] is None or asked[row["customer_id"]] < row["quota_left"]
        for channel in channels:
            there = listed[channel.channel_id]
            of_subject = [other for other in there if other["subject_id"] == row["subject_id"]]
            rules = {
                "CHANNEL_INELIGIBLE": not row[f"{channel.type.replace('-', '_')}_eligible"],
                "BELOW_MIN_SCORE": row["score"] < channel.min_score,
                "BELOW_LIMIT": channel.limit is not None and len(there) >= channel.limit,
                "FREQUENCY_CAP": not has_quota,
                "TRACK_CAP": channel.per_track_limit is not None and len(of_subject) >= channel.per_track_limit,
            }
            reason = next((code for code, refuses in rules.items() if refuses), "LISTED")
            found[row["record_id"], channel.channel_id] = reason
            there += [row] if reason == "LISTED" else []
        asked[row["customer_id"]] += any(row in there for there in listed.values())
    return found


@settings(max_examples=60)
@given(crowds(), st.randoms(use_true_random=False))
def test_any_lists_are_filled_by_the_documented_rules(crowd, random):
    rows, channels = crowd
    found = filled(rows, *channels)
    assert {(row["record_id"], row["channel"]): row["reason"] for row in found.to_dicts()} == naive(rows, channels)
    random.shuffle(rows)
    assert filled(rows, *channels).equals(found)


@settings(max_examples=60)
@given(crowds(), st.sampled_from([0, 0.3, 1]))
def test_quota_and_limits_hold_and_no_place_is_left_that_somebody_could_have(crowd, share):
    """A listed row was chosen over all that could have had its place; what a full subject leaves goes to the next."""
    rows, channels = crowd
    found = filled(rows, *channels, share=share).join(candidates(*rows).drop("reason"), on="record_id")
    listed = found.filter(reason="LISTED")
    used = Counter(listed.unique("record_id")["customer_id"])
    quota = {row["customer_id"]: row["quota_left"] for row in rows}
    assert all(quota[customer] is None or count <= quota[customer] for customer, count in used.items())
    for channel in channels:
        there = listed.filter(channel=channel.channel_id)
        on_subject = Counter(there["subject_id"])
        assert sorted(there["rank"]) == list(range(1, there.height + 1))
        assert channel.limit is None or there.height <= channel.limit
        assert channel.per_track_limit is None or max(on_subject.values(), default=0) <= channel.per_track_limit
        for row in found.filter(channel=channel.channel_id).iter_rows(named=True):
            if row["reason"] == "TRACK_CAP":
                assert on_subject[row["subject_id"]] == channel.per_track_limit
            if row["reason"] == "FREQUENCY_CAP":
                assert used[row["customer_id"]] == quota[row["customer_id"]]
            if row["reason"] == "BELOW_LIMIT":
                assert there.height == channel.limit
