"""The gate at the send: what a claim checks again, on rows that it has locked."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    bindparam,
    literal_column,
    null,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.types import DateTime, Integer

from engage_assets.domain.notices import window_of
from engage_assets.domain.sends import Cap, ClaimRules
from engage_assets.domain.slots import SEND_WINDOW
from engage_assets.ledger import tables
from engage_assets.ledger.engines import among, as_list
from engage_assets.ledger.prepared import Prepared
from engage_assets.ledger.standing import Told, untrue
from engage_assets.ledger.states import PLANNED, SETTLED_ASKS

Ask = tuple[datetime, str, str]
"""A solicitation that counts for a cap: slot, type and id of its subject."""
_SUPPRESSED, _OPTED_OUT, _ANSWERED = range(3)
Question = tuple[str, str, str, str]
"""What a program asks a customer: program, customer, type and id of the subject."""


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
    kind: str | None
    sequence: int | None


@dataclass
class Verdicts:
    """What a claim may take, and whom it must skip for which reason."""

    won: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


class Glance(NamedTuple):
    """What mostly is enough to know of a locked send."""

    send_id: str
    customer_id: str
    is_ready: int
    """Whether it is planned, not too late, and no notice."""


def judge(connection: Connection, send_ids: Sequence[str], now: datetime, rules: ClaimRules) -> Verdicts:
    """The verdict on each send that is planned, in the order given; others are left out.

    All sends that may count for a cap of the same customers are locked too, in the order of their keys: two
    programs of one scope that claim at once wait for each other, and cannot deadlock.
    """
    wanted, glances = _glances(connection, list(dict.fromkeys(send_ids)), now, rules.cap)
    plain = _plain(connection, glances, rules)
    rest = [send_id for send_id in wanted if send_id not in plain]
    verdicts = _weigh(connection, rest, now, rules) if rest else Verdicts()
    plain.update(verdicts.won)
    return Verdicts([send_id for send_id in wanted if send_id in plain], verdicts.refused)


def _plain(connection: Connection, glances: Sequence[Glance], rules: ClaimRules) -> set[str]:
    """The sends that nothing can speak against: their customers have no more of them than the cap allows."""
    ready = {send_id: customer for send_id, customer, is_ready in glances if is_ready}
    marked = Known.read(connection, set(ready.values()), rules).customers
    if rules.cap is not None:
        count, most = Counter(customer for _, customer, _ in glances), rules.cap.maximum
        marked |= {customer for customer, number in count.items() if number > most}
    if not marked and not rules.barred:
        return set(ready)
    return {one for one, customer in ready.items() if customer not in marked and one not in rules.barred}


def _weigh(connection: Connection, wanted: Sequence[str], now: datetime, rules: ClaimRules) -> Verdicts:
    """As `judge`, every send looked at by itself."""
    rows = _locked(connection, wanted, now, rules.cap)
    chosen = [rows[send_id] for send_id in wanted if send_id in rows and rows[send_id].state == PLANNED]
    known = Known.read(connection, {row.customer_id for row in chosen}, rules)
    stale = untrue(connection, [_told_by(row) for row in chosen if row.kind is not None])
    quotas = Quotas(rules.cap, chosen, rows.values(), now)
    verdicts = Verdicts()
    for row in chosen:
        reason = known.refusal(row, now, rules) or stale.get(row.send_id)
        if reason is None and quotas.refuses(row):
            reason = "FREQUENCY_CAP"
        if reason:
            verdicts.refused[row.send_id] = reason
        else:
            verdicts.won.append(row.send_id)
    return verdicts


def _told_by(row: Standing) -> Told:
    return Told(row.send_id, str(row.kind), row.sequence, row.program, row.subject_id, row.customer_id)


def _glances(
    connection: Connection, send_ids: list[str], now: datetime, cap: Cap | None
) -> tuple[list[str], Sequence[Glance]]:
    """The sends that nobody else is claiming, and a glance at them and at what a cap counts beside them, locked.

    What others planned and claimed while we waited for the locks is read once more. It needs no lock: whoever claims
    for the same customers from now on waits for ours.
    """
    dialect = connection.dialect.name
    due = {"not_before": now - SEND_WINDOW}
    if dialect == "sqlite":  # where nobody else can be in a transaction that writes
        since = {} if cap is None else {"since": counting_since(now, cap)}
        query = _glance(dialect) if cap is None else _glance_of_customers(dialect)
        return send_ids, _all(connection, query, {"keys": as_list(send_ids), **due, **since})
    free = _free(connection, send_ids)
    wanted = [send_id for send_id in send_ids if send_id in free]
    if not wanted or cap is None:
        return wanted, _all(connection, _glance(dialect), {"keys": as_list(sorted(wanted)), **due})
    customers = {
        "keys": as_list(sorted({customer for customer, _ in free.values()})),
        "scopes": as_list(sorted({scope for _, scope in free.values()})),
    }
    known = _beside(connection, customers, now, cap).union(wanted)
    glances = [*_all(connection, _glance(dialect), {"keys": as_list(sorted(known)), **due})]
    if late := _beside(connection, customers, now, cap) - known:
        glances += _all(connection, _glance(dialect, lock=False), {"keys": as_list(sorted(late)), **due})
    return wanted, glances


def _all(connection: Connection, query: Select[Any], values: Mapping[str, Any]) -> Sequence[Any]:
    return connection.execute(query, values).all()


def _free(connection: Connection, send_ids: list[str]) -> dict[str, tuple[str, str]]:
    """Customer and cap scope of the sends that no other process is claiming: two on the same ones go past each other.

    The look takes no lock with it: what it locked is free again when it ends, and is locked in its order later.
    """
    look = connection.begin_nested()
    found = _all(connection, _unlocked(connection.dialect.name), {"keys": as_list(send_ids)})
    look.rollback()
    return {send_id: (customer, scope) for send_id, customer, scope in found}


def _locked(connection: Connection, send_ids: Sequence[str], now: datetime, cap: Cap | None) -> dict[str, Standing]:
    """The wanted sends and those beside which a cap counts them, by key; `_glances` has locked them."""
    rows = _rows(connection, send_ids)
    if cap is None or not rows:
        return rows
    customers = {
        "keys": as_list(sorted({row.customer_id for row in rows.values()})),
        "scopes": as_list(sorted({row.cap_scope for row in rows.values()})),
    }
    return rows | _rows(connection, _beside(connection, customers, now, cap) - rows.keys())


def _beside(connection: Connection, customers: Mapping[str, str], now: datetime, cap: Cap) -> set[str]:
    """Keys of all sends that may count for a cap of customers."""
    values = {**customers, "since": counting_since(now, cap)}
    return set(connection.execute(_keys_beside(connection.dialect.name), values).scalars())


def counting_since(now: datetime, cap: Cap) -> datetime:
    """The slot after which a send may count for a cap."""
    return now - SEND_WINDOW - cap.window


def _rows(connection: Connection, send_ids: Collection[str]) -> dict[str, Standing]:
    """Sends by key."""
    if not send_ids:
        return {}
    found = _all(connection, _standing(connection.dialect.name), {"keys": as_list(sorted(send_ids))})
    return {row[0]: Standing._make(row) for row in found}


def _counts() -> ColumnElement[bool]:
    """Whether a send may count for a cap."""
    table = tables.sends.c
    recent = table.slot_at > bindparam("since", type_=DateTime)
    return table.is_solicitation & recent & table.state.in_([PLANNED, *sorted(SETTLED_ASKS)])


def _glance_columns() -> list[ColumnElement[Any]]:
    table = tables.sends.c
    is_due = (table.state == PLANNED) & (table.slot_at >= bindparam("not_before", type_=DateTime))
    is_ready = is_due & table.kind.is_(None)
    return [table.send_id, table.customer_id, type_coerce(is_ready, Integer)]


@cache
def _unlocked(dialect: str) -> Select[Any]:
    table = tables.sends.c
    columns = table.send_id, table.customer_id, table.cap_scope
    return select(*columns).where(among(dialect, table.send_id)).with_for_update(skip_locked=True)


@cache
def _keys_beside(dialect: str) -> Select[Any]:
    table = tables.sends.c
    theirs = among(dialect, table.customer_id) & among(dialect, table.cap_scope, "scopes")
    return select(table.send_id).where(theirs, _counts())


@cache
def _glance_of_customers(dialect: str) -> Select[Any]:
    """Of all scopes: to leave out those of others costs more than to pass over them."""
    own = tables.sends.alias("own")
    customers = select(own.c.customer_id).where(among(dialect, own.c.send_id))
    return select(*_glance_columns()).where(tables.sends.c.customer_id.in_(customers), _counts())


@cache
def _glance(dialect: str, *, lock: bool = True) -> Select[Any]:
    table = tables.sends.c
    chosen = select(*_glance_columns()).where(among(dialect, table.send_id)).order_by(table.send_id)
    return chosen.with_for_update() if lock else chosen


@cache
def _standing(dialect: str) -> Select[Any]:
    table = tables.sends.c
    columns = [table[name] for name in Standing._fields]
    return select(*columns).where(among(dialect, table.send_id)).order_by(table.send_id)


@cache
def _suppressed_hashes(dialect: str) -> Select[Any]:
    by_hash = tables.suppressions.c.address_hash
    return select(by_hash).where(among(dialect, by_hash))


def _told(dialect: str) -> CompoundSelect[Any]:
    """What is known of customers, in one statement: its kind, the customer, and up to three columns of that kind."""
    gone, outs, given = tables.suppressions.c, tables.opt_outs.c, tables.responses.c
    in_force = among(dialect, outs.customer_id) & outs.revoked_at.is_(None)
    answers = (given.customer_id, given.program, given.subject_type, given.subject_id)
    return union_all(
        select(_literal(_SUPPRESSED), gone.customer_id, null(), null(), null()).where(among(dialect, gone.customer_id)),
        select(_literal(_OPTED_OUT), outs.customer_id, outs.program, outs.channel, null()).where(in_force),
        select(_literal(_ANSWERED), *answers).where(among(dialect, given.customer_id)),
    )


def _literal(number: int) -> ColumnElement[Any]:
    return literal_column(str(number))


_TOLD: Final = Prepared(_told)


def _asked(connection: Connection, customers: Mapping[str, str], channels: frozenset[str]) -> frozenset[Question]:
    """What customers were asked through some channels."""
    table = tables.sends.c
    theirs = among(connection.dialect.name, table.customer_id) & table.is_solicitation
    done = table.channel.in_(sorted(channels)) & table.state.in_(sorted(SETTLED_ASKS))
    query = select(table.program, table.customer_id, table.subject_type, table.subject_id).where(theirs, done)
    return frozenset((row[0], row[1], row[2], row[3]) for row in connection.execute(query, customers))


@dataclass(frozen=True)
class Known:
    """What the ledger knows of the customers beside their sends."""

    suppressed: frozenset[str]
    opted_out: dict[str, list[tuple[str | None, str | None]]]
    answered: frozenset[Question]
    asked: frozenset[Question]
    """What was asked through the other channels that the rules name."""

    @property
    def customers(self) -> set[str]:
        """Of whom something is known that may speak against a send."""
        told = (customer for _, customer, _, _ in (*self.answered, *self.asked))
        return {*self.suppressed, *self.opted_out, *told}

    @classmethod
    def read(cls, connection: Connection, their: set[str], rules: ClaimRules) -> "Known":
        """What is known of `their` customers."""
        dialect, customers = connection.dialect.name, {"keys": as_list(sorted(their))}
        suppressed: set[str] = set()
        opted_out: dict[str, list[tuple[str | None, str | None]]] = defaultdict(list)
        answered: set[Question] = set()
        for kind, customer, program, second, third in _TOLD.rows(connection, customers):
            if kind == _SUPPRESSED:
                suppressed.add(customer)
            elif kind == _OPTED_OUT:
                opted_out[customer].append((program, second))
            else:
                answered.add((program, customer, second, third))
        addresses = {one: rules.addresses[one] for one in their if one in rules.addresses}
        if addresses:
            hashes = {"keys": as_list(sorted(set(addresses.values())))}
            found = set(connection.execute(_suppressed_hashes(dialect), hashes).scalars())
            suppressed |= {customer for customer, digest in addresses.items() if digest in found}
        asked = _asked(connection, customers, rules.once_with) if rules.once_with else frozenset()
        return cls(frozenset(suppressed), dict(opted_out), frozenset(answered), asked)

    def refusal(self, row: Standing, now: datetime, rules: ClaimRules) -> str | None:
        """The first reason against a send, the cap aside."""
        if row.slot_at + window_of(row.kind) < now:
            return "SEND_WINDOW_MISSED"
        if row.send_id in rules.barred:
            return rules.barred[row.send_id]
        if row.customer_id in self.suppressed:
            return "SUPPRESSED"
        ways = (None, row.channel, rules.types.get(row.channel, row.channel))
        # Who wants no more invitations is still told what becomes of a registration that he made himself.
        whose = (None,) if row.kind else (None, row.program)
        for program, channel in self.opted_out.get(row.customer_id, ()):
            if program in whose and channel in ways:
                return "OPTED_OUT"
        return self._told(row) if row.is_solicitation else None

    def _told(self, row: Standing) -> str | None:
        """Why a question need not be asked."""
        key = (row.program, row.customer_id, row.subject_type, row.subject_id)
        if key in self.answered:
            return "ALREADY_ANSWERED"
        return "ALREADY_ASKED" if key in self.asked else None


class Quotas:
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
