"""The score cache of the embedded deployment: one SQLite file. It holds nothing that could not be made again."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from engage_assets.domain.errors import EngageError
from engage_assets.stores.cursors import micros
from engage_assets.stores.sqlite_file import schema_version, transaction, turn_to_wal

SCHEMA_VERSION: Final = 1
_BUSY_SECONDS: Final = 60.0
_CACHE_KIB: Final = 65_536
_KEY: Final = ("customer_id", "subject_id", "features_hash")
_CREATE: Final = (
    "DROP TABLE IF EXISTS scores",
    """CREATE TABLE scores (
        version TEXT NOT NULL, customer_id TEXT NOT NULL, subject_id TEXT NOT NULL, features_hash BLOB NOT NULL,
        scores BLOB NOT NULL, scored_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
        PRIMARY KEY (version, customer_id, subject_id, features_hash)
    ) WITHOUT ROWID""",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_CREATE_ASKED: Final = """
    CREATE TEMP TABLE asked (place INTEGER, customer_id TEXT, subject_id TEXT, features_hash BLOB)
"""
_ASK: Final = "INSERT INTO asked VALUES (?, ?, ?, ?)"
_FIND: Final = """
    SELECT place, scores FROM asked CROSS JOIN scores USING (customer_id, subject_id, features_hash)
    WHERE version = :version AND expires_at > :now AND scored_at > :since AND scored_at <= :now
"""
_PUT: Final = """
    INSERT INTO scores (customer_id, subject_id, features_hash, scores, version, scored_at, expires_at)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET
        scores = excluded.scores, scored_at = excluded.scored_at, expires_at = excluded.expires_at
"""
_PURGE: Final = "DELETE FROM scores WHERE expires_at <= ?"


class SqliteScoreCache:
    """Scores in the SQLite file at `path`, which is made on first use. Threads and processes may share it.

    See ScoreCache. A file of another schema is emptied. What was put just before a power cut may be lost.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, version: str, keys: pl.DataFrame, *, now: datetime, ttl: timedelta) -> pl.Series:
        """See ScoreCache. What was put at a later instant than `now` is not given."""
        # Sorted as they are stored: neighbours lie on one page.
        asked = keys.select(_KEY).with_row_index("place").sort(_KEY)
        values = {"version": version, "now": micros(now), "since": micros(now - ttl)}
        with self._open() as connection:
            connection.execute(_CREATE_ASKED)
            with transaction(connection, "BEGIN"):
                connection.executemany(_ASK, asked.rows())
            found = connection.execute(_FIND, values).fetchall()
        given: list[bytes | None] = [None] * keys.height
        for place, scores in found:
            given[place] = scores
        return pl.Series("scores", given, dtype=pl.Binary)

    def put(self, version: str, keys: pl.DataFrame, scores: pl.Series, *, now: datetime, ttl: timedelta) -> None:
        """See ScoreCache. What stood under the same key is replaced."""
        rows = keys.select(_KEY).with_columns(
            scores.alias("scores"), version=pl.lit(version), scored_at=micros(now), expires_at=micros(now + ttl)
        )
        with self._open() as connection, transaction(connection):
            connection.executemany(_PUT, rows.sort(_KEY).rows())

    def purge(self, now: datetime) -> int:
        """See ScoreCache. Looks through the whole file."""
        with self._open() as connection, transaction(connection):
            return connection.execute(_PURGE, (micros(now),)).rowcount

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
                _prepare(connection)
                yield connection
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
                raise
            raise EngageError(
                f"{self.path}: no score cache that can be read; delete the file, its scores are made again"
            ) from None


def _prepare(connection: sqlite3.Connection) -> None:
    if schema_version(connection) != SCHEMA_VERSION:
        turn_to_wal(connection)
        with transaction(connection):
            if schema_version(connection) != SCHEMA_VERSION:
                for statement in _CREATE:
                    connection.execute(statement)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
