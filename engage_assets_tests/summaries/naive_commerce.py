"""The nine commerce tables, each as a function of the log's events, the day and the spec."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Any

from engage_assets_tests.summaries.naive_events import Event
from engage_assets_tests.summaries.naive_figures import (
    average,
    half_up,
    percent,
    ratio,
    sessions,
    total,
    users,
    with_session,
    with_user,
)
from engage_assets_tests.summaries.naive_sessions import all_sessions, counted_purchases
from engage_assets_tests.summaries.naive_spec import Spec

Row = dict[str, Any]
Groups = dict[Any, list[Event]]


def window(events: list[Event], table: str, day: date, spec: Spec, kind: str | None = None) -> list[Event]:
    start = spec.start(table, day)
    return [event for event in events if start <= event.day <= day and (kind is None or event.kind == kind)]


def grouped(events: Iterable[Event], key: Callable[[Event], Any]) -> Groups:
    """By key; an event whose key is null is in no group."""
    groups: Groups = defaultdict(list)
    for event in events:
        if (value := key(event)) is not None:
            groups[value].append(event)
    return groups


def value_of(meaning: str) -> Callable[[Event], str | None]:
    return lambda event: event.values.get(meaning)


def latest(events: list[Event], meaning: str) -> str | None:
    labels = [(event.at, event.values[meaning]) for event in events if meaning in event.values]
    return max(labels)[1] if labels else None


def top(rows: list[Row], table: str, metric: str, keys: tuple[str, ...], spec: Spec) -> list[Row]:
    rows = sorted(rows, key=lambda row: (-row[metric], *(row[key] for key in keys)))
    return [{"rank_no": place, **row} for place, row in enumerate(rows[: spec.tops[table]], start=1)]


def cart_figures(adds: list[Event]) -> Row:
    valued = [(add.quantity, add.price) for add in adds if add.quantity is not None and add.price is not None]
    value = total(quantity * price for quantity, price in valued)
    return {
        "quantity": total(add.quantity for add in adds),
        "value": value,
        "price": None if value is None else half_up(ratio(value, sum(quantity for quantity, _ in valued))),
    }


def button_interaction(events: list[Event], day: date, spec: Spec) -> list[Row]:
    clicks = grouped(window(events, "button_interaction", day, spec, "button_click"), value_of("action"))
    rows = [{"action": action, **button_figures(own)} for action, own in clicks.items()]
    return top(rows, "button_interaction", "total_clicks", ("action",), spec)


def button_figures(clicks: list[Event]) -> Row:
    places = Counter((click.values.get("menu"), click.values.get("page")) for click in clicks)
    del places[None, None]
    best = min(
        places, key=lambda place: (-places[place], *((part is None, part or "") for part in place)), default=None
    )
    menu, page = best or (None, None)
    return {
        "total_clicks": len(clicks),
        "unique_users": users(clicks),
        "unique_sessions": sessions(clicks),
        "avg_clicks_per_user": average(with_user(clicks), users(clicks)),
        "menu_name": menu,
        "page": page,
        "place_count": len(places),
    }


def product_ranking(events: list[Event], day: date, spec: Spec) -> list[Row]:
    rows = []
    for product, adds in grouped(window(events, "product_ranking", day, spec, "cart_add"), value_of("product")).items():
        figures = cart_figures(adds)
        rows.append(
            {
                "productId": product,
                "productName": latest(adds, "product_name"),
                "category": latest(adds, "category"),
                "seller": latest(adds, "seller"),
                "cart_add_count": len(adds),
                "unique_users": users(adds),
                "unique_sessions": sessions(adds),
                "total_quantity": figures["quantity"],
                "avg_sale_price": figures["price"],
                "total_cart_value": figures["value"],
                "invalid_value_count": sum(len({"quantity", "price"} & add.invalid) for add in adds),
            }
        )
    return top(rows, "product_ranking", "cart_add_count", ("productId",), spec)


def search_analytics(events: list[Event], day: date, spec: Spec) -> list[Row]:
    searches = window(events, "search_analytics", day, spec, "search")
    clicks = grouped(window(events, "search_analytics", day, spec, "result_click"), lambda click: click.term)
    has_results = any(search.results is not None for search in searches)
    rows = []
    for term, own in grouped(searches, lambda search: search.term).items():
        searched = {search.session for search in own} - {None}
        clicked = {click.session for click in clicks.get(term, [])} & searched
        counted = [search.results for search in own if search.results is not None]
        rows.append(
            {
                "search_term": term,
                "search_count": len(own),
                "search_sessions": len(searched),
                "click_count": len(clicks.get(term, [])),
                "clicked_sessions": len(clicked),
                "click_through_rate": percent(len(clicked), len(searched)),
                "zero_result_searches": counted.count(0) if has_results else None,
                "zero_result_rate": percent(counted.count(0), len(counted)),
            }
        )
    return top(rows, "search_analytics", "search_count", ("search_term",), spec)


def category_performance(events: list[Event], day: date, spec: Spec) -> list[Row]:
    adds = window(events, "category_performance", day, spec, "cart_add")
    rows = []
    for category, own in grouped(adds, lambda add: add.values.get("category", "Uncategorized")).items():
        figures = cart_figures(own)
        rows.append(
            {
                "category": category,
                "cart_add_count": len(own),
                "unique_products": len({add.values["product"] for add in own if "product" in add.values}),
                "unique_users": users(own),
                "total_quantity": figures["quantity"],
                "avg_price": figures["price"],
                "total_value": figures["value"],
            }
        )
    return top(rows, "category_performance", "cart_add_count", ("category",), spec)


def hourly_traffic(events: list[Event], day: date, spec: Spec) -> list[Row]:
    start = spec.start("hourly_traffic", day)
    within = window(events, "hourly_traffic", day, spec)
    started = [session for session in all_sessions(events) if start <= session.date <= day]
    rows = []
    for hour in range(24):
        own = [session for session in started if session.hour == hour]
        carts = [session for session in own if session.has("cart_add")]
        of_hour = [event for event in within if event.hour == hour]
        rows.append(
            {
                "hour": hour,
                "sessions": len(own),
                "unique_users": users(of_hour),
                "cart_adds": sum(event.kind == "cart_add" for event in of_hour),
                "cart_sessions": len(carts),
                "cart_conversion_rate": percent(len(carts), len(own)),
            }
        )
    return rows


def purchase_analytics(events: list[Event], day: date, spec: Spec) -> list[Row]:
    purchases = window(counted_purchases(events), "purchase_analytics", day, spec)
    has_amounts = any(purchase.amount is not None for purchase in purchases)
    start = spec.start("purchase_analytics", day)
    days = [start + timedelta(days=number) for number in range(spec.windows["purchase_analytics"])]
    return [
        {
            "purchase_date": at,
            **purchase_figures([one for one in purchases if one.day == at], has_amounts=has_amounts),
        }
        for at in days
    ]


def purchase_figures(purchases: list[Event], *, has_amounts: bool) -> Row:
    amounts = [purchase.amount for purchase in purchases if purchase.amount is not None]
    revenue = total(amounts)
    return {
        "total_purchases": len(purchases),
        "unique_purchasers": users(purchases),
        "unique_sessions": sessions(purchases),
        "total_revenue": 0 if has_amounts and not purchases else revenue,
        "avg_order_value": None if revenue is None else half_up(ratio(revenue, len(amounts))),
        "payment_method_counts": dict(Counter(one.values["payment"] for one in purchases if "payment" in one.values)),
        "purchases_per_user": average(with_user(purchases), users(purchases)),
        "orderless_purchases": sum("order" not in purchase.values for purchase in purchases),
        "invalid_amount_count": sum("amount" in purchase.invalid for purchase in purchases),
    }


def transition(change: Event) -> tuple[str, str] | None:
    if change.from_path is None or change.to_path is None or change.from_path == change.to_path:
        return None
    return change.from_path, change.to_path


def navigation_flow(events: list[Event], day: date, spec: Spec) -> list[Row]:
    changes = window(events, "navigation_flow", day, spec, "page_change")
    rows = [
        {
            "from_path": start,
            "to_path": end,
            "transition_count": len(own),
            "unique_users": users(own),
            "unique_sessions": sessions(own),
            "avg_transitions_per_session": average(with_session(own), sessions(own)),
        }
        for (start, end), own in grouped(changes, transition).items()
    ]
    return top(rows, "navigation_flow", "transition_count", ("from_path", "to_path"), spec)


def cart_source(events: list[Event], day: date, spec: Spec) -> list[Row]:
    adds = window(events, "cart_source", day, spec, "cart_add")
    rows = []
    for source, own in grouped(adds, lambda add: add.values.get("source", "unknown")).items():
        figures = cart_figures(own)
        rows.append(
            {
                "source": source,
                "cart_add_count": len(own),
                "unique_users": users(own),
                "unique_sessions": sessions(own),
                "unique_products": len({add.values["product"] for add in own if "product" in add.values}),
                "total_quantity": figures["quantity"],
                "total_cart_value": figures["value"],
                "source_percentage": percent(len(own), len(adds)),
                "avg_adds_per_user": average(with_user(own), users(own)),
            }
        )
    return rows


def period_totals(events: list[Event], day: date, spec: Spec) -> list[Row]:
    """One row for each other commerce table; window_start and window_days are that table's."""

    def of(table: str, kind: str) -> list[Event]:
        return window(events, table, day, spec, kind)

    adds = of("category_performance", "cart_add")
    counted = {
        "button_interaction": [one for one in of("button_interaction", "button_click") if "action" in one.values],
        "product_ranking": [one for one in of("product_ranking", "cart_add") if "product" in one.values],
        "search_analytics": [one for one in of("search_analytics", "search") if one.term],
        "category_performance": adds,
        "purchase_analytics": window(counted_purchases(events), "purchase_analytics", day, spec),
        "navigation_flow": [one for one in of("navigation_flow", "page_change") if transition(one)],
        "cart_source": of("cart_source", "cart_add"),
    }
    rates = {
        "search_analytics": search_totals(counted["search_analytics"], of("search_analytics", "result_click")),
        "cart_source": (len(counted["cart_source"]), len(counted["cart_source"])),
    }
    rows = [
        totals_row(table, len(own), users(own), sessions(own), rates.get(table, (None, None)), day, spec)
        for table, own in counted.items()
    ]
    return [*rows, traffic_totals(events, day, spec)]


def search_totals(searches: list[Event], clicks: list[Event]) -> tuple[int, int]:
    searched = {(one.session, one.term) for one in searches if one.session}
    clicked = {(one.session, one.term) for one in clicks} & searched
    return len({session for session, _ in clicked}), len({session for session, _ in searched})


def traffic_totals(events: list[Event], day: date, spec: Spec) -> Row:
    """Of the sessions that start in the window, and the users of its events."""
    start = spec.start("hourly_traffic", day)
    started = [session for session in all_sessions(events) if start <= session.date <= day]
    carts = sum(session.has("cart_add") for session in started)
    seen = users(window(events, "hourly_traffic", day, spec))
    return totals_row("hourly_traffic", len(started), seen, len(started), (carts, len(started)), day, spec)


def totals_row(
    table: str, count: int, people: int, visits: int, rate: tuple[int | None, int | None], day: date, spec: Spec
) -> Row:
    return {
        "table_name": table,
        "total_events": count,
        "unique_users": people,
        "unique_sessions": visits,
        "rate_numerator": rate[0],
        "rate_denominator": rate[1],
        "window_start": spec.start(table, day),
        "window_days": spec.windows[table],
    }
