"""The candidate store of the embedded deployment: one SQLite file, many readers, one writer at a time."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import polars as pl

from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import StoreCounts
from engage_assets.domain.program import Program
from engage_assets.domain.tables import POLARS_TYPES, Kind
from engage_assets.stores import sqlite_tables as tables

_EPOCH: Final = datetime.fromtimestamp(0, UTC).replace(tzinfo=None)
_BUSY_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.002
_CACHE_KIB: Final = 65_536
_ROWS_AT_ONCE: Final = 20_000


class SqliteCandidateStore:
    """Candidates in the SQLite file at `path`, which is made on first use.

    Each call opens a connection of its own, so that threads and processes may share a store.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, program: Program, partition: date, candidates: Iterable[pl.DataFrame], now: datetime) -> StoreCounts:
        """See CandidateStore. Rows wait in a temporary table, so the write lock is held for the upsert only.

        Raises EngageError when a frame lacks a column, a key is null, or two rows have the same key.
        """
        values = {"program": program.program_id, "partition": partition.isoformat(), "now": _micros(now)}
        with self._connection() as connection:
            connection.execute(tables.CREATE_INCOMING)
            given = expired = 0
            for frame in candidates:
                live = self._live(frame, now)
                given += frame.height
                expired += frame.height - live.height
                self._stage(connection, live)
            with _transaction(connection):
                staged, inserted, kept_newer, updated = connection.execute(tables.COMPARE, values).fetchone()
                if staged + expired != given:
                    raise EngageError(
                        f"{program.program_id}, partition {partition}: {given - expired - staged} of {given} rows"
                        " repeat the customer, marketplace and subject of another; store each candidate once"
                    )
                removed = connection.execute(tables.REMOVE_LEFT, values).rowcount
                if inserted or updated:
                    connection.execute(tables.UPSERT, values)
        unchanged = staged - inserted - updated - kept_newer
        return StoreCounts(inserted, updated, unchanged, kept_newer, expired, removed)

    def of_customer(self, customer_id: str, program_id: str | None, now: datetime) -> list[dict[str, object]]:
        """See CandidateStore. A dictionary per candidate, by column; instants and dates as such, flags as booleans."""
        values = {"customer": customer_id, "program": program_id, "now": _micros(now)}
        return self._rows(tables.OF_CUSTOMER, values)

    def top(
        self, program_id: str, channel: str, min_score: float, limit: int, now: datetime
    ) -> list[dict[str, object]]:
        """See CandidateStore. By score, newest event, subject, customer; `min_score` is inclusive.

        Raises EngageError when `channel` is none of email, in-app, push, voice.
        """
        if channel not in tables.TOP:
            raise EngageError(f"no channel {channel!r}: one of {', '.join(tables.TOP)}")
        values = {"program": program_id, "min_score": min_score, "limit": limit, "now": _micros(now)}
        return self._rows(tables.TOP[channel], values)

    def of_partition(self, program_id: str, partition: date) -> pl.DataFrame:
        """See CandidateStore. Sorted by customer, marketplace, subject."""
        names = ("customer_id", "marketplace", "subject_id", "score")
        schema = {name: POLARS_TYPES[tables.STORED[name]] for name in names}
        with self._connection() as connection:
            rows = connection.execute(tables.OF_PARTITION, (program_id, partition.isoformat())).fetchall()
        return pl.DataFrame(rows, schema=schema, orient="row")

    def delete_expired(self, now: datetime) -> int:
        """See CandidateStore. What expires exactly at `now` has expired."""
        with self._connection() as connection, _transaction(connection):
            return connection.execute(tables.DELETE_EXPIRED, (_micros(now),)).rowcount

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
            # With WAL, NORMAL may lose the last commits in a power cut, never half of one; the batch writes them again.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._ensure_schema(connection)
            yield connection

    def _ensure_schema(self, connection: sqlite3.Connection) -> None:
        version = _schema_version(connection)
        if version == 0:
            _turn_to_wal(connection)
            with _transaction(connection):
                version = _schema_version(connection)
                for statement in tables.CREATE if version == 0 else ():
                    connection.execute(statement)
                version = version or tables.SCHEMA_VERSION
        if version != tables.SCHEMA_VERSION:
            raise EngageError(
                f"{self.path}: candidate store of schema {version}, this version of engage_assets reads"
                f" {tables.SCHEMA_VERSION}; use the version that wrote it, or remove the file and store again"
            )

    def _live(self, frame: pl.DataFrame, now: datetime) -> pl.DataFrame:
        missing = sorted(tables.GIVEN.keys() - set(frame.columns))
        if missing:
            raise EngageError(f"candidates to store lack {', '.join(missing)}; scored candidates have these columns")
        # A null expiry is no expired row but a broken one: let the table refuse it.
        return frame.select(tables.GIVEN.keys()).filter((pl.col("expires_at") > now).fill_null(True))

    def _stage(self, connection: sqlite3.Connection, live: pl.DataFrame) -> None:
        instants = [name for name, kind in tables.GIVEN.items() if kind == "instant"]
        # In key order both trees are filled from left to right: less work than in any other order.
        rows = live.sort(tables.KEY_GIVEN).with_columns(pl.col(instants).cast(POLARS_TYPES["instant"]).to_physical())
        try:
            with _transaction(connection, "BEGIN"):
                for part in rows.iter_slices(_ROWS_AT_ONCE):
                    connection.executemany(tables.STAGE, part.rows())
        except sqlite3.IntegrityError as error:
            raise EngageError(f"candidates to store: {error}; the column must be filled in every row") from error

    def _rows(self, statement: str, values: Mapping[str, object]) -> list[dict[str, object]]:
        with self._connection() as connection:
            rows = connection.execute(statement, values).fetchall()
        return [_candidate(row) for row in rows]


_READ: Final[dict[Kind, Callable[[Any], object]]] = {
    "instant": lambda value: _EPOCH + timedelta(microseconds=value),
    "date": date.fromisoformat,
    "flag": bool,
}


def _candidate(row: tuple[object, ...]) -> dict[str, object]:
    candidate = dict(zip(tables.STORED, row, strict=True))
    for name, kind in tables.STORED.items():
        if kind in _READ and candidate[name] is not None:
            candidate[name] = _READ[kind](candidate[name])
    return candidate


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)


def _schema_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _turn_to_wal(connection: sqlite3.Connection) -> None:
    """Wait here for another process that makes the same file: SQLite's own timeout does not cover this statement."""
    give_up = monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > give_up:
                raise
            sleep(_PAUSE_SECONDS)
        else:
            return


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
    except BaseException:
        # SQLite has rolled back by itself where the disk is full.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
