"""Purchases: the facts and the trust filter's clauses of a source whose records belong to orders."""

from typing import Final

import narwhals as nw

from engage_assets.domain.facts import Frame, stated_once
from engage_assets.domain.filter_specs import TrustParameters
from engage_assets.filters.asking import Asking, Fact, Tables, before, cut, mark, pairs
from engage_assets.filters.clauses import Clause


def order(joined: Frame, batch: Frame, tables: Tables, asking: Asking) -> Frame:
    """`order_is_known`, `order_customer_id`, `order_status`, `order_has_subject` of the record's own order."""
    if "orders" in tables:
        wanted = {"customer_id": "order_customer_id", "status": "order_status"}
        orders = asking.settle(cut(tables["orders"], batch, "order_id", *wanted))
        facts = stated_once(orders, "order_id").rename(
            {name: alias for name, alias in wanted.items() if name in orders.collect_schema().names()}
        )
        joined = joined.join(facts.with_columns(nw.lit(True).alias("order_is_known")), on="order_id", how="left")
    if "order_items" in tables:
        items = asking.settle(pairs(tables["order_items"], batch, "order_id", "product_id"))
        joined = mark(joined, items, "order_has_subject", "order_id", "subject_id")
    return joined


def returned(joined: Frame, batch: Frame, tables: Tables, asking: Asking) -> Frame:
    """`was_returned`: this product of this order, at or before the batch instant (or at an unknown time)."""
    if "returns" not in tables or "order_id" not in batch.collect_schema().names():
        return joined
    earlier = tables["returns"].filter(before("returned_at", asking.instant))
    returns = asking.settle(pairs(earlier, batch, "order_id", "product_id"))
    return mark(joined, returns, "was_returned", "order_id", "subject_id")


FACTS: Final[tuple[Fact, ...]] = (order, returned)
CHANGING: Final[tuple[Fact, ...]] = (returned,)
"""Of these, what may change between the list and the send."""


def clauses(parameters: TrustParameters) -> list[Clause]:  # noqa: ARG001 - called like those of other sources
    """The trust filter's clauses, in the order in which they give the reason."""
    purchased = (
        nw.col("order_is_known")
        & ~nw.col("order_customer_id").is_null()
        & (nw.col("order_status") == "COMPLETED")
        & nw.col("order_has_subject")
    )
    return [
        Clause(
            "CUSTOMER_MISMATCH",
            {"orders.customer_id"},
            (nw.col("order_customer_id") != nw.col("customer_id")).fill_null(False),
        ),
        Clause(
            "NOT_PURCHASED",
            {"orders.customer_id", "orders.status", "order_items.product_id"},
            ~purchased.fill_null(False),
        ),
        Clause("RETURNED", {"returns.returned_at"}, nw.col("was_returned"), asked_again=True),
    ]
