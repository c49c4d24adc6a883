"""Random worlds of raw log records, as bad as real logs are: seeded, in plain Python.

What only a tie decides that the definitions leave open (two purchases of a session at one instant without record ids)
is not drawn, so that two right implementations agree on every row.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from uuid import UUID

from engage_assets_tests.summaries.naive_spec import ATTRIBUTES, WHITE

Record = dict[str, Any]
SERVICES = ("theshop-brand", "theshop-pharmacy")
MIDNIGHT = 15 * 3600
"""Of Seoul, in seconds of the UTC day."""
MICROSECOND = timedelta(microseconds=1)
GAPS = (
    *(timedelta(0), MICROSECOND, timedelta(seconds=1), timedelta(seconds=9), timedelta(seconds=47)) * 4,
    *(timedelta(minutes=4), timedelta(minutes=30), timedelta(minutes=30) + MICROSECOND, timedelta(minutes=29)) * 2,
    timedelta(hours=3),
)

NAMES = {
    "session_start": ("commerce.session.start",),
    "product_view": ("commerce.product.view",),
    "cart_add": ("commerce.cart.add",),
    "purchase": ("commerce.purchase", "commerce.checkout.purchase"),
    "search": ("commerce.search",),
    "result_click": ("commerce.search.result_click",),
    "button_click": ("commerce.button.click",),
    "page_change": ("client.routing", "Routing in client side", "commerce.page.view", "commerce.navigation"),
    "other": ("commerce.cart.view", "app.error", "commerce.Cart.add", "장바구니 보기", "", "  ", None),
}
SHARES = {
    "session_start": 4,
    "product_view": 12,
    "cart_add": 16,
    "purchase": 7,
    "search": 16,
    "result_click": 12,
    "button_click": 16,
    "page_change": 16,
    "other": 4,
}
GARBAGE = (
    "2.5",
    "1e3",
    "0x10",
    "NaN",
    "-1",
    "00012",
    "1_000",
    "1,000",
    "٣",
    "１",
    "inf",
    "undefined",
    "0",
    "+1",
    "5.",
    ".5",
)
QUANTITIES = ("1", "1", "2", " 3 ", "0007", "9999", "12345", "\u30005")
PRICES = (
    "0",
    "1000",
    "12900.5",
    "12900.55",
    "0.005",
    "999999999999",
    "999999999999.99",
    "1234567890123",
    "3300",
    "19.99",
)
RESULTS = ("0", "0", "00", "1", "37", " 0\u00a0", "1200")
CATEGORIES = (
    "건강",
    "beauty",
    "Beauty",
    "Uncategorized",
    "의약외품",
    "🧴",
    "ﬀ",
    "보충제",
    *(f"c{n}" for n in range(34)),
)
SELLERS = ("셀러 가", "seller b", "S-1", "🧴 lab", "z")
SOURCES = ("list", "detail", "unknown", "추천", "search")
MENUS = ("홈", "cart", "my", "event", None)
PAYMENTS = ("card", "kakaopay", "무통장", "point", None)
UUIDS = ("550e8400-e29b-41d4-a716-446655440000", "550E8400-E29B-41D4-A716-44665544000F")
PATHS = (
    "/",
    "/?utm=a",
    "/p/123",
    "/p/0456?x=1#top",
    f"/p/{UUIDS[0]}",
    f"/o/{UUIDS[1]}/lines/2",
    "/p/12a",
    "/p/12/",
    "/c/건강",
    "/c/건강#리뷰",
    "https://shop.example/p/77?q=/1/2",
    "https://shop.example/p/x",
    "/cart",
    " /cart ",
    "/검색?q=1",
    "#only",
)
WORDS = ("비타민", "VITAMIN", "vitamin", "Été", "zinc", "오메가3", "마스크", "🧴", "straße", "c", "C")


def random_world(seed: int, events: int, days: Sequence[date]) -> list[Record]:
    """About `events` raw records, with their `service` and `arrival`, on `days` and where their sessions lead."""
    rng = Random(seed)
    records: list[Record] = []
    orders: list[Record] = []
    while len(records) < events:
        visit = random_visit(rng, rng.choice(days), orders, len(records))
        records += visit
        records += again(rng, visit)
    return records


def random_visit(rng: Random, day: date, orders: list[Record], number: int) -> list[Record]:
    """The records of a session (or of a visitor without one): some cross midnight, some pause for hours."""
    service = rng.choice(SERVICES)
    session = None if rng.random() < 0.06 else f"s{number:06d}"
    user = random_user(rng)
    has_ids = rng.random() < 0.7
    around = rng.choice((rng.randrange(86_400), MIDNIGHT - rng.randrange(2_000), 86_400 - rng.randrange(2_000)))
    at = datetime.combine(day, time(), UTC) + timedelta(seconds=around, microseconds=rng.choice((0, 1, 999_999)))
    kinds = rng.choices(list(SHARES), list(SHARES.values()), k=1 + min(int(rng.expovariate(0.12)), 40))
    if rng.random() < 0.5:
        kinds[0] = "session_start"
    made, before = [], ""
    for kind in kinds:
        gap = rng.choice(GAPS)
        if not has_ids and kind == before == "purchase":
            gap = max(gap, MICROSECOND)
        at += gap + timedelta(hours=20 if rng.random() < 0.003 else 0)
        if rng.random() < 0.01:
            user = random_user(rng)
        record = random_record(rng, service, at, kind, orders)
        name(rng, record["attributes"], "user", user)
        name(rng, record["attributes"], "session", session)
        record["record_id"] = f"r{number:06d}-{len(made)}" if has_ids else rng.choice((None, None, "", " "))
        made.append(record)
        before = kind
    return made


def random_user(rng: Random) -> str | None:
    return None if rng.random() < 0.08 else f"u{int(600 * rng.random() ** 2):04d}"


def random_record(rng: Random, service: str, at: datetime, kind: str, orders: list[Record]) -> Record:
    body = rng.choice(NAMES[kind])
    if body and rng.random() < 0.05:
        body = wrapped(rng, body)
    attributes: dict[str, Any] = {"platform": rng.choice(("ios", "android", "web"))}
    record = {
        "timestamp": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "body": body,
        "attributes": attributes,
        "resource": {"service.name": service},
        "record_id": None,
        "service": service,
        "arrival": arrival(rng, at),
    }
    FILL.get(kind, lambda *_: None)(rng, attributes, orders)
    if kind == "purchase":
        orders.append(record)
    return record


def arrival(rng: Random, at: datetime) -> date:
    """The day of the file: up to four days late, of which two are too many."""
    late = rng.choices(range(5), (92, 4, 2, 1, 1))[0]
    return at.date() + timedelta(days=late)


def again(rng: Random, visit: list[Record]) -> list[Record]:
    """Copies: the same record once more (perhaps a day later), or other contents under its record id, a bit later."""
    made = []
    for record in visit:
        chance = rng.random()
        at = datetime.fromisoformat(record["timestamp"])
        if chance < 0.02:
            made.append({**record, "arrival": arrival(rng, at)})
        elif chance < 0.025 and (record["record_id"] or "").strip():
            later = at + rng.choice((MICROSECOND, timedelta(seconds=30)))
            if later.date() == at.date():
                text = later.isoformat(timespec="microseconds").replace("+00:00", "Z")
                attributes = {**record["attributes"], "quantity": "4", "platform": "retry"}
                made.append({**record, "timestamp": text, "attributes": attributes, "arrival": record["arrival"]})
    return made


def name(rng: Random, attributes: dict[str, Any], meaning: str, value: str | None) -> None:
    """Write a value under one of its aliases; sometimes a blank, a null or another value stands under others too."""
    aliases = [alias for alias in ATTRIBUTES[meaning] if alias != "path"]
    chosen = rng.randrange(len(aliases))
    for alias in aliases[:chosen]:
        if rng.random() < 0.1:
            attributes[alias] = rng.choice(("", " ", "\u3000", None))
    if value is None:
        if rng.random() < 0.3:
            attributes[aliases[chosen]] = rng.choice(("", "\t", "\u2003", None))
        return
    attributes[aliases[chosen]] = wrapped(rng, value) if rng.random() < 0.05 else value
    for alias in aliases[chosen + 1 :]:
        if rng.random() < 0.05:
            attributes[alias] = "other"


def wrapped(rng: Random, text: str) -> str:
    return "".join((rng.choice(WHITE), text, rng.choice(WHITE), rng.choice(WHITE)))


def number_text(rng: Random, usual: Sequence[str], absent: float = 0.06) -> str | None:
    chance = rng.random()
    if chance < absent:
        return None
    return rng.choice(GARBAGE if chance < absent + 0.06 else usual)


def product(rng: Random) -> int:
    return int(130 * rng.random() ** 1.5)


def fill_product(rng: Random, attributes: dict[str, Any], _orders: list[Record]) -> None:
    number = product(rng)
    name(rng, attributes, "product", None if rng.random() < 0.03 else f"p{number:03d}")
    name(rng, attributes, "product_name", rng.choice((None, f"상품 {number}", f"Product {number}", "🧴")))
    name(rng, attributes, "category", rng.choice((None, CATEGORIES[number % len(CATEGORIES)], rng.choice(CATEGORIES))))
    name(rng, attributes, "seller", rng.choice((None, *SELLERS)))


def fill_cart(rng: Random, attributes: dict[str, Any], orders: list[Record]) -> None:
    fill_product(rng, attributes, orders)
    name(rng, attributes, "quantity", number_text(rng, QUANTITIES))
    name(rng, attributes, "price", number_text(rng, PRICES))
    name(rng, attributes, "source", rng.choice((None, *SOURCES)))


def fill_purchase(rng: Random, attributes: dict[str, Any], orders: list[Record]) -> None:
    order: str | None = f"o{len(orders):06d}"
    chance = rng.random()
    if chance < 0.1:
        order = None
    elif chance < 0.3 and orders:
        order = rng.choice(orders[-40:])["attributes"].get("orderId")
    name(rng, attributes, "order", order)
    name(rng, attributes, "amount", number_text(rng, PRICES, absent=0.15))
    name(rng, attributes, "payment", rng.choice(PAYMENTS))


def term(rng: Random) -> str:
    words = [rng.choice(WORDS) for _ in range(rng.choice((1, 1, 2, 3)))]
    return rng.choice((" ", " ", "  ", "\u3000", "\u00a0\t")).join(words)


def fill_search(rng: Random, attributes: dict[str, Any], _orders: list[Record]) -> None:
    name(rng, attributes, "term", None if rng.random() < 0.03 else term(rng))
    name(rng, attributes, "results", number_text(rng, RESULTS, absent=0.2))


def fill_click(rng: Random, attributes: dict[str, Any], orders: list[Record]) -> None:
    fill_product(rng, attributes, orders)
    name(rng, attributes, "term", None if rng.random() < 0.7 else term(rng))


def fill_button(rng: Random, attributes: dict[str, Any], _orders: list[Record]) -> None:
    name(rng, attributes, "action", None if rng.random() < 0.04 else f"act_{int(80 * rng.random() ** 1.5):02d}")
    name(rng, attributes, "menu", rng.choice(MENUS))
    name(rng, attributes, "page", rng.choice((None, "/cart", "/", "/홈")))


def fill_page(rng: Random, attributes: dict[str, Any], _orders: list[Record]) -> None:
    if rng.random() < 0.55:
        attributes["path"] = rng.choice(PATHS)
        return
    name(rng, attributes, "from_path", None if rng.random() < 0.02 else rng.choice(PATHS))
    attributes["toPath"] = rng.choice(PATHS)


FILL = {
    "product_view": fill_product,
    "cart_add": fill_cart,
    "purchase": fill_purchase,
    "search": fill_search,
    "result_click": fill_click,
    "button_click": fill_button,
    "page_change": fill_page,
}
assert all(UUID(text) for text in UUIDS)
