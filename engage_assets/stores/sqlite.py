"""The candidate store of the embedded deployment: one SQLite file, many readers, one writer at a time."""

import sqlite3
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from engage_assets.domain.ports import CandidateKey, StatusChange, StoreCounts
from engage_assets.domain.program import Program
from engage_assets.domain.tables import POLARS_TYPES
from engage_assets.stores import queries
from engage_assets.stores import sqlite_tables as tables
from engage_assets.stores.changes import Standing, by_candidate, standing_after
from engage_assets.stores.columns import GIVEN, STORED
from engage_assets.stores.cursors import micros
from engage_assets.stores.incoming import Incoming, repeated
from engage_assets.stores.reader import Reader, Row
from engage_assets.stores.sqlite_file import SqliteFile, transaction
from engage_assets.stores.sqlite_rows import decoder, frame_of, instant_of, values_of

_ROWS_AT_ONCE: Final = 20_000
_STREAMED_AT_ONCE: Final = 5_000
_MANY_ROWS: Final = 10_000
_BYTES_A_ROW: Final = 512


class SqliteCandidateStore(Reader):
    """Candidates in the SQLite file at `path`, which is made on first use. Threads and processes may share a store.

    See CandidateStore, CandidateReader and CandidateWriter.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = SqliteFile(path)

    def put(self, program: Program, partition: date, candidates: Iterable[pl.DataFrame], now: datetime) -> StoreCounts:
        """See CandidateStore. Rows wait in temporary tables, so the write lock is held for the upsert only.

        Raises EngageError when a frame lacks a column, a key is null, or two rows have the same key.
        """
        values = values_of({"program": program.program_id, "partition": partition, "now": now})
        with self._file.writing(durably=False) as connection:
            incoming = Incoming(candidates, now)
            _stage(connection, incoming)
            with transaction(connection):
                if incoming.may_repeat and (repeats := connection.execute(tables.REPEATED).fetchone()[0]):
                    raise repeated(repeats, incoming.live, f"{program.program_id}, partition {partition}")
                counts = _upsert(connection, values, incoming)
            if counts.inserted or counts.updated or counts.removed:
                self._file.carry_over(connection)
            return counts

    def of_partition(self, program_id: str, partition: date) -> pl.DataFrame:
        """See CandidateStore. Sorted by customer, marketplace, subject."""
        names = ("customer_id", "marketplace", "subject_id", "score")
        schema = {name: POLARS_TYPES[STORED[name]] for name in names}
        values = values_of({"program": program_id, "partition": partition})
        cursor, parts = self._file.reading().execute(queries.OF_PARTITION, values), [pl.DataFrame(schema=schema)]
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            parts.append(pl.DataFrame(rows, schema=schema, orient="row"))
        return pl.concat(parts)

    def delete_expired(self, now: datetime) -> int:
        """See CandidateStore. What expires exactly at `now` has expired."""
        return self._write(queries.DELETE_EXPIRED, [{"now": now}])

    def advance(self, changes: Sequence[StatusChange]) -> int:
        """See CandidateWriter. Counts candidates; changes of one count as one, earliest first.

        A registration and its cancellation may follow each other again and again: there only a later instant counts.
        """
        by_key = by_candidate(changes)
        with self._file.writing() as connection, transaction(connection):
            changed = []
            for key, its in by_key.items():
                row = connection.execute(tables.STANDING, vars(key)).fetchone()
                before = Standing(row[0], instant_of(row[1])) if row else None
                after = standing_after(before, its) if before else None
                if after and after.since and after != before:
                    changed.append({**vars(key), "status": after.status, "at": micros(after.since)})
            connection.executemany(tables.SET_STATUS, changed)
        return len(changed)

    def suppress(self, customer_ids: Sequence[str], now: datetime, *, program: str | None, channel: str | None) -> int:
        """See CandidateWriter. A channel's eligibility goes in every status: the registered, too, have opted out."""
        statement = tables.REMOVE_WAITING if channel is None else tables.bar(channel)
        return self._write(
            statement, [{"customer_id": customer_id, "program": program, "now": now} for customer_id in customer_ids]
        )

    def delete(self, key: CandidateKey) -> bool:
        """See CandidateWriter."""
        return self._write(queries.DELETE, [vars(key)]) == 1

    def statuses(self, keys: Sequence[CandidateKey], now: datetime) -> dict[CandidateKey, str]:
        """See CandidateReader."""
        ask, at = self._file.reading().execute, micros(now)
        found = ((key, ask(queries.STATUS, {**vars(key), "now": at}).fetchone()) for key in keys)
        return {key: row[0] for key, row in found if row}

    def warm(self) -> int:
        """See CandidateReader. Reads the whole file once: with 10 million candidates some 5 GB."""
        return self._file.read_through()

    def version(self) -> Hashable:
        """See CandidateReader."""
        return self._file.version()

    def _write(self, statement: str, values: Sequence[Mapping[str, Any]]) -> int:
        with self._file.writing() as connection, transaction(connection):
            return connection.executemany(statement, [values_of(one) for one in values]).rowcount

    def _ask(self, statement: str, values: Mapping[str, Any]) -> list[Row]:
        return decoder()(self._file.reading().execute(statement, values_of(values)).fetchall())

    def _ask_in_parts(self, statement: str, values: Mapping[str, Any]) -> Iterator[pl.DataFrame]:
        with closing(self._file.open_reader()) as connection:
            cursor = connection.execute(statement, values_of(values))
            while rows := cursor.fetchmany(_STREAMED_AT_ONCE):
                yield frame_of(rows)

    @property
    def _dialect(self) -> queries.Dialect:
        return queries.SQLITE


def _stage(connection: sqlite3.Connection, incoming: Incoming) -> None:
    """Fill the temporary tables."""
    for statement in tables.CREATE_INCOMING:
        connection.execute(statement)
    instants = pl.col(name for name, kind in GIVEN.items() if kind == "instant")
    first = 0
    for live in incoming:
        rows = live.with_columns(instants.to_physical())
        profiles = rows.select(tables.PROFILE).unique(maintain_order=True).with_row_index("profile", first)
        first += profiles.height
        staged = rows.join(profiles, on=tables.PROFILE, nulls_equal=True, how="left", maintain_order="left")
        with transaction(connection, "BEGIN"):
            connection.executemany(tables.STAGE_PROFILE, profiles.rows())
            for part in staged.select(*tables.STAGED, "profile").iter_slices(_ROWS_AT_ONCE):
                connection.executemany(tables.STAGE, part.rows())


def _upsert(connection: sqlite3.Connection, values: Mapping[str, Any], incoming: Incoming) -> StoreCounts:
    """Write what is staged, inside a transaction."""
    compared = connection.execute(tables.COMPARE, values).fetchone()
    inserted, kept_newer, updated, here, present, *changes = compared
    removed = 0
    if present > here:
        connection.execute(tables.INDEX_STAGED)
        removed = connection.execute(tables.REMOVE_LEFT, values).rowcount
    if inserted or updated:
        with _rebuilt_index(connection, inserted + updated):
            connection.execute(tables.upsert(changes), values)
    unchanged = incoming.live - inserted - updated - kept_newer
    return StoreCounts(inserted, updated, unchanged, kept_newer, incoming.expired, removed)


@contextmanager
def _rebuilt_index(connection: sqlite3.Connection, written: int) -> Iterator[None]:
    """Write a large part of the store without the score index and build it afterwards: sorting once costs less."""
    (pages,), (page_bytes,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    if written < max(_MANY_ROWS, pages * page_bytes / _BYTES_A_ROW / 2):
        yield
        return
    connection.execute(tables.DROP_BY_SCORE)
    yield
    connection.execute(tables.CREATE_BY_SCORE)
