"""The commerce dashboard: nine tables of one service, for sales, merchandising and operations."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards import panels
from dashboards.freshness import add_freshness
from dashboards.queries import latest, over_all_keys, pooled
from engage_assets.domain.summary_spec import CommerceAnalytics

UID: Final = "commerce-analytics-multi-service"
_EVERYONE: Final = "unique_users, unique_sessions"
_RATE: Final = pooled("rate_numerator", "rate_denominator")
_PERCENT: Final = "percent"
_ALL_KEYS: Final = "Over all keys, cut off by no top N, and everybody counted once: the figures of period_totals."


def commerce_dashboard(spec: CommerceAnalytics) -> Dashboard:
    """The dashboard `commerce-analytics-multi-service`."""
    about = "What is clicked, searched, put into carts and bought, by the newest calculation date of each table."
    dashboard = panels.open_dashboard("Commerce analytics", UID, about, spec)
    dashboard = dashboard.with_variable(
        panels.choose_value("action", "Action", "button_interaction", panels.ACTIONS)
    ).with_variable(panels.choose_value("category", "Category", "category_performance", panels.CATEGORIES))
    add_freshness(dashboard, spec, "commerce")
    for add in (_buttons, _products, _categories, _search, _traffic, _purchases, _navigation, _sources, _totals):
        add(dashboard, spec)
    return dashboard


def _titled(what: str, table: str, spec: CommerceAnalytics) -> str:
    """The row's title, with the table's window."""
    days, top = spec.window(table)
    return f"{what}: {days} days" + (f", top {top}" if top else "")


def _buttons(dashboard: Dashboard, spec: CommerceAnalytics) -> None:
    table = "button_interaction"
    one = latest(table, "total_clicks AS clicks, unique_users AS users", where="action = ${action:sqlstring}")
    listed = (
        "rank_no, action, total_clicks, unique_users, unique_sessions, avg_clicks_per_user, menu_name, page,"
        " place_count"
    )
    panels.add_row(
        dashboard,
        _titled("Buttons", table, spec),
        [
            panels.numbers("Clicks of $action", one, 5),
            panels.numbers(
                "All buttons", over_all_keys(table, f"total_events AS clicks, {_EVERYONE}"), 5, about=_ALL_KEYS
            ),
            panels.rows("Buttons by clicks", latest(table, listed, order="rank_no"), 14),
        ],
    )


def _products(dashboard: Dashboard, spec: CommerceAnalytics) -> None:
    table = "product_ranking"
    listed = (
        "rank_no, productName AS product_name, category, seller, cart_add_count, unique_users,"
        " CAST(avg_sale_price AS DOUBLE) AS avg_sale_price, CAST(total_cart_value AS DOUBLE) AS total_cart_value"
    )
    chosen = "COALESCE(category, 'Uncategorized') = ${category:sqlstring}"
    panels.add_row(
        dashboard,
        _titled("Products", table, spec),
        [
            panels.rows("Product ranking: top 20", latest(table, listed, where="rank_no <= 20", order="rank_no"), 14),
            panels.rows("Products of $category", latest(table, listed, where=chosen, order="rank_no"), 10),
            panels.numbers(
                "All products", over_all_keys(table, f"total_events AS cart_adds, {_EVERYONE}"), 12, about=_ALL_KEYS
            ),
            panels.health(
                "Values that are no numbers",
                latest(table, "SUM(invalid_value_count) AS invalid_values"),
                12,
                "Quantities and prices of the ranked products that are no such numbers; sums leave them out.",
            ),
        ],
    )


def _categories(dashboard: Dashboard, spec: CommerceAnalytics) -> None:
    table = "category_performance"
    figures = (
        "cart_add_count, unique_products, unique_users, total_quantity, CAST(avg_price AS DOUBLE) AS avg_price,"
        " CAST(total_value AS DOUBLE) AS total_value"
    )
    panels.add_row(
        dashboard,
        _titled("Categories", table, spec),
        [
            panels.numbers("Category $category", latest(table, figures, where="category = ${category:sqlstring}"), 6),
            panels.bars(
                "Cart adds by category",
                latest(table, "category, cart_add_count", where="rank_no <= 15", order="rank_no"),
                8,
                "category",
            ),
            panels.rows("Categories", latest(table, f"rank_no, category, {figures}", order="rank_no"), 10),
        ],
    )


def _search(dashboard: Dashboard, spec: CommerceAnalytics) -> None:
    table = "search_analytics"
    listed = (
        "rank_no, search_term, search_count, search_sessions, click_count, clicked_sessions, click_through_rate,"
        " zero_result_searches, zero_result_rate"
    )
    rate = "Sessions that clicked a result of a term that they searched, of those that searched: no average of rates."
    units = {"click_through_rate": _PERCENT, "zero_result_rate": _PERCENT}
    panels.add_row(
        dashboard,
        _titled("Search", table, spec),
        [
            panels.dial("Search click-through rate", over_all_keys(table, f"{_RATE} AS click_through_rate"), 5, rate),
            panels.numbers(
                "All searches", over_all_keys(table, f"total_events AS searches, {_EVERYONE}"), 5, about=_ALL_KEYS
            ),
            panels.rows("Search terms", latest(table, listed, order="rank_no"), 14, units=units),
        ],
    )


def _traffic(dashboard: Dashboard, spec: CommerceAnalytics) -> None:
    table = "hourly_traffic"
    hours = latest(
        table,
        "LPAD(CAST(hour AS VARCHAR), 2, '0') AS hour_label, sessions, cart_adds, cart_conversion_rate",
        order="hour",
    )
    users = latest(
        table, "LPAD(CAST(hour AS VARCHAR), 2, '0') AS hour_label, unique_users, cart_sessions", order="hour"
    )
    panels.add_row(
        dashboard,
        _titled("Traffic by hour of the service's day", table, spec),
        [
            panels.bars("Hourly traffic", hours, 12, "hour_label", units={"cart_conversion_rate": _PERCENT}),
            panels.bars("Users and sessions with a cart", users, 7, "hour_label"),
            panels.dial("Sessions with a cart", over_all_keys(table, f"{_RATE} AS cart_conversion_rate"), 5, _ALL_KEYS),
        ],
    )


def _purchases(dashboard: Dashboard, spec: CommerceAnalytics) -> None:
    table = "purchase_analytics"
    time = "purchase_date AS time"
    revenue = "CAST(total_revenue AS DOUBLE) AS total_revenue"
    sums = "SUM(total_purchases) AS purchases, CAST(SUM(total_revenue) AS DOUBLE) AS revenue"
    doubts = "SUM(orderless_purchases) AS orderless_purchases, SUM(invalid_amount_count) AS invalid_amounts"
    methods = latest(
        table,
        "paid.method, SUM(ELEMENT_AT(payment_method_counts, paid.method)) AS purchases",
        join="CROSS JOIN UNNEST(MAP_KEYS(payment_method_counts)) AS paid(method)",
        group="paid.method",
        order="purchases DESC, paid.method",
    )
    panels.add_row(
        dashboard,
        _titled("Purchases", table, spec),
        [
            panels.numbers("Purchases and revenue", latest(table, sums), 6),
            panels.numbers(
                "Purchasers",
                over_all_keys(table, "unique_users AS purchasers, unique_sessions AS sessions"),
                6,
                about=_ALL_KEYS,
            ),
            panels.health(
                "To look into",
                latest(table, doubts),
                6,
                "Purchases without an order id, which cannot be told from repeats, and amounts that are no amounts.",
            ),
            panels.shares("Payment methods", methods, 6, "Purchases by payment method, where one was logged."),
            panels.lines("Revenue by day", latest(table, f"{time}, {revenue}", order="purchase_date"), 12),
            panels.lines(
                "Purchases by day",
                latest(table, f"{time}, total_purchases, unique_purchasers", order="purchase_date"),
                12,
            ),
            panels.lines(
                "Average order value by day",
                latest(table, f"{time}, CAST(avg_order_value AS DOUBLE) AS avg_order_value", order="purchase_date"),
                12,
            ),
            panels.lines(
                "Purchases by purchaser and day",
                latest(table, f"{time}, purchases_per_user", order="purchase_date"),
                12,
            ),
        ],
    )


def _navigation(dashboard: Dashboard, spec: CommerceAnalytics) -> None:
    table = "navigation_flow"
    listed = "rank_no, from_path, to_path, transition_count, unique_users, unique_sessions, avg_transitions_per_session"
    panels.add_row(
        dashboard,
        _titled("Navigation", table, spec),
        [
            panels.rows("Ways between pages", latest(table, listed, order="rank_no"), 18),
            panels.numbers(
                "All ways", over_all_keys(table, f"total_events AS transitions, {_EVERYONE}"), 6, about=_ALL_KEYS
            ),
        ],
    )


def _sources(dashboard: Dashboard, spec: CommerceAnalytics) -> None:
    table = "cart_source"
    listed = (
        "source, cart_add_count, source_percentage, unique_users, unique_sessions, unique_products, total_quantity,"
        " CAST(total_cart_value AS DOUBLE) AS total_cart_value, avg_adds_per_user"
    )
    order = "cart_add_count DESC, source"
    panels.add_row(
        dashboard,
        _titled("Sources of cart adds", table, spec),
        [
            panels.shares("Cart adds by source", latest(table, "source, cart_add_count", order=order), 8),
            panels.rows("Sources", latest(table, listed, order=order), 16, units={"source_percentage": _PERCENT}),
        ],
    )


def _totals(dashboard: Dashboard, spec: CommerceAnalytics) -> None:
    del spec
    listed = f"table_name, window_days, total_events, unique_users, unique_sessions, {_RATE} AS rate"
    panel = panels.rows(
        "Totals of each table",
        latest("period_totals", listed, order="table_name"),
        24,
        units={"rate": _PERCENT},
        about=_ALL_KEYS,
    )
    panels.add_row(dashboard, "Totals", [panel])
