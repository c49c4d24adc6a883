"""The products of the synthetic world."""

from itertools import product
from typing import Final

import numpy as np
import polars as pl

from engage_assets.domain.errors import EngageError
from engage_assets.domain.purchases import PRODUCTS
from engage_assets.sample.people import generator
from engage_assets.sample.vocabulary import CATEGORIES, STYLES

UNKNOWN_PRODUCT: Final = "p-99999"
"""Delivered, and not in the products table."""

_CLOSED_SHARE: Final = 0.03


def draw_products(seed: int, products: int) -> pl.DataFrame:
    """`products` products (columns of PRODUCTS), sorted by key; the categories take turns.

    About 3 % take no reviews; of one of these that is only unknown (null).
    """
    if not 24 <= products < 99_999:
        raise EngageError(f"products={products}: the sample takes 24 to 99,998, so that each category has two")
    rng = generator(seed, "products")
    names = {
        category: [" ".join(pair) for pair in product(STYLES, spec.things)] for category, spec in CATEGORIES.items()
    }
    numbers = range(products)
    categories = [list(CATEGORIES)[number % len(CATEGORIES)] for number in numbers]
    medians = np.array([CATEGORIES[category].median_price for category in categories])
    reviewable: list[bool | None] = [True] * products
    for turn, place in enumerate(rng.permutation(products)[: max(2, round(_CLOSED_SHARE * products))]):
        reviewable[place] = None if turn == 0 else False
    return pl.DataFrame(
        {
            "product_id": [f"p-{number + 1:05d}" for number in numbers],
            "name": [
                _name(names[category], number // len(CATEGORIES))
                for number, category in zip(numbers, categories, strict=True)
            ],
            "category": categories,
            "price": np.round(medians * rng.lognormal(0.0, 0.4, products), 2),
            "is_reviewable": reviewable,
        },
        schema=PRODUCTS.schema,
    )


def _name(names: list[str], turn: int) -> str:
    """The name of a category's product; once the names are used up, of the next edition."""
    edition, place = divmod(turn, len(names))
    # Seven has no factor in common with the lengths of the lists, so neighbours differ in style and thing.
    chosen = names[place * 7 % len(names)]
    return chosen if edition == 0 else f"{chosen} {edition + 1}"
