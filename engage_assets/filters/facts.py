"""What the filters ask about, joined to the candidates once. On any engine.

Every table is first cut to the batch's keys. A fact whose table the deployment lacks is not invented:
its columns are not there, and the clauses that need it are not evaluated (spec, decision 6).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import narwhals as nw

from engage_assets.domain.facts import Frame, latest_known, stated_once
from engage_assets.domain.program import Program

NOT_COUNTED: Final = ("failed", "skipped", "held_out")
"""States of a send that was not made, and so counts neither for caps nor as asked."""

Tables = Mapping[str, Frame]


@dataclass(frozen=True)
class Asking:
    """Who asks, and as of when."""

    program: Program
    instant: datetime


def join_facts(candidates: Frame, tables: Tables, asking: Asking) -> Frame:
    """The candidates with the columns of every fact whose tables are there; one row each, as given.

    `tables` are the warehouse's by noun, as their kinds, plus `send_events` (the ledger's mirror cut at the
    batch instant) and `given_opt_outs` (likewise).
    """
    for fact in FACTS:
        candidates = fact(candidates, tables, asking)
    return candidates


def _order(candidates: Frame, tables: Tables, asking: Asking) -> Frame:  # noqa: ARG001 - facts are called alike
    """`order_is_known`, `order_customer_id`, `order_status`, `order_has_subject` of the record's own order."""
    if "order_id" not in candidates.collect_schema().names():
        return candidates
    batch = candidates.select("order_id").unique()
    if "orders" in tables:
        wanted = {"customer_id": "order_customer_id", "status": "order_status"}
        orders = _cut(tables["orders"], batch, "order_id", *wanted)
        facts = stated_once(orders, "order_id").rename(
            {name: alias for name, alias in wanted.items() if name in orders.collect_schema().names()}
        )
        candidates = candidates.join(
            facts.with_columns(nw.lit(True).alias("order_is_known")), on="order_id", how="left"
        )
    if "order_items" in tables:
        items = _cut(tables["order_items"], batch, "order_id", "product_id").unique()
        candidates = _mark(candidates, items.rename({"product_id": "subject_id"}), "order_has_subject", "order_id")
    return candidates


def _returned(candidates: Frame, tables: Tables, asking: Asking) -> Frame:
    """`was_returned`: this product of this order, at or before the batch instant (or at an unknown time)."""
    if "returns" not in tables or "order_id" not in candidates.collect_schema().names():
        return candidates
    before = tables["returns"].filter(_before("returned_at", asking.instant))
    returns = _cut(before, candidates.select("order_id").unique(), "order_id", "product_id").unique()
    return _mark(candidates, returns.rename({"product_id": "subject_id"}), "was_returned", "order_id")


def _product(candidates: Frame, tables: Tables, asking: Asking) -> Frame:  # noqa: ARG001 - facts are called alike
    """`is_reviewable` of the product."""
    if "products" not in tables or "is_reviewable" not in tables["products"].collect_schema().names():
        return candidates
    products = tables["products"].select("product_id", "is_reviewable").rename({"product_id": "subject_id"})
    return candidates.join(stated_once(products, "subject_id"), on="subject_id", how="left")


def _answered(candidates: Frame, tables: Tables, asking: Asking) -> Frame:
    """`was_answered`: the customer reviewed the product at or before the batch instant (or at an unknown time)."""
    if "reviews" not in tables:
        return candidates
    before = tables["reviews"].filter(_before("reviewed_at", asking.instant))
    reviews = _cut(before, candidates.select("customer_id").unique(), "customer_id", "product_id")
    return _mark(candidates, reviews.rename({"product_id": "subject_id"}).unique(), "was_answered", "customer_id")


def _trust(candidates: Frame, tables: Tables, asking: Asking) -> Frame:
    """`account_status`, `trust_score`, `fraud_score` as known at the batch instant."""
    if "customer_trust" not in tables:
        return candidates
    known = tables["customer_trust"].filter(nw.col("known_at") <= asking.instant)
    facts = ("account_status", "fraud_score", "trust_score")
    cut = _cut(known, candidates.select("customer_id").unique(), "customer_id", "known_at", *facts)
    ties = [name for name in facts if name in cut.collect_schema().names()]
    latest = latest_known(cut, "customer_id", "known_at", ties) if ties else cut
    return candidates.join(latest.drop("known_at"), on="customer_id", how="left")


def _opted_out(candidates: Frame, tables: Tables, asking: Asking) -> Frame:
    """`opted_out_<channel>` for each enabled channel, out of the warehouse's and the ledger's opt-outs."""
    batch = candidates.select("customer_id").unique()
    channels = [channel.type for channel in asking.program.enabled_channels]
    found = [_in_force(tables[name], batch, asking) for name in ("opt_outs", "given_opt_outs") if name in tables]
    if not found:
        return candidates
    opted_out = nw.concat(found, how="vertical")
    of_all = nw.col("channel").is_null()
    per_customer = opted_out.group_by("customer_id").agg(
        *(
            (of_all | (nw.col("channel") == channel)).fill_null(False).cast(nw.Int64).max().alias(_flag(channel))
            for channel in channels
        )
    )
    joined = candidates.join(per_customer, on="customer_id", how="left")
    return joined.with_columns((nw.col(_flag(channel)).fill_null(0) > 0).alias(_flag(channel)) for channel in channels)


def _in_force(table: Frame, batch: Frame, asking: Asking) -> Frame:
    """Opt-outs that hold for the program at the batch instant: customer_id and channel (null: all)."""
    names = table.collect_schema().names()
    program = nw.col("program") if "program" in names else nw.lit(None).cast(nw.String)
    channel = nw.col("channel") if "channel" in names else nw.lit(None).cast(nw.String)
    given = table.filter(_before("at", asking.instant))
    if "revoked_at" in names:
        given = given.filter((nw.col("revoked_at") > asking.instant).fill_null(True))
    given = given.with_columns(program.alias("program"), channel.alias("channel"))
    given = given.filter(nw.col("program").is_null() | (nw.col("program") == asking.program.program_id))
    return given.select("customer_id", "channel").join(batch, on="customer_id", how="semi")


def _asked(candidates: Frame, tables: Tables, asking: Asking) -> Frame:
    """`was_asked` about the subject by this program, and `used`: distinct subjects in the cap's window.

    A send counts when it was planned at or before the batch instant and its state then counts; plans for
    later slots count too.
    """
    if "send_events" not in tables:
        return candidates
    events = tables["send_events"].filter(nw.col("at") <= asking.instant)
    events = events.join(candidates.select("customer_id").unique(), on="customer_id", how="semi")
    stopped = events.filter(nw.col("state").is_in(list(NOT_COUNTED))).select("send_id").unique()
    counted = events.filter((nw.col("state") == "planned") & nw.col("is_solicitation")).join(
        stopped, on="send_id", how="anti"
    )
    own = counted.filter(nw.col("program") == asking.program.program_id)
    asked = own.select("customer_id", "subject_id").unique()
    candidates = _mark(candidates, asked, "was_asked", "customer_id")
    cap = asking.program.cap
    if cap is None:
        return candidates
    since = asking.instant - timedelta(days=cap.parameters.window_days)
    in_window = counted.filter((nw.col("cap_scope") == asking.program.scope) & (nw.col("slot_at") > since))
    used = in_window.select("customer_id", "subject_id").unique().group_by("customer_id").agg(nw.len().alias("used"))
    joined = candidates.join(used, on="customer_id", how="left")
    return joined.with_columns(nw.col("used").fill_null(0).cast(nw.Int64).alias("used"))


FACTS: Final[tuple[Callable[[Frame, Tables, Asking], Frame], ...]] = (
    _order,
    _returned,
    _product,
    _answered,
    _trust,
    _opted_out,
    _asked,
)
"""Every fact that filters may ask about, in the order in which they are joined."""


def opted_out_of(channel: str) -> str:
    """Name of the column that says whether the customer opted out of `channel`."""
    return _flag(channel)


def _flag(channel: str) -> str:
    return f"opted_out_{channel.replace('-', '_')}"


def _before(column: str, instant: datetime) -> nw.Expr:
    """At or before the batch instant; an unknown time counts as before."""
    return (nw.col(column) <= instant).fill_null(True)


def _cut(table: Frame, batch: Frame, key: str, *columns: str) -> Frame:
    """Rows of the batch's keys, with those of `columns` that the table has."""
    present = table.collect_schema().names()
    return table.select(key, *(column for column in columns if column in present)).join(batch, on=key, how="semi")


def _mark(candidates: Frame, pairs: Frame, name: str, key: str) -> Frame:
    """`name`: whether the candidate's `key` and subject stand among the distinct `pairs`."""
    marked = candidates.join(pairs.with_columns(nw.lit(True).alias(name)), on=[key, "subject_id"], how="left")
    return marked.with_columns(nw.col(name).fill_null(False).alias(name))
