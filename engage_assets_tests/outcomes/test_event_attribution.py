"""Which channel brought a registration."""

from datetime import datetime, timedelta

import narwhals as nw
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.domain.events import REGISTRATIONS_LOG
from engage_assets.domain.tables import INTERACTIONS_LOG, SENDS_LOG
from engage_assets.outcomes.event_attribution import (
    MILLION,
    MODELS,
    attribute,
    by_channel,
    multi_channel_share,
    registrants,
    touches,
)

ASKED = datetime.fromisoformat("2026-03-10 12:00")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def changes(*rows: tuple[str, int, str, datetime], by: str | None = None) -> nw.LazyFrame:
    """REGISTRATIONS_LOG: customer, sequence, status, at; `by`: the channel whose link was used."""
    made = [
        {"customer_id": who, "sequence": sequence, "status": status, "at": at, "event_id": "e-1",
         "send_id": by and f"{who}-{by}"}
        for who, sequence, status, at in rows
    ]  # fmt: skip
    return nw.from_native(pl.LazyFrame(made, schema=REGISTRATIONS_LOG.schema))


def seen(*rows: tuple[str, str, str, datetime]) -> tuple[nw.LazyFrame, nw.LazyFrame]:
    """SENDS_LOG and INTERACTIONS_LOG: customer, channel, kind, at."""
    sends, events = [], []
    for place, (who, channel, kind, at) in enumerate(rows):
        send = {"send_id": f"{who}-{channel}", "customer_id": who, "subject_id": "e-1", "channel": channel}
        sends.append({**send, "is_solicitation": True})
        rule = "scanner" if kind.startswith("machine") else None
        events.append(
            {
                "send_id": send["send_id"],
                "event_id": f"i-{place}",
                "kind": kind.split()[-1],
                "at": at,
                "machine_rule": rule,
            }
        )
    return (
        nw.from_native(pl.LazyFrame(sends, schema=SENDS_LOG.schema)),
        nw.from_native(pl.LazyFrame(events, schema=INTERACTIONS_LOG.schema)),
    )


def attributed(log, sends, interactions) -> pl.DataFrame:
    seated = registrants(log)
    touched = touches(sends, interactions, seated).to_native().collect()
    return attribute(seated.to_native().collect(), touched)


def row(frame: pl.DataFrame, channel: str) -> tuple[int, ...]:
    return frame.filter(pl.col("channel") == channel).select(MODELS).row(0)


def test_three_models_of_one_registration():
    log = changes(("c-1", 0, "registered", ASKED))
    touched = seen(("c-1", "email", "click", ASKED - 3 * DAY), ("c-1", "in-app", "click", ASKED))
    found = attributed(log, *touched)
    # half-life 3 days: 0.5 against 1
    assert row(found, "email") == (0, MILLION, 333_333)
    assert row(found, "in-app") == (MILLION, 0, 666_667)


def test_clicks_count_before_sights_and_both_within_two_weeks_up_to_the_request():
    log = changes(*((f"c-{number}", 0, "registered", ASKED) for number in range(5)))
    touched = seen(
        ("c-0", "email", "click", ASKED - 2 * DAY),
        ("c-0", "in-app", "displayed", ASKED - DAY),
        ("c-1", "email", "open", ASKED - 14 * DAY),
        ("c-2", "email", "click", ASKED - 14 * DAY - timedelta(microseconds=1)),
        ("c-3", "email", "click", ASKED + timedelta(microseconds=1)),
        ("c-4", "email", "machine click", ASKED - DAY),
    )
    found = attributed(log, *touched)
    assert found.select("customer_id", "channel").rows() == [
        ("c-0", "email"), ("c-1", "email"), ("c-2", "direct"), ("c-3", "direct"), ("c-4", "direct"),
    ]  # fmt: skip
    assert by_channel(found, ["email", "in-app"]).rows() == [
        ("direct", *[3 * MILLION] * 3), ("email", *[2 * MILLION] * 3), ("in-app", 0, 0, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("touched", "expected"),
    [
        # A banner that opens later takes nothing from the mail whose link was used.
        ([("email", "open", DAY), ("in-app", "displayed", HOUR)], {"email": (MILLION, MILLION)}),
        ([("email", "machine click", DAY), ("in-app", "displayed", HOUR)], {"email": (MILLION, MILLION)}),
        ([("email", "click", DAY), ("in-app", "click", HOUR)], {"email": (MILLION, MILLION), "in-app": (0, 0)}),
        ([("in-app", "click", DAY), ("email", "open", HOUR)], {"email": (MILLION, 0), "in-app": (0, MILLION)}),
        ([("in-app", "click", DAY), ("email", "click", HOUR)], {"email": (MILLION, 0), "in-app": (0, MILLION)}),
        ([("email", "click", HOUR), ("in-app", "click", HOUR)], {"email": (MILLION, MILLION), "in-app": (0, 0)}),
        ([("email", "click", 20 * DAY)], {"email": (MILLION, MILLION)}),
    ],
)
def test_the_last_touch_is_the_link_that_was_used(touched, expected):
    log = changes(("c-1", 0, "registered", ASKED), ("c-1", 1, "attended", ASKED + DAY), by="email")
    found = attributed(log, *seen(*(("c-1", channel, kind, ASKED - ago) for channel, kind, ago in touched)))
    assert {channel: row(found, channel)[:2] for channel in found["channel"]} == expected


def test_a_click_that_was_followed_by_its_own_request_counts_once():
    touched = seen(("c-1", "in-app", "click", ASKED - HOUR), ("c-1", "email", "click", ASKED - HOUR / 60))
    alone, by_link = (attributed(changes(("c-1", 0, "registered", ASKED), by=by), *touched) for by in (None, "email"))
    assert by_link.equals(alone)


def test_who_counts_as_registered():
    log = changes(
        ("promoted", 0, "wait_listed", ASKED),
        ("promoted", 1, "registered", ASKED + DAY),
        ("waiting", 0, "wait_listed", ASKED),
        ("gone", 0, "registered", ASKED),
        ("gone", 1, "cancelled", ASKED + DAY),
        ("came", 0, "registered", ASKED),
        ("came", 1, "attended", ASKED + 5 * DAY),
    )
    found = registrants(log).to_native().collect().sort("customer_id")
    assert found.select("customer_id", "asked_at", "is_cancelled").rows() == [
        ("came", ASKED, False), ("gone", ASKED, True), ("promoted", ASKED, False),
    ]  # fmt: skip


touch = st.tuples(
    st.sampled_from(["c-0", "c-1", "c-2"]),
    st.sampled_from(["email", "in-app"]),
    st.sampled_from(["click", "open", "displayed", "machine click"]),
    st.integers(-20 * 24, 24).map(lambda hours: ASKED + timedelta(hours=hours)),
)


@given(st.lists(touch, max_size=12), st.randoms(use_true_random=False))
def test_every_model_sums_to_the_registrations_in_any_order(rows, random):
    log = changes(*((f"c-{number}", 0, "registered", ASKED) for number in range(3)), by="in-app")
    found = attributed(log, *seen(*rows))
    for model in MODELS:
        assert found.group_by("customer_id").agg(pl.col(model).sum())[model].to_list() == [MILLION] * 3
    sends, events = seen(*rows)
    shuffled = events.to_native().collect().sample(fraction=1, shuffle=True, seed=random.randint(0, 99)).lazy()
    assert attributed(log, sends, nw.from_native(shuffled)).equals(found)


def test_the_share_that_several_channels_touched():
    log = changes(("c-1", 0, "registered", ASKED), ("c-2", 0, "registered", ASKED))
    sends, events = seen(("c-1", "email", "click", ASKED - DAY), ("c-1", "in-app", "click", ASKED))
    seated = registrants(log)
    touched = touches(sends, events, seated).to_native().collect()
    assert multi_channel_share(touched, seated.to_native().collect()) == (1, 2)
