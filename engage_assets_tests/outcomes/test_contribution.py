"""Figures of what came back, out of OUTCOMES rows."""

import polars as pl
import pytest

from engage_assets.outcomes.attribution import outcomes
from engage_assets.outcomes.metrics import measure
from engage_assets_tests.builders import a_program, instant
from engage_assets_tests.outcomes.frames import (
    A_DAY,
    NIGHT,
    PARTITION,
    interactions,
    on_duckdb,
    on_polars,
    outcome_rows,
    responses,
    sends,
)

PROGRAM = a_program(cost={"currency": "EUR", "perBatch": 1.0, "perMessage": 0.5})
AT = instant("2026-11-21 16:00")
OPENED, CLICKED = {"human_opens": 3}, {"human_clicks": 1}
ANSWERED = {"outcome": "responded", "response_id": "r", **OPENED, **CLICKED}
CAME = outcome_rows(
    {},
    {"machine_opens": 2, "machine_clicks": 1},
    {**OPENED, "machine_opens": 1, "delivered_at": AT},
    {**OPENED, **CLICKED, "marketplace": "DE"},
    CLICKED,
    {**ANSWERED, "rating": 5},
    {**ANSWERED, "rating": 4},
    {**ANSWERED, "rating": 4, "marketplace": "DE"},
    {"bounced_at": AT, "is_hard_bounce": True},
    {"complained_at": AT, **OPENED},
    {"outcome": "pending", "marketplace": "JP"},
    {"outcome": "in_doubt", "reason": "NO_ANSWER", **OPENED, "bounced_at": AT},
    {"outcome": "failed", "reason": "TRANSPORT_REFUSED"},
    {"outcome": "skipped", "reason": "OPTED_OUT"},
    {"outcome": "skipped", "reason": "OPTED_OUT"},
    {"outcome": "skipped", "reason": "SUPPRESSED", "marketplace": None},
    {"outcome": "held_out"},
)
SENT = sends(("s-1", "sent", "2026-11-21 15:00"))
QUOTAS = pl.DataFrame({"customer_id": ["a", "a", "b", "c", "d"], "quota_left": [3, 3, 1, 1, 0]})


def measured(came=CAME, *, on=on_polars, program=PROGRAM, **given):
    how = {"sends": None, "batch": None, "unsolicited": 2} | given
    log = None if came is None else on(came)
    return measure(on(A_DAY), program=program, partition=PARTITION, as_of=NIGHT, outcomes=log, **how)


def value(metrics, metric, dimension="all", member="all"):
    place = (pl.col("metric") == metric) & (pl.col("dimension") == dimension) & (pl.col("member") == member)
    return metrics.row(by_predicate=place, named=True)["value"]


def members(metrics, metric, dimension):
    rows = metrics.filter(pl.col("metric") == metric, pl.col("dimension") == dimension)
    return dict(rows.select("member", "value").iter_rows())


def notes(metrics):
    rows = metrics.filter(pl.col("value").is_null(), pl.col("dimension") == "all")
    return dict(rows.select("metric", "note").iter_rows())


def test_fates_add_up_to_the_planned_sends_and_an_answered_one_was_sent():
    metrics = measured()
    fates = {fate: value(metrics, fate) for fate in ("sent", "pending", "failed", "in_doubt", "skipped", "held_out")}
    assert fates == {"sent": 10, "pending": 1, "failed": 1, "in_doubt": 1, "skipped": 3, "held_out": 1}
    assert sum(fates.values()) == value(metrics, "sends_planned") == CAME.height


def test_rates_are_of_sent_messages_and_machines_are_in_the_raw_ones_only():
    metrics = measured()
    expected = {
        "opens": 6, "opens_raw": 7, "clicks": 5, "clicks_raw": 6, "responses": 3, "responses_unsolicited": 2,
        "open_rate": 0.6, "open_rate_raw": 0.7, "click_through_rate": 0.5, "click_through_rate_raw": 0.6,
        "click_to_open_rate": 0.833333, "conversion_rate": 0.3, "bounce_rate": 0.1, "complaint_rate": 0.1,
        "mean_rating": 4.333333, "cost_per_message": 0.6, "cost_per_response": 2,
    }  # fmt: skip
    assert {metric: value(metrics, metric) for metric in expected} == expected


def test_figures_are_broken_down_by_marketplace_channel_rating_and_reason():
    metrics = measured()
    assert members(metrics, "sent", "marketplace") == {"US": 8, "UK": 0, "DE": 2, "FR": 0, "JP": 0, "unknown": 0}
    assert members(metrics, "conversion_rate", "marketplace") == {
        "US": 0.25, "UK": None, "DE": 0.5, "FR": None, "JP": None, "unknown": None,
    }  # fmt: skip
    assert members(metrics, "open_rate", "channel") == {"email": 0.6}
    assert members(metrics, "responses", "rating") == {"1": 0, "2": 0, "3": 0, "4": 2, "5": 1}
    assert members(metrics, "skipped", "send_reason") == {"OPTED_OUT": 2, "SUPPRESSED": 1}
    assert members(metrics, "failed", "send_reason") == {"TRANSPORT_REFUSED": 1}
    assert members(metrics, "in_doubt", "send_reason") == {"NO_ANSWER": 1}


@pytest.mark.parametrize(
    ("came", "given", "missing"),
    [
        (None, {}, dict.fromkeys(("sent", "opens", "conversion_rate", "cost_per_response"), "no delivery has run")),
        (None, {"sends": on_polars(SENT)}, {"open_rate": "no outcomes are made yet"}),
        (
            outcome_rows({"outcome": "pending"}),
            {},
            dict.fromkeys(("open_rate", "conversion_rate", "bounce_rate", "cost_per_message"), "no message was sent"),
        ),
        (
            outcome_rows({}),
            {"unsolicited": 0},
            {
                "open_rate": "no open or click of the partition's sends is recorded",
                "conversion_rate": "no open, click or answer is recorded",
                "mean_rating": "no open, click or answer is recorded",
                "bounce_rate": (
                    "no provider event (delivered, bounce, complaint) of the partition's sends is recorded"
                ),
            },
        ),
        (outcome_rows(CLICKED), {}, {"click_to_open_rate": "no person's open is recorded"}),
        (CAME, {"unsolicited": None}, {"responses_unsolicited": "responses of the partition's day were not read"}),
        (CAME, {"program": a_program()}, {"cost_per_response": "the program file has no cost section"}),
    ],
    ids=["no delivery", "no outcomes", "nothing sent", "nothing recorded", "no opens", "no responses", "no costs"],
)  # fmt: skip
def test_what_cannot_be_measured_is_null_and_names_what_is_missing(came, given, missing):
    assert missing.items() <= notes(measured(came, **given)).items()


def test_no_answer_to_messages_that_were_opened_is_a_conversion_of_zero():
    metrics = measured(outcome_rows(OPENED), unsolicited=0)
    assert (value(metrics, "conversion_rate"), value(metrics, "responses")) == (0, 0)
    assert notes(metrics)["mean_rating"] == "no answer is recorded"


def test_headroom_counts_customers_by_the_requests_that_are_left():
    metrics = measured(headroom=on_polars(QUOTAS))
    assert members(metrics, "cap_headroom", "headroom") == {"0": 1, "1": 2, "3": 1}
    assert value(metrics, "cap_headroom") == round(5 / 12, 6)
    assert notes(measured(program=a_program(filterChain=[{"filterId": "trust", "type": "trust", "order": 1}])))[
        "cap_headroom"
    ] == "the program has no frequency cap"  # fmt: skip


def test_duckdb_gives_the_rows_of_polars():
    given = {on: measured(on=on, headroom=on(QUOTAS)) for on in (on_polars, on_duckdb)}
    assert given[on_duckdb].equals(given[on_polars])


def test_events_delivered_five_times_and_shuffled_give_identical_metrics():
    people = [f"c-{number}" for number in range(20)]
    log = pl.concat(sends((f"s-{who}", "sent", "2026-11-21 15:00"), customer_id=who) for who in people)
    kinds = ("open", "click", "bounce", "complaint", "delivered")
    touched = interactions(
        *(
            (f"s-{who}", kinds[at % 5], f"2026-11-21 16:{at:02}", *["scan"] * (at % 3 == 0))
            for at, who in enumerate(people)
        )
    )
    answers = pl.concat(responses((f"r-{who}", "2026-11-21 17:00", 4), customer_id=who) for who in people[::4])

    def once(*given):
        came = outcomes(*map(on_polars, given), program=PROGRAM, partition=PARTITION, as_of=NIGHT)
        return measured(came.collect("polars").to_native())

    def five_times(frame):
        return frame.select(pl.all().repeat_by(5).explode()).sample(fraction=1, shuffle=True, seed=7)

    metrics = once(log, touched, answers)
    assert value(metrics, "responses") == 5
    assert once(*map(five_times, (log, touched, answers))).equals(metrics)
