"""What the filters ask about, joined to the candidates once. On any engine.

Every table is first cut to the batch's keys. A fact whose table the deployment lacks is not invented:
its columns are not there, and the clauses that need it are not evaluated (docs/decisions.md, 6).
"""

from datetime import timedelta
from typing import Final

import narwhals as nw

from engage_assets.domain.facts import Frame, latest_known, stated_once
from engage_assets.filters.asking import Asking, Fact, Tables, before, cut, mark, pairs
from engage_assets.filters.own import own_of

_PAIR: Final = ("customer_id", "subject_id")
NOT_COUNTED: Final = ("failed", "skipped", "held_out")
"""States of a send that was not made, and so counts neither for caps nor as asked."""


def join_facts(candidates: Frame, tables: Tables, asking: Asking) -> Frame:
    """The candidates with the columns of every fact whose tables are there; one row each, as given.

    `tables` are the warehouse's by noun, as their kinds, plus `send_events` (the ledger's mirror cut at the
    batch instant), `given_opt_outs` and `given_responses` (likewise).
    """
    return _joined(candidates, tables, asking, (*own_of(asking.program.source_table).facts, *FACTS))


def join_changing(candidates: Frame, tables: Tables, asking: Asking) -> Frame:
    """As `join_facts`, but only what may have changed since the list was made."""
    return _joined(candidates, tables, asking, (*own_of(asking.program.source_table).changing, *CHANGING))


def _joined(candidates: Frame, tables: Tables, asking: Asking, facts: tuple[Fact, ...]) -> Frame:
    # Each fact is cut to the keys of the candidates as given: cut to those joined so far, the plan would
    # hold its own beginning twice per fact.
    joined = candidates
    for fact in facts:
        joined = fact(joined, candidates, tables, asking)
    return joined


def _subject(joined: Frame, batch: Frame, tables: Tables, asking: Asking) -> Frame:  # noqa: ARG001 - facts are called alike
    """`subject_is_open` of the subject."""
    subjects = asking.source.subjects
    name = subjects.table.name
    if name not in tables or subjects.is_open not in tables[name].collect_schema().names():
        return joined
    stated = tables[name].select(
        nw.col(subjects.key).alias("subject_id"), nw.col(subjects.is_open).alias("subject_is_open")
    )
    return joined.join(stated_once(asking.settle(stated), "subject_id"), on="subject_id", how="left")


def _answered(joined: Frame, batch: Frame, tables: Tables, asking: Asking) -> Frame:
    """`was_answered`: in the warehouse's table of answers or to us, at or before the batch instant.

    An answer of an unknown time counts as before.
    """
    answers = asking.source.answers
    found = []
    if answers.table.name in tables:
        earlier = tables[answers.table.name].filter(before(answers.at, asking.instant))
        earlier = asking.about(asking.of_customers(earlier, answers.customer), batch, answers.subject)
        found.append(pairs(earlier, batch, answers.customer, answers.subject, named="customer_id"))
    if "given_responses" in tables:
        own = nw.col("program") == asking.program.program_id
        given = tables["given_responses"].filter(own, nw.col("at") <= asking.instant)
        found.append(pairs(asking.of_customers(given), batch, "customer_id", "subject_id"))
    if not found:
        return joined
    given = asking.settle(nw.concat(found, how="vertical").unique())
    return mark(joined, given, "was_answered", "customer_id", "subject_id")


def _trust(joined: Frame, batch: Frame, tables: Tables, asking: Asking) -> Frame:
    """`account_status`, `trust_score`, `fraud_score` as known at the batch instant."""
    if "customer_trust" not in tables:
        return joined
    present = tables["customer_trust"].collect_schema().names()
    facts = [name for name in ("account_status", "fraud_score", "trust_score") if name in present]
    known = tables["customer_trust"].filter(nw.col("known_at") <= asking.instant)
    versions = asking.settle(cut(asking.of_customers(known), batch, "customer_id", "known_at", *facts))
    latest = latest_known(versions, "customer_id", "known_at", facts)
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
    given = table.filter(before("at", asking.instant))
    if "revoked_at" in names:
        given = given.filter((nw.col("revoked_at") > asking.instant).fill_null(True))
    given = given.with_columns(program.alias("program"), channel.alias("channel"))
    given = given.filter(nw.col("program").is_null() | (nw.col("program") == asking.program.program_id))
    return cut(asking.of_customers(given), batch, "customer_id", "channel")


def _asked(joined: Frame, batch: Frame, tables: Tables, asking: Asking) -> Frame:
    """`was_asked` about the subject by this program, and `used`: distinct subjects in the cap's window.

    A send counts when it was planned at or before the batch instant and its state then counts; plans for
    later slots count too.
    """
    if "send_events" not in tables:
        return joined
    own, counted = _counted(tables["send_events"], batch, asking)
    joined = mark(joined, asking.settle(pairs(own, batch, "customer_id", "subject_id")), "was_asked", *_PAIR)
    if asking.program.cap is None:
        return joined
    subjects = counted.select(*_PAIR).unique()
    used = asking.settle(subjects.group_by("customer_id").agg(nw.len().alias("used")))
    joined = joined.join(used, on="customer_id", how="left")
    return joined.with_columns(nw.col("used").fill_null(0).cast(nw.Int64).alias("used"))


def _counted(sends: Frame, batch: Frame, asking: Asking) -> tuple[Frame, Frame]:
    """Sends that count: the program's own, which may be cut to the batch's subjects, and those that use up its cap."""
    cap, program = asking.program.cap, asking.program
    events = asking.of_customers(sends)
    events = events.filter((nw.col("at") <= asking.instant) & nw.col("is_solicitation"))
    stopped = cut(events.filter(nw.col("state").is_in(list(NOT_COUNTED))), batch, "customer_id", "send_id")
    stopped = asking.settle(stopped.select("send_id"))
    since = asking.instant - timedelta(days=cap.parameters.window_days if cap else 0)
    is_own = (nw.col("program") == program.program_id).alias("is_own")
    uses_quota = ((nw.col("cap_scope") == program.scope) & (nw.col("slot_at") > since)).alias("uses_quota")
    planned = events.filter(nw.col("state") == "planned").select(*_PAIR, "send_id", is_own, uses_quota)
    if not asking.has_few_subjects:
        standing = planned.filter(nw.col("is_own") | nw.col("uses_quota")).join(stopped, on="send_id", how="anti")
        counted = asking.settle(cut(standing, batch, "customer_id", "subject_id", "is_own", "uses_quota"))
        return counted.filter(nw.col("is_own")), counted.filter(nw.col("uses_quota"))
    # Two readings of little each are cheaper than one of all.
    own = asking.about(planned.filter(nw.col("is_own")), batch, "subject_id")
    counted = cut(planned.filter(nw.col("uses_quota")), batch, "customer_id", "subject_id", "send_id")
    return own.join(stopped, on="send_id", how="anti"), counted.join(stopped, on="send_id", how="anti")


FACTS: Final[tuple[Fact, ...]] = (_subject, _answered, _trust, _opted_out, _asked)
"""Every fact that filters of any source may ask about, in the order in which they are joined."""
CHANGING: Final[tuple[Fact, ...]] = (_subject, _answered, _opted_out)
"""Of these, what may change between the list and the send, and bars it then."""


def opted_out_of(channel: str) -> str:
    """Name of the column that says whether the customer opted out of `channel`."""
    return _flag(channel)


def _flag(channel: str) -> str:
    return f"opted_out_{channel.replace('-', '_')}"
