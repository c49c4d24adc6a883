"""The document's names, guards and windows as plain data: all that the naive implementation is told."""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType
from typing import NamedTuple

WHITE = "\t\n\x0b\x0c\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""Unicode's White_Space, each character."""

EVENTS = {
    "commerce.session.start": "session_start",
    "commerce.product.view": "product_view",
    "commerce.cart.add": "cart_add",
    "commerce.purchase": "purchase",
    "commerce.checkout.purchase": "purchase",
    "commerce.search": "search",
    "commerce.search.result_click": "result_click",
    "commerce.button.click": "button_click",
    "client.routing": "page_change",
    "Routing in client side": "page_change",
    "commerce.page.view": "page_change",
    "commerce.navigation": "page_change",
}
ATTRIBUTES = {
    "user": ("userKey", "userId", "user.id"),
    "session": ("sessionId", "session.id"),
    "term": ("query", "payload_query", "searchTerm", "searchQuery"),
    "price": ("salePrice", "price"),
    "category": ("category", "ctgnm"),
    "seller": ("sellerNm", "sellerId"),
    "product": ("productId", "payload_productId", "goodsCd"),
    "product_name": ("productName", "payload_productName"),
    "order": ("orderId",),
    "action": ("action",),
    "menu": ("menuName",),
    "page": ("page",),
    "source": ("source",),
    "quantity": ("quantity",),
    "results": ("resultCount",),
    "amount": ("totalAmount",),
    "payment": ("paymentMethod",),
    "from_path": ("fromPath",),
    "to_path": ("toPath", "path"),
    "to_path_itself": ("toPath",),
}
QUANTITY = re.compile(r"[0-9]{1,4}")
COUNT = re.compile(r"[0-9]{1,9}")
MONEY = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2})?")
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
HOST = re.compile(r"((?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/]*)?(.*)", re.DOTALL)
LATE_DAYS = 2
ATTRIBUTED = timedelta(minutes=30)

WINDOWS = {
    "button_interaction": 7,
    "product_ranking": 30,
    "search_analytics": 7,
    "category_performance": 30,
    "hourly_traffic": 7,
    "purchase_analytics": 90,
    "navigation_flow": 7,
    "cart_source": 30,
    "dau": 90,
    "retention": 90,
    "conversion": 90,
    "user_cohort": 90,
    "session_metrics": 90,
    "event_distribution": 30,
}
TOPS = {
    "button_interaction": 50,
    "product_ranking": 100,
    "search_analytics": 200,
    "category_performance": 30,
    "navigation_flow": 100,
}


class Spec(NamedTuple):
    """What may be configured; as shipped."""

    zones: Mapping[str, str] = MappingProxyType({"theshop-brand": "Asia/Seoul", "theshop-pharmacy": "Asia/Seoul"})
    events: Mapping[str, str] = MappingProxyType(EVENTS)
    attributes: Mapping[str, tuple[str, ...]] = MappingProxyType(ATTRIBUTES)
    windows: Mapping[str, int] = MappingProxyType(WINDOWS)
    tops: Mapping[str, int] = MappingProxyType(TOPS)
    page_memory: timedelta | None = None
    """How long a session's page is remembered for a page change with `path` only; None: without end."""

    def start(self, table: str, day: date) -> date:
        return day - timedelta(days=self.windows[table] - 1)


SHIPPED = Spec()
