"""How an event's book is read from the operational database, locked, and written back."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    Update,
    bindparam,
    func,
    insert,
    literal_column,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.types import NullType

from engage_assets.domain.registrations import SEATED, Act, Fit, Registration
from engage_assets.domain.responses import Response
from engage_assets.ledger import answers, tables
from engage_assets.ledger.engines import among, as_list, insert_new_on
from engage_assets.ledger.event_book import Book
from engage_assets.ledger.outbox import put_each
from engage_assets.ledger.prepared import Prepared

FIELDS: Final = tuple(Registration.__dataclass_fields__)
SUBJECT_TYPE: Final = "event"
_CHANGING: Final = (
    *("status", "ticket", "registered_at", "changed_at", "sequence", "channel", "send_id", "marketplace"),
    "watch_minutes",
)

Key = tuple[str, str]
"""Program and event."""


def _seats_locked(_: str) -> Select[Any]:
    table = tables.event_seats.c
    mine = (table.program == bindparam("program")) & (table.event_id == bindparam("event_id"))
    return select(table.taken, table.last_ticket).where(mine).with_for_update()


def _counting(_: str) -> Update:
    table = tables.event_seats
    mine = (table.c.program == bindparam("program")) & (table.c.event_id == bindparam("event_id"))
    return update(table).where(mine).values(taken=bindparam("new_taken"), last_ticket=bindparam("new_last_ticket"))


def _changing(_: str) -> Update:
    table = tables.registrations
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in _CHANGING}
    return update(table).where(table.c.registration_id == bindparam("key")).values(**values)


def _by_key(dialect: str) -> Select[Any]:
    return select(*_columns()).where(among(dialect, tables.registrations.c.registration_id))


_SEATS: Final = Prepared(_seats_locked)
_NEW_SEATS: Final = Prepared(lambda dialect: insert_new_on(dialect, tables.event_seats))
_COUNT: Final = Prepared(_counting)
_NEW: Final = Prepared(lambda _: insert(tables.registrations))
_CHANGE: Final = Prepared(_changing)
_LOGGED: Final = Prepared(lambda _: insert(tables.registration_changes))
_KNOWN: Final = Prepared(_by_key, is_planned_anew=True)


def registration_id(program: str, event_id: str, customer_id: str) -> str:
    """What makes two registrations the same: that of the customer's answer about the event."""
    return answers.response_id(program, customer_id, SUBJECT_TYPE, event_id)


def load_books(connection: Connection, acts: Sequence[Act]) -> dict[Key, Book]:
    """The books of the events that acts are about, locked in the order of their keys."""
    asking: dict[Key, set[str]] = defaultdict(set)
    lists: dict[Key, set[frozenset[str]]] = defaultdict(set)
    for act in acts:
        key = (act.seats.program, act.seats.event_id)
        asking[key] |= set() if isinstance(act, Fit) else {act.customer_id}
        lists[key].add(act.seats.elsewhere)
    keys = sorted(asking)
    for key in keys:
        _NEW_SEATS.run(connection, [{**_of_event(key), "taken": 0, "last_ticket": 0}])
    asked = [_ask(connection, key, asking[key], lists[key]) for key in keys]
    return {key: book() for key, book in zip(keys, asked, strict=True)}


def load_book(connection: Connection, program: str, event_id: str, customers: Collection[str]) -> Book:
    """The book of one event, locked until the end of the transaction, with the registrations of some customers."""
    key = (program, event_id)
    _NEW_SEATS.run(connection, [{**_of_event(key), "taken": 0, "last_ticket": 0}])
    return _ask(connection, key, customers)()


def _ask(
    connection: Connection, key: Key, customers: Collection[str], elsewhere: Collection[frozenset[str]] = ()
) -> Callable[[], Book]:
    """Lock an event, whose row is there, and ask for its book; what comes of it is read by the call."""
    mine = _of_event(key)
    seats = _SEATS.ask(connection, mine)
    known = _KNOWN.ask(connection, {"keys": as_list([registration_id(*key, one) for one in sorted(customers)])})
    first = _WAITING.ask(connection, {**mine, "count": 1})
    overlaps = {one: _SEATED.ask(connection, {**mine, "keys": as_list(sorted(one))}) for one in elsewhere if one}

    def book() -> Book:
        ((taken, last_ticket),) = seats()
        read = [Registration(*row) for row in first()]
        return Book(
            *key, taken, last_ticket,
            overlaps={one: int(count()[0][0]) for one, count in overlaps.items()},
            known={one.customer_id: one for one in (Registration(*row) for row in known())},
            waiting=_line(connection, key), read=read, is_whole=not read,
        )  # fmt: skip

    return book


def write_books(connection: Connection, books: Iterable[Book], at: datetime) -> None:
    """Keep what changed: registrations, their log, seats, first answers, and what others must learn of it."""
    for book in books:
        if not book.changes:
            continue
        counted = {"new_taken": book.taken, "new_last_ticket": book.last_ticket}
        _COUNT.run(connection, [{**counted, "program": book.program, "event_id": book.event_id}])
        _write_rows(connection, book)
        _write_changes(connection, book.changes, at)
        _tell(connection, book, at)


def _write_rows(connection: Connection, book: Book) -> None:
    changed = {one.customer_id: one for one in book.changes}  # the last state of each stands
    first = {one.customer_id for one in book.changes if one.sequence == 0}
    new = [_row(one) for customer, one in sorted(changed.items()) if customer in first]
    _NEW.run(connection, new)
    old = [{f"new_{name}": getattr(one, name) for name in _CHANGING} | {"key": _key(one)}
           for customer, one in sorted(changed.items()) if customer not in first]  # fmt: skip
    _CHANGE.run(connection, old)


def _write_changes(connection: Connection, changes: Sequence[Registration], at: datetime) -> None:
    names = ("sequence", "status", "channel", "send_id", "watch_minutes")
    rows = [
        {**{name: getattr(one, name) for name in names}, "registration_id": _key(one), "at": one.changed_at,
         "received_at": at}
        for one in changes
    ]  # fmt: skip
    _LOGGED.run(connection, rows)


def _tell(connection: Connection, book: Book, at: datetime) -> None:
    changes = book.changes
    new = answers.add(connection, [_answer(one) for one in changes if one.sequence == 0], at)
    notices = [
        ("notice", _said(one) | {"sequence": str(one.sequence), "was": left or ""})
        for one, left in zip(changes, book.left, strict=True)
        if one.status in ("registered", "wait_listed", "cancelled")
    ]
    said = [*(("response", one) for one in new), *(("candidate_status", _said(one)) for one in changes), *notices]
    put_each(connection, said, at)


def _said(one: Registration) -> dict[str, str]:
    return {
        "program": one.program,
        "customer_id": one.customer_id,
        "marketplace": one.marketplace,
        "subject_type": SUBJECT_TYPE,
        "subject_id": one.event_id,
        "status": one.status,
        "at": one.changed_at.isoformat(),
    }


def _answer(one: Registration) -> Response:
    return Response(
        program=one.program,
        customer_id=one.customer_id,
        marketplace=one.marketplace,
        subject_type=SUBJECT_TYPE,
        subject_id=one.event_id,
        rating=None,
        at=one.registered_at,
        send_id=one.send_id,
        channel=one.channel,
    )


def _of_event(key: Key) -> dict[str, Any]:
    return {"program": key[0], "event_id": key[1]}


def _line(connection: Connection, key: Key) -> Callable[[int], list[Registration]]:
    def waiting(count: int) -> list[Registration]:
        return [Registration(*row) for row in _WAITING.rows(connection, {**_of_event(key), "count": count})]

    return waiting


def _columns() -> list[ColumnElement[Any]]:
    table = tables.registrations.c
    # PostgreSQL's way of reading a number depends on what the driver says of it; as it comes it is right.
    minutes = type_coerce(table.watch_minutes, NullType())
    return [minutes if name == "watch_minutes" else table[name] for name in FIELDS]


def _first_in_line(_: str) -> Select[Any]:
    table = tables.registrations.c
    mine = (table.program == bindparam("program")) & (table.event_id == bindparam("event_id"))
    theirs = mine & (table.status == literal_column("'wait_listed'"))
    return select(*_columns()).where(theirs).order_by(table.ticket).limit(bindparam("count", type_=Integer))


_WAITING: Final = Prepared(_first_in_line)


def _seated(dialect: str) -> Select[Any]:
    table = tables.registrations.c
    mine = (table.program == bindparam("program")) & (table.event_id == bindparam("event_id"))
    seated = or_(*(table.status == literal_column(f"'{one}'") for one in sorted(SEATED)))
    return select(func.count()).where(mine, seated, among(dialect, table.customer_id))


_SEATED: Final = Prepared(_seated, is_planned_anew=True)


def seated_among(connection: Connection, key: Key, customers: Collection[str]) -> int:
    """How many of some customers have a seat here."""
    if not customers:
        return 0
    ((count,),) = _SEATED.rows(connection, {**_of_event(key), "keys": as_list(sorted(customers))})
    return int(count)


def _key(one: Registration) -> str:
    return registration_id(one.program, one.event_id, one.customer_id)


def _row(one: Registration) -> Mapping[str, Any]:
    return {**{name: getattr(one, name) for name in FIELDS}, "registration_id": _key(one)}
