"""All 16 tables straight from raw log records, naively: what the SQL over silver and atoms is compared with.

Written from the definitions alone, without a look at the product's code: sets, dicts, exact fractions; slow and plain.
"""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

from engage_assets_tests.summaries import naive_behaviour, naive_commerce
from engage_assets_tests.summaries.naive_events import Event, read_log
from engage_assets_tests.summaries.naive_spec import SHIPPED, Spec

Row = dict[str, Any]
COMMERCE: tuple[Callable[[list[Event], date, Spec], list[Row]], ...] = (
    naive_commerce.button_interaction,
    naive_commerce.product_ranking,
    naive_commerce.search_analytics,
    naive_commerce.category_performance,
    naive_commerce.hourly_traffic,
    naive_commerce.purchase_analytics,
    naive_commerce.navigation_flow,
    naive_commerce.cart_source,
    naive_commerce.period_totals,
)
BEHAVIOUR = (
    naive_behaviour.mau,
    naive_behaviour.dau,
    naive_behaviour.retention,
    naive_behaviour.conversion,
    naive_behaviour.user_cohort,
    naive_behaviour.session_metrics,
    naive_behaviour.event_distribution,
)


def summaries(records: Iterable[dict[str, Any]], service: str, day: date, spec: Spec = SHIPPED) -> dict[str, list[Row]]:
    """Rows by table name, for one service and calculation date; `records` as `naive_events.read_log` takes them."""
    return figures(read_log(records, service, day, spec).events, service, day, spec)


def figures(events: list[Event], service: str, day: date, spec: Spec = SHIPPED) -> dict[str, list[Row]]:
    """The same of events that were read, without those after `day`."""
    known = [event for event in events if event.day <= day]
    made = {}
    for table in (*COMMERCE, *BEHAVIOUR):
        name = table.__name__
        made[name] = [{**frame(name, service, day, spec), **row} for row in table(known, day, spec)]
    return made


def frame(table: str, service: str, day: date, spec: Spec) -> Row:
    """What every row carries; the windows of `mau` and `period_totals` are their rows' own."""
    row = {"service": service, "calculation_date": day}
    if table in spec.windows:
        row |= {"window_start": spec.start(table, day), "window_days": spec.windows[table]}
    return row
