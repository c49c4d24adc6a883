"""The tables of the synthetic world that follow from its order lines: orders, items, returns, reviews."""

from typing import Final

import polars as pl

from engage_assets.domain.purchases import ORDER_ITEMS, ORDERS, RETURNS, REVIEWS
from engage_assets.sample.people import generator, propensities, responses

_NO_REVIEW: Final = (
    "unknown_customer",
    "foreign_marketplace",
    "not_completed",
    "order_of_another",
    "product_closed",
    "product_unknown",
    "reviewed_before",
    "reviewed_undated",
)
"""Kinds of lines that bring no organic review: nothing came, or the person, the product or the review is special."""


def orders_of(seed: int, lines: pl.DataFrame) -> pl.DataFrame:
    """ORDERS of the lines, sorted: one to six days before the delivery."""
    rng = generator(seed, "orders")
    orders = lines.unique("order", keep="first", maintain_order=True).sort("order")
    lead = pl.Series("lead", rng.integers(86_400, 6 * 86_400, orders.height) * 1_000_000).cast(pl.Duration("us"))
    return (
        orders.with_columns(ordered_at=pl.col("delivered_at") - lead)
        .filter(pl.col("kind") != "order_unknown")
        .select(
            order_id=order_id(),
            customer_id=pl.when(pl.col("kind") != "order_without_customer").then("buyer_id"),
            ordered_at="ordered_at",
            status=pl.when(pl.col("kind") == "order_not_completed")
            .then(pl.lit("CANCELLED"))
            .otherwise(pl.lit("COMPLETED")),
        )
        .select(ORDERS.names)
    )


def order_items_of(lines: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """ORDER_ITEMS of the lines, sorted; an order without its product holds another one."""
    following = products["product_id"].to_list()
    another = dict(zip(following, following[1:] + following[:1], strict=True))
    return (
        lines.with_columns(
            order_id=order_id(),
            product_id=pl.when(pl.col("kind") == "order_without_product")
            .then(pl.col("product_id").replace(another))
            .otherwise("product_id"),
        )
        .select(ORDER_ITEMS.names)
        .sort("order_id", "product_id")
    )


def returns_of(seed: int, lines: pl.DataFrame) -> pl.DataFrame:
    """RETURNS, sorted: before the day's batch (at the door), 3 to 20 days later, or without an instant."""
    rng = generator(seed, "returns")
    returned = lines.filter(pl.col("kind").str.starts_with("returned"))
    soon = pl.Series("soon", rng.integers(300, 6_600, returned.height) * 1_000_000).cast(pl.Duration("us"))
    late = pl.Series("late", rng.integers(3 * 86_400, 20 * 86_400, returned.height) * 1_000_000).cast(pl.Duration("us"))
    return returned.select(
        order_id=order_id(),
        product_id="product_id",
        returned_at=pl.when(pl.col("kind") == "returned_before")
        .then(pl.col("delivered_at") + soon)
        .when(pl.col("kind") == "returned_after")
        .then(pl.col("delivered_at") + late),
    ).sort(RETURNS.names)


def reviews_of(seed: int, lines: pl.DataFrame, people: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """REVIEWS, at most one by a customer about a product (the earliest), by key in order of time.

    Those that follow from the true propensity within 14 days of a delivery, whether or not it lies in the past of
    any batch; and those of the kinds `reviewed_before` (1 to 90 days before the delivery) and `reviewed_undated`.
    """
    rng = generator(seed, "reviews")
    delivered = propensities(people, products, lines.filter(~pl.col("kind").is_in(_NO_REVIEW)))
    organic = pl.concat(
        [
            delivered.select("customer_id", "product_id"),
            responses(delivered["propensity"].to_numpy(), delivered["delivered_at"], rng),
        ],
        how="horizontal",
    ).filter(pl.col("reviewed_at").is_not_null())
    earlier = lines.filter(pl.col("kind").is_in(["reviewed_before", "reviewed_undated"]))
    lead = pl.Series("lead", rng.integers(86_400, 90 * 86_400, earlier.height) * 1_000_000).cast(pl.Duration("us"))
    injected = earlier.select(
        "customer_id",
        "product_id",
        reviewed_at=pl.when(pl.col("kind") == "reviewed_before").then(pl.col("delivered_at") - lead),
        rating=pl.Series(rng.integers(1, 6, earlier.height), dtype=pl.Int64),
    )
    return (
        pl.concat([organic, injected])
        .sort("customer_id", "product_id", "reviewed_at", "rating")
        .unique(["customer_id", "product_id"], keep="first", maintain_order=True)
        .sort("reviewed_at", "customer_id", "product_id")
        .with_row_index("number", offset=1)
        .with_columns(review_id=pl.format("r-{}", pl.col("number").cast(pl.String).str.zfill(7)))
        .select(REVIEWS.names)
    )


def order_id() -> pl.Expr:
    """The key of an order from its number."""
    return pl.format("o-{}", pl.col("order").cast(pl.String).str.zfill(7))
