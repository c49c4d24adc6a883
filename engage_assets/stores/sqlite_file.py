"""The SQLite file under a candidate store: who opens it and how, its schema, its transactions."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from engage_assets.disk import write_back
from engage_assets.domain.errors import EngageError
from engage_assets.stores import sqlite_tables as tables
from engage_assets.stores.per_thread import PerThread

_BUSY_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.002
_JOURNAL_BYTES: Final = 128 << 20
"""A log that grew beside a long reader shrinks to this once it is empty."""
_CHECKPOINT_PAGES: Final = 16_000
"""Whoever commits when the log holds so many pages carries them over, unless a batch did before: see `carry_over`."""
_WRITER_CACHE_KIB: Final = 131_072
_READER_CACHE_KIB: Final = 8_192
_MAPPED_BYTES: Final = 2**31 - 65_536
_STATEMENTS: Final = 256
_READ_AT_ONCE: Final = 1 << 20


class SqliteFile:
    """The file at `path`, made or brought to this version's schema on first use; its folder is made too.

    Threads and processes may share it: many readers, one writer at a time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept = PerThread(self._open_kept)

    def reading(self) -> sqlite3.Connection:
        """This thread's own connection. A file that took the place of another (a restored backup) is seen."""
        kept = self._kept.get()
        if kept.identity != self._identity():
            self._kept.let_go()
            kept = self._kept.get()
        return kept.connection

    def version(self) -> tuple[int, tuple[int, int] | None]:
        """Another one after each commit of any connection, as this thread sees it, and of another file."""
        return self.reading().execute("PRAGMA data_version").fetchone()[0], self._kept.get().identity

    def open_reader(self) -> sqlite3.Connection:
        """A connection of its own, for any thread; close it."""
        connection = self._open()
        # The first look also sees to it that the schema is there.
        if schema_version(connection) != tables.SCHEMA_VERSION:
            self._ensure_schema(connection)
        connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
        connection.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
        return connection

    @contextmanager
    def writing(self, *, durably: bool = True) -> Iterator[sqlite3.Connection]:
        """A connection of its own, closed at the end; transactions begin with `transaction`.

        What is not written durably may be lost in a power cut, a commit as a whole: for what a batch writes again. It
        is carried over to the file by `carry_over` alone.
        """
        with closing(self._open()) as connection:
            connection.execute(f"PRAGMA synchronous = {'FULL' if durably else 'NORMAL'}")
            connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES if durably else 0}")
            connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_BYTES}")
            self._ensure_schema(connection)
            yield connection

    def carry_over(self, connection: sqlite3.Connection) -> None:
        """Carry the log of a large commit over to the file, and all of it to the disk in portions.

        SQLite would sync both at once, and commits to other files of the disk wait for that. It syncs the file when
        every page was copied: so one reader stays behind, and the last page follows once the others are written.
        """
        log = self.path.with_name(f"{self.path.name}-wal")
        write_back(log, log.stat().st_size)
        with closing(self._open()) as behind:
            behind.execute("BEGIN")
            schema_version(behind)
            connection.execute(f"PRAGMA user_version = {tables.SCHEMA_VERSION}")
            _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        write_back(self.path, pages * tables.PAGE_BYTES)
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def read_through(self) -> int:
        """Read the file once, so that the operating system holds it in memory; returns bytes."""
        self.reading()
        buffer = bytearray(_READ_AT_ONCE)
        total = 0
        for path in (self.path, self.path.with_name(f"{self.path.name}-wal")):
            if path.exists():
                with path.open("rb", buffering=0) as file:
                    while read := file.readinto(buffer):
                        total += read
        return total

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return sqlite3.connect(
            self.path,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_STATEMENTS,
        )

    def _open_kept(self) -> "_Kept":
        connection = self.open_reader()
        return _Kept(connection, self._identity())

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _ensure_schema(self, connection: sqlite3.Connection) -> None:
        version = schema_version(connection)
        if version == 0:
            connection.execute(f"PRAGMA page_size = {tables.PAGE_BYTES}")
            turn_to_wal(connection)
        if version in {0, *tables.MIGRATE}:
            with transaction(connection):
                version = schema_version(connection)
                for statement in tables.CREATE if version == 0 else tables.MIGRATE.get(version, ()):
                    connection.execute(statement)
                version = schema_version(connection)
        if version != tables.SCHEMA_VERSION:
            raise EngageError(
                f"{self.path}: candidate store of schema {version}, this version of engage_assets reads"
                f" {tables.SCHEMA_VERSION}; use the version that wrote it, or remove the file and store again"
            )


class _Kept:
    def __init__(self, connection: sqlite3.Connection, identity: tuple[int, int] | None) -> None:
        self.connection = connection
        self.identity = identity

    def close(self) -> None:
        self.connection.close()


@contextmanager
def transaction(connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    """All of it or none; from the start the only writer, unless `begin` says otherwise."""
    connection.execute(begin)
    try:
        yield
    except BaseException:
        # SQLite has rolled back by itself where the disk is full.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def schema_version(connection: sqlite3.Connection) -> int:
    """The file's schema; 0: none yet."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def turn_to_wal(connection: sqlite3.Connection) -> None:
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
