"""The gate at the send: what a claim checks again, on rows that it has locked."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, cached_property
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, bindparam, select
from sqlalchemy.types import DateTime

from engage_assets.domain.sends import Cap, ClaimRules
from engage_assets.domain.slots import SEND_WINDOW
from engage_assets.ledger import tables
from engage_assets.ledger.engines import among, as_list
from engage_assets.ledger.states import PLANNED, SETTLED_ASKS

Ask = tuple[datetime, str, str]
"""A solicitation that counts for a cap: slot, type and id of its subject."""


class Standing(NamedTuple):
    """A locked send, in the order of its columns."""

    send_id: str
    state: str
    slot_at: datetime
    customer_id: str
    program: str
    channel: str
    subject_type: str
    subject_id: str
    is_solicitation: bool
    cap_scope: str
    priority: int


@dataclass
class Verdicts:
    """What a claim may take, and whom it must skip for which reason."""

    won: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def judge(connection: Connection, send_ids: Sequence[str], now: datetime, rules: ClaimRules) -> Verdicts:
    """The verdict on each send that is planned, in the order given; others are left out.

    All sends that may count for a cap of the same customers are locked too, in the order of their keys: two
    programs of one scope that claim at once wait for each other, and cannot deadlock.
    """
    wanted = _free(connection, list(dict.fromkeys(send_ids)))
    rows = _locked(connection, wanted, now, rules.cap)
    chosen = [rows[send_id] for send_id in wanted if send_id in rows and rows[send_id].state == PLANNED]
    known = _Known.read(connection, chosen, rules)
    quotas = _Quotas(rules.cap, chosen, rows.values(), now)
    verdicts = Verdicts()
    is_quiet, too_late = known.is_empty and not rules.barred, now - SEND_WINDOW
    for row in chosen:
        reason = None if is_quiet and row.slot_at >= too_late else known.refusal(row, now, rules)
        if reason is None and quotas.refuses(row):
            reason = "FREQUENCY_CAP"
        if reason:
            verdicts.refused[row.send_id] = reason
        else:
            verdicts.won.append(row.send_id)
    return verdicts


def _free(connection: Connection, send_ids: list[str]) -> list[str]:
    """Without those that another process is claiming at this moment: two on the same sends go past each other.

    The look takes no lock with it: what it locked is free again when it ends, and is locked in its order later.
    """
    if connection.dialect.name == "sqlite":  # where nobody else can be in a transaction that writes
        return send_ids
    look = connection.begin_nested()
    free = set(connection.execute(_unlocked(connection.dialect.name), {"keys": as_list(send_ids)}).scalars())
    look.rollback()
    return [send_id for send_id in send_ids if send_id in free]


def _locked(connection: Connection, send_ids: Sequence[str], now: datetime, cap: Cap | None) -> dict[str, Standing]:
    """The wanted sends and those beside which a cap counts them, locked, by key.

    What others planned and claimed while we waited for the locks is read once more. It needs no lock: whoever claims
    for the same customers from now on waits for ours.
    """
    wanted = set(send_ids)
    if cap is None:
        return _rows(connection, wanted)
    if connection.dialect.name == "sqlite":
        return _alone(connection, send_ids, now, cap)
    customers = _customers(connection, send_ids)
    known = wanted | _beside(connection, customers, now, cap)
    rows = _rows(connection, known)
    rows |= _rows(connection, _beside(connection, customers, now, cap) - known, lock=False)
    return rows


def _alone(connection: Connection, send_ids: Sequence[str], now: datetime, cap: Cap) -> dict[str, Standing]:
    """As `_locked` where nobody else can write, in one question; wanted sends that it leaves out are asked apart."""
    values = {"keys": as_list(sorted(send_ids)), "since": now - SEND_WINDOW - cap.window}
    found = connection.execute(_of_customers(connection.dialect.name), values).all()
    rows = {row[0]: Standing._make(row) for row in found}
    return rows | _rows(connection, set(send_ids) - rows.keys())


def _customers(connection: Connection, send_ids: Sequence[str]) -> dict[str, str]:
    """Customers and cap scopes of sends, as parameters of `_beside`."""
    table = tables.sends.c
    own = select(table.customer_id, table.cap_scope).where(among(connection.dialect.name, table.send_id))
    found = connection.execute(own, {"keys": as_list(send_ids)}).all()
    return {
        "keys": as_list(sorted({row.customer_id for row in found})),
        "scopes": as_list(sorted({row.cap_scope for row in found})),
    }


def _beside(connection: Connection, customers: dict[str, str], now: datetime, cap: Cap) -> set[str]:
    """Keys of all sends that may count for a cap of customers."""
    values = {**customers, "since": now - SEND_WINDOW - cap.window}
    return set(connection.execute(_keys_beside(connection.dialect.name), values).scalars())


def _rows(connection: Connection, send_ids: set[str], *, lock: bool = True) -> dict[str, Standing]:
    """Sends by key, locked in the order of their keys."""
    if not send_ids:
        return {}
    found = connection.execute(_standing(connection.dialect.name, lock=lock), {"keys": as_list(sorted(send_ids))})
    return {row[0]: Standing._make(row) for row in found.all()}


def _counts() -> ColumnElement[bool]:
    """Whether a send may count for a cap."""
    table = tables.sends.c
    recent = table.slot_at > bindparam("since", type_=DateTime)
    return table.is_solicitation & recent & table.state.in_([PLANNED, *sorted(SETTLED_ASKS)])


@cache
def _unlocked(dialect: str) -> Select[Any]:
    table = tables.sends.c
    return select(table.send_id).where(among(dialect, table.send_id)).with_for_update(skip_locked=True)


@cache
def _keys_beside(dialect: str) -> Select[Any]:
    table = tables.sends.c
    theirs = among(dialect, table.customer_id) & among(dialect, table.cap_scope, "scopes")
    return select(table.send_id).where(theirs, _counts())


@cache
def _of_customers(dialect: str) -> Select[Any]:
    table, own = tables.sends.c, tables.sends.alias("own")
    customers = select(own.c.customer_id).where(among(dialect, own.c.send_id))
    # Of all scopes: to leave out those of others costs more than to pass over them.
    theirs = table.customer_id.in_(customers)
    return select(*(table[name] for name in Standing._fields)).where(theirs, _counts())


@cache
def _standing(dialect: str, *, lock: bool) -> Select[Any]:
    table = tables.sends.c
    chosen = select(*(table[name] for name in Standing._fields)).where(among(dialect, table.send_id))
    return chosen.order_by(table.send_id).with_for_update() if lock else chosen.order_by(table.send_id)


@dataclass(frozen=True)
class _Known:
    """What the ledger knows of the customers beside their sends."""

    suppressed: frozenset[str]
    opted_out: dict[str, list[tuple[str | None, str | None]]]
    answered: frozenset[tuple[str, str, str, str]]

    @cached_property
    def is_empty(self) -> bool:
        """Whether nothing speaks against anybody."""
        return not (self.suppressed or self.opted_out or self.answered)

    @classmethod
    def read(cls, connection: Connection, rows: Sequence[Standing], rules: ClaimRules) -> "_Known":
        their = {row.customer_id for row in rows}
        customers = {"keys": as_list(sorted(their))}
        by_customer = tables.suppressions.c.customer_id
        suppressed = set(
            connection.execute(
                select(by_customer).where(among(connection.dialect.name, by_customer)), customers
            ).scalars()
        )
        addresses = {one: rules.addresses[one] for one in their if one in rules.addresses}
        if addresses:
            by_hash = tables.suppressions.c.address_hash
            query = select(by_hash).where(among(connection.dialect.name, by_hash))
            hashes = {"keys": as_list(sorted(set(addresses.values())))}
            found = set(connection.execute(query, hashes).scalars())
            suppressed |= {customer for customer, digest in addresses.items() if digest in found}
        outs = tables.opt_outs.c
        query = select(outs.customer_id, outs.program, outs.channel).where(
            among(connection.dialect.name, outs.customer_id), outs.revoked_at.is_(None)
        )
        opted_out: dict[str, list[tuple[str | None, str | None]]] = defaultdict(list)
        for customer, program, channel in connection.execute(query, customers):
            opted_out[customer].append((program, channel))
        given = tables.responses.c
        query = select(given.program, given.customer_id, given.subject_type, given.subject_id).where(
            among(connection.dialect.name, given.customer_id)
        )
        answered = frozenset((row[0], row[1], row[2], row[3]) for row in connection.execute(query, customers))
        return cls(frozenset(suppressed), dict(opted_out), answered)

    def refusal(self, row: Standing, now: datetime, rules: ClaimRules) -> str | None:
        """The first reason against a send, the cap aside."""
        if row.slot_at + SEND_WINDOW < now:
            return "SEND_WINDOW_MISSED"
        if row.send_id in rules.barred:
            return rules.barred[row.send_id]
        if row.customer_id in self.suppressed:
            return "SUPPRESSED"
        for program, channel in self.opted_out.get(row.customer_id, ()):
            if program in (None, row.program) and channel in (None, row.channel):
                return "OPTED_OUT"
        if not self.answered or not row.is_solicitation:
            return None
        key = (row.program, row.customer_id, row.subject_type, row.subject_id)
        return "ALREADY_ANSWERED" if key in self.answered else None


class _Quotas:
    """Who may still be asked, by customer: never more than `cap.maximum` subjects in any window of the cap's length."""

    def __init__(self, cap: Cap | None, chosen: Sequence[Standing], rows: Iterable[Standing], now: datetime) -> None:
        self._cap = cap
        self._asked: dict[tuple[str, str], list[Ask]] = defaultdict(list)
        self._planned: dict[tuple[str, str], list[tuple[int, Ask]]] = defaultdict(list)
        if cap is None:
            return
        weakest = max((row.priority for row in chosen), default=0)
        for row in rows:
            if not row.is_solicitation:
                continue
            if row.state in SETTLED_ASKS:
                self._asked[row.cap_scope, row.customer_id].append(_ask(row))
            elif row.priority < weakest and row.slot_at + SEND_WINDOW >= now:
                self._planned[row.cap_scope, row.customer_id].append((row.priority, _ask(row)))

    def refuses(self, row: Standing) -> bool:
        """Whether the send would be one too many, counting what stronger programs have planned; else it is counted."""
        if self._cap is None or not row.is_solicitation:
            return False
        customer, ask = (row.cap_scope, row.customer_id), _ask(row)
        asked = self._asked[customer]
        others = asked
        if customer in self._planned:
            others = asked + [other for priority, other in self._planned[customer] if priority < row.priority]
        if len(others) >= self._cap.maximum and _breaks(self._cap, ask, others):
            return True
        asked.append(ask)
        return False


def _ask(row: Standing) -> Ask:
    return row.slot_at, row.subject_type, row.subject_id


def _breaks(cap: Cap, new: Ask, asks: Sequence[Ask]) -> bool:
    """Whether some window `(t - cap.window, t]` that holds `new` would hold more than `cap.maximum` subjects."""
    slot = new[0]
    near = [ask for ask in asks if abs(ask[0] - slot) < cap.window]
    for end in sorted({slot, *(ask[0] for ask in near if ask[0] > slot)}):
        inside = {ask[1:] for ask in near if end - cap.window < ask[0] <= end}
        if len(inside | {new[1:]}) > cap.maximum:
            return True
    return False
