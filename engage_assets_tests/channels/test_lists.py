from collections import Counter
from datetime import date
from typing import Any

import narwhals as nw
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.channels.filling import fill
from engage_assets.channels.lists import email_list, final_reasons, judge_for_list
from engage_assets.domain.channel_specs import EmailChannel, InAppChannel
from engage_assets.domain.tables import EMAIL_LIST, LIST_VERDICTS
from engage_assets_tests.builders import PRODUCT_REVIEWS, a_candidate, a_program, candidates, instant

PARTITION = date(2026, 11, 19)


def an_email(**changes: Any) -> EmailChannel:
    channel = {**PRODUCT_REVIEWS["channels"][0], "minScore": 0.7, "limit": None}
    return EmailChannel.model_validate(channel | changes)


def verdicts_on(rows: pl.DataFrame, channel=None) -> pl.DataFrame:
    channel = channel or an_email()
    judged = judge_for_list(nw.from_native(rows.lazy()), channel).to_native().collect()
    return fill([(channel, judged)])


def listing(*rows: dict[str, Any], **limits: Any) -> dict[str, str | int]:
    """By record: its rank, or why it is not listed. Each row is a change to a good candidate of its own."""
    people = [
        {"record_id": f"r-{place}", "customer_id": f"c-{place}", "subject_id": f"p-{place}"}
        for place in range(1, len(rows) + 1)
    ]
    frame = candidates(*(a_candidate(**(own | row)) for own, row in zip(people, rows, strict=True)))
    found = verdicts_on(frame, an_email(**limits))
    return {
        row["record_id"]: row["rank"] if row["reason"] == "LISTED" else row["reason"]
        for row in found.iter_rows(named=True)
    }


def test_the_best_come_first():
    assert listing({"score": 0.8}, {"score": 0.95}, {"score": 0.7}) == {"r-2": 1, "r-1": 2, "r-3": 3}


def test_min_score_is_inclusive():
    assert listing({"score": 0.7}, {"score": 0.699999}) == {"r-1": 1, "r-2": "BELOW_MIN_SCORE"}


def test_who_cannot_be_reached_is_not_listed():
    unreachable = {"email_eligible": False}
    found = listing(unreachable, {"email_eligible": None}, {**unreachable, "score": 0.1}, {"in_app_eligible": False})
    assert found == {"r-1": "CHANNEL_INELIGIBLE", "r-2": "CHANNEL_INELIGIBLE", "r-3": "CHANNEL_INELIGIBLE", "r-4": 1}


def test_each_channel_asks_for_its_own_eligibility_and_score():
    banner = {"channelId": "banner", "type": "in-app", "minScore": 0.9}
    banner["config"] = {"bannerType": "slim", "displayDuration": 3, "placement": "home"}
    rows = candidates(
        a_candidate(record_id="r-1", in_app_eligible=True, email_eligible=False, score=0.9),
        a_candidate(record_id="r-2", subject_id="p-2", in_app_eligible=True, score=0.899999),
        a_candidate(record_id="r-3", subject_id="p-3", in_app_eligible=False, score=1.0),
    )
    found = verdicts_on(rows, InAppChannel.model_validate(banner))
    assert found.select("record_id", "channel", "reason").rows() == [
        ("r-1", "banner", "LISTED"),
        ("r-2", "banner", "BELOW_MIN_SCORE"),
        ("r-3", "banner", "CHANNEL_INELIGIBLE"),
    ]


def test_what_has_no_score_is_not_there():
    assert listing({"score": None, "probability": None}, {}) == {"r-2": 1}


def test_ties_go_to_the_newest_event_then_subject_then_customer():
    newest, older = instant("2026-11-19 20:00"), instant("2026-11-19 19:59")
    found = listing(
        {"event_at": None},
        {"event_at": older},
        {"event_at": newest, "subject_id": "p-10", "customer_id": "c-9"},
        {"event_at": newest, "subject_id": "p-10", "customer_id": "c-10"},
        {"event_at": newest, "subject_id": "p-9", "customer_id": "c-1"},
        {"event_at": newest, "subject_id": "Ä", "customer_id": "c-1"},
        {"event_at": newest, "subject_id": "Z", "customer_id": "c-2"},
        {"score": 0.9, "event_at": None},
    )
    assert sorted(found, key=found.get) == ["r-8", "r-7", "r-4", "r-3", "r-5", "r-6", "r-2", "r-1"]


def test_each_customer_keeps_the_best_of_the_quota():
    mine = {"customer_id": "c-1", "quota_left": 2}
    found = listing({**mine, "score": 0.8}, {**mine, "score": 0.7}, {**mine, "score": 0.9}, {"score": 0.75})
    assert found == {"r-3": 1, "r-1": 2, "r-4": 3, "r-2": "FREQUENCY_CAP"}
    assert listing({"quota_left": None, "customer_id": "c-1"}, {"quota_left": None, "customer_id": "c-1"}) == {
        "r-1": 1,
        "r-2": 2,
    }


def test_rows_below_the_minimum_use_no_quota():
    mine = {"customer_id": "c-1", "quota_left": 1}
    assert listing({**mine, "score": 0.2}, {**mine, "score": 0.8}) == {"r-2": 1, "r-1": "BELOW_MIN_SCORE"}


def test_a_full_subject_leaves_its_places_and_the_quota_to_the_next_best():
    track, mine = {"subject_id": "p-1"}, {"customer_id": "c-0", "quota_left": 1}
    found = listing(
        {**track, "score": 0.99},
        {**track, **mine, "score": 0.98},
        {**mine, "score": 0.97},
        {**mine, "score": 0.96},
        {"score": 0.95},
        {"score": 0.94},
        limit=3,
        perTrackLimit=1,
    )
    assert found == {
        "r-1": 1,
        "r-2": "TRACK_CAP",
        "r-3": 2,
        "r-4": "FREQUENCY_CAP",
        "r-5": 3,
        "r-6": "BELOW_LIMIT",
    }


def test_once_the_limit_is_reached_every_row_left_is_below_it():
    mine, track = {"customer_id": "c-0", "quota_left": 1}, {"subject_id": "p-1"}
    found = listing(
        {**mine, **track, "score": 0.9},
        {**mine, "score": 0.8},
        {**track, "score": 0.75},
        {"score": 0.6},
        limit=1,
        perTrackLimit=1,
    )
    assert found == {"r-1": 1, "r-2": "BELOW_LIMIT", "r-3": "BELOW_LIMIT", "r-4": "BELOW_MIN_SCORE"}


def test_a_limit_of_zero_lists_nobody():
    assert listing({}, {}, limit=0) == {"r-1": "BELOW_LIMIT", "r-2": "BELOW_LIMIT"}
    assert listing({}, perTrackLimit=0) == {"r-1": "TRACK_CAP"}


def test_nobody_to_list():
    found = verdicts_on(candidates())
    assert found.is_empty()
    assert found.schema == LIST_VERDICTS.schema


@st.composite
def histories(draw) -> tuple[list[dict[str, Any]], EmailChannel]:
    """Many rows per customer, few distinct scores and instants, so that everything collides."""
    quotas = draw(st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=1, max_size=4))
    pairs = draw(
        st.lists(st.tuples(st.integers(0, len(quotas) - 1), st.integers(0, 4)), unique=True, min_size=1, max_size=16)
    )
    instants = [None, instant("2026-11-19 10:00"), instant("2026-11-19 11:00")]
    rows = [
        a_candidate(
            record_id=f"r-{place}",
            customer_id=f"c-{customer}",
            subject_id=f"p-{subject}",
            quota_left=quotas[customer],
            score=draw(st.sampled_from([None, 0.0, 0.699999, 0.7, 0.8, 1.0])),
            event_at=draw(st.sampled_from(instants)),
            email_eligible=draw(st.sampled_from([True, True, True, False, None])),
        )
        for place, (customer, subject) in enumerate(pairs)
    ]
    limits = draw(st.fixed_dictionaries(dict.fromkeys(("limit", "perTrackLimit"), st.none() | st.integers(0, 6))))
    return rows, an_email(**limits)


def naive(rows: list[dict[str, Any]], channel: EmailChannel) -> dict[str, str]:
    """The documented rules, row by row."""
    reasons: dict[str, str] = {}
    listed: list[dict[str, Any]] = []

    def place(row: dict[str, Any]) -> tuple:
        since = (row["event_at"] - instant("2026-01-01")).total_seconds() if row["event_at"] else -1
        return (-row["score"], -since, row["subject_id"].encode(), row["customer_id"].encode())

    for row in sorted((row for row in rows if row["score"] is not None), key=place):
        used = len([other for other in listed if other["customer_id"] == row["customer_id"]])
        on_subject = len([other for other in listed if other["subject_id"] == row["subject_id"]])
        rules = {
            "CHANNEL_INELIGIBLE": not row["email_eligible"],
            "BELOW_MIN_SCORE": row["score"] < 0.7,
            "BELOW_LIMIT": channel.limit is not None and len(listed) >= channel.limit,
            "FREQUENCY_CAP": row["quota_left"] is not None and used >= row["quota_left"],
            "TRACK_CAP": channel.per_track_limit is not None and on_subject >= channel.per_track_limit,
        }
        reason = next((code for code, refuses in rules.items() if refuses), "LISTED")
        reasons[row["record_id"]] = reason
        if reason == "LISTED":
            listed.append(row)
    return reasons


@given(histories(), st.randoms(use_true_random=False))
def test_any_list_is_filled_by_the_documented_rules(history, random):
    rows, channel = history
    found = verdicts_on(candidates(*rows), channel)
    assert dict(found.select("record_id", "reason").iter_rows()) == naive(rows, channel)

    listed = found.filter(pl.col("reason") == "LISTED").join(candidates(*rows), on="record_id")
    per_customer = Counter(listed["customer_id"])
    quotas = {row["customer_id"]: row["quota_left"] for row in rows}
    assert all(quotas[customer] is None or count <= quotas[customer] for customer, count in per_customer.items())
    assert channel.limit is None or listed.height <= channel.limit
    assert channel.per_track_limit is None or max(Counter(listed["subject_id"]).values(), default=0) <= (
        channel.per_track_limit
    )
    assert sorted(listed["rank"]) == list(range(1, listed.height + 1))
    assert listed.sort("rank")["score"].is_sorted(descending=True)

    random.shuffle(rows)
    assert verdicts_on(candidates(*rows), channel).equals(found)


def slots(*rows: dict[str, Any], config: dict[str, Any] | None = None, **program: Any) -> dict[str, tuple[str, ...]]:
    """By record of the e-mail list: campaign, local slot and its instant."""
    channel = an_email(config={**PRODUCT_REVIEWS["channels"][0]["config"], **(config or {})})
    frame = candidates(
        *(a_candidate(**{"record_id": f"r-{n}", "customer_id": f"c-{n}", **row}) for n, row in enumerate(rows, start=1))
    )
    listed = email_list(
        frame.lazy(),
        verdicts_on(frame, channel),
        program=a_program(**program),
        channel=channel,
        partition=PARTITION,
    )
    assert listed.schema == EMAIL_LIST.schema
    assert listed["rank"].to_list() == list(range(1, listed.height + 1))
    columns = listed.select(
        "record_id",
        "campaign_id",
        pl.col("slot_local", "slot_at").dt.strftime("%m-%d %H:%M"),
    )
    return {record: rest for record, *rest in columns.iter_rows()}


@pytest.mark.parametrize(
    ("zone", "local", "at"),
    [
        ("Europe/Berlin", "11-20 10:00", "11-20 09:00"),
        ("America/Los_Angeles", "11-20 10:00", "11-20 18:00"),
        ("Asia/Tokyo", "11-21 10:00", "11-21 01:00"),
        ("Australia/Sydney", "11-21 10:00", "11-20 23:00"),
        ("Pacific/Kiritimati", "11-21 10:00", "11-20 20:00"),
        ("Asia/Kolkata", "11-20 10:00", "11-20 04:30"),
        # 10:00 in Dhaka is the batch instant plus two hours: "after" is strict.
        ("Asia/Dhaka", "11-21 10:00", "11-21 04:00"),
    ],
)
def test_the_slot_is_the_first_ten_o_clock_after_the_deadline_where_the_recipient_lives(zone, local, at):
    assert slots({"time_zone": zone}) == {"r-1": ["product-reviews:email:2026-11-19:DE", local, at]}


def test_the_slot_follows_the_programs_deadline_and_time():
    assert slots({}, deadline="8h") == {"r-1": ["product-reviews:email:2026-11-19:DE", "11-21 10:00", "11-21 09:00"]}
    assert slots({}, config={"sendTime": "05:30"})["r-1"][1:] == ["11-20 05:30", "11-20 04:30"]
    berlin = {"timezone": "Europe/Berlin"}
    assert slots({"time_zone": "Asia/Tokyo"}, config=berlin)["r-1"][1:] == ["11-20 10:00", "11-20 09:00"]


def test_a_campaign_per_marketplace_and_only_who_is_listed():
    found = slots(
        {"marketplace": "US", "time_zone": "America/New_York", "score": 0.8},
        {"marketplace": "US", "time_zone": "America/Denver", "score": 0.9},
        {"marketplace": "JP", "time_zone": "Asia/Tokyo"},
        {"score": 0.3},
        {"email_eligible": False},
    )
    assert list(found) == ["r-2", "r-1", "r-3"]
    us, jp = "product-reviews:email:2026-11-19:US", "product-reviews:email:2026-11-19:JP"
    assert [campaign for campaign, *_ in found.values()] == [us, us, jp]
    assert [at for *_, at in found.values()] == ["11-20 17:00", "11-20 15:00", "11-21 01:00"]


def over_all(**reasons: str) -> tuple[str, str | None]:
    """Reason and channels of one record out of what each channel said."""
    rows = [
        {"record_id": "r-1", "customer_id": "c-1", "channel": channel, "reason": reason, "rank": None}
        for channel, reason in reasons.items()
    ]
    verdicts = pl.DataFrame(rows, schema=LIST_VERDICTS.schema)
    found = final_reasons(nw.from_native(verdicts.lazy()), ["email", "banner", "third"]).to_native().collect()
    assert found.height == 1
    return found.select("reason", "channels").row(0)


@pytest.mark.parametrize(
    ("reasons", "final"),
    [
        ({"email": "LISTED", "banner": "BELOW_LIMIT"}, ("LISTED", "email")),
        ({"email": "CHANNEL_INELIGIBLE", "banner": "LISTED"}, ("LISTED", "banner")),
        ({"third": "LISTED", "banner": "LISTED", "email": "LISTED"}, ("LISTED", "email,banner,third")),
        ({"email": "BELOW_LIMIT", "banner": "TRACK_CAP"}, ("BELOW_LIMIT", None)),
        ({"email": "TRACK_CAP", "banner": "FREQUENCY_CAP"}, ("TRACK_CAP", None)),
        ({"email": "BELOW_MIN_SCORE", "banner": "FREQUENCY_CAP"}, ("FREQUENCY_CAP", None)),
        ({"email": "BELOW_MIN_SCORE", "banner": "CHANNEL_INELIGIBLE"}, ("BELOW_MIN_SCORE", None)),
        ({"email": "CHANNEL_INELIGIBLE"}, ("CHANNEL_INELIGIBLE", None)),
    ],
)
def test_over_several_channels_the_latest_reason_counts(reasons, final):
    assert over_all(**reasons) == final
