"""What visitors of a shop do in a day: a walk from event to event, all visits a step at a time."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from engage_assets.sample.log_shop import (
    ACTIONS,
    MENUS,
    PAYMENTS,
    SOURCES,
    Floats,
    Ints,
    Stock,
    popular,
)

KINDS: Final = ("start", "page", "view", "button", "search", "click", "cart", "cart_view", "purchase")
START, PAGE, VIEW, BUTTON, SEARCH, CLICK, CART, CART_VIEW, PURCHASE = range(len(KINDS))
NEXT: Final = {
    START: {PAGE: 0.6, SEARCH: 0.2, VIEW: 0.05, BUTTON: 0.15},
    PAGE: {PAGE: 0.35, VIEW: 0.22, BUTTON: 0.2, SEARCH: 0.18, CART_VIEW: 0.05},
    VIEW: {CART: 0.16, PAGE: 0.3, VIEW: 0.14, BUTTON: 0.22, SEARCH: 0.14, CART_VIEW: 0.04},
    BUTTON: {PAGE: 0.4, VIEW: 0.2, BUTTON: 0.15, SEARCH: 0.15, CART: 0.06, CART_VIEW: 0.04},
    SEARCH: {CLICK: 0.5, SEARCH: 0.25, PAGE: 0.15, BUTTON: 0.1},
    CLICK: {VIEW: 0.75, CLICK: 0.1, SEARCH: 0.1, PAGE: 0.05},
    CART: {PAGE: 0.25, VIEW: 0.2, CART_VIEW: 0.3, SEARCH: 0.12, BUTTON: 0.13},
    CART_VIEW: {PURCHASE: 0.32, PAGE: 0.33, BUTTON: 0.2, VIEW: 0.15},
    PURCHASE: {PAGE: 0.6, VIEW: 0.1, BUTTON: 0.2, SEARCH: 0.1},
}
"""What follows what, by probability: the funnel."""
MEAN_EVENTS: Final = 11
MOST_EVENTS: Final = 60
SECOND: Final = 1_000_000
ABSENT: Final = -1

_STEPS: Final = np.cumsum([[NEXT[kind].get(other, 0) for other in range(len(KINDS))] for kind in NEXT], axis=1)
_FIELDS: Final = ("visit", "kind", "at", "product", "term", "before", "page", "source", "quantity", "amount", "pick")


@dataclass(frozen=True)
class Events:
    """Columns of equal length. `at` in microseconds since 1970; positions of the stock's lists, or ABSENT."""

    visit: Ints
    kind: Ints
    at: Ints
    product: Ints
    term: Ints
    before: Ints
    page: Ints
    source: Ints
    quantity: Ints
    amount: Ints
    pick: Ints
    """Any number from 0 on: what else is to choose."""


def walk(rng: np.random.Generator, stock: Stock, starts: Ints) -> Events:
    """The events of visits that begin at `starts` (microseconds), visit by visit where their steps are the same."""
    size = len(starts)
    lengths = 1 + np.minimum(rng.geometric(1 / (MEAN_EVENTS - 1), size), MOST_EVENTS - 1)
    state = {
        "visit": np.arange(size),
        "kind": np.full(size, START),
        "at": starts,
        "product": np.full(size, ABSENT),
        "term": np.full(size, ABSENT),
        "before": np.full(size, ABSENT),
        "page": np.zeros(size, np.int64),
        "source": np.zeros(size, np.int64),
        "quantity": np.full(size, ABSENT),
        "amount": np.zeros(size, np.int64),
        "pick": rng.integers(0, 1 << 40, size),
    }
    steps = [dict(state)]
    for step in range(1, int(lengths.max())):
        goes_on = lengths[state["visit"]] > step
        state = {name: values[goes_on] for name, values in state.items()}
        steps.append(_next(rng, stock, state))
    return Events(**{name: np.concatenate([step[name] for step in steps]) for name in _FIELDS})


def _next(rng: np.random.Generator, stock: Stock, state: dict[str, Ints]) -> dict[str, Ints]:
    """Moves `state` by one event; returns the event's values."""
    size, came_from = len(state["visit"]), state["kind"]
    kind = (rng.random(size)[:, None] >= _STEPS[came_from]).sum(axis=1).clip(max=PURCHASE)
    state["kind"] = kind
    state["at"] = state["at"] + _gaps(rng, size)
    state["pick"] = rng.integers(0, 1 << 40, size)
    _browse(rng, stock, state, came_from)
    quantity = 1 + (5 * rng.random(size) ** 3).astype(np.int64)
    is_cart, is_purchase = kind == CART, kind == PURCHASE
    value = state["amount"] + np.where(is_cart, quantity * stock.prices[state["product"]], 0)
    state["amount"] = np.where(is_purchase, 0, value)
    paid = np.where(value > 0, value, stock.prices[popular(rng, size, len(stock.prices))])
    return {
        **state,
        "quantity": np.where(is_cart, quantity, ABSENT),
        "amount": np.where(is_purchase, paid, ABSENT),
    }


def _browse(rng: np.random.Generator, stock: Stock, state: dict[str, Ints], came_from: Ints) -> None:
    """Terms, products and pages as the visit goes on: a click shows a product, which the next view is of."""
    size, kind = len(came_from), state["kind"]
    terms = popular(rng, size, len(stock.terms))
    state["term"] = np.where(kind == SEARCH, terms, state["term"])
    is_new = (kind == CLICK) | ((kind == VIEW) & (came_from != CLICK)) | ((kind == CART) & (state["product"] < 0))
    state["product"] = np.where(is_new, popular(rng, size, len(stock.products)), state["product"])
    found = np.where(kind == CLICK, SOURCES.index("search"), rng.integers(0, len(SOURCES) - 1, size))
    state["source"] = np.where(is_new, found, state["source"])
    state["before"] = np.where(kind == PAGE, state["page"], state["before"])
    state["page"] = np.where(kind == PAGE, popular(rng, size, len(stock.paths)), state["page"])


def _gaps(rng: np.random.Generator, size: int) -> Ints:
    """Microseconds to the next event: seconds mostly, at times the better part of an hour."""
    seconds: Floats = rng.lognormal(2.7, 1.0, size) + np.where(rng.random(size) < 0.004, rng.random(size) * 3_000, 0)
    return (seconds * SECOND).astype(np.int64)


def choices(pick: Ints, count: int, turn: int) -> npt.NDArray[np.int64]:
    """A number below `count` for each event, another for each `turn` (0 to 4)."""
    chosen: Ints = (pick >> (8 * turn)) % count
    return chosen


def button_of(events: Events) -> tuple[Ints, Ints]:
    """Action and menu of each event, as positions of ACTIONS and MENUS."""
    share = choices(events.pick, 10_000, 0) / 10_000
    return (len(ACTIONS) * share**2.2).astype(np.int64), choices(events.pick, len(MENUS), 2)


def payment_of(events: Events) -> Ints:
    """Payment method of each event, as a position of PAYMENTS."""
    share = choices(events.pick, 10_000, 1) / 10_000
    chosen: Ints = (len(PAYMENTS) * share**2).astype(np.int64)
    return chosen
