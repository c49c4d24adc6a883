"""The definitions that are easily misread, on rows small enough to check by eye; times are Seoul's."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from engage_assets_tests.summaries.naive import summaries
from engage_assets_tests.summaries.naive_events import read_log
from engage_assets_tests.summaries.naive_figures import percent
from engage_assets_tests.summaries.naive_spec import SHIPPED

BRAND = "theshop-brand"
DAY = date(2026, 3, 10)


def event(at, body, user="u1", session="s1", record_id=None, late=0, **attributes):
    local = datetime.fromisoformat(f"2026-{at}").replace(tzinfo=ZoneInfo("Asia/Seoul"))
    own = {"userId": user, "sessionId": session, **attributes}
    return {
        "timestamp": local.astimezone(UTC).isoformat(),
        "body": f"commerce.{body}",
        "attributes": {key: value for key, value in own.items() if value is not None},
        "resource": {"service.name": BRAND},
        "record_id": record_id,
        "service": BRAND,
        "arrival": local.astimezone(UTC).date() + timedelta(days=late),
    }


def table(name, records, *columns, day=DAY):
    rows = summaries(records, BRAND, day)[name]
    return [tuple(row[column] for column in columns) for row in rows]


def test_duplicates_and_late_events():
    search = event("03-10 10:00", "search", query="a")
    records = [
        search,
        {**search, "arrival": search["arrival"] + timedelta(days=1)},
        event("03-10 10:00", "search", query="a", color="red"),
        event("03-10 10:05", "search", record_id="r1", query="later"),
        event("03-10 10:04", "search", record_id="r1", query="first"),
        event("03-10 10:00", "search", late=2, query="just in time"),
        event("03-10 10:00", "search", late=3, query="too late"),
        event("03-11 00:00", "search", query="tomorrow"),
    ]
    log = read_log(records, BRAND, DAY, SHIPPED)
    assert (log.late, log.duplicates) == (1, 2)
    assert table("search_analytics", records, "search_term", "search_count") == [
        ("a", 2),
        ("first", 1),
        ("just in time", 1),
    ]


def test_the_first_filled_alias_counts_even_if_it_is_invalid():
    records = [
        event("03-10 10:00", "cart.add", goodsCd="P", productId="　", salePrice="1,000", price="1000", quantity="1")
    ]
    assert table("product_ranking", records, "productId", "total_cart_value", "invalid_value_count") == [("P", None, 1)]


@pytest.mark.parametrize(
    ("quantity", "price", "value", "invalid"),
    [
        ("2", "10.5", Decimal("21.0"), 0),
        ("\u3000 3 ", "999999999999.99", Decimal("2999999999999.97"), 0),
        ("0007", "0", Decimal(0), 0),
        ("00012", "1", None, 1),
        ("0", "1", None, 1),
        ("2.5", "1e3", None, 2),
        ("٣", "NaN", None, 2),
        ("1", "1234567890123", None, 1),
        ("1", "1.005", None, 1),
        ("1", "-1", None, 1),
        (None, "1", None, 0),
        ("", "", None, 0),
    ],
)
def test_numbers(quantity, price, value, invalid):
    records = [event("03-10 10:00", "cart.add", productId="P", quantity=quantity, salePrice=price)]
    columns = ("cart_add_count", "total_cart_value", "invalid_value_count")
    assert table("product_ranking", records, *columns) == [(1, value, invalid)]


def test_prices_are_weighted_by_quantity_and_labels_are_the_latest():
    records = [
        event("03-01 10:00", "cart.add", productId="P", quantity="3", price="1", productName="old", category="c"),
        event("03-02 10:00", "cart.add", productId="P", quantity="5", price="2", productName="new"),
        event("03-02 10:00", "cart.add", user=None, productId="P", quantity="9", price="x", productName="newer"),
    ]
    columns = ("productName", "category", "cart_add_count", "unique_users", "total_quantity", "avg_sale_price")
    assert table("product_ranking", records, *columns) == [("newer", "c", 3, 1, 17, Decimal("1.63"))]  # 13 / 8 = 1.625


def test_a_session_over_midnight_is_one_of_its_start_date():
    records = [
        event("03-09 23:50", "page.view"),
        event("03-10 00:10", "product.view"),
        event("03-10 00:20", "cart.add", session="s2"),
        event("03-10 00:30", "session.start", session="s2"),
    ]
    columns = ("date", "total_sessions", "product_view_sessions", "cart_add_sessions")
    assert table("conversion", records, *columns) == [(date(2026, 3, 9), 1, 1, 0), (DAY, 1, 0, 1)]
    columns = ("date", "avg_events_per_session", "avg_duration_seconds", "bounce_rate")
    assert table("session_metrics", records, *columns) == [(date(2026, 3, 9), 2.0, 1200.0, 0.0), (DAY, 2.0, 600.0, 0.0)]
    traffic = {
        row[0]: row[1:] for row in table("hourly_traffic", records, "hour", "sessions", "cart_adds", "cart_sessions")
    }
    assert len(traffic) == 24
    assert (traffic[23], traffic[0]) == ((1, 0, 0), (1, 1, 1))
    assert table("conversion", records, "date", "total_sessions", day=date(2026, 3, 9)) == [(date(2026, 3, 9), 1)]


def test_figures_of_session_lengths():
    records = [
        event(f"03-10 10:{minute:02}", "page.view", session=f"s{session}")
        for session, length in enumerate((1, 1, 2, 2, 3, 4, 5, 6, 9, 20))
        for minute in range(length)
    ]
    columns = ("median_events_per_session", "p90_events_per_session", "max_events_per_session", "bounce_rate")
    assert table("session_metrics", records, *columns) == [(3.5, 9, 20, 20.0)]


def test_a_click_without_term_belongs_to_the_search_within_thirty_minutes_before():
    click = "search.result_click"
    records = [
        event("03-10 10:00", "search", query=" Vitamin\u3000 C"),
        event("03-10 10:30", click),
        event("03-10 10:30:00.000001", click),
        event("03-10 09:00", "search", session="s2", query="vitamin c", resultCount="0"),
        event("03-10 09:00", click, session="s2"),
        event("03-10 09:01", click, session="s2", searchTerm="zinc"),
        event("03-10 11:00", "search", session="s3", query="zinc", resultCount="x"),
        event("03-10 11:01", click, session=None),
    ]
    columns = (
        "search_term",
        "search_count",
        "search_sessions",
        "click_count",
        "clicked_sessions",
        "click_through_rate",
    )
    assert table("search_analytics", records, *columns) == [("vitamin c", 2, 2, 1, 1, 50.0), ("zinc", 1, 1, 1, 0, 0.0)]
    columns = ("search_term", "zero_result_searches", "zero_result_rate")
    assert table("search_analytics", records, *columns) == [("vitamin c", 1, 100.0), ("zinc", 0, None)]
    columns = ("table_name", "total_events", "rate_numerator", "rate_denominator")
    assert ("search_analytics", 3, 1, 3) in table("period_totals", records, *columns)


def test_zero_results_are_unknown_where_no_search_says_how_many():
    records = [event("03-10 10:00", "search", query="a")]
    assert table("search_analytics", records, "zero_result_searches", "zero_result_rate") == [(None, None)]


def test_page_changes():
    uuid = "550E8400-e29b-41d4-a716-446655440000"
    records = [
        event("03-10 10:00", "page.view", path="/?utm=1"),
        event("03-10 10:01", "navigation", fromPath="/", toPath="/p/12?x#y"),
        event("03-10 10:02", "page.view", path=f"https://9.example/{uuid}/12a"),
        event("03-10 10:03", "page.view", path=f"https://9.example/{uuid.lower()}/12a"),
        event("03-10 10:04", "navigation", user=None, session=None, fromPath="/", toPath="/p/99"),
    ]
    columns = ("from_path", "to_path", "transition_count", "unique_users", "avg_transitions_per_session")
    assert table("navigation_flow", records, *columns) == [
        ("/", "/p/{id}", 2, 1, 1.0),
        ("/p/{id}", "https://9.example/{id}/12a", 1, 1, 1.0),
    ]


def test_the_first_purchase_of_an_order_counts_and_orderless_ones_are_apart():
    records = [
        event("03-08 10:00", "purchase", orderId="o1", totalAmount="10.01", paymentMethod="card"),
        event("03-10 10:00", "checkout.purchase", session="s2", orderId="o1", totalAmount="99"),
        event("03-10 10:00", "purchase", session="s2", orderId="o2", totalAmount="12,000", paymentMethod="card"),
        event("03-10 11:00", "purchase", session="s3", user=None, totalAmount="10"),
        event("03-10 11:00", "cart.add", session="s2"),
    ]
    columns = ("purchase_date", "total_purchases", "total_revenue", "avg_order_value", "purchases_per_user")
    days = table("purchase_analytics", records, *columns)
    assert (len(days), days[0][0]) == (90, date(2025, 12, 11))
    assert days[-3:] == [
        (date(2026, 3, 8), 1, Decimal("10.01"), Decimal("10.01"), 1.0),
        (date(2026, 3, 9), 0, 0, None, None),
        (DAY, 2, Decimal(10), Decimal(10), 1.0),
    ]
    columns = ("payment_method_counts", "orderless_purchases", "invalid_amount_count")
    assert table("purchase_analytics", records, *columns)[-1] == ({"card": 1}, 1, 1)
    columns = ("total_sessions", "purchase_sessions", "cart_users", "purchasing_users", "cart_to_purchase_rate")
    assert table("conversion", records, *columns)[-1] == (2, 2, 1, 1, 200.0)


def test_without_any_amount_revenue_is_unknown():
    records = [event("03-10 10:00", "checkout.purchase", orderId="o1")]
    assert set(table("purchase_analytics", records, "total_revenue", "avg_order_value")) == {(None, None)}


def test_a_buttons_place_and_its_clicks_per_user():
    records = [
        event("03-10 10:00", "button.click", action="buy", menuName="b", page="1"),
        event("03-10 10:01", "button.click", action="buy", menuName="a", page="1"),
        event("03-10 10:02", "button.click", action="buy"),
        event("03-10 10:03", "button.click", action="buy", user=None),
        event("03-10 10:04", "button.click", action="buy", user=None),
        event("03-10 10:05", "button.click", action="\u2003"),
    ]
    columns = ("action", "total_clicks", "avg_clicks_per_user", "menu_name", "page", "place_count")
    assert table("button_interaction", records, *columns) == [("buy", 5, 3.0, "a", "1", 2)]


def test_retention_cohorts_and_months():
    records = [
        event("01-31 10:00", "page.view", user="old"),
        event("03-01 10:00", "page.view", user="old"),
        event("03-01 10:00", "page.view", user="new"),
        event("03-02 10:00", "page.view", user="new"),
        event("03-08 10:00", "page.view", user="old"),
    ]
    columns = ("cohort_date", "day_offset", "basis", "base_users", "retained_users", "retention_rate")
    assert [row for row in table("retention", records, *columns) if row[0] == date(2026, 3, 1)] == [
        (date(2026, 3, 1), 1, "active", 2, 1, 50.0),
        (date(2026, 3, 1), 7, "active", 2, 1, 50.0),
        (date(2026, 3, 1), 1, "new", 1, 1, 100.0),
        (date(2026, 3, 1), 7, "new", 1, 0, 0.0),
    ]
    assert table("user_cohort", records, "class", "user_count", "active_last_7d") == [
        ("New", 0, 0),
        ("Recent", 1, 0),
        ("Active", 1, 1),
        ("Veteran", 0, 0),
    ]
    assert table("mau", records, "month", "is_complete", "monthly_active_users") == [(date(2026, 3, 1), False, 2)]
    assert table("dau", records, "daily_active_users", "rolling_mau_30d", "stickiness")[-10:-8] == [
        (2, 2, 100.0),
        (1, 2, 50.0),
    ]


def test_rates_are_rounded_half_up_on_the_exact_ratio():
    assert [percent(1, 800), percent(2, 3), percent(0, 3), percent(1, 0)] == [0.13, 66.67, 0.0, None]
