"""The SQLite file under a state: opened once a process, used by several threads, its schema and transactions."""

import errno
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

from engage_assets.domain.errors import EngageError

Connection = sqlite3.Connection
_BUSY_SECONDS: Final = 30.0
_PRIVATE: Final = 0o600
"""SQLite gives what it writes beside a file the mode of that file."""
_PAUSE_SECONDS: Final = 0.002
_SETTINGS: Final = ("synchronous = FULL", "cache_size = -65536", "wal_autocheckpoint = 8000")
"""Marks lie all over their table, so that a small cache would read and write each page again and again."""
_VERSION: Final = 4
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS shard (
    stream TEXT, name TEXT, checkpoint TEXT, first TEXT, last TEXT, is_ended INTEGER NOT NULL DEFAULT 0,
    owner TEXT, token INTEGER NOT NULL DEFAULT 0, leased_until REAL NOT NULL DEFAULT 0, PRIMARY KEY (stream, name));
CREATE TABLE IF NOT EXISTS seen (mark BLOB PRIMARY KEY, range BLOB NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pace (only INTEGER PRIMARY KEY CHECK (only = 1), at REAL NOT NULL, wall REAL NOT NULL);
CREATE TABLE IF NOT EXISTS batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT, shard TEXT, first TEXT, last TEXT, at REAL NOT NULL,
    read INTEGER, archived INTEGER, errors INTEGER, duplicates INTEGER, redacted INTEGER,
    newest_change INTEGER, behind_ms INTEGER, messages TEXT NOT NULL, partitions TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS day (
    day TEXT PRIMARY KEY, batches INTEGER NOT NULL, read INTEGER NOT NULL, archived INTEGER NOT NULL,
    errors INTEGER NOT NULL, duplicates INTEGER NOT NULL, redacted INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS total (
    type TEXT, partition_date TEXT, records INTEGER NOT NULL, files INTEGER NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (type, partition_date));
CREATE TABLE IF NOT EXISTS erasure (fan_id TEXT PRIMARY KEY, erased_at INTEGER NOT NULL, version INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS erasure_version ON erasure (version);
CREATE TABLE IF NOT EXISTS removal (
    type TEXT, reference_id TEXT, changed_at INTEGER NOT NULL, is_done INTEGER NOT NULL, version INTEGER NOT NULL,
    PRIMARY KEY (type, reference_id));
CREATE INDEX IF NOT EXISTS removal_version ON removal (version);
CREATE INDEX IF NOT EXISTS removal_pending ON removal (changed_at) WHERE NOT is_done;
CREATE TABLE IF NOT EXISTS tombstones (only INTEGER PRIMARY KEY CHECK (only = 1), version INTEGER NOT NULL);
INSERT OR IGNORE INTO tombstones VALUES (1, 0);
CREATE TABLE IF NOT EXISTS errors_taken (only INTEGER PRIMARY KEY CHECK (only = 1), number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS belongs (only INTEGER PRIMARY KEY CHECK (only = 1), root TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS own (only INTEGER PRIMARY KEY CHECK (only = 1), id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS source (stream TEXT PRIMARY KEY, place TEXT NOT NULL);
"""
_ADDED: Final = {
    "behind_ms": "INTEGER",
    "newest_change": "INTEGER",
    "at": "REAL",
    "stopped": "TEXT",
    "stopped_at": "REAL",
    "marked": "TEXT",
    "mark": "TEXT",
}
"""Columns of `shard` that earlier versions did not have."""


class StateFile:
    """A state's file, made or brought to this version's schema. Trouble that may pass is an OSError."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(_PRIVATE)
        self.path = path
        self._lock = threading.RLock()
        self._database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            with _passing(path):
                _turn_to_wal(self._database)
                for setting in _SETTINGS:
                    self._database.execute(f"PRAGMA {setting}")
            self._migrate()
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            self._database.close()

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """What a query finds. Raises OSError."""
        with self._lock, _passing(self.path):
            return self._database.execute(query, values).fetchall()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """All of it or none, as the only writer; durable at its end. Raises OSError."""
        with self._lock, _passing(self.path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:  # SQLite has rolled back by itself where the disk is full
                    self._database.execute("ROLLBACK")
                raise

    def _migrate(self) -> None:
        if self._version() == _VERSION:
            return
        with self.writing() as database:
            version = self._version()
            if version > _VERSION:
                raise EngageError(
                    f"{self.path}: an archive's state of schema {version}, this version of engage_assets knows"
                    f" {_VERSION}; use the version that wrote it"
                )
            for statement in filter(str.strip, _SCHEMA.split(";")):
                database.execute(statement)
            there = {name for _, name, *_ in database.execute("PRAGMA table_info (shard)")}
            for name, kind in _ADDED.items():
                if name not in there:
                    database.execute(f"ALTER TABLE shard ADD COLUMN {name} {kind}")
            database.execute(f"PRAGMA user_version = {_VERSION}")

    def _version(self) -> int:
        ((version,),) = self.rows("PRAGMA user_version")
        return int(version)


@contextmanager
def _passing(path: Path) -> Iterator[None]:
    """A locked file, a full disk and a failed read or write as OSError: they are tried again."""
    try:
        yield
    except sqlite3.OperationalError as error:
        number = errno.ENOSPC if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL else errno.EIO
        raise OSError(number, f"{path.name}: {error}") from error


def _turn_to_wal(database: Connection) -> None:
    """Wait here for another process that makes the same file: SQLite's own timeout does not cover this statement."""
    give_up = monotonic() + _BUSY_SECONDS
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > give_up:
                raise
            sleep(_PAUSE_SECONDS)
        else:
            return
