"""Figures of events: who is counted where, what adds up, and what is said where nothing can be measured."""

import polars as pl
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from engage_assets.outcomes.event_figures import OWN
from engage_assets_tests.outcomes.happenings import (
    AHEAD,
    LOG,
    OVER,
    SENDS,
    STATES,
    changes,
    expected,
    given,
    invitation,
    measured,
    on,
)


def figures(made_of) -> dict:
    found = list(OWN.measure(made_of))
    by_key = {(one.metric, one.dimension, one.member): one for one in found}
    assert len(by_key) == len(found), "no figure stands twice"
    return by_key


@pytest.fixture(scope="module")
def found() -> dict:
    return figures(given())


def value(found, metric, dimension="all", member="all"):
    return found[metric, dimension, member].value


def test_invitations_are_summed_over_channels_and_people_are_counted_once(found):
    assert (value(found, "invited"), value(found, "reach")) == (12, 8)
    assert (value(found, "invited", "channel", "email"), value(found, "invited", "channel", "in-app")) == (8, 4)
    assert value(found, "invited", "event_channel", "e-1/in-app") == 4
    assert (value(found, "invited", "event", OVER), value(found, "reach", "event", OVER)) == (10, 6)
    assert value(found, "reach", "event_marketplace", "e-1/DE") == 3


def test_registrations_are_of_who_got_a_seat_and_the_line_stands_beside(found):
    assert value(found, "registrations") == 6
    assert value(found, "registrations", "event", OVER) == 5
    assert value(found, "registrations_cancelled") == 1
    assert (value(found, "wait_listed"), value(found, "waiting"), value(found, "promoted")) == (2, 1, 1)
    assert value(found, "registration_rate") == 0.5, "of the invitations, as the document has it"
    assert value(found, "reach_registration_rate") == 0.625, "c-9 was not invited"
    assert (value(found, "seats"), value(found, "seats_taken"), value(found, "capacity_use_rate")) == (5, 5, 1)
    assert found["seats", "event", AHEAD].note == "the event has no limit of seats"


def test_attendance_is_of_seats_kept_at_events_of_which_it_is_known(found):
    assert (value(found, "attended"), value(found, "no_shows"), value(found, "attendance_rate")) == (3, 1, 0.75)
    assert value(found, "attendance_rate", "event_marketplace", "e-1/DE") == 0.5
    assert value(found, "mean_watch_minutes") == 45
    assert found["attended", "event", AHEAD].note == "the event is not over, or nobody is recorded as attended"
    steps = [
        value(found, "event_people", "step", one) for one in ("invited", "seen", "clicked", "registered", "attended")
    ]
    assert [*steps, value(found, "event_people", "event_step", "e-1/answered")] == [8, 4, 3, 6, 3, 2]


def test_nobody_is_absent_before_it_is_recorded_who_came():
    early = figures(given(registrations=[row for row in LOG if row["status"] not in ("attended", "no_show")]))
    for metric in ("attended", "no_shows", "attendance_rate"):
        assert early[metric, "all", "all"].value is None
        assert "nobody is recorded as attended" in early[metric, "all", "all"].note


def test_attributions_sum_to_the_registrations(found):
    # c-1: mail, then banner; c-3: the click on the banner wins over the open mail; c-4: a display; c-9, c-7: nothing.
    last = {channel: value(found, "last_touch_share", "channel", channel) for channel in ("email", "in-app", "direct")}
    first = {
        channel: value(found, "first_touch_share", "channel", channel) for channel in ("email", "in-app", "direct")
    }
    assert last == {"email": 0.166667, "in-app": 0.5, "direct": 0.333333}
    assert first == {"email": 0.333333, "in-app": 0.333333, "direct": 0.333333}
    for metric in ("last_touch_share", "first_touch_share", "time_decay_share"):
        shares = [one for (name, dimension, _), one in found.items() if (name, dimension) == (metric, "channel")]
        assert sum(one.numerator for one in shares) == pytest.approx(6)
        assert value(found, metric) == 0.666667, "what channels of ours brought"
    assert value(found, "multi_channel_share") == 0.333333


def test_push_and_survey(found):
    assert value(found, "notices") == 10
    assert (value(found, "notices", "notice", "reminder"), value(found, "notices", "notice", "moved")) == (3, 0)
    assert (value(found, "push_sent"), value(found, "push_open_rate")) == (3, 0.666667)
    assert value(found, "push_click_through_rate") == 0.333333, "of sent, not of opened"
    assert (value(found, "survey_answers"), value(found, "satisfaction")) == (2, 4.5)
    assert value(found, "survey_answer_rate") == 0.666667
    assert value(found, "survey_answers", "event_rating", "e-1/5") == 1
    assert found["satisfaction", "event", AHEAD].note == "no answer of a survey is recorded"


def test_costs_are_parted_by_invitations(found):
    assert value(found, "cost_per_registration") == pytest.approx(3400 / 6, abs=1e-6)
    assert value(found, "cost_per_attendee") == pytest.approx(3400 / 3, abs=1e-6)
    assert value(found, "cost_per_registration", "event", AHEAD) == pytest.approx(3400 * 2 / 12, abs=1e-6)


def test_a_forecast_is_the_latest_and_is_judged_as_it_was_at_the_start(found):
    assert value(found, "forecast_attendance") == 3.9
    assert value(found, "forecast_attendance", "event", OVER) == 3.2
    assert (value(found, "forecast_low", "event", OVER), value(found, "forecast_high", "event", OVER)) == (2, 4)
    assert value(found, "forecast_held_rate") == 1
    assert value(found, "attended_to_forecast") == 0.9375
    assert value(found, "forecast_brier") == 0.12
    missed = figures(
        given(attendance_forecasts=[expected(OVER, 9, 4, 3.2, 0, 2, moment="start", attended=3, brier=0.2)])
    )
    assert value(missed, "forecast_held_rate") == 0
    off = [STATES[0], {**STATES[1], "is_cancelled": True}]
    assert value(figures(given(event_states=off)), "forecast_attendance") == 3.2, "nobody comes to what is called off"
    unknown = figures(given(attendance_forecasts=[]))
    assert unknown["forecast_attendance", "all", "all"].note.startswith("there is no forecast")


def test_a_reminder_that_is_due_on_a_batchs_monday_is_no_invitation(found):
    assert value(found, "invited", "event", OVER) == 10
    nothing = figures(given(send_events=[row for row in SENDS if not row["is_solicitation"]]))
    assert nothing["invited", "all", "all"].note == "no invitation went out"


def test_what_became_known_after_the_night_is_not_counted():
    later = [*LOG, *changes("c-8", ("registered", 30), event=AHEAD)]
    assert figures(given(registrations=later)).keys() == figures(given()).keys()
    assert value(figures(given(registrations=later)), "registrations") == 6


def test_figures_of_banners_follow_their_own_formulas():
    rows = measured()
    by_key = {(row["metric"], row["dimension"], row["member"]): row["value"] for row in rows.iter_rows(named=True)}
    assert by_key["sent", "channel", "in-app"] == 4, "configured"
    assert by_key["display_rate", "channel", "in-app"] == 0.75
    assert by_key["click_through_rate", "channel", "in-app"] == 0.666667, "of the displayed"
    assert by_key["conversion_rate", "channel", "in-app"] == 0.25
    assert by_key["displayed_conversion_rate", "channel", "in-app"] == 0.333333
    assert by_key["open_rate", "channel", "in-app"] is None
    assert (by_key["display_rate", "all", "all"], by_key["displays", "all", "all"]) == (0.75, 3)
    assert by_key["open_rate", "all", "all"] == 3 / 8, "of messages alone"
    assert by_key["click_through_rate", "all", "all"] == 2 / 8
    assert "mean_rating" not in set(rows["metric"]), "the form asks for none"


people = st.tuples(
    st.sampled_from([f"c-{number}" for number in range(1, 7)]),
    st.sampled_from([OVER, AHEAD]),
    st.lists(
        st.sampled_from(["registered", "wait_listed", "cancelled", "attended", "no_show"]), min_size=1, max_size=4
    ),
)


@settings(max_examples=20)
@drawn(st.lists(people, max_size=8, unique_by=lambda one: one[:2]), st.lists(st.sampled_from(SENDS), unique_by=id))
def test_parts_add_up_to_the_whole(histories, sends):
    log = [
        row for who, event, states in histories
        for row in changes(who, *((state, day) for day, state in enumerate(states)), event=event)
    ]  # fmt: skip
    found = figures(given(registrations=log, send_events=sends))
    for metric in ("invited", "registrations", "registrations_cancelled", "attended", "no_shows"):
        for dimension in ("event", "marketplace", "event_marketplace", "event_channel"):
            parts = [one.value or 0 for (name, of, _), one in found.items() if (name, of) == (metric, dimension)]
            if parts and value(found, metric) is not None:
                assert sum(parts) == value(found, metric)
    whole = value(found, "registrations")
    for model in ("last_touch_share", "first_touch_share", "time_decay_share"):
        shares = [one.numerator for (name, of, _), one in found.items() if (name, of) == (model, "channel")]
        assert sum(shares) == pytest.approx(whole)
    if value(found, "attendance_rate") is not None:
        assert 0 <= value(found, "attendance_rate") <= 1
    assert not sends or (value(found, "reach") or 0) <= (value(found, "invited") or 0)


def test_an_event_that_two_mondays_invite_for_is_invited_for_by_its_own_campaigns():
    other = [
        invitation("c-1", "email") | {"campaign_id": "event-invitations:email:2026-11-16:DE:e-1:x", "send_id": "o"}
    ]
    assert value(figures(given(send_events=[*SENDS, *other])), "invited") == 12


def test_nothing_is_said_of_events_that_were_not_read():
    bare = figures(given().__class__(given().program, given().partition, given().as_of))
    assert {one.value for one in bare.values()} == {None}
    assert {one.note for one in bare.values()} == {"the events of the batch were not read"}
    assert on(0).hour == 12


def test_the_frame_has_one_row_for_each_figure():
    rows = measured()
    assert rows.select("metric", "dimension", "member").is_duplicated().sum() == 0
    assert rows.filter(pl.col("note") == "").is_empty()
