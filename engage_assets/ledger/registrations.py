"""Registrations in the operational database: seats are counted, and the line is kept, in the transaction of a change.

A round of requests is worked through in memory, on an event's row that is locked and the registrations of those who
ask; a place in line is a ticket of a counter that only rises.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from types import MappingProxyType

import polars as pl
from sqlalchemy import func, select

from engage_assets.domain.events import REGISTRATIONS_LOG
from engage_assets.domain.registrations import SEATED, Act, Applied, Register, Registration, Room, Seats, Status
from engage_assets.ledger import tables
from engage_assets.ledger.database import Database
from engage_assets.ledger.engines import among, as_list
from engage_assets.ledger.event_rows import (
    FIELDS,
    load_book,
    load_books,
    registration_id,
    seated_among,
    write_books,
)
from engage_assets.ledger.log import stamp, stamping


class _Rehearsed(Exception):
    """Takes a rehearsal back."""


class SqlRegistrations:
    """Registrations in the operational database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def warm(self, now: datetime) -> None:
        """See Registrations. A round is rehearsed and taken back: so the connection and all statements are there."""
        seats = Seats("", "", 1, now + timedelta(days=1))
        with suppress(_Rehearsed), self._database.writing_at_once() as connection:
            for customers in ("ab", "c"):  # several in a round, and one alone
                books = load_books(connection, [Register(seats, one, "") for one in customers])
                for one in customers:
                    books["", ""].apply(Register(seats, one, ""), now)
                write_books(connection, books.values(), stamp(connection, now))
            raise _Rehearsed

    def take(self, acts: Sequence[Act], now: datetime) -> list[Applied]:
        """See Registrations."""
        if not acts:
            return []
        with self._database.writing_at_once() as connection:
            at = stamping(connection, now)
            books = load_books(connection, acts)
            done = [books[act.seats.program, act.seats.event_id].apply(act, now) for act in acts]
            write_books(connection, books.values(), at())
        return done

    def of_customer(self, program: str, event_id: str, customer_id: str) -> Registration | None:
        """See Registrations."""
        table = tables.registrations.c
        key = registration_id(program, event_id, customer_id)
        with self._database.reading() as connection:
            row = connection.execute(select(*(table[name] for name in FIELDS)).where(table.registration_id == key))
            found = row.first()
        return Registration(*found) if found else None

    def of_customers(self, program: str, whose: Collection[tuple[str, str]]) -> dict[tuple[str, str], Registration]:
        """See Registrations."""
        table = tables.registrations.c
        keys = {"keys": as_list(sorted({registration_id(program, event, customer) for event, customer in whose}))}
        with self._database.reading() as connection:
            wanted = among(connection.dialect.name, table.registration_id)
            rows = connection.execute(select(*(table[name] for name in FIELDS)).where(wanted), keys).all()
        return {(one.event_id, one.customer_id): one for one in (Registration(*row) for row in rows)}

    def place(self, registration: Registration) -> int | None:
        """See Registrations."""
        if registration.ticket is None:
            return None
        table = tables.registrations.c
        before = table.ticket <= registration.ticket
        theirs = (table.program == registration.program) & (table.event_id == registration.event_id)
        query = select(func.count()).where(theirs, table.status == "wait_listed", before)
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def room(self, seats: Seats) -> Room:
        """See Registrations."""
        table, counted = tables.registrations.c, tables.event_seats.c
        of_event = (counted.program == seats.program) & (counted.event_id == seats.event_id)
        in_line = (table.program == seats.program) & (table.event_id == seats.event_id)
        waiting = select(func.count()).where(in_line, table.status == "wait_listed")
        with self._database.reading() as connection:
            taken = connection.execute(select(counted.taken).where(of_event)).scalar_one_or_none() or 0
            both = seated_among(connection, (seats.program, seats.event_id), seats.elsewhere)
            in_line_now = int(connection.execute(waiting).scalar_one())
        free = None if seats.seats is None else seats.seats - taken - (len(seats.elsewhere) - both)
        return Room(free, in_line_now)

    def with_status(
        self, program: str, statuses: Collection[Status], event_ids: Sequence[str] | None, limit: int
    ) -> list[Registration]:
        """See Registrations."""
        table = tables.registrations.c
        query = select(*(table[name] for name in FIELDS)).where(
            table.program == program, table.status.in_(sorted(statuses))
        )
        ordered = query.order_by(table.event_id, table.registered_at, table.customer_id).limit(limit)
        with self._database.reading() as connection:
            if event_ids is not None:
                ordered = ordered.where(among(connection.dialect.name, table.event_id))
            rows = connection.execute(ordered, {"keys": as_list(event_ids)} if event_ids is not None else {})
            return [Registration(*row) for row in rows]

    def of_event(self, program: str, event_id: str, since: datetime | None = None) -> list[Registration]:
        """See Registrations."""
        table = tables.registrations.c
        query = select(*(table[name] for name in FIELDS)).where(table.program == program, table.event_id == event_id)
        query = query if since is None else query.where(table.changed_at > since)
        with self._database.reading() as connection:
            found = [Registration(*row) for row in connection.execute(query)]
        return sorted(found, key=_shown)

    def counts(self, program: str, event_ids: Sequence[str]) -> dict[str, Mapping[Status, int]]:
        """See Registrations."""
        table = tables.registrations.c
        with self._database.reading() as connection:
            theirs = (table.program == program) & among(connection.dialect.name, table.event_id)
            query = select(table.event_id, table.status, func.count()).where(theirs)
            rows = connection.execute(query.group_by(table.event_id, table.status), {"keys": as_list(event_ids)}).all()
        return {event: {status: count for of, status, count in rows if of == event} for event in event_ids}

    def attend(
        self,
        program: str,
        event_id: str,
        statuses: Mapping[str, Status],
        now: datetime,
        minutes: Mapping[str, float] = MappingProxyType({}),
    ) -> int:
        """See Registrations. Raises ValueError for a status that is neither attended nor no_show."""
        if set(statuses.values()) - {"attended", "no_show"}:
            raise ValueError("statuses: attended or no_show")
        with self._database.writing() as connection:
            at = stamp(connection, now)
            book = load_book(connection, program, event_id, statuses)
            people = sorted(statuses.items())
            changed = sum(book.attend(customer, status, minutes.get(customer), now) for customer, status in people)
            write_books(connection, [book], at)
        return changed

    def changes(self, after: datetime | None, until: datetime) -> pl.DataFrame:
        """See Registrations."""
        table, changed = tables.registrations.c, tables.registration_changes.c
        columns = {**{column.name: column for column in table}, **{column.name: column for column in changed}}
        query = (
            select(*(columns[name] for name in REGISTRATIONS_LOG.names))
            .join_from(
                tables.registration_changes, tables.registrations, changed.registration_id == table.registration_id
            )
            .where(changed.received_at <= until)
        )
        query = query if after is None else query.where(changed.received_at > after)
        ordered = query.order_by(changed.received_at, changed.registration_id, changed.sequence)
        return self._database.cut(until, ordered, REGISTRATIONS_LOG)


def _shown(one: Registration) -> tuple[int, int, datetime, str]:
    """Seats as they were taken, the line in order, then the others."""
    group = 0 if one.status in SEATED else 1 if one.status == "wait_listed" else 2
    return group, one.ticket or 0, one.registered_at, one.customer_id
