"""What a transaction of the ledger reads and writes of sends and their log."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, Insert, Select, Update, bindparam, case, func, insert, select, update
from sqlalchemy.types import DateTime

from engage_assets.domain.sends import Move, Send
from engage_assets.domain.slots import SEND_WINDOW
from engage_assets.ledger import tables
from engage_assets.ledger.database import lock
from engage_assets.ledger.engines import among, as_list, later, rows_on
from engage_assets.ledger.prepared import Prepared
from engage_assets.ledger.states import ASKING, HANDED_OVER, PLANNED

TICK: Final = timedelta(microseconds=1)
CANDIDATE: Final = ("customer_id", "program", "marketplace", "subject_type", "subject_id", "channel")
"""Columns of a send that say which candidate it asks, and through which channel."""


@dataclass(frozen=True, slots=True)
class Present:
    """Where a send stands, its row being locked."""

    state: str
    began: datetime
    candidate: tuple[str, ...]
    """Columns of CANDIDATE, where it solicits; else empty."""


def planned_row(send: Send) -> dict[str, Any]:
    """The columns of `sends` that a plan states."""
    return {
        "send_id": send.send_id,
        "program": send.program,
        "campaign_id": send.campaign_id,
        "customer_id": send.customer_id,
        "subject_id": send.subject_id,
        "channel": send.channel,
        "slot_at": send.slot_at,
        "cap_scope": send.cap_scope,
        "is_solicitation": send.is_solicitation,
        "priority": send.priority,
        "marketplace": send.marketplace,
        "subject_type": send.subject_type,
        "subject_name": send.subject_name,
        "subject_maker": send.subject_maker,
        "locale": send.locale,
        "kind": send.kind,
        "sequence": send.sequence,
    }


def stamp(connection: Connection, now: datetime) -> datetime:
    """The time of a write: `now`, or just after a cut that was taken while the writer was on its way."""
    return stamping(connection, now)()


def stamping(connection: Connection, now: datetime) -> Callable[[], datetime]:
    """As `stamp`, asked for now and told later."""
    passed = _PASSED.ask(connection, {"now": now, "reach": now + SEND_WINDOW})

    def at() -> datetime:
        ((cut,),) = passed()
        return now if cut is None else cut + TICK

    return at


def present_states(connection: Connection, send_ids: Iterable[str]) -> dict[str, Present]:
    """Where each known send stands, locked in the order of the keys."""
    found = connection.execute(_present(connection.dialect.name), {"keys": as_list(sorted(set(send_ids)))})
    return {
        send_id: Present(state, began, tuple(candidate) if solicits else ())
        for send_id, state, began, solicits, *candidate in found.all()
    }


def asked_already(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """By send_id of `rows`: another send by which the same program asks the same thing on the same channel.

    Gives its send_id and its state. Sends that were not made (failed, skipped, held out) ask nobody. Rows that the
    ledger knows ask nothing new. Transactions that ask this follow one another.
    """
    lock(connection, tables.plans)
    wanted = {(row["program"], row["channel"], row["customer_id"], row["subject_id"]): row["send_id"] for row in rows}
    table = tables.sends.c
    key = (table.program, table.channel, table.customer_id, table.subject_id)
    statement = select(*key, table.send_id, table.state).where(
        among(connection.dialect.name, table.customer_id), table.is_solicitation
    )
    found, known = {}, set()
    customers = as_list(sorted({row["customer_id"] for row in rows}))
    for *parts, send_id, state in connection.execute(statement, {"keys": customers}):
        own = wanted.get((parts[0], parts[1], parts[2], parts[3]))
        if own == send_id:
            known.add(own)
        elif own is not None and state in ASKING:
            found[own] = (send_id, state)
    return {own: other for own, other in found.items() if own not in known}


def enter(
    connection: Connection,
    send_ids: Iterable[str],
    state: str,
    at: datetime,
    reason: str | None,
    lease_until: datetime | None = None,
) -> None:
    """Let sends, whose rows are locked, enter `state`, at `at` or when their present state began if that is later.

    Two statements, however many sends. Who becomes planned again does so a moment after the state that he leaves, so
    that the order of the log never depends on anything but its instants and a send's life.
    """
    keys = as_list(sorted(send_ids))
    if keys == "[]":
        return
    # As text the instant of the present state would have to be counted up in SQL: few sends go back, so one by one.
    if state == PLANNED:
        _go_back(connection, keys, at, reason)
        return
    values = {"keys": keys, "at_least": at, "entered": state, "lease": lease_until}
    connection.execute(_entered(connection.dialect.name), values)
    _record(connection, keys, reason)


def skip(connection: Connection, refused: Mapping[str, str], at: datetime) -> None:
    """Let sends, whose rows are locked, be skipped, each with its reason, as `enter`."""
    by_reason = sorted(refused.items(), key=lambda item: item[1])
    for reason, group in groupby(by_reason, key=lambda item: item[1]):
        enter(connection, [send_id for send_id, _ in group], "skipped", at, reason)


def enter_each(connection: Connection, moves: Sequence[Move], at: datetime, lease_until: datetime) -> None:
    """Let sends, whose rows are locked, enter each its state, as `enter`; the lease is of those handed over.

    Two statements for all of them: what a running delivery does many times a second. Nobody becomes planned here.
    """
    if not moves:
        return
    rows = json.dumps([[move.send_id, move.state, move.reason] for move in sorted(moves, key=lambda one: one.send_id)])
    changed, recorded = _entered_each(connection.dialect.name)
    connection.execute(changed, {"moves": rows, "at_least": at, "lease": lease_until})
    connection.execute(recorded, {"moves": rows})


@cache
def _entered_each(dialect: str) -> tuple[Update, Insert]:
    table = tables.sends
    moves = rows_on(dialect, "moves", 3).subquery("given")
    send_id, state, reason = moves.c
    changed = (
        update(table)
        .where(table.c.send_id == send_id)
        .values(
            state=state,
            updated_at=later(dialect, table.c.updated_at, bindparam("at_least", type_=DateTime)),
            step=table.c.step + 1,
            lease_until=case((state == HANDED_OVER, bindparam("lease", type_=DateTime))),
        )
    )
    present = select(table.c.send_id, table.c.step, table.c.state, table.c.updated_at, reason)
    joined = present.join_from(moves, table, table.c.send_id == send_id)
    return changed, insert(tables.send_states).from_select(["send_id", "step", "state", "at", "reason"], joined)


def _go_back(connection: Connection, keys: str, at: datetime, reason: str | None) -> None:
    table = tables.sends
    rows = connection.execute(
        select(table.c.send_id, table.c.updated_at).where(among(connection.dialect.name, table.c.send_id)),
        {"keys": keys},
    )
    moves = [{"key": send_id, "began": max(at, began + TICK)} for send_id, began in rows]
    changed = update(table).where(table.c.send_id == bindparam("key"))
    back = changed.values(state=PLANNED, updated_at=bindparam("began"), step=table.c.step + 1, lease_until=None)
    connection.execute(back, moves)
    _record(connection, keys, reason)


def _record(connection: Connection, keys: str, reason: str | None) -> None:
    """Add the present states of sends to the log."""
    connection.execute(_recorded(connection.dialect.name), {"keys": keys, "why": reason})


def _passed(_: str) -> Select[Any]:
    until = tables.cuts.c.until
    return select(func.max(until)).where(until >= bindparam("now"), until <= bindparam("reach"))


_PASSED: Final = Prepared(_passed)


@cache
def _present(dialect: str) -> Select[Any]:
    table = tables.sends.c
    columns = (table.send_id, table.state, table.updated_at, table.is_solicitation)
    wanted = select(*columns, *(table[name] for name in CANDIDATE)).where(among(dialect, table.send_id))
    return wanted.order_by(table.send_id).with_for_update()


@cache
def _entered(dialect: str) -> Update:
    table = tables.sends
    began = later(dialect, table.c.updated_at, bindparam("at_least", type_=DateTime))
    return (
        update(table)
        .where(among(dialect, table.c.send_id))
        .values(
            state=bindparam("entered"),
            updated_at=began,
            step=table.c.step + 1,
            lease_until=bindparam("lease", type_=DateTime),
        )
    )


@cache
def _recorded(dialect: str) -> Insert:
    table = tables.sends.c
    why = bindparam("why", type_=tables.send_states.c.reason.type).label("why")
    given = select(table.send_id, table.step, table.state, table.updated_at, why)
    chosen = given.where(among(dialect, table.send_id))
    return insert(tables.send_states).from_select(["send_id", "step", "state", "at", "reason"], chosen)
