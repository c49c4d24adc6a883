"""The behaviour tables on events that can be checked by eye. Columns are those that the example is about."""

from datetime import date, timedelta

import pytest

from engage_assets_tests.summaries.builders import DAY, event


def seen(user="u1", at="12:00", session="s1", kind="product_view", **more):
    return event(kind, user, session, at, **more)


# --- months -----------------------------------------------------------------------------------------


def test_months_that_the_logs_cover_and_the_current_one(make):
    events = [
        seen(at="-60 12:00"),  # 1 September
        seen("u2", at="-31 12:00", session="s2"),  # 30 September
        seen("u2", at="0 12:00", session="s3"),
        seen(None, at="0 12:00", session=None),
        event("x", user="u9", session=None, at="-61 12:00"),  # August, from its last day on
    ]
    columns = "month is_complete monthly_active_users total_sessions total_events window_start window_days"
    assert make("mau", *events, columns=columns) == [
        (date(2025, 9, 1), True, 2, 2, 2, date(2025, 9, 1), 30),
        (date(2025, 10, 1), True, 1, 1, 2, date(2025, 10, 1), 31),
    ]


def test_the_current_month_is_shown_though_logs_begin_in_it(make):
    assert make("mau", seen(at="-5 12:00"), columns="month is_complete") == [(date(2025, 10, 1), False)]


# --- days -------------------------------------------------------------------------------------------


def test_days_have_a_row_each(make):
    rows = make(
        "dau", columns="daily_active_users daily_sessions daily_events events_per_user rolling_mau_30d stickiness"
    )
    assert rows == [(0, 0, 0, None, 0, None)] * 90


def test_a_day_counts_its_users_sessions_and_events(make):
    events = [seen("u1"), seen("u1", session="s2"), seen("u2", session=None), seen(None, session="s3")]
    columns = "daily_active_users daily_sessions daily_events events_per_user"
    assert make("dau", *events, columns=columns)[-1] == (2, 3, 4, 1.5)


def test_sessions_belong_to_the_day_they_start_on_and_users_to_their_own(make):
    rows = make("dau", seen(at="-1 23:59"), seen("u2", at="00:01"), columns="daily_active_users daily_sessions")
    assert rows[-2:] == [(1, 1), (1, 0)]


def test_rolling_users_are_those_of_30_days_each_once(make):
    events = [seen(at=f"{day} 12:00", session=f"s{day}") for day in (-40, -38, -9)] + [seen("u2", at="-10 12:00")]
    rows = dict(make("dau", *events, columns="date rolling_mau_30d"))
    rolling = {day: rows[DAY + timedelta(days=day)] for day in (-41, -40, -38, -11, -10, -9, 0)}
    assert rolling == {-41: 0, -40: 1, -38: 1, -11: 1, -10: 2, -9: 2, 0: 2}


def test_a_user_leaves_the_rolling_30_days_on_the_30th_day_after(make):
    rows = dict(make("dau", seen(at="-40 12:00"), columns="date rolling_mau_30d"))
    assert [rows[DAY + timedelta(days=day)] for day in (-12, -11, -10)] == [1, 1, 0]


def test_rolling_users_include_days_before_the_window(make):
    rows = make("dau", seen(at="-118 12:00"), seen("u2", at="-119 12:00"), columns="rolling_mau_30d stickiness")
    assert rows[:2] == [(1, 0.0), (0, None)]


def test_stickiness_is_rounded_half_up(make):
    others = [seen(f"u{number}", at="-1 12:00", session=None) for number in range(799)]
    rows = make("dau", seen("u0", session=None), seen("new", session=None), *others, columns="stickiness")
    assert rows[-1] == (0.25,)
    rows = make("dau", seen("u0", session=None), *others, seen("x", at="-1 12:00"), columns="stickiness")
    assert rows[-1] == (0.13,)  # 0.125


# --- retention --------------------------------------------------------------------------------------


def test_retention_asks_for_exactly_that_day(make):
    events = [seen("u1", at=f"{day} 12:00") for day in (-30, -29, -23, 0)]
    events += [seen("u2", at="-30 12:00"), seen("u2", at="-28 12:00"), seen("u2", at="-100 12:00")]
    rows = make("retention", *events, columns="cohort_date day_offset basis base_users retained_users retention_rate")
    assert [row[1:] for row in rows if row[0] == DAY - timedelta(days=30)] == [
        (1, "active", 2, 1, 50.0),
        (1, "new", 1, 1, 100.0),
        (7, "active", 2, 1, 50.0),
        (7, "new", 1, 1, 100.0),
        (30, "active", 2, 1, 50.0),
        (30, "new", 1, 1, 100.0),
    ]
    assert {row[0] for row in rows if row[2] == "new"} == {DAY - timedelta(days=30)}


def test_retention_has_no_row_before_the_day_has_come_and_none_without_users(make):
    rows = make("retention", seen(at="-7 12:00"), seen(None, at="-20 12:00"), columns="cohort_date day_offset basis")
    cohort = DAY - timedelta(days=7)
    assert rows == [(cohort, day, basis) for day in (1, 7) for basis in ("active", "new")]


def test_new_users_are_those_never_seen_before_in_all_logs(make):
    rows = make("retention", seen(at="-200 12:00"), seen(at="-1 12:00"), seen(), columns="basis retained_users")
    assert rows == [("active", 1)]


# --- conversion -------------------------------------------------------------------------------------


def test_steps_of_a_session(make):
    events = [
        seen("u1", session="s1"),
        seen("u1", session="s1", kind="cart_add"),
        seen("u1", session="s1", kind="purchase", order_id="o1"),
        seen("u2", session="s2"),
        seen("u2", session="s3", kind="cart_add"),
        seen("u3", session="s4", kind="purchase"),
        seen("u4", session=None, kind="cart_add"),
    ]
    (row,) = make("conversion", *events)
    figures = list(row.values())[5:]
    assert figures == [4, 2, 2, 2, 50.0, 100.0, 100.0, 2, 2, 100.0]


def test_an_order_shown_again_is_no_purchase(make):
    events = [
        seen("u1", at="-100 12:00", session="s0", kind="purchase", order_id="o1"),
        seen("u1", session="s1", kind="purchase", order_id="o1"),
        seen("u2", at="10:00", session="s2", kind="purchase", order_id="o2"),
        seen("u3", at="10:01", session="s3", kind="purchase", order_id="o2"),
    ]
    columns = "total_sessions purchase_sessions purchasing_users cart_to_purchase_rate user_conversion_rate"
    assert make("conversion", *events, columns=columns) == [(3, 1, 1, None, None)]


def test_users_of_a_session_belong_to_its_first_day(make):
    events = [
        seen("u1", at="-1 23:50"),
        seen("u2", at="00:10", kind="cart_add"),
        seen("u3", at="00:20", kind="purchase", order_id="o1"),
    ]
    columns = "date cart_add_sessions purchase_sessions cart_users purchasing_users"
    assert make("conversion", *events, columns=columns) == [(DAY - timedelta(days=1), 1, 1, 1, 1)]


# --- classes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "place"), [(0, 0), (-7, 0), (-8, 1), (-30, 1), (-31, 2), (-90, 2), (-91, 3), (-400, 3)]
)
def test_users_are_classed_by_the_days_since_first_seen(make, first, place):
    rows = make("user_cohort", seen(at=f"{first} 12:00"), seen(), columns="class user_count active_last_7d")
    expected = [[name, 0, 0] for name in ("New", "Recent", "Active", "Veteran")]
    expected[place][1:] = [1, 1]
    assert rows == [tuple(row) for row in expected]


def test_users_of_the_window_and_of_the_last_7_days(make):
    events = [seen("u1", at="-6 12:00"), seen("u2", at="-7 12:00"), seen("u3", at="-90 12:00"), seen(None)]
    assert make("user_cohort", *events, columns="user_count active_last_7d") == [(2, 1), (0, 0), (0, 0), (0, 0)]


# --- sessions ---------------------------------------------------------------------------------------


def test_session_metrics_of_a_day(make):
    lengths = [1, 1, 2, 3, 3, 4, 5, 6, 9, 20]
    events = [
        seen(session=f"s{number}", at=f"12:00:{second:02}", kind="search" if second else "product_view")
        for number, length in enumerate(lengths)
        for second in range(length)
    ]
    (row,) = make("session_metrics", *events)
    assert list(row.values())[5:] == [10, 5.4, 1.8, 20, 3.5, 9, 4.4, 20.0]


def test_p90_is_the_nearest_rank(make):
    def p90(count):
        events = [seen(session=f"s{number}") for number in range(count) for _ in range(number + 1)]
        return make("session_metrics", *events, columns="median_events_per_session p90_events_per_session")

    assert p90(1) == [(1.0, 1)]
    assert p90(2) == [(1.5, 2)]
    assert p90(11) == [(6.0, 10)]


def test_a_session_over_midnight_has_one_duration_and_its_types_once(make):
    events = [
        seen(at="-1 23:59:59.999999"),
        seen(at="-1 23:59:59.999999", kind="cart_add"),
        seen(at="00:00:00.000001"),
        seen(at="00:00:01", kind="search"),
        seen(at="00:00:02", kind=None),
    ]
    columns = "date total_sessions avg_events_per_session avg_event_types_per_session avg_duration_seconds bounce_rate"
    assert make("session_metrics", *events, columns=columns) == [(DAY - timedelta(days=1), 1, 5.0, 3.0, 2.000001, 0.0)]


# --- events -----------------------------------------------------------------------------------------


def test_events_are_shown_as_logged(make):
    events = [seen(), seen("u2", session="s2"), seen(None, session=None), event("치킨.dance"), event(None), event(None)]
    columns = "event event_count unique_users unique_sessions percentage_of_total"
    assert make("event_distribution", *events, columns=columns) == [
        ("commerce.product.view", 3, 2, 2, 50.0),
        ("치킨.dance", 1, 1, 1, 16.67),
    ]
