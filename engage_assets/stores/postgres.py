"""The candidate store in PostgreSQL: for a service of many processes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime
from typing import Any, Final

import polars as pl

from engage_assets.domain.ports import CandidateKey, StatusChange, StoreCounts
from engage_assets.domain.program import Program
from engage_assets.domain.tables import POLARS_TYPES
from engage_assets.stores import postgres_tables as tables
from engage_assets.stores import queries
from engage_assets.stores.changes import Standing, by_candidate, standing_after
from engage_assets.stores.columns import KEY, STORED, TYPES
from engage_assets.stores.incoming import Incoming, repeated
from engage_assets.stores.postgres_session import Connection, PostgresSession, translated
from engage_assets.stores.reader import Reader, Row

_STREAMED_AT_ONCE: Final = 5_000


class PostgresCandidateStore(Reader):
    """Candidates in the database at `url`; the table is made on first use. Threads and processes may share a store.

    See CandidateStore, CandidateReader and CandidateWriter.
    """

    def __init__(self, url: str) -> None:
        self._session = PostgresSession(url)

    def put(self, program: Program, partition: date, candidates: Iterable[pl.DataFrame], now: datetime) -> StoreCounts:
        """See CandidateStore. Rows wait in a temporary table, so other writers wait for the upsert only.

        Raises EngageError when a frame lacks a column, a key is null, or two rows have the same key.
        """
        values = {"program": program.program_id, "partition": partition, "now": now}
        with self._session.writing() as connection:
            incoming = Incoming(candidates, now)
            _stage(connection, incoming)
            if incoming.may_repeat and (repeats := int(_one(connection, tables.REPEATED, values)[0])):
                raise repeated(repeats, incoming.live, f"{program.program_id}, partition {partition}")
            connection.execute(tables.LOCK_ALL)
            return _upsert(connection, values, incoming)

    def of_partition(self, program_id: str, partition: date) -> pl.DataFrame:
        """See CandidateStore. Sorted by customer, marketplace, subject."""
        names = ("customer_id", "marketplace", "subject_id", "score")
        schema = {name: POLARS_TYPES[STORED[name]] for name in names}
        rows = self._session.rows(queries.OF_PARTITION, {"program": program_id, "partition": partition})
        return pl.DataFrame(rows, schema=schema, orient="row")

    def delete_expired(self, now: datetime) -> int:
        """See CandidateStore. What expires exactly at `now` has expired."""
        return self._write(queries.DELETE_EXPIRED, {"now": now})

    def advance(self, changes: Sequence[StatusChange]) -> int:
        """See CandidateWriter. Counts candidates; changes of one count as one, earliest first.

        A registration and its cancellation may follow each other again and again: there only a later instant counts.
        """
        by_key = by_candidate(changes)
        with self._session.writing() as connection:
            connection.execute(tables.LOCK_SHARED)
            found = connection.execute(translated(tables.STANDINGS), _columns(map(_key_values, by_key), KEY)).fetchall()
            changed = []
            for *key, status, since in found:
                before = Standing(status, since)
                after = standing_after(before, by_key[CandidateKey(*key)])
                if after != before:
                    changed.append((*key, after.status, after.since))
            if changed:
                connection.execute(translated(tables.SET_STATUSES), _columns(changed, (*KEY, "status", "at")))
        return len(changed)

    def suppress(self, customer_ids: Sequence[str], now: datetime, *, program: str | None, channel: str | None) -> int:
        """See CandidateWriter. A channel's eligibility goes in every status: the registered, too, have opted out."""
        statement = tables.REMOVE_WAITING if channel is None else tables.bar(channel)
        return self._write(statement, {"customers": list(customer_ids), "program": program, "now": now})

    def delete(self, key: CandidateKey) -> bool:
        """See CandidateWriter."""
        return self._write(queries.DELETE, vars(key)) == 1

    def statuses(self, keys: Sequence[CandidateKey], now: datetime) -> dict[CandidateKey, str]:
        """See CandidateReader."""
        rows = self._session.rows(tables.STATUSES, _columns(map(_key_values, keys), KEY) | {"now": now})
        return {CandidateKey(*key): status for *key, status in rows}

    def warm(self) -> int:
        """See CandidateReader. Reads the table and its indexes into the server's memory, as far as it holds them."""
        return sum(int(row[0]) for row in self._session.rows(tables.WARM, {}))

    def version(self) -> None:
        """See CandidateReader. Many processes write, and the server keeps no number that a look would cost less."""

    def _write(self, statement: str, values: Mapping[str, Any]) -> int:
        with self._session.writing() as connection:
            connection.execute(tables.LOCK_SHARED)
            return connection.execute(translated(statement), values).rowcount

    def _ask(self, statement: str, values: Mapping[str, Any]) -> list[Row]:
        return self._session.rows(statement, values)

    def _ask_in_parts(self, statement: str, values: Mapping[str, Any]) -> Iterator[pl.DataFrame]:
        with (
            closing(self._session.open_reader()) as connection,
            connection.transaction(),
            connection.cursor("candidates_stream", binary=True) as cursor,
        ):
            cursor.execute(translated(statement), values)
            while rows := cursor.fetchmany(_STREAMED_AT_ONCE):
                yield pl.DataFrame(rows, schema=TYPES, orient="row")

    @property
    def _dialect(self) -> queries.Dialect:
        return queries.POSTGRES


def _stage(connection: Connection, incoming: Incoming) -> None:
    """Fill the temporary table."""
    connection.execute(tables.CREATE_INCOMING)
    with connection.cursor() as cursor, cursor.copy(tables.COPY) as copy:
        for live in incoming:
            copy.write(live.write_csv(include_header=False, quote_style="non_numeric"))
    for statement in tables.PREPARE_INCOMING:
        connection.execute(statement)


def _upsert(connection: Connection, values: Mapping[str, Any], incoming: Incoming) -> StoreCounts:
    """Write what is staged, while no one else writes."""
    inserted, kept_newer, updated, here, present = _one(connection, tables.COMPARE, values)
    removed = 0
    if present > here:
        removed = connection.execute(translated(tables.REMOVE_LEFT), values).rowcount
    if updated:
        connection.execute(translated(tables.UPDATE), values)
    if inserted:
        connection.execute(translated(tables.INSERT), values)
    unchanged = incoming.live - inserted - updated - kept_newer
    return StoreCounts(inserted, updated, unchanged, kept_newer, incoming.expired, removed)


def _one(connection: Connection, statement: str, values: Mapping[str, Any]) -> Row:
    row = connection.execute(translated(statement), values).fetchone()
    assert row is not None
    return row


def _key_values(key: CandidateKey) -> tuple[str, ...]:
    return tuple(vars(key).values())


def _columns(rows: Iterable[Row], names: Sequence[str]) -> dict[str, list[Any]]:
    """Rows as one list a column; no rows are empty lists."""
    cells = list(zip(*rows, strict=True)) or [()] * len(names)
    return {name: list(column) for name, column in zip(names, cells, strict=True)}
