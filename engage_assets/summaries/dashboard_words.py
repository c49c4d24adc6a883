"""Words of the dashboard: what tables and columns are called, and which logged values figures cannot do without."""

from collections.abc import Mapping
from typing import Final

_TITLES: Final = {"mau": "Monthly active users", "dau": "Daily active users", "user_cohort": "Users by age"}
_LABELS: Final = {
    "rank_no": "Rank",
    "productId": "Product",
    "productName": "Name",
    "rolling_mau_30d": "Active users of 30 days",
    "active_last_7d": "Active in the last 7 days",
    "is_complete": "Complete",
    "table_name": "Table",
    "payment_method_counts": "Payment methods",
    "class": "Class",
}
_WORDS: Final = {"avg": "average", "no": "number", "p90": "P90", "max": "most"}

COUNTED: Final[Mapping[str, str]] = {
    "button_interaction": "click",
    "product_ranking": "cart add",
    "search_analytics": "search",
    "category_performance": "cart add",
    "hourly_traffic": "session",
    "purchase_analytics": "purchase",
    "navigation_flow": "transition",
    "cart_source": "cart add",
}
"""What `period_totals` counts for a table."""
_CART_VALUES: Final = "cart_add.price"
NEEDS: Final[Mapping[str, Mapping[str, str]]] = {
    "product_ranking": {
        "total_quantity": "cart_add.quantity",
        "avg_sale_price": _CART_VALUES,
        "total_cart_value": _CART_VALUES,
    },
    "category_performance": {
        "total_quantity": "cart_add.quantity",
        "avg_price": _CART_VALUES,
        "total_value": _CART_VALUES,
    },
    "cart_source": {"total_quantity": "cart_add.quantity", "total_cart_value": _CART_VALUES},
    "search_analytics": {
        "zero_result_searches": "search.result_count",
        "zero_result_rate": "search.result_count",
    },
    "purchase_analytics": {
        "total_revenue": "purchase.amount",
        "avg_order_value": "purchase.amount",
        "payment_method_counts": "purchase.payment_method",
    },
}
"""By table and column: the logged value (a `coverage` name of the quality rows) for want of which it is null."""
STAND_INS: Final[Mapping[str, Mapping[str, str]]] = {
    "search_analytics": {
        "result_click_term": "No click on a result carries its term: it counts for the session's last search before it."
    },
    **{
        table: {"session_start": "No start of a session is logged: a session starts with its first event."}
        for table in ("hourly_traffic", "conversion", "session_metrics", "dau", "mau")
    },
}
"""By table and missing input (a `missing` name of the quality rows): what stands in for it."""


def title(table: str) -> str:
    """What a table is called."""
    return _TITLES.get(table) or _sentence(table)


def label(column: str) -> str:
    """What a column is called."""
    return _LABELS.get(column) or _sentence(column)


def _sentence(name: str) -> str:
    words = " ".join(_WORDS.get(word, word) for word in name.split("_"))
    return words[:1].upper() + words[1:]
