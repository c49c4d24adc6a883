"""Events of a shop as log records: names, attributes and ids in Arrow, the quirks of real logs among them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from engage_assets.sample.log_shop import ACTIONS, MENUS, PAYMENTS, SOURCES, Ints, Stock
from engage_assets.sample.log_visits import (
    ABSENT,
    BUTTON,
    CART,
    CART_VIEW,
    CLICK,
    PAGE,
    PURCHASE,
    SEARCH,
    START,
    VIEW,
    Events,
    button_of,
    choices,
    payment_of,
)

Codes = npt.NDArray[np.int32]

BODIES: Final = {
    START: "commerce.session.start",
    PAGE: "commerce.navigation",
    VIEW: "commerce.product.view",
    BUTTON: "commerce.button.click",
    SEARCH: "commerce.search",
    CLICK: "commerce.search.result_click",
    CART: "commerce.cart.add",
    CART_VIEW: "commerce.cart.view",
    PURCHASE: "commerce.purchase",
}
COLUMNS: Final = (
    *("userId", "sessionId", "platform", "appVersion", "productId", "productName", "category", "sellerNm", "query"),
    *("resultCount", "action", "menuName", "page", "source", "quantity", "salePrice", "orderId", "totalAmount"),
    *("paymentMethod", "fromPath", "toPath"),
)
"""Attribute names, in the order of a record's attributes."""
OLD_NAMES: Final = {
    "userId": "userKey",
    "query": "payload_query",
    "salePrice": "price",
    "category": "ctgnm",
    "productId": "goodsCd",
    "productName": "payload_productName",
    "sellerNm": "sellerId",
}
PLATFORMS: Final = ("ios", "android", "web")
VERSIONS: Final = ("5.1.0", "5.2.3", "5.3.0")
QUANTITIES: Final = ("0", "1", "2", "3", "4", "5", "NaN", "2.5", "-1", "")
"""The last four are what broken clients send."""
BROKEN_PRICES: Final = ("12,300", "undefined")
BROKEN: Final = 0.003
"""Share of cart adds with a quantity, and with a price, that is no number."""
SCHEMA: Final = pa.schema(
    {
        "timestamp": pa.timestamp("us", "UTC"),
        "body": pa.string(),
        "attributes": pa.map_(pa.string(), pa.string()),
        "resource": pa.map_(pa.string(), pa.string()),
        "record_id": pa.string(),
    }
)


@dataclass(frozen=True)
class Quirks:
    """How logs of a service differ from what the tables would like; as it stands, not at all."""

    has_session_start: bool = True
    has_amounts: bool = True
    """Else purchases are called commerce.checkout.purchase and bear neither amount nor payment method."""
    has_click_terms: bool = True
    has_full_routes: bool = True
    """Else page changes are called `Routing in client side` and bear `path` only."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Other names of attributes."""

    def body(self, kind: int) -> str:
        """What an event of a kind is called."""
        if kind == PURCHASE and not self.has_amounts:
            return "commerce.checkout.purchase"
        return "Routing in client side" if kind == PAGE and not self.has_full_routes else BODIES[kind]

    def key(self, column: str) -> str:
        """What an attribute is called."""
        return "path" if column == "toPath" and not self.has_full_routes else self.names.get(column, column)


CLEAN: Final = Quirks()
REAL: Final = Quirks(
    has_session_start=False, has_amounts=False, has_click_terms=False, has_full_routes=False, names=OLD_NAMES
)
"""What logs of this kind were found to be like."""


class Words:
    """Texts one after the other, so that a number stands for a text."""

    def __init__(self, parts: Iterable[pa.Array] = ()) -> None:
        self._parts = list(parts)
        self._size = sum(len(part) for part in self._parts)

    def add(self, texts: Iterable[str] | pl.Series) -> int:
        """The number of the first of these texts; those of the others follow."""
        part = texts.to_arrow(compat_level=_OLDEST) if isinstance(texts, pl.Series) else pa.array(list(texts))
        first, self._size = self._size, self._size + len(part)
        self._parts.append(part.cast(pa.string()))
        return first

    def more(self) -> "Words":
        """These texts, to which others are added that these do not have."""
        return Words(self._parts)

    def texts(self, numbers: Codes) -> pa.Array:
        """The texts of numbers."""
        return pa.concat_arrays(self._parts).take(pa.array(numbers))


class Writer:
    """Turns a service's events into records; knows its stock's and its users' texts."""

    def __init__(self, service: str, stock: Stock, users: int, quirks: Quirks) -> None:
        self._service, self._stock, self._quirks = service, stock, quirks
        self._letter = service.rpartition("-")[2][:1]
        self._words = Words()
        lists: dict[str, Iterable[str] | pl.Series] = {
            "productId": stock.products,
            "productName": stock.names,
            "category": stock.categories,
            "sellerNm": stock.sellers,
            "salePrice": [*map(str, stock.prices.tolist()), *BROKEN_PRICES],
            "query": stock.terms,
            "resultCount": map(str, stock.results.tolist()),
            "fromPath": stock.paths,
            "userId": numbered("u", range(users), 7),
            "action": ACTIONS,
            "menuName": MENUS,
            "source": SOURCES,
            "paymentMethod": PAYMENTS,
            "platform": PLATFORMS,
            "appVersion": VERSIONS,
            "quantity": QUANTITIES,
        }
        self._first = {name: self._words.add(texts) for name, texts in lists.items()}

    def records(self, day: date, events: Events, users: Ints, record_ids: Ints) -> pa.Table:
        """Records (SCHEMA) of events of a day's visits, in their order; a negative user is none."""
        words = self._words.more()
        codes = np.full((len(events.at), len(COLUMNS)), ABSENT, np.int32)
        for name, (where, numbers) in {**self._chosen(events, users), **self._numbered(day, events, words)}.items():
            codes[where, COLUMNS.index(name)] = numbers[where] if len(numbers) == len(events.at) else numbers
        bodies = pa.array([self._quirks.body(kind) for kind in BODIES]).take(pa.array(events.kind))
        return pa.table(
            [
                pa.array(events.at, pa.timestamp("us", "UTC")),
                bodies,
                self._attributes(codes, words),
                _same("service.name", self._service, len(events.at)),
                numbered(f"{day:%y%m%d}-{self._letter}-", record_ids, 7).to_arrow(compat_level=_OLDEST).cast("string"),
            ],
            schema=SCHEMA,
        )

    def _chosen(self, events: Events, users: Ints) -> dict[str, tuple[Any, Ints]]:
        """Of each attribute from a list: the events that bear it, and the texts' numbers."""
        kind, first = events.kind, self._first
        action, menu = button_of(events)
        is_product = np.isin(kind, (VIEW, CART, CLICK))
        has_term = kind == SEARCH if not self._quirks.has_click_terms else np.isin(kind, (SEARCH, CLICK))
        is_page, is_button = kind == PAGE, kind == BUTTON
        is_paid = (kind == PURCHASE) & self._quirks.has_amounts
        everywhere = np.ones(len(kind), bool)
        chosen = {
            "userId": (users >= 0, users),
            "platform": (everywhere, events.visit % len(PLATFORMS)),
            "appVersion": (everywhere, events.visit % 7 % len(VERSIONS)),
            "productId": (is_product, events.product),
            "productName": (is_product & (kind != CLICK), events.product),
            "category": (is_product & (choices(events.pick, 100, 3) >= 3), events.product),
            "sellerNm": (kind == CART, events.product),
            "query": (has_term & (events.term >= 0), events.term),
            "resultCount": (kind == SEARCH, events.term),
            "action": (is_button, action),
            "menuName": (is_button, menu),
            "source": (kind == CART, events.source),
            "quantity": (kind == CART, _broken(events, events.quantity, 0, (6, 7, 8, 9))),
            "salePrice": (kind == CART, self._prices(events)),
            "paymentMethod": (is_paid, payment_of(events)),
            "fromPath": (is_page & (events.before >= 0) & self._quirks.has_full_routes, events.before),
        }
        coded = {name: (where, first[name] + numbers) for name, (where, numbers) in chosen.items()}
        coded["toPath"] = (is_page, first["fromPath"] + events.page)
        coded["page"] = (is_button, first["fromPath"] + events.page)
        return coded

    def _prices(self, events: Events) -> Ints:
        count = len(self._stock.prices)
        return _broken(events, events.product, 1, (count, count + 1))

    def _numbered(self, day: date, events: Events, words: Words) -> dict[str, tuple[Any, Ints]]:
        """Of each attribute whose texts are the day's own: the events that bear it, and the texts' numbers."""
        sessions = numbered(f"s{day:%y%m%d}{self._letter}", range(int(events.visit.max(initial=-1)) + 1), 6)
        bought = np.flatnonzero(events.kind == PURCHASE)
        orders = words.add(numbered(f"o{day:%y%m%d}{self._letter}", events.pick[bought] >> 4, 9))
        made = {
            "sessionId": (np.ones(len(events.at), bool), words.add(sessions) + events.visit),
            "orderId": (bought, orders + np.arange(len(bought))),
        }
        if self._quirks.has_amounts:
            amounts = words.add(pl.Series(events.amount[bought]).cast(pl.String))
            made["totalAmount"] = (bought, amounts + np.arange(len(bought)))
        return made

    def _attributes(self, codes: Codes, words: Words) -> pa.Array:
        there = codes != ABSENT
        offsets = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
        keys = np.broadcast_to(np.arange(len(COLUMNS), dtype=np.int32), codes.shape)[there]
        names = pa.array([self._quirks.key(column) for column in COLUMNS])
        return pa.MapArray.from_arrays(pa.array(offsets), names.take(pa.array(keys)), words.texts(codes[there]))


def numbered(prefix: str, numbers: Iterable[int] | Ints, digits: int) -> pl.Series:
    """Texts of a prefix and a number each, with leading zeros."""
    texts = pl.Series("text", np.asarray(numbers, np.int64)).cast(pl.String).str.zfill(digits)
    return pl.select(pl.lit(prefix) + texts).to_series()


def _broken(events: Events, numbers: Ints, turn: int, instead: tuple[int, ...]) -> Ints:
    """The numbers, but for a share of BROKEN that are among `instead`."""
    share = ((events.pick >> (16 * turn)) % (1 << 16)) / (1 << 16)
    others = np.array(instead)[choices(events.pick, len(instead), 4)]
    broken: Ints = np.where(share < BROKEN, others, numbers)
    return broken


def _same(key: str, value: str, size: int) -> pa.Array:
    offsets = pa.array(np.arange(size + 1, dtype=np.int32))
    return pa.MapArray.from_arrays(offsets, pa.repeat(key, size), pa.repeat(value, size))


_OLDEST: Final = pl.CompatLevel.oldest()
