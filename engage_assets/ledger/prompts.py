"""Questions asked on demand: planned, claimed, handed over and sent in one transaction, and answered in one."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    DateTime,
    Select,
    bindparam,
    func,
    insert,
    literal_column,
    select,
    update,
)

from engage_assets.domain.prompts import Issued, Prompt, Recorded, Reply, Wish
from engage_assets.domain.responses import Response
from engage_assets.domain.sends import ClaimRules, Send
from engage_assets.ledger import answers, tables
from engage_assets.ledger.claims import Known, Quotas, Standing, counting_since
from engage_assets.ledger.database import Database, lock
from engage_assets.ledger.engines import among, as_list
from engage_assets.ledger.log import CANDIDATE, planned_row, stamp
from engage_assets.ledger.outbox import put
from engage_assets.ledger.prepared import Prepared
from engage_assets.ledger.states import ASKING, CLAIMED, HANDED_OVER, PLANNED

SENT: Final = "sent"
LATE_CHECKPOINT: Final = 40_000
"""Pages of a log that a listener who waits for his question does not carry over: the outbox's relay does before."""
SETTLED: Final[dict[str, Any]] = {"checkpoint_pages": LATE_CHECKPOINT, "durably": False}
"""How a database is opened whose prompts are settled before anybody is told of them."""
_LIFE: Final = (PLANNED, CLAIMED, HANDED_OVER, SENT)
_OF_SEND: Final = [name for name in Prompt.__dataclass_fields__ if name not in tables.prompts.c]
_NEW_SENDS: Final = Prepared(lambda _: insert(tables.sends))
_NEW_STATES: Final = Prepared(lambda _: insert(tables.send_states))
_NEW_PROMPTS: Final = Prepared(lambda _: insert(tables.prompts))
_ANSWERED: Final = Prepared(
    lambda _: (
        update(tables.prompts)
        .where(tables.prompts.c.send_id == bindparam("key"))
        .values(answer=bindparam("said"), answered_at=bindparam("told_at"))
    )
)
_ASKING: Final[list[ColumnElement[str]]] = [literal_column(repr(state)) for state in sorted(ASKING)]
"""Written into the statement: values would be put into it anew each time."""
_COUNTING: Final = ClaimRules()
"""Beside the rules of a wish: what was asked is read with the customer's sends."""


class SqlPrompts:
    """Prompts in the operational database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, acts: Sequence[Wish | Reply], now: datetime) -> list[Issued | Recorded]:
        """See Prompts. Of one customer's wishes in a round the first is looked at first."""
        if not acts:
            return []
        done: dict[int, Issued | Recorded] = {}
        with self._database.writing_often() as connection:
            at = stamp(connection, now)
            wishes = {place: act for place, act in enumerate(acts) if isinstance(act, Wish)}
            _lock(connection, {wish.customer_id for wish in wishes.values()})
            for turn in _turns(wishes):
                done |= _issue(connection, turn, now, at)
            replies = {place: act for place, act in enumerate(acts) if isinstance(act, Reply)}
            if replies:
                done |= _record(connection, replies, now, at)
        return [done[place] for place in range(len(acts))]

    def settle(self) -> None:
        """See Prompts."""
        self._database.settle()

    def of_session(self, session: str) -> Prompt | None:
        """See Prompts."""
        return self._first(tables.prompts.c.session == session)

    def find(self, send_id: str) -> Prompt | None:
        """See Prompts."""
        return self._first(tables.prompts.c.send_id == send_id)

    def _first(self, condition: ColumnElement[bool]) -> Prompt | None:
        with self._database.reading() as connection:
            found = connection.execute(_joined().where(condition)).first()
        return Prompt(*found[1:]) if found else None


def _lock(connection: Connection, customers: set[str]) -> None:
    """Let the prompts of one customer follow one another, and plans wait, until the end of the transaction.

    A send that is written here cannot be seen by others before it is sent, so none of the customer's may appear
    meanwhile; those that are there are locked when they are read.
    """
    if connection.dialect.name == "postgresql" and customers:
        lock(connection, tables.plans, "ROW EXCLUSIVE")
        for key in sorted(int.from_bytes(sha256(one.encode()).digest()[:8], signed=True) for one in customers):
            connection.execute(select(func.pg_advisory_xact_lock(key)))


def _turns(wishes: Mapping[int, Wish]) -> Iterable[dict[int, Wish]]:
    """Wishes in turns in which no customer stands twice: a later one must see what became of the earlier."""
    left = dict(wishes)
    while left:
        first: dict[str, int] = {}
        for place, wish in left.items():
            first.setdefault(wish.customer_id, place)
        yield {place: left.pop(place) for place in first.values()}


def _issue(connection: Connection, wishes: Mapping[int, Wish], now: datetime, at: datetime) -> dict[int, Issued]:
    asked = _sessions(connection, [wish.session for wish in wishes.values()])
    done = {place: _again(asked[wish.session], wish, now) for place, wish in wishes.items() if wish.session in asked}
    left = {place: wish for place, wish in wishes.items() if place not in done}
    if not left:
        return done
    judged = _Judged(connection, list(left.values()), now)
    chosen: dict[int, Send] = {}
    for place, wish in left.items():
        found = judged.first(wish)
        if isinstance(found, Send):
            chosen[place] = found
        else:
            done[place] = Issued(None, found)
    _write(connection, [(left[place], send) for place, send in chosen.items()], at)
    return done | {place: Issued(_prompt(send, left[place], at)) for place, send in chosen.items()}


def _again(prompt: Prompt, wish: Wish, now: datetime) -> Issued:
    """The same prompt for a session that was asked already, as long as it waits for its answer."""
    is_open = prompt.answer is None and now < prompt.expires_at
    is_meant = prompt.customer_id == wish.customer_id and wish.subject_id in (None, prompt.subject_id)
    return Issued(prompt) if is_open and is_meant else Issued(None, "SESSION_ASKED")


class _Judged:
    """What speaks against the sends of some wishes, each customer having one."""

    def __init__(self, connection: Connection, wishes: Sequence[Wish], now: datetime) -> None:
        self._now = now
        sends = [send for wish in wishes for send in wish.sends]
        customers = {send.customer_id for send in sends}
        self._rows = _solicitations(connection, wishes, now)
        self._stopped = _stopped(connection, {send.program for send in sends})
        self._known = Known.read(connection, customers, _COUNTING)

    def first(self, wish: Wish) -> Send | str:
        """The first send that nothing speaks against, else the reason against the best one."""
        reasons = []
        for send in wish.sends:
            reason = self._against(send, wish.rules)
            if reason is None:
                return send
            reasons.append(reason)
        return reasons[0] if reasons else "NO_CANDIDATE"

    def _against(self, send: Send, rules: ClaimRules) -> str | None:
        if send.program in self._stopped:
            return "STOPPED"
        row = _standing(send)
        theirs = self._rows[send.customer_id]
        reason = self._known.refusal(row, self._now, rules)
        if reason is None and any(_asks_the_same(other, row) for other in theirs):
            reason = "ALREADY_ASKED"
        if reason is None and Quotas(rules.cap, [row], theirs, self._now).refuses(row):
            reason = "FREQUENCY_CAP"
        return reason


def _standing(send: Send) -> Standing:
    row = {**planned_row(send), "send_id": send.send_id, "state": PLANNED}
    return Standing._make(row[name] for name in Standing._fields)


def _asks_the_same(other: Standing, row: Standing) -> bool:
    question = (row.program, row.subject_type, row.subject_id)
    return question == (other.program, other.subject_type, other.subject_id)


def _solicitations(connection: Connection, wishes: Sequence[Wish], now: datetime) -> Mapping[str, list[Standing]]:
    """What asks or asked the customers of wishes about the same, or may count for a cap; locked in the keys' order."""
    values = {
        "keys": as_list(sorted({wish.customer_id for wish in wishes})),
        "subjects": as_list(sorted({send.subject_id for wish in wishes for send in wish.sends})),
        "since": min((counting_since(now, wish.rules.cap) for wish in wishes if wish.rules.cap), default=now),
    }
    found: dict[str, list[Standing]] = defaultdict(list)
    for row in map(Standing._make, _OF_CUSTOMERS.rows(connection, values)):
        found[row.customer_id].append(row)
    return found


def _of_customers(dialect: str) -> Select[Any]:
    table = tables.sends.c
    theirs = among(dialect, table.customer_id) & table.is_solicitation & table.state.in_(_ASKING)
    recent = table.slot_at > bindparam("since", type_=DateTime)
    columns = [table[name] for name in Standing._fields]
    asked = select(*columns).where(theirs, recent | among(dialect, table.subject_id, "subjects"))
    return asked.order_by(table.send_id).with_for_update()


def _stopped(connection: Connection, programs: set[str]) -> set[str]:
    """Those of some programs that are stopped."""
    return {target for (target,) in _STOPS.rows(connection, {"keys": as_list(sorted(programs))})}


def _stops(dialect: str) -> Select[Any]:
    table = tables.stops.c
    return select(table.target).where(table.lifted_at.is_(None), among(dialect, table.target))


def _write(connection: Connection, asked: Sequence[tuple[Wish, Send]], at: datetime) -> None:
    """Let prompts be sent: their whole life, their sessions, and what follows for their candidates."""
    if not asked:
        return
    stamps = {"state": SENT, "planned_at": at, "updated_at": at, "step": len(_LIFE) - 1}
    rows = [planned_row(send) for _, send in asked]
    _NEW_SENDS.run(connection, [row | stamps for row in rows])
    states = [
        {"send_id": row["send_id"], "step": step, "state": state, "at": at, "reason": None}
        for row in rows
        for step, state in enumerate(_LIFE)
    ]
    _NEW_STATES.run(connection, states)
    _NEW_PROMPTS.run(connection, [_prompt_row(send, wish, at) for wish, send in asked])
    keys = [{name: str(row[name]) for name in CANDIDATE} for row in rows]
    put(connection, "candidate_status", [{**key, "status": "delivered", "at": at.isoformat()} for key in keys], at)


def _prompt_row(send: Send, wish: Wish, at: datetime) -> dict[str, Any]:
    key = {"send_id": send.send_id, "program": send.program, "customer_id": send.customer_id}
    return {**key, "session": wish.session, "issued_at": at, "expires_at": wish.expires_at}


def _prompt(send: Send, wish: Wish, at: datetime) -> Prompt:
    said = {name: getattr(send, name) for name in (*_OF_SEND, "send_id", "program", "customer_id")}
    return Prompt(**said, issued_at=at, expires_at=wish.expires_at)


def _record(connection: Connection, replies: Mapping[int, Reply], now: datetime, at: datetime) -> dict[int, Recorded]:
    known = {prompt.send_id: prompt for prompt in _prompts(connection, [one.send_id for one in replies.values()])}
    done: dict[int, Recorded] = {}
    written: dict[str, bool] = {}
    # In the order of the answers' keys, so that processes cannot deadlock.
    for place, reply in sorted(replies.items(), key=lambda item: (item[1].customer_id, item[1].send_id, item[0])):
        prompt = known.get(reply.send_id)
        if prompt is None or prompt.customer_id != reply.customer_id:
            done[place] = Recorded("unknown")
        elif written.get(reply.send_id, prompt.answer) == reply.is_positive:
            done[place] = Recorded("recorded")
        elif now >= prompt.expires_at:
            done[place] = Recorded("expired")
        else:
            said = _response(prompt, now, is_positive=reply.is_positive)
            answers.keep(connection, said, at, may_edit=True, is_thumb_only=True)
            written[reply.send_id] = reply.is_positive
            done[place] = Recorded("recorded")
    if written:
        rows = [{"key": key, "said": said, "told_at": at} for key, said in sorted(written.items())]
        _ANSWERED.run(connection, rows)
    return done


def _response(prompt: Prompt, now: datetime, *, is_positive: bool) -> Response:
    return Response(
        program=prompt.program,
        customer_id=prompt.customer_id,
        marketplace=prompt.marketplace,
        subject_type=prompt.subject_type,
        subject_id=prompt.subject_id,
        rating=None,
        at=now,
        send_id=prompt.send_id,
        is_positive=is_positive,
        channel=prompt.channel,
    )


def _sessions(connection: Connection, sessions: Sequence[str]) -> dict[str, Prompt]:
    """The prompt of each session that was asked."""
    found = _BY_SESSION.rows(connection, {"keys": as_list(sessions)})
    return {session: Prompt(*columns) for session, *columns in found}


def _prompts(connection: Connection, send_ids: Iterable[str]) -> list[Prompt]:
    """Prompts by id, locked."""
    found = _BY_ID.rows(connection, {"keys": as_list(sorted(set(send_ids)))})
    return [Prompt(*columns) for _, *columns in found]


def _joined() -> Select[Any]:
    sends, prompts = tables.sends.c, tables.prompts.c
    columns = [(prompts if name in prompts else sends)[name] for name in Prompt.__dataclass_fields__]
    joined = select(prompts.session, *columns)
    return joined.join_from(tables.prompts, tables.sends, prompts.send_id == sends.send_id)


def _where_session(dialect: str) -> Select[Any]:
    return _joined().where(among(dialect, tables.prompts.c.session))


def _where_id(dialect: str) -> Select[Any]:
    prompts = tables.prompts.c
    return _joined().where(among(dialect, prompts.send_id)).order_by(prompts.send_id).with_for_update(of=tables.prompts)


_OF_CUSTOMERS: Final = Prepared(_of_customers)
_STOPS: Final = Prepared(_stops)
_BY_SESSION: Final = Prepared(_where_session)
_BY_ID: Final = Prepared(_where_id)
