"""Purchases: the tables that a program about products reads, and its source, the deliveries."""

from datetime import datetime
from typing import Final

import narwhals as nw

from engage_assets.domain.source import Answers, Source, Subjects
from engage_assets.domain.tables import LARGEST, Column, Table, needed

DELIVERIES = Table(
    "deliveries",
    "one row per delivered order line",
    (
        needed("delivery_id", "key", "The record's key."),
        needed("order_id", "key", "The order that was delivered."),
        needed("customer_id", "key", "Who received it."),
        needed("product_id", "key", "What was delivered."),
        needed("delivery_date", "date", "Day of the delivery, UTC: the partition's day."),
        needed("status", "text", "COMPLETED counts."),
        Column("delivered_at", "instant", "Instant of the delivery; null: midnight of the day."),
        Column("order_value", "number", "Value of the order line, not negative."),
        Column("arrived_at", "instant", "When the row reached the warehouse (usable as arrivalColumn)."),
    ),
)
ORDERS = Table(
    "orders",
    "one row per order",
    (
        needed("order_id", "key", "The order."),
        needed("customer_id", "key", "Who ordered."),
        Column("ordered_at", "instant", "When it was ordered."),
        Column("status", "text", "COMPLETED counts."),
    ),
)
ORDER_ITEMS = Table(
    "order_items",
    "one row per order and product",
    (
        needed("order_id", "key", "The order."),
        needed("product_id", "key", "The product."),
        Column("quantity", "integer", "Pieces."),
        Column("unit_price", "number", "Price of one piece."),
    ),
)
RETURNS = Table(
    "returns",
    "one row per returned product of an order",
    (
        needed("order_id", "key", "The order."),
        needed("product_id", "key", "The product."),
        needed("returned_at", "instant", "When it was returned; null counts as long ago."),
    ),
)
PRODUCTS = Table(
    "products",
    "one row per product",
    (
        needed("product_id", "key", "The product."),
        Column("name", "text", "Name shown in messages."),
        Column("category", "text", "Category."),
        Column("price", "number", "List price."),
        Column("is_reviewable", "flag", "Whether reviews are taken."),
    ),
)
REVIEWS = Table(
    "reviews",
    "one row per review",
    (
        needed("customer_id", "key", "Who wrote it."),
        needed("product_id", "key", "About what."),
        needed("reviewed_at", "instant", "When; null counts as long ago."),
        Column("review_id", "key", "The review's key."),
        Column("rating", "integer", "1 to 5."),
    ),
)


TABLES: Final = (DELIVERIES, ORDERS, ORDER_ITEMS, RETURNS, PRODUCTS, REVIEWS)


def _value_is_invalid(instant: datetime) -> nw.Expr:  # noqa: ARG001 - rules are called alike
    return (nw.col("order_value") < 0) | (nw.col("order_value") > LARGEST)


def _is_not_completed(instant: datetime) -> nw.Expr:  # noqa: ARG001 - rules are called alike
    return (nw.col("status") != "COMPLETED").fill_null(True)


SOURCE: Final = Source(
    table=DELIVERIES,
    record_key="delivery_id",
    customer="customer_id",
    subject="product_id",
    subject_type="product",
    day="delivery_date",
    event="delivered_at",
    carried=("order_id", "order_value"),
    subjects=Subjects(PRODUCTS, key="product_id", is_open="is_reviewable"),
    answers=Answers(REVIEWS, customer="customer_id", subject="product_id", at="reviewed_at", word="review"),
    tables=TABLES,
    own_rules={"VALUE_INVALID": _value_is_invalid, "NOT_DELIVERED": _is_not_completed},
    ordinary={"NOT_DELIVERED": "deliveries that are not completed"},
    form="review",
    is_offered=lambda: nw.col("status") == "COMPLETED",
)
