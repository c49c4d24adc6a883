"""The seven behaviour tables, each as a function of the log's events, the day and the spec."""

import math
from collections import defaultdict
from datetime import date, timedelta
from statistics import median
from typing import Any

from engage_assets_tests.summaries.naive_commerce import grouped, window
from engage_assets_tests.summaries.naive_events import Event
from engage_assets_tests.summaries.naive_figures import average, percent, sessions, users, with_user
from engage_assets_tests.summaries.naive_sessions import Session, all_sessions, counted_purchases
from engage_assets_tests.summaries.naive_spec import Spec

Row = dict[str, Any]
DAY = timedelta(days=1)
CLASSES = {"New": range(8), "Recent": range(8, 31), "Active": range(31, 91), "Veteran": range(91, 100_000)}


def active_by_day(events: list[Event]) -> dict[date, set[str]]:
    active: dict[date, set[str]] = defaultdict(set)
    for event in events:
        if event.user is not None:
            active[event.day].add(event.user)
    return active


def first_days(events: list[Event]) -> dict[str, date]:
    first: dict[str, date] = {}
    for event in events:
        if event.user is not None:
            first[event.user] = min(event.day, first.get(event.user, event.day))
    return first


def sessions_by_day(events: list[Event]) -> dict[date, list[Session]]:
    started = defaultdict(list)
    for session in all_sessions(events):
        started[session.date].append(session)
    return started


def days_of(table: str, day: date, spec: Spec) -> list[date]:
    return [spec.start(table, day) + number * DAY for number in range(spec.windows[table])]


def mau(events: list[Event], day: date, _spec: Spec) -> list[Row]:
    """Months that the logs cover, and the month of `day`; a month's window is its own days up to `day`."""
    if not events:
        return []
    began = min(event.day for event in events)
    started = sessions_by_day(events)
    rows = []
    for month, own in grouped(events, lambda event: event.day.replace(day=1)).items():
        is_covered, is_current = began <= month, month == day.replace(day=1)
        if is_covered or is_current:
            last = (month + 31 * DAY).replace(day=1) - DAY
            rows.append(
                {
                    "window_start": month,
                    "window_days": (min(last, day) - month).days + 1,
                    "month": month,
                    "is_complete": is_covered and last <= day,
                    "monthly_active_users": users(own),
                    "total_sessions": sum(len(own) for start, own in started.items() if month <= start <= last),
                    "total_events": len(own),
                }
            )
    return rows


def dau(events: list[Event], day: date, spec: Spec) -> list[Row]:
    active, started = active_by_day(events), sessions_by_day(events)
    by_day = grouped(events, lambda event: event.day)
    rows = []
    for one in days_of("dau", day, spec):
        own, daily = by_day.get(one, []), len(active[one])
        rolling = len(set().union(*(active[one - number * DAY] for number in range(30))))
        rows.append(
            {
                "date": one,
                "daily_active_users": daily,
                "daily_sessions": len(started[one]),
                "daily_events": len(own),
                "events_per_user": average(with_user(own), daily),
                "rolling_mau_30d": rolling,
                "stickiness": percent(daily, rolling),
            }
        )
    return rows


def retention(events: list[Event], day: date, spec: Spec) -> list[Row]:
    active, first = active_by_day(events), first_days(events)
    rows = []
    for one in days_of("retention", day, spec):
        bases = {"active": active[one], "new": {user for user in active[one] if first[user] == one}}
        for basis, base in bases.items():
            for offset in (1, 7, 30):
                if base and one + offset * DAY <= day:
                    retained = len(base & active[one + offset * DAY])
                    rows.append(
                        {
                            "cohort_date": one,
                            "day_offset": offset,
                            "basis": basis,
                            "base_users": len(base),
                            "retained_users": retained,
                            "retention_rate": percent(retained, len(base)),
                        }
                    )
    return rows


def conversion(events: list[Event], day: date, spec: Spec) -> list[Row]:
    counted = {id(purchase) for purchase in counted_purchases(events)}
    started = sessions_by_day(events)
    rows = []
    for one in days_of("conversion", day, spec):
        if not started[one]:
            continue
        steps: dict[str, list[Event]] = {"view": [], "cart": [], "purchase": []}
        for event in (event for session in started[one] for event in session.events):
            if event.kind in ("product_view", "cart_add"):
                steps["view" if event.kind == "product_view" else "cart"].append(event)
            elif id(event) in counted:
                steps["purchase"].append(event)
        rows.append({"date": one, **conversion_figures(len(started[one]), steps)})
    return rows


def conversion_figures(count: int, steps: dict[str, list[Event]]) -> Row:
    views, carts, purchases = (sessions(steps[step]) for step in ("view", "cart", "purchase"))
    return {
        "total_sessions": count,
        "product_view_sessions": views,
        "cart_add_sessions": carts,
        "purchase_sessions": purchases,
        "view_rate": percent(views, count),
        "view_to_cart_rate": percent(carts, views),
        "cart_to_purchase_rate": percent(purchases, carts),
        "cart_users": users(steps["cart"]),
        "purchasing_users": users(steps["purchase"]),
        "user_conversion_rate": percent(users(steps["purchase"]), users(steps["cart"])),
    }


def user_cohort(events: list[Event], day: date, spec: Spec) -> list[Row]:
    first = first_days(events)
    seen = {event.user for event in window(events, "user_cohort", day, spec)} - {None}
    recent = {event.user for event in events if event.day > day - 7 * DAY} - {None}
    return [
        {
            "class": name,
            "user_count": len(own := {user for user in seen if (day - first[user]).days in ages}),
            "active_last_7d": len(own & recent),
        }
        for name, ages in CLASSES.items()
    ]


def session_metrics(events: list[Event], day: date, spec: Spec) -> list[Row]:
    started = sessions_by_day(events)
    return [
        {"date": date, **session_figures(started[date])}
        for date in days_of("session_metrics", day, spec)
        if started[date]
    ]


def session_figures(own: list[Session]) -> Row:
    counts = sorted(len(session.events) for session in own)
    types = sum(len({event.name for event in session.events} - {None}) for session in own)
    seconds = sum((session.events[-1].at - session.events[0].at) // timedelta(microseconds=1) for session in own)
    duration = average(seconds, len(own))
    return {
        "total_sessions": len(own),
        "avg_events_per_session": average(sum(counts), len(own)),
        "avg_event_types_per_session": average(types, len(own)),
        "max_events_per_session": counts[-1],
        "median_events_per_session": float(median(counts)),
        "p90_events_per_session": counts[math.ceil(len(counts) * 9 / 10) - 1],
        "avg_duration_seconds": duration and duration / 1e6,
        "bounce_rate": percent(counts.count(1), len(own)),
    }


def event_distribution(events: list[Event], day: date, spec: Spec) -> list[Row]:
    within = window(events, "event_distribution", day, spec)
    return [
        {
            "event": name,
            "event_count": len(own),
            "unique_users": users(own),
            "unique_sessions": sessions(own),
            "percentage_of_total": percent(len(own), len(within)),
        }
        for name, own in grouped(within, lambda event: event.name).items()
    ]
