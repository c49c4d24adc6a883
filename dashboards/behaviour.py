"""The behaviour dashboard: seven tables of one service, for growth and engagement."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards import panels
from dashboards.freshness import add_freshness
from dashboards.queries import latest, pooled
from engage_assets.domain.summary_spec import CommerceAnalytics

UID: Final = "otel-analytics-multi-service"
_PERCENT: Final = "percent"


def behaviour_dashboard(spec: CommerceAnalytics) -> Dashboard:
    """The dashboard `otel-analytics-multi-service`."""
    about = "Who comes, how often, and who comes back, by the newest calculation date of each table."
    dashboard = panels.open_dashboard("User behaviour", UID, about, spec)
    add_freshness(dashboard, spec, "behaviour")
    for add in (_active_users, _retention, _conversion, _cohorts, _sessions, _events):
        add(dashboard)
    return dashboard


def _active_users(dashboard: Dashboard) -> None:
    month = "SUBSTR(CAST(month AS VARCHAR), 1, 7)"
    labelled = f"CASE WHEN is_complete THEN {month} ELSE {month} || ' (not whole)' END AS month_label"
    months = latest("mau", f"{labelled}, monthly_active_users, total_sessions", order="month")
    days = latest("dau", "date AS time, daily_active_users, rolling_mau_30d", order="date")
    events = latest("dau", "date AS time, daily_sessions, daily_events", order="date")
    per_user = latest("dau", "date AS time, events_per_user", order="date")
    panels.add_row(
        dashboard,
        "Active users",
        [
            panels.bars(
                "Monthly active users",
                months,
                12,
                "month_label",
                about="Months that the logs cover in part are named so.",
            ),
            panels.lines("Daily active users, and those of 30 days", days, 12),
            panels.lines(
                "Stickiness",
                latest("dau", "date AS time, stickiness", order="date"),
                8,
                unit=_PERCENT,
                about="Daily active users of those of the 30 days up to the day.",
            ),
            panels.lines("Sessions and events", events, 8),
            panels.lines("Events by user", per_user, 8),
        ],
    )


def _retention(dashboard: Dashboard) -> None:
    pooled_rate = f"{pooled('SUM(retained_users)', 'SUM(base_users)')} AS retention_rate"
    label = "'D+' || CAST(day_offset AS VARCHAR) AS days_later"
    new = latest("retention", f"{label}, {pooled_rate}", where="basis = 'new'", group="day_offset", order="day_offset")
    about = "New users of all cohorts together: each is in one cohort alone, so that they may be added up."
    panels.add_row(
        dashboard,
        "Retention",
        [
            panels.bars(
                "New users that came back", new, 6, "days_later", units={"retention_rate": _PERCENT}, about=about
            ),
            panels.lines("Retention of new users by cohort", _by_cohort("new"), 9, unit=_PERCENT),
            panels.lines("Retention of active users by cohort", _by_cohort("active"), 9, unit=_PERCENT),
        ],
    )


def _by_cohort(basis: str) -> str:
    """A column per offset; a cohort has one row of each, so that MAX only picks it."""
    offsets = (f"MAX(CASE WHEN day_offset = {days} THEN retention_rate END) AS d{days}" for days in (1, 7, 30))
    columns = f"cohort_date AS time, {', '.join(offsets)}"
    return latest("retention", columns, where=f"basis = '{basis}'", group="cohort_date", order="cohort_date")


def _conversion(dashboard: Dashboard) -> None:
    steps = ("total_sessions", "product_view_sessions", "cart_add_sessions", "purchase_sessions")
    sums = ", ".join(f"SUM({step}) AS {step}" for step in steps)
    rates = ", ".join(
        f"{pooled(f'SUM({step})', f'SUM({before})')} AS {name}"
        for name, step, before in zip(
            ("view_rate", "view_to_cart_rate", "cart_to_purchase_rate"), steps[1:], steps, strict=False
        )
    )
    about = "Sessions are of the day on which they start, each of one day alone, so that they may be added up."
    daily = latest("conversion", "date AS time, view_rate, view_to_cart_rate, cart_to_purchase_rate", order="date")
    users = latest("conversion", "date AS time, cart_users, purchasing_users", order="date")
    buyers = latest("conversion", "date AS time, user_conversion_rate", order="date")
    panels.add_row(
        dashboard,
        "Conversion",
        [
            panels.numbers("Sessions that got so far", latest("conversion", sums), 6, about=about),
            panels.numbers(
                "Step rates",
                latest("conversion", rates),
                6,
                units=dict.fromkeys(("view_rate", "view_to_cart_rate", "cart_to_purchase_rate"), _PERCENT),
                about="Of all sessions of the window together: no average of daily rates.",
            ),
            panels.lines("Step rates by day", daily, 12, unit=_PERCENT),
            panels.lines("Cart users and buyers by day", users, 12),
            panels.lines("Buyers of cart users by day", buyers, 12, unit=_PERCENT),
        ],
    )


def _cohorts(dashboard: Dashboard) -> None:
    order = "CASE class WHEN 'New' THEN 1 WHEN 'Recent' THEN 2 WHEN 'Active' THEN 3 ELSE 4 END"
    classes = latest("user_cohort", "class AS user_class, user_count, active_last_7d", order=order)
    about = "Days since first seen: New 0-7, Recent 8-30, Active 31-90, Veteran more."
    panels.add_row(
        dashboard,
        "Users by class",
        [
            panels.bars("Users by class", classes, 12, "user_class", about=about),
            panels.rows("Classes", classes, 12),
        ],
    )


def _sessions(dashboard: Dashboard) -> None:
    events = "date AS time, avg_events_per_session, median_events_per_session, p90_events_per_session"
    kinds = "date AS time, avg_event_types_per_session"
    panels.add_row(
        dashboard,
        "Sessions",
        [
            panels.lines("Sessions by day", latest("session_metrics", "date AS time, total_sessions", order="date"), 8),
            panels.lines("Events by session", latest("session_metrics", events, order="date"), 8),
            panels.lines(
                "Most events of a session",
                latest("session_metrics", "date AS time, max_events_per_session", order="date"),
                8,
            ),
            panels.lines("Kinds of events by session", latest("session_metrics", kinds, order="date"), 8),
            panels.lines(
                "Duration of sessions",
                latest("session_metrics", "date AS time, avg_duration_seconds", order="date"),
                8,
                unit="s",
            ),
            panels.lines(
                "Bounce rate",
                latest("session_metrics", "date AS time, bounce_rate", order="date"),
                8,
                unit=_PERCENT,
                about="Sessions of exactly one event.",
            ),
        ],
    )


def _events(dashboard: Dashboard) -> None:
    listed = "event, event_count, unique_users, unique_sessions, percentage_of_total"
    order = "event_count DESC, event"
    panels.add_row(
        dashboard,
        "Events",
        [
            panels.shares("Events by name", latest("event_distribution", "event, event_count", order=order), 8),
            panels.rows(
                "Event distribution",
                latest("event_distribution", listed, order=order),
                16,
                units={"percentage_of_total": _PERCENT},
            ),
        ],
    )
