"""Olist's satisfaction surveys as sends and answers, and the tables that features are made of.

What stands for what: the survey of an order is a send, its subject the order, its recipient the person; a review with
a comment is the answer, and one without is none. A survey bears a day, not an instant: it counts as sent at that
day's midnight in São Paulo, chosen by the batch that ran in the last three hours before.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import polars as pl
from map_olist import SOURCES, in_utc, read_source

from engage_assets.domain.program import Program
from engage_assets.domain.tables import RESPONSES_LOG, SENDS_LOG

TEXT, NUMBER, INSTANT = pl.String(), pl.Float64(), pl.Datetime("us")
COLUMNS: dict[str, dict[str, pl.DataType]] = {
    "olist_orders_dataset": {
        **SOURCES["olist_orders_dataset"],
        "order_estimated_delivery_date": INSTANT,
    },
    "olist_order_items_dataset": {
        **SOURCES["olist_order_items_dataset"],
        "seller_id": TEXT,
        "freight_value": NUMBER,
    },
    "olist_order_payments_dataset": {"order_id": TEXT, "payment_type": TEXT, "payment_installments": NUMBER},
    "olist_order_reviews_dataset": {
        **SOURCES["olist_order_reviews_dataset"],
        "review_creation_date": INSTANT,
    },
    "olist_customers_dataset": SOURCES["olist_customers_dataset"],
    "olist_products_dataset": {
        **SOURCES["olist_products_dataset"],
        "product_description_lenght": NUMBER,
        "product_photos_qty": NUMBER,
        "product_weight_g": NUMBER,
    },
}
"""Columns that are read, by source file."""

Frames = Mapping[str, pl.DataFrame]


def read(folder: Path) -> Frames:
    """The source's files with the columns above; raises WarehouseError."""
    return {name: read_source(folder, name, columns) for name, columns in COLUMNS.items()}


def tables(sources: Frames) -> dict[str, pl.LazyFrame]:
    """`orders`, `order_items`, `payments` and `surveys`; instants in UTC, lengths of time in days."""
    orders = _orders(sources)
    return {
        "orders": orders.lazy(),
        "order_items": _order_items(sources).lazy(),
        "payments": sources["olist_order_payments_dataset"].rename({"payment_installments": "installments"}).lazy(),
        "surveys": _surveys(sources, orders).lazy(),
    }


def _orders(sources: Frames) -> pl.DataFrame:
    """order_id, customer_id (the person), state, ordered_at, delivered_at, promised_days, delivery_days, delay_days."""
    dated = sources["olist_orders_dataset"].join(sources["olist_customers_dataset"], on="customer_id")
    ordered, promised = pl.col("order_purchase_timestamp"), pl.col("order_estimated_delivery_date")
    delivered = pl.col("order_delivered_customer_date")
    return dated.select(
        "order_id",
        customer_id="customer_unique_id",
        state="customer_state",
        ordered_at=in_utc("order_purchase_timestamp"),
        delivered_at=in_utc("order_delivered_customer_date"),
        promised_days=_days(promised - ordered),
        delivery_days=_days(delivered - ordered),
        delay_days=_days(delivered.dt.truncate("1d") - promised),
    )


def _days(length: pl.Expr) -> pl.Expr:
    return (length.dt.total_seconds() / 86_400).round(3)


def _order_items(sources: Frames) -> pl.DataFrame:
    """Lines of orders with what the catalogue says of the product."""
    return (
        sources["olist_order_items_dataset"]
        .join(sources["olist_products_dataset"], on="product_id", how="left")
        .select(
            "order_id",
            "product_id",
            "seller_id",
            "price",
            freight="freight_value",
            category="product_category_name",
            description_length="product_description_lenght",
            photos="product_photos_qty",
            weight="product_weight_g",
        )
    )


def _surveys(sources: Frames, orders: pl.DataFrame) -> pl.DataFrame:
    """survey_id, order_id, customer_id, sent_on (day in São Paulo), sent_at, answered_at, rating, has_comment."""
    return (
        sources["olist_order_reviews_dataset"]
        .join(orders.select("order_id", "customer_id"), on="order_id")
        .select(
            "order_id",
            "customer_id",
            survey_id="review_id",
            sent_on=pl.col("review_creation_date").dt.date(),
            sent_at=in_utc("review_creation_date"),
            answered_at=in_utc("review_answer_timestamp"),
            rating="review_score",
            has_comment="has_comment_message",
        )
        .sort("sent_at", "order_id", "survey_id")
    )


def sends(surveys: pl.LazyFrame, program: Program) -> pl.LazyFrame:
    """SENDS_LOG: each survey was handed over and sent at its day's midnight, by the batch of the day before."""
    partition = (pl.col("sent_on") - timedelta(days=1)).dt.to_string("%Y-%m-%d")
    rows = surveys.select(
        "customer_id",
        send_id=pl.format("{}-{}", "survey_id", "order_id"),
        program=pl.lit(program.program_id),
        campaign_id=pl.format("{}:email:{}:BR", pl.lit(program.program_id), partition),
        subject_id="order_id",
        channel=pl.lit("email"),
        slot_at="sent_at",
        cap_scope=pl.lit(program.scope),
        is_solicitation=pl.lit(True),
        state=pl.lit("sent"),
        at="sent_at",
        reason=pl.lit(None, pl.String),
        kind=pl.lit(None, pl.String),
        sequence=pl.lit(None, pl.Int64),
    )
    return rows.select(SENDS_LOG.names)


def responses(surveys: pl.LazyFrame, program: Program) -> pl.LazyFrame:
    """RESPONSES_LOG: the reviews with a comment."""
    rows = surveys.filter("has_comment").select(
        "customer_id",
        response_id="survey_id",
        version=pl.lit(1, pl.Int64),
        program=pl.lit(program.program_id),
        marketplace=pl.lit("BR"),
        subject_type=pl.lit("order"),
        subject_id="order_id",
        send_id=pl.format("{}-{}", "survey_id", "order_id"),
        rating="rating",
        has_text=pl.lit(True),
        photos=pl.lit(0, pl.Int64),
        at="answered_at",
        changed_at="answered_at",
        received_at="answered_at",
    )
    missing = {name: pl.lit(None, kind) for name, kind in RESPONSES_LOG.schema.items()}
    given = rows.collect_schema().names()
    return rows.with_columns(**{name: column for name, column in missing.items() if name not in given}).select(
        RESPONSES_LOG.names
    )
