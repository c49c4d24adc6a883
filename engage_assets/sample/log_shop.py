"""Two invented web shops: what they sell, what their visitors search for, and when they come.

Texts are plain: no quotation marks, backslashes or control characters, so that they are JSON as they stand.
"""

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt

from engage_assets.sample.people import generator

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shop:
    """A shop in words: its categories with things, makers, and the visits of each hour (local) and weekday."""

    share: float
    things: dict[str, tuple[str, ...]]
    adjectives: tuple[str, ...]
    sellers: tuple[str, ...]
    hours: tuple[float, ...]
    weekdays: tuple[float, ...]


SHOPS: Final = {
    "theshop-brand": Shop(
        0.6,
        {
            "beauty": ("수분 크림", "세럼", "Hand Cream", "선크림", "클렌징 폼"),
            "living": ("머그컵", "Cotton Throw", "수납 바구니", "Desk Lamp", "향초"),
            "fashion": ("린넨 셔츠", "양말 세트", "Rain Jacket", "에코백"),
            "식품": ("꿀", "그린티", "Oat Biscuits", "올리브 페이스트"),
            "pet": ("강아지 간식", "Cat Toy", "배변 패드"),
        },
        ("순한", "촉촉한", "Everyday", "Classic", "산뜻한", "Nordic", "든든한", "Bright"),
        ("셀러 하나", "두리 상점", "North Lab", "Atelier Seven", "온누리 스토어"),
        (0.9, 0.6, 0.4, 0.3, 0.3, 0.5, 1.2, 2.5, 4, 5, 6, 6.5, 8, 7, 6, 6, 5.5, 6, 7, 8, 9, 9.5, 6, 2.4),
        (1.05, 1.0, 1.0, 1.0, 1.0, 0.9, 1.05),
    ),
    "theshop-pharmacy": Shop(
        0.4,
        {
            "health": ("비타민 C", "오메가3", "홍삼 스틱", "Magnesium", "루테인"),
            "supplement": ("프로바이오틱스", "Zinc", "콜라겐", "Iron"),
            "의약외품": ("마스크", "손 소독제", "밴드", "Gauze"),
            "device": ("체온계", "혈압계", "Nebulizer", "안마기"),
            "baby": ("분유", "기저귀", "Baby Lotion"),
        },
        ("어린이", "데일리", "Premium", "고함량", "Gentle", "약사가 고른", "대용량", "Mini"),
        ("약국 본점", "Pharma Seven", "건강 나눔", "Vital Lab"),
        (0.5, 0.3, 0.2, 0.2, 0.3, 0.6, 1.5, 3, 6, 9, 10, 9, 6.5, 8, 8.5, 8, 7.5, 7, 5, 4, 3.2, 2.6, 1.8, 0.9),
        (1.15, 1.1, 1.1, 1.05, 1.05, 0.75, 0.6),
    ),
}
"""The document's two services."""

ACTIONS: Final = (
    *("smart_order_open", "quick_add", "view_detail", "favorite_add", "coupon_open", "share", "filter_open", "sort"),
    *(f"banner_{number:02d}" for number in range(60)),
)
MENUS: Final = ("홈", "카테고리", "이벤트", "마이페이지", "장바구니")
SOURCES: Final = ("list", "detail", "recommendation", "search")
PAYMENTS: Final = ("card", "kakaopay", "naverpay", "무통장입금", "point")
PATHS: Final = ("/", "/cart", "/event/summer", "/my/orders", "/search?sort=new", "/고객센터", "/wishlist")


@dataclass(frozen=True)
class Stock:
    """A shop's lists, position by position; the front of each is the most popular."""

    products: list[str]
    names: list[str]
    categories: list[str]
    sellers: list[str]
    prices: Ints
    terms: list[str]
    results: Ints
    paths: list[str]


def draw_stock(seed: int, service: str, products: int = 4_000, terms: int = 1_500) -> Stock:
    """What a service sells and what is searched for in it."""
    shop, rng = SHOPS[service], generator(seed, f"stock of {service}")
    pairs = [(category, thing) for category, things in shop.things.items() for thing in things]
    names = [(category, f"{word} {thing}") for (category, thing), word in product(pairs, shop.adjectives)]
    kinds = rng.permutation(np.resize(np.arange(len(names)), products))
    words = [thing for _, thing in pairs] + [name for _, name in names]
    return Stock(
        products=[f"P{number:06d}" for number in range(products)],
        names=[f"{names[kind][1]} {number % 97 + 1}호" for number, kind in enumerate(kinds)],
        categories=[names[kind][0] for kind in kinds],
        sellers=[shop.sellers[number] for number in rng.integers(0, len(shop.sellers), products)],
        prices=(rng.lognormal(9.7, 0.7, products) // 100 * 100 + 900).astype(np.int64),
        terms=[words[number % len(words)] + _edition(number // len(words)) for number in range(terms)],
        results=np.where(rng.random(terms) < 0.07, 0, rng.integers(1, 240, terms)),
        paths=[*PATHS, *(f"/p/{number}" for number in range(300)), *(f"/c/{name}" for name in shop.things)],
    )


def _edition(number: int) -> str:
    return f" {number + 1}" if number else ""


def popular(rng: np.random.Generator, size: int, length: int, steepness: float = 2.5) -> Ints:
    """`size` positions of a list of `length`, those at the front most often."""
    chosen: Ints = (length * rng.random(size) ** steepness).astype(np.int64)
    return chosen


def daily_visits(service: str, weekday: int, visits: float) -> int:
    """How many of a mean of `visits` a day come on a weekday (0 is Monday)."""
    weekdays = SHOPS[service].weekdays
    return max(1, round(visits * weekdays[weekday] * len(weekdays) / sum(weekdays)))


def start_seconds(rng: np.random.Generator, service: str, size: int) -> Ints:
    """Local seconds of the day at which visits begin."""
    hours = np.array(SHOPS[service].hours)
    chosen: Ints = rng.choice(24, size, p=hours / hours.sum()) * 3600 + rng.integers(0, 3600, size)
    return chosen
