"""The commerce tables on events that can be checked by eye. Columns are those that the example is about."""

from datetime import date, timedelta
from decimal import Decimal

from engage_assets_tests.summaries.builders import DAY, event

WEEK_AGO = -7  # one day before a window of 7 days


def click(action="open", menu_name=None, page=None, **more):
    return event("button_click", action=action, menu_name=menu_name, page=page, **more)


def add(product_id="p1", quantity=None, price=None, **more):
    return event("cart_add", product_id=product_id, quantity=quantity, price=price, **more)


def searched(term, results=None, **more):
    return event("search", search_term=term, result_count=results, **more)


def clicked(term, **more):
    return event("result_click", search_term=term, **more)


def bought(order_id=None, amount=None, **more):
    return event("purchase", order_id=order_id, amount=amount, **more)


def went(from_path, to_path, **more):
    return event("page_change", from_path=from_path, to_path=to_path, **more)


# --- every table ------------------------------------------------------------------------------------


def test_each_row_says_of_what_it_is(make):
    (row,) = make("cart_source", add())
    assert {key: row[key] for key in ("service", "calculation_date", "window_start", "window_days")} == {
        "service": "theshop-brand",
        "calculation_date": DAY,
        "window_start": DAY - timedelta(days=29),
        "window_days": 30,
    }


def test_the_window_has_its_days_and_its_service(make):
    inside = [click(at=f"{days} 00:00") for days in (0, -6)]
    outside = [click(at=f"{WEEK_AGO} 23:59"), click(at="1 00:00"), click(service="theshop-pharmacy")]
    assert make("button_interaction", *inside, *outside, columns="total_clicks") == [(2,)]


# --- buttons ----------------------------------------------------------------------------------------


def test_buttons_count_clicks_users_and_sessions(make):
    clicks = [
        click(user="u1", session="s1"),
        click(user="u1", session="s2"),
        click(user="u2", session=None),
        click(user=None, session="s3"),
        click(action=None),
    ]
    columns = "rank_no action total_clicks unique_users unique_sessions avg_clicks_per_user"
    assert make("button_interaction", *clicks, columns=columns) == [(1, "open", 4, 2, 3, 1.5)]
    assert make("button_interaction", click(user=None), columns=columns) == [(1, "open", 1, 0, 1, None)]


def test_the_place_of_a_button_is_where_most_clicks_are(make):
    columns = "action menu_name page place_count"
    clicks = [click(menu_name="top"), click(menu_name="top"), click(menu_name="side"), click()]
    assert make("button_interaction", *clicks, columns=columns) == [("open", "top", None, 2)]
    assert make("button_interaction", click(), columns=columns) == [("open", None, None, 0)]


def test_places_with_as_many_clicks_go_by_menu_then_page_nothing_last(make):
    tied = [
        click(page="a"),
        click(menu_name="b", page="z"),
        click(menu_name="b", page="c"),
        click(menu_name="b"),
        click(menu_name="c", page="a"),
    ]
    assert make("button_interaction", *tied, columns="menu_name page place_count") == [("b", "c", 5)]


def test_the_first_50_actions_are_kept_ties_by_name(make):
    clicks = [click(action=f"a{number:02}") for number in range(60)] + [click(action="z")] * 2
    rows = make("button_interaction", *clicks, columns="rank_no action")
    assert rows[:2] == [(1, "z"), (2, "a00")]
    assert (len(rows), rows[-1]) == (50, (50, "a48"))


def test_text_is_ordered_by_code_point(make):
    words = ["가", "Z", "a", "ä", "🎁", "B"]
    rows = make("button_interaction", *(click(action=word) for word in words), columns="action")
    assert [word for (word,) in rows] == ["B", "Z", "a", "ä", "가", "🎁"]


# --- products, categories, sources ------------------------------------------------------------------


def test_products_weigh_prices_by_quantity(make):
    adds = [
        add(quantity=3, price="1.00"),
        add(quantity=1, price="3.00"),
        add(quantity=5, invalid_values=1),
        add(price="9.00", invalid_values=1),
        add(invalid_values=2),
        add(product_id=None, quantity=1, price="1.00"),
    ]
    columns = "productId cart_add_count total_quantity avg_sale_price total_cart_value invalid_value_count"
    assert make("product_ranking", *adds, columns=columns) == [("p1", 5, 9, Decimal("1.50"), Decimal("6.00"), 4)]


def test_products_without_valid_values_have_no_sums(make):
    columns = "total_quantity avg_sale_price total_cart_value invalid_value_count"
    assert make("product_ranking", add(), columns=columns) == [(None, None, None, 0)]


def test_a_price_by_piece_is_rounded_half_up_on_the_exact_ratio(make):
    def price(*adds):
        return make("product_ranking", *(add(quantity=q, price=p) for q, p in adds), columns="avg_sale_price")[0][0]

    assert price((1, "0.01"), (1, "0.02")) == Decimal("0.02")  # 0.015
    assert price((2, "0.01"), (1, "0.02")) == Decimal("0.01")  # 0.0133…
    assert price((9999, "999999999999.99"), (1, "999999999999.98")) == Decimal("999999999999.99")
    assert price((1, "999999999999.99"), (2, "999999999999.98")) == Decimal("999999999999.98")


def test_labels_are_the_latest_known_each_by_itself(make):
    adds = [
        add(at="10:00", product_name="old", category="c1", seller="a"),
        add(at="11:00", product_name="new"),
        add(at="12:00", seller="b"),
        add(at="12:00", seller="c"),
        add(at="12:00", seller="a"),
        add(at="12:01"),
    ]
    assert make("product_ranking", *adds, columns="productName category seller") == [("new", "c1", "c")]


def test_products_are_ranked_by_adds_then_key(make):
    adds = [add("b"), add("c"), add("c"), add("a", user="u2", session="s2"), add("a", user=None)]
    columns = "rank_no productId unique_users unique_sessions"
    assert make("product_ranking", *adds, columns=columns) == [(1, "a", 1, 2), (2, "c", 1, 1), (3, "b", 1, 1)]


def test_categories_name_what_has_none(make):
    adds = [
        add("p1", category="c", quantity=2, price="1.00"),
        add("p2", category="c", quantity=1, price="1.01", user="u2"),
        add(None, category="c"),
        add(),
    ]
    columns = "rank_no category cart_add_count unique_products unique_users total_quantity avg_price total_value"
    assert make("category_performance", *adds, columns=columns) == [
        (1, "c", 3, 2, 2, 3, Decimal("1.00"), Decimal("3.01")),
        (2, "Uncategorized", 1, 1, 1, None, None, None),
    ]


def test_sources_share_all_adds(make):
    adds = [add("p1", source="list", quantity=1, price="2.50"), add("p2", source="list"), add(user=None)]
    columns = "source cart_add_count unique_products total_cart_value source_percentage avg_adds_per_user"
    assert make("cart_source", *adds, columns=columns) == [
        ("list", 2, 2, Decimal("2.50"), 66.67, 2.0),
        ("unknown", 1, 1, None, 33.33, None),
    ]


# --- search -----------------------------------------------------------------------------------------


def test_search_counts_sessions_that_clicked_what_they_searched(make):
    events = [
        searched("tea", session="s1"),
        searched("tea", session="s1"),
        searched("tea", session="s2"),
        searched("tea", session=None),
        clicked("tea", session="s1"),
        clicked("tea", session="s1"),
        clicked("tea", session="s3"),
        clicked("tea", session=None),
        clicked("only clicked"),
        searched(None),
    ]
    columns = "search_term search_count search_sessions click_count clicked_sessions click_through_rate"
    assert make("search_analytics", *events, columns=columns) == [("tea", 4, 2, 4, 1, 50.0)]


def test_an_absent_number_of_results_is_not_zero(make):
    columns = "search_term zero_result_searches zero_result_rate"
    some = [searched("a", 0), searched("a", 0), searched("a", 7), searched("a"), searched("b")]
    assert make("search_analytics", *some, columns=columns) == [("a", 2, 66.67), ("b", 0, None)]
    assert make("search_analytics", searched("a"), columns=columns) == [("a", None, None)]
    assert make("search_analytics", searched("a"), searched(None, 3), columns=columns) == [("a", 0, None)]


def test_a_search_without_session_has_no_rate(make):
    columns = "search_sessions click_through_rate"
    assert make("search_analytics", searched("a", session=None), columns=columns) == [(0, None)]


# --- traffic ----------------------------------------------------------------------------------------


def test_traffic_has_24_hours(make):
    rows = make("hourly_traffic", columns="hour sessions unique_users cart_adds cart_sessions cart_conversion_rate")
    assert rows == [(hour, 0, 0, 0, 0, None) for hour in range(24)]


def test_sessions_belong_to_the_hour_they_start_in_and_events_to_their_own(make):
    events = [
        event("product_view", session="s1", at="09:59"),
        add(session="s1", at="10:00"),
        event("product_view", user="u2", session="s2", at="09:00"),
        add(user="u3", session=None, at="09:30"),
    ]
    rows = make(
        "hourly_traffic", *events, columns="hour sessions unique_users cart_adds cart_sessions cart_conversion_rate"
    )
    assert rows[9:11] == [(9, 2, 3, 1, 1, 50.0), (10, 0, 1, 1, 0, None)]


def test_a_session_starts_with_its_first_session_start_where_it_has_one(make):
    events = [event("product_view", at="08:00"), event("session_start", at="09:00"), event("session_start", at="10:00")]
    rows = make("hourly_traffic", *events, columns="sessions")
    assert [hour for hour, (sessions,) in enumerate(rows) if sessions] == [9]


def test_a_session_over_midnight_is_one_and_none_where_it_began_before_the_window(make):
    over_midnight = [event("product_view", at="-1 23:50"), add(at="0 00:10")]
    from_before = [event("product_view", session="s2", at="-7 23:50"), add(session="s2", at="-6 00:10")]
    rows = make("hourly_traffic", *over_midnight, *from_before, columns="sessions cart_sessions cart_adds")
    assert rows[23] == (1, 1, 0)
    assert rows[0] == (0, 0, 2)


def test_a_session_start_after_midnight_is_the_start(make):
    events = [event("product_view", at="-1 23:50"), event("session_start", at="0 00:10")]
    rows = make("hourly_traffic", *events, columns="sessions")
    assert (rows[0], rows[23]) == ((1,), (0,))


# --- purchases --------------------------------------------------------------------------------------


def test_purchases_have_a_row_for_every_day(make):
    rows = make("purchase_analytics", bought("o1", "5.00"), columns="purchase_date total_purchases total_revenue")
    assert len(rows) == 90
    assert rows[0] == (date(2025, 8, 3), 0, Decimal("0.00"))
    assert rows[-1] == (DAY, 1, Decimal("5.00"))


def test_an_order_counts_once_with_its_first_event_in_all_logs(make):
    events = [
        bought("o1", "5.00", at="-1 10:00"),
        bought("o1", "7.00", at="10:00"),
        bought("o2", "1.00", at="10:00"),
        bought("o2", "2.00", at="10:01"),
        bought("o3", "3.00", at="-90 10:00"),
        bought("o3", "3.00", at="10:00"),
    ]
    rows = make("purchase_analytics", *events, columns="total_purchases total_revenue")
    assert rows[-2:] == [(1, Decimal("5.00")), (1, Decimal("1.00"))]
    assert rows[0] == (0, Decimal("0.00"))


def test_purchases_without_an_order_count_each_and_apart(make):
    events = [bought(), bought(), bought("o1", user=None, session=None)]
    columns = "total_purchases orderless_purchases unique_purchasers unique_sessions purchases_per_user"
    assert make("purchase_analytics", *events, columns=columns)[-1] == (3, 2, 1, 1, 2.0)


def test_an_average_is_of_purchases_with_a_valid_amount(make):
    events = [bought("o1", "1.00"), bought("o2", "1.01"), bought("o3", is_amount_invalid=True), bought("o4")]
    columns = "total_purchases total_revenue avg_order_value invalid_amount_count"
    assert make("purchase_analytics", *events, columns=columns)[-1] == (4, Decimal("2.01"), Decimal("1.01"), 1)


def test_without_any_amount_revenue_is_unknown(make):
    rows = make("purchase_analytics", bought("o1"), columns="total_revenue avg_order_value")
    assert set(rows) == {(None, None)}


def test_a_day_of_purchases_without_amounts_has_no_revenue(make):
    rows = make("purchase_analytics", bought("o1", "1.00", at="-1 10:00"), bought("o2"), columns="total_revenue")
    assert rows[-3:] == [(Decimal("0.00"),), (Decimal("1.00"),), (None,)]


def test_payment_methods_are_counted_where_logged(make):
    events = [bought("o1", payment_method="card"), bought("o2", payment_method="카드"), bought("o3")]
    events.append(bought("o4", payment_method="card"))
    rows = make("purchase_analytics", *events, columns="payment_method_counts")
    assert rows[-2:] == [({},), ({"card": 2, "카드": 1},)]


# --- navigation -------------------------------------------------------------------------------------


def test_ways_lead_somewhere_else(make):
    events = [
        went("/a", "/b"),
        went("/a", "/b", user=None),
        went("/a", "/b", session=None),
        went("/a", "/b", user="u2", session="s2"),
        went("/b", "/b"),
        went(None, "/b"),
        went("/a", None),
    ]
    columns = "rank_no from_path to_path transition_count unique_users unique_sessions avg_transitions_per_session"
    assert make("navigation_flow", *events, columns=columns) == [(1, "/a", "/b", 4, 2, 2, 1.5)]


def test_ways_are_ranked_by_both_ends(make):
    events = [went("/b", "/a"), went("/a", "/c"), went("/a", "/b")]
    assert make("navigation_flow", *events, columns="from_path to_path") == [("/a", "/b"), ("/a", "/c"), ("/b", "/a")]


# --- totals -----------------------------------------------------------------------------------------


def test_totals_are_over_all_keys(make):
    events = [
        *(click(action=f"a{number:02}", user=f"u{number}") for number in range(60)),
        click(action=None),
        add("p1"),
        add(None, user="u2", session="s2", at="-29 10:00"),
        add("p1", at="-30 10:00"),
        searched("a"),
        searched("b"),
        clicked("b"),
        searched("a", session="s2"),
        clicked("b", session="s2"),
        bought("o1", at="-60 10:00", session="s9"),
        bought("o1"),
        went("/a", "/b"),
        went("/b", "/b"),
    ]
    columns = "table_name window_days total_events unique_users unique_sessions rate_numerator rate_denominator"
    assert make("period_totals", *events, columns=columns) == [
        ("button_interaction", 7, 60, 60, 1, None, None),
        ("cart_source", 30, 2, 2, 2, 2, 2),
        ("category_performance", 30, 2, 2, 2, None, None),
        ("hourly_traffic", 7, 2, 60, 2, 1, 2),
        ("navigation_flow", 7, 1, 1, 1, None, None),
        ("product_ranking", 30, 1, 1, 1, None, None),
        ("purchase_analytics", 90, 1, 1, 1, None, None),
        ("search_analytics", 7, 3, 1, 2, 1, 2),
    ]
