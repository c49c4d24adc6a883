"""What the filters ask about, joined to the candidates once. On any engine.

Every table is first cut to the batch's keys. A fact whose table the deployment lacks is not invented:
its columns are not there, and the clauses that need it are not evaluated (docs/decisions.md, 6).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import narwhals as nw

from engage_assets.domain.facts import Frame, as_planned, latest_known, stated_once
from engage_assets.domain.program import Program

NOT_COUNTED: Final = ("failed", "skipped", "held_out")
"""States of a send that was not made, and so counts neither for caps nor as asked."""

Tables = Mapping[str, Frame]


@dataclass(frozen=True)
class Asking:
    """Who asks, and as of when."""

    program: Program
    instant: datetime
    settle: Callable[[Frame], Frame] = as_planned
    """Applied to each table once it is cut to the batch: an engine that would otherwise read it several times, or
    hold all of them at once, may compute it here."""


def join_facts(candidates: Frame, tables: Tables, asking: Asking) -> Frame:
    """The candidates with the columns of every fact whose tables are there; one row each, as given.

    `tables` are the warehouse's by noun, as their kinds, plus `send_events` (the ledger's mirror cut at the
    batch instant), `given_opt_outs` and `given_responses` (likewise).
    """
    # Each fact is cut to the keys of the candidates as given: cut to those joined so far, the plan would
    # hold its own beginning twice per fact.
    joined = candidates
    for fact in FACTS:
        joined = fact(joined, candidates, tables, asking)
    return joined


def _order(joined: Frame, batch: Frame, tables: Tables, asking: Asking) -> Frame:
    """`order_is_known`, `order_customer_id`, `order_status`, `order_has_subject` of the record's own order."""
    if "order_id" not in batch.collect_schema().names():
        return joined
    if "orders" in tables:
        wanted = {"customer_id": "order_customer_id", "status": "order_status"}
        orders = asking.settle(_cut(tables["orders"], batch, "order_id", *wanted))
        facts = stated_once(orders, "order_id").rename(
            {name: alias for name, alias in wanted.items() if name in orders.collect_schema().names()}
        )
        joined = joined.join(facts.with_columns(nw.lit(True).alias("order_is_known")), on="order_id", how="left")
    if "order_items" in tables:
        items = asking.settle(_pairs(tables["order_items"], batch, "order_id", "product_id"))
        joined = _mark(joined, items, "order_has_subject", "order_id")
    return joined


def _returned(joined: Frame, batch: Frame, tables: Tables, asking: Asking) -> Frame:
    """`was_returned`: this product of this order, at or before the batch instant (or at an unknown time)."""
    if "returns" not in tables or "order_id" not in batch.collect_schema().names():
        return joined
    before = tables["returns"].filter(_before("returned_at", asking.instant))
    returns = asking.settle(_pairs(before, batch, "order_id", "product_id"))
    return _mark(joined, returns, "was_returned", "order_id")


def _product(joined: Frame, batch: Frame, tables: Tables, asking: Asking) -> Frame:  # noqa: ARG001 - facts are called alike
    """`is_reviewable` of the product."""
    if "products" not in tables or "is_reviewable" not in tables["products"].collect_schema().names():
        return joined
    products = asking.settle(
        tables["products"].select("product_id", "is_reviewable").rename({"product_id": "subject_id"})
    )
    return joined.join(stated_once(products, "subject_id"), on="subject_id", how="left")


def _answered(joined: Frame, batch: Frame, tables: Tables, asking: Asking) -> Frame:
    """`was_answered`: in the warehouse's reviews or on our own pages, at or before the batch instant.

    A review of an unknown time counts as before.
    """
    found = []
    if "reviews" in tables:
        before = tables["reviews"].filter(_before("reviewed_at", asking.instant))
        found.append(_pairs(before, batch, "customer_id", "product_id"))
    if "given_responses" in tables:
        own = nw.col("program") == asking.program.program_id
        given = tables["given_responses"].filter(own, nw.col("at") <= asking.instant)
        found.append(_pairs(given, batch, "customer_id", "subject_id"))
    if not found:
        return joined
    answers = asking.settle(nw.concat(found, how="vertical").unique())
    return _mark(joined, answers, "was_answered", "customer_id")


def _trust(joined: Frame, batch: Frame, tables: Tables, asking: Asking) -> Frame:
    """`account_status`, `trust_score`, `fraud_score` as known at the batch instant."""
    if "customer_trust" not in tables:
        return joined
    present = tables["customer_trust"].collect_schema().names()
    facts = [name for name in ("account_status", "fraud_score", "trust_score") if name in present]
    known = tables["customer_trust"].filter(nw.col("known_at") <= asking.instant)
    cut = asking.settle(_cut(known, batch, "customer_id", "known_at", *facts))
    latest = latest_known(cut, "customer_id", "known_at", facts)
    return joined.join(latest.drop("known_at"), on="customer_id", how="left")


def _opted_out(joined: Frame, batch: Frame, tables: Tables, asking: Asking) -> Frame:
    """`opted_out_<channel>` for each enabled channel, out of the warehouse's and the ledger's opt-outs."""
    channels = [channel.type for channel in asking.program.enabled_channels]
    found = [_in_force(tables[name], batch, asking) for name in ("opt_outs", "given_opt_outs") if name in tables]
    if not found or not channels:
        return joined
    opted_out = nw.concat(found, how="vertical")
    of_all = nw.col("channel").is_null()
    per_customer = opted_out.group_by("customer_id").agg(
        *(
            (of_all | (nw.col("channel") == channel)).fill_null(False).cast(nw.Int64).max().alias(_flag(channel))
            for channel in channels
        )
    )
    joined = joined.join(per_customer, on="customer_id", how="left")
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
    return _cut(given, batch, "customer_id", "channel")


def _asked(joined: Frame, batch: Frame, tables: Tables, asking: Asking) -> Frame:
    """`was_asked` about the subject by this program, and `used`: distinct subjects in the cap's window.

    A send counts when it was planned at or before the batch instant and its state then counts; plans for
    later slots count too.
    """
    if "send_events" not in tables:
        return joined
    cap, program = asking.program.cap, asking.program
    events = tables["send_events"].filter((nw.col("at") <= asking.instant) & nw.col("is_solicitation"))
    stopped = _cut(events.filter(nw.col("state").is_in(list(NOT_COUNTED))), batch, "customer_id", "send_id")
    planned = events.filter(nw.col("state") == "planned").join(
        asking.settle(stopped.select("send_id")), on="send_id", how="anti"
    )
    since = asking.instant - timedelta(days=cap.parameters.window_days if cap else 0)
    uses_quota = (nw.col("cap_scope") == program.scope) & (nw.col("slot_at") > since)
    counted = planned.select(
        "customer_id",
        "subject_id",
        (nw.col("program") == program.program_id).alias("is_own"),
        uses_quota.alias("uses_quota"),
    )
    counted = counted.filter(nw.col("is_own") | nw.col("uses_quota"))
    counted = asking.settle(_cut(counted, batch, "customer_id", "subject_id", "is_own", "uses_quota"))
    asked = _pairs(counted.filter(nw.col("is_own")), batch, "customer_id", "subject_id")
    joined = _mark(joined, asked, "was_asked", "customer_id")
    if cap is None:
        return joined
    subjects = counted.filter(nw.col("uses_quota")).select("customer_id", "subject_id").unique()
    used = subjects.group_by("customer_id").agg(nw.len().alias("used"))
    joined = joined.join(used, on="customer_id", how="left")
    return joined.with_columns(nw.col("used").fill_null(0).cast(nw.Int64).alias("used"))


FACTS: Final[tuple[Callable[[Frame, Frame, Tables, Asking], Frame], ...]] = (
    _order,
    _returned,
    _product,
    _answered,
    _trust,
    _opted_out,
    _asked,
)
"""Every fact that filters may ask about, in the order in which they are joined.

Called with the candidates joined so far, the candidates as given, the tables, and who asks.
"""


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
    wanted = table.select(key, *(column for column in columns if column in present))
    return wanted.join(batch.select(key), on=key, how="semi")


def _pairs(table: Frame, batch: Frame, key: str, subject: str) -> Frame:
    """The distinct pairs of `key` and `subject_id` of `table` that stand in the batch."""
    pairs = table.select(key, nw.col(subject).alias("subject_id"))
    return pairs.join(batch.select(key, "subject_id"), on=[key, "subject_id"], how="semi").unique()


def _mark(joined: Frame, pairs: Frame, name: str, key: str) -> Frame:
    """`name`: whether the candidate's `key` and subject stand among the distinct `pairs`."""
    marked = joined.join(pairs.with_columns(nw.lit(True).alias(name)), on=[key, "subject_id"], how="left")
    return marked.with_columns(nw.col(name).fill_null(False).alias(name))
