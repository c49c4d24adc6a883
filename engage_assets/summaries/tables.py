"""The summary tables, one row each: adding a table is adding an SQL file and a row here.

Definitions stand in the SQL files; here are names, columns, which document the assets too, and what is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from engage_assets.domain.summary_spec import DOCUMENTED, Family, Window
from engage_assets.summaries.relations import SESSION_REACH, SQL


class Column(NamedTuple):
    """A column of a summary table; the type is Trino's."""

    name: str
    type: str
    description: str


class Read(NamedTuple):
    """A relation that a table reads: over another table's window (`of`), and days before its start."""

    relation: str
    of: str = ""
    days_before: int = 0


SHIPPED: Final[Mapping[str, Window]] = {**DOCUMENTED["commerce"], **DOCUMENTED["behaviour"]}
"""Every table's window, as documented."""


@dataclass(frozen=True)
class SummaryTable:
    """A summary table: what a row is, the columns that tell rows apart, all columns, and what it is made of."""

    name: str
    family: Family
    grain: str
    key: tuple[str, ...]
    figures: tuple[Column, ...]
    reads: tuple[Read, ...]

    @property
    def file(self) -> Path:
        """Where its SQL stands."""
        return SQL / self.family / f"{self.name}.sql"

    @property
    def first_count(self) -> str:
        """The column that a top N is ranked by, and that `period_totals` counts."""
        return next(column.name for column in self.figures if column.type == "BIGINT")

    @property
    def is_ranked(self) -> bool:
        """Whether it keeps a top N."""
        return DOCUMENTED[self.family][self.name].top is not None

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns in their order."""
        return (*FRAME, *(RANK if self.is_ranked else ()), *self.figures)


def values(
    table: SummaryTable, service: str, calculation_date: date, windows: Mapping[str, Window] = SHIPPED
) -> dict[str, str | int | date]:
    """What the placeholders of a table's SQL mean: the service, the dates, its own window, and those of all tables.

    `windows` holds every table's, as `CommerceAnalytics.window` tells them.
    """
    made: dict[str, str | int | date] = {"service": service, "calculation_date": calculation_date}
    for name, window in windows.items():
        own = "window" if name == table.name else name
        for prefix in {name, own}:
            if window.days is not None:
                made[f"{prefix}_start"] = calculation_date - timedelta(days=window.days - 1)
                made[f"{prefix}_days"] = window.days
    if top := windows[table.name].top:
        made["top_n"] = top
    return made


def _text(name: str, description: str) -> Column:
    return Column(name, "VARCHAR", description)


def _count(name: str, description: str) -> Column:
    return Column(name, "BIGINT", description)


def _rate(name: str, description: str) -> Column:
    return Column(name, "DOUBLE", f"{description}, in percent with 2 decimals; null without any of the latter.")


def _average(name: str, description: str) -> Column:
    return Column(name, "DOUBLE", description)


def _sum(name: str, description: str) -> Column:
    return Column(name, "DECIMAL(38, 2)", description)


def _price(name: str, description: str) -> Column:
    return Column(name, "DECIMAL(18, 2)", description)


def _date(name: str, description: str) -> Column:
    return Column(name, "DATE", description)


FRAME: Final = (
    _text("service", "The service, as the program file names it."),
    _date("calculation_date", "The business date that the table is of; nothing after it is looked at."),
    _date("window_start", "First day of the window, which ends with the calculation date."),
    Column("window_days", "INTEGER", "Days of the window, both ends included."),
)
"""What every row carries."""
RANK: Final = (_count("rank_no", "Rank by the table's first count, descending, then by the key, ascending."),)

_USERS = _count("unique_users", "Different users.")
_SESSIONS = _count("unique_sessions", "Different sessions.")
_QUANTITY = _count("total_quantity", "Sum of the valid quantities; null without one.")
_EVENTS = Read("events")
_SESSION_DAYS = Read("sessions")

BUTTON_INTERACTION = SummaryTable(
    "button_interaction",
    "commerce",
    "one row per action of a button",
    ("action",),
    (
        _text("action", "What the button does."),
        _count("total_clicks", "Clicks."),
        _USERS,
        _SESSIONS,
        _average("avg_clicks_per_user", "Clicks of known users by user."),
        _text(
            "menu_name", "Menu of the place with most of the clicks; ties go to the first menu, then the first page."
        ),
        _text("page", "Page of that place."),
        _count("place_count", "Different places (menu and page, at least one of them known)."),
    ),
    (_EVENTS,),
)
PRODUCT_RANKING = SummaryTable(
    "product_ranking",
    "commerce",
    "one row per product",
    ("productId",),
    (
        _text("productId", "The product."),
        _text("productName", "Its latest known name."),
        _text("category", "Its latest known category."),
        _text("seller", "Its latest known seller."),
        _count("cart_add_count", "Times that it was put into a cart."),
        _USERS,
        _SESSIONS,
        _QUANTITY,
        _price("avg_sale_price", "Price by piece, over the adds with valid quantity and price."),
        _sum("total_cart_value", "Sum of quantity times price over the same adds; null without one."),
        _count("invalid_value_count", "Quantities and prices that were given and are no such numbers."),
    ),
    (_EVENTS,),
)
SEARCH_ANALYTICS = SummaryTable(
    "search_analytics",
    "commerce",
    "one row per search term",
    ("search_term",),
    (
        _text("search_term", "The term, in lower case, with single spaces."),
        _count("search_count", "Searches."),
        _count("search_sessions", "Sessions that searched it."),
        _count("click_count", "Clicks on its results."),
        _count("clicked_sessions", "Of the sessions that searched it, those that clicked a result of it."),
        _rate("click_through_rate", "Clicked sessions of search sessions"),
        _count(
            "zero_result_searches", "Searches with 0 results; null where no search of the window tells its results."
        ),
        _rate("zero_result_rate", "Those, of the searches that tell their number of results"),
    ),
    (_EVENTS,),
)
CATEGORY_PERFORMANCE = SummaryTable(
    "category_performance",
    "commerce",
    "one row per category",
    ("category",),
    (
        _text("category", "The category; Uncategorized where none was logged."),
        _count("cart_add_count", "Times that its products were put into a cart."),
        _count("unique_products", "Different products."),
        _USERS,
        _QUANTITY,
        _price("avg_price", "Price by piece, over the adds with valid quantity and price."),
        _sum("total_value", "Sum of quantity times price over the same adds; null without one."),
    ),
    (_EVENTS,),
)
HOURLY_TRAFFIC = SummaryTable(
    "hourly_traffic",
    "commerce",
    "24 rows, one per hour of the day",
    ("hour",),
    (
        Column("hour", "INTEGER", "Hour of the day in the service's time zone."),
        _count("sessions", "Sessions that start in it."),
        _count("unique_users", "Different users with an event in it."),
        _count("cart_adds", "Cart adds in it."),
        _count("cart_sessions", "Of the sessions that start in it, those with a cart add at any time."),
        _rate("cart_conversion_rate", "Cart sessions of sessions"),
    ),
    (_EVENTS, _SESSION_DAYS),
)
PURCHASE_ANALYTICS = SummaryTable(
    "purchase_analytics",
    "commerce",
    "one row per day of the window",
    ("purchase_date",),
    (
        _date("purchase_date", "Day of the purchases."),
        _count("total_purchases", "Purchases: the first event of each order, and each without an order id."),
        _count("unique_purchasers", "Different users among them."),
        _SESSIONS,
        _sum("total_revenue", "Sum of the valid amounts; 0 on a day without purchases; null if no amount is logged."),
        _price("avg_order_value", "Revenue by purchase with a valid amount."),
        Column("payment_method_counts", "MAP(VARCHAR, BIGINT)", "Purchases by payment method, where one was logged."),
        _average("purchases_per_user", "Purchases of known users by user."),
        _count("orderless_purchases", "Purchases without an order id, which cannot be told from repeats."),
        _count("invalid_amount_count", "Amounts that were given and are no amounts."),
    ),
    (Read("purchases"),),
)
NAVIGATION_FLOW = SummaryTable(
    "navigation_flow",
    "commerce",
    "one row per way from one page to another",
    ("from_path", "to_path"),
    (
        _text("from_path", "Page left; numbers and uuids in it are {id}."),
        _text("to_path", "Page entered."),
        _count("transition_count", "Times that this way was taken."),
        _USERS,
        _SESSIONS,
        _average("avg_transitions_per_session", "Times within sessions by session."),
    ),
    (_EVENTS,),
)
CART_SOURCE = SummaryTable(
    "cart_source",
    "commerce",
    "one row per source of cart adds",
    ("source",),
    (
        _text("source", "Where products were put into a cart from; unknown where none was logged."),
        _count("cart_add_count", "Cart adds."),
        _USERS,
        _SESSIONS,
        _count("unique_products", "Different products."),
        _QUANTITY,
        _sum("total_cart_value", "Sum of quantity times price where both are valid; null without one."),
        _rate("source_percentage", "Cart adds of all cart adds"),
        _average("avg_adds_per_user", "Cart adds of known users by user."),
    ),
    (_EVENTS,),
)
PERIOD_TOTALS = SummaryTable(
    "period_totals",
    "commerce",
    "one row per other commerce table",
    ("table_name",),
    (
        _text("table_name", "The table; window_start and window_days are its own."),
        _count("total_events", "What its first count counts, over all keys."),
        _count("unique_users", "Different users over all keys."),
        _count("unique_sessions", "Different sessions over all keys."),
        _count("rate_numerator", "Numerator of its rate over all keys; null where it has none."),
        _count("rate_denominator", "Denominator of its rate over all keys."),
    ),
    (
        Read("events", "button_interaction"),
        Read("events", "product_ranking"),
        Read("events", "search_analytics"),
        Read("events", "category_performance"),
        Read("events", "navigation_flow"),
        Read("events", "cart_source"),
        Read("user_day", "hourly_traffic"),
        Read("sessions", "hourly_traffic"),
        Read("purchases", "purchase_analytics"),
    ),
)
MAU = SummaryTable(
    "mau",
    "behaviour",
    "one row per month that the logs cover, and the current one",
    ("month",),
    (
        _date("month", "First day of the month; window_start and window_days are the month's own, so far."),
        Column("is_complete", "BOOLEAN", "Whether the logs kept cover the whole month."),
        _count("monthly_active_users", "Different users with an event."),
        _count("total_sessions", "Sessions that start in it."),
        _count("total_events", "Events."),
    ),
    (Read("month_total"),),
)
DAU = SummaryTable(
    "dau",
    "behaviour",
    "one row per day of the window",
    ("date",),
    (
        _date("date", "The day."),
        _count("daily_active_users", "Different users with an event."),
        _count("daily_sessions", "Sessions that start on it."),
        _count("daily_events", "Events."),
        _average("events_per_user", "Events of known users by user."),
        _count("rolling_mau_30d", "Different users with an event in the 30 days up to it."),
        _rate("stickiness", "Daily active users of those of 30 days"),
    ),
    (Read("user_day", days_before=29), _SESSION_DAYS),
)
RETENTION = SummaryTable(
    "retention",
    "behaviour",
    "one row per day, offset and basis",
    ("cohort_date", "day_offset", "basis"),
    (
        _date("cohort_date", "Day of the cohort."),
        Column("day_offset", "INTEGER", "1, 7 or 30 days later."),
        _text("basis", "active: users with an event on the day; new: those of them seen for the first time."),
        _count("base_users", "Users of the cohort."),
        _count("retained_users", "Those of them with an event on exactly the later day."),
        _rate("retention_rate", "Retained users of base users"),
    ),
    (Read("user_day"), Read("user_first_seen")),
)
CONVERSION = SummaryTable(
    "conversion",
    "behaviour",
    "one row per day on which sessions start",
    ("date",),
    (
        _date("date", "Day on which the sessions start."),
        _count("total_sessions", "Sessions."),
        _count("product_view_sessions", "Those with a product view."),
        _count("cart_add_sessions", "Those with a cart add."),
        _count("purchase_sessions", "Those with the first event of an order, or one without an order id."),
        _rate("view_rate", "Sessions with a product view of all"),
        _rate("view_to_cart_rate", "Sessions with a cart add of those with a product view"),
        _rate("cart_to_purchase_rate", "Sessions with a purchase of those with a cart add"),
        _count("cart_users", "Different users that added to a cart in them."),
        _count("purchasing_users", "Different users that purchased in them."),
        _rate("user_conversion_rate", "Purchasing users of cart users"),
    ),
    (_SESSION_DAYS, Read("session_day", days_before=SESSION_REACH), Read("purchases")),
)
USER_COHORT = SummaryTable(
    "user_cohort",
    "behaviour",
    "four rows, one per class of users",
    ("class",),
    (
        _text("class", "Days since first seen: New 0-7, Recent 8-30, Active 31-90, Veteran more."),
        _count("user_count", "Users of the class with an event in the window."),
        _count("active_last_7d", "Those of them with an event in the last 7 days."),
    ),
    (Read("user_day"), Read("user_first_seen")),
)
SESSION_METRICS = SummaryTable(
    "session_metrics",
    "behaviour",
    "one row per day on which sessions start",
    ("date",),
    (
        _date("date", "Day on which the sessions start."),
        _count("total_sessions", "Sessions."),
        _average("avg_events_per_session", "Events by session."),
        _average("avg_event_types_per_session", "Different names of events by session."),
        _count("max_events_per_session", "Most events of a session."),
        _average("median_events_per_session", "Median of the events: the mean of the middle two."),
        _count("p90_events_per_session", "90th percentile of the events: nearest rank."),
        _average("avg_duration_seconds", "Seconds from the first to the last event by session."),
        _rate("bounce_rate", "Sessions of exactly one event of all"),
    ),
    (_SESSION_DAYS,),
)
EVENT_DISTRIBUTION = SummaryTable(
    "event_distribution",
    "behaviour",
    "one row per name of an event",
    ("event",),
    (
        _text("event", "The name, as logged."),
        _count("event_count", "Events."),
        _USERS,
        _SESSIONS,
        _rate("percentage_of_total", "Events of all events"),
    ),
    (_EVENTS,),
)

TABLES: Final[Mapping[str, SummaryTable]] = {
    table.name: table
    for table in (
        BUTTON_INTERACTION,
        PRODUCT_RANKING,
        SEARCH_ANALYTICS,
        CATEGORY_PERFORMANCE,
        HOURLY_TRAFFIC,
        PURCHASE_ANALYTICS,
        NAVIGATION_FLOW,
        CART_SOURCE,
        PERIOD_TOTALS,
        MAU,
        DAU,
        RETENTION,
        CONVERSION,
        USER_COHORT,
        SESSION_METRICS,
        EVENT_DISTRIBUTION,
    )
}
