"""Connections to PostgreSQL: one a thread that stays open, the schema at first use, transactions."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from engage_assets.domain.errors import EngageError
from engage_assets.stores import postgres_tables as tables
from engage_assets.stores.per_thread import PerThread

Connection = psycopg.Connection[TupleRow]


class PostgresSession:
    """The database at `url`, `postgresql://…`; user and password may be in it and are never shown."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._readers = PerThread(self.open_reader)
        self._writers = PerThread(self._open)
        self._lock = Lock()
        self._is_ready = False

    def open_reader(self) -> Connection:
        """A connection of its own, for any thread; close it. Raises EngageError when the database is not reached."""
        connection = self._open()
        connection.execute(tables.ASK_INDEXES)
        return connection

    def _open(self) -> Connection:
        try:
            connection = psycopg.connect(self._url, autocommit=True, application_name="engage_assets")
        except psycopg.OperationalError as error:
            raise EngageError(
                f"candidate store: {' '.join(str(error).split())}; is the database up, and the URL right?"
            ) from error
        except psycopg.ProgrammingError:
            # Its message may hold the URL, and so the password.
            raise EngageError(
                "candidate store: its URL cannot be read; write postgresql://user:password@host:5432/database,"
                " with %40 for an @ inside the password"
            ) from None
        with self._lock:
            if not self._is_ready:
                _ensure_schema(connection)
                self._is_ready = True
        return connection

    def rows(self, statement: str, values: Mapping[str, Any]) -> list[TupleRow]:
        """Read with this thread's own connection; a restart of the server goes unnoticed."""
        return _patiently(self._readers, statement, values)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction on this thread's connection."""
        _patiently(self._writers, "SELECT 1", {})
        connection = self._writers.get()
        with connection.transaction():
            yield connection


def _patiently(kept: PerThread[Connection], statement: str, values: Mapping[str, Any]) -> list[TupleRow]:
    """Ask, and ask again on a new connection where the kept one turns out to be lost."""
    try:
        return kept.get().execute(translated(statement), values, prepare=True).fetchall()
    except psycopg.OperationalError:
        if not kept.get().broken:
            raise
        kept.let_go()
        return kept.get().execute(translated(statement), values, prepare=True).fetchall()


@cache
def translated(statement: str) -> bytes:
    """A statement whose values are written `:name`, as psycopg takes it."""
    return re.sub(r":(\w+)", r"%(\1)s", statement).encode()


def _ensure_schema(connection: Connection) -> None:
    """Make the table unless it is there. Raises EngageError for another version's."""
    with connection.transaction():
        connection.execute(tables.LOCK_SCHEMA)
        connection.execute(tables.CREATE_VERSION)
        version = _version(connection)
        for statement in tables.CREATE if version is None else ():
            connection.execute(translated(statement))
        version = version or tables.SCHEMA_VERSION
    if version != tables.SCHEMA_VERSION:
        raise EngageError(
            f"candidate store of schema {version}, this version of engage_assets reads {tables.SCHEMA_VERSION};"
            " use the version that wrote it, or drop candidates and candidates_schema and store again"
        )


def _version(connection: Connection) -> int | None:
    row = connection.execute(tables.VERSION).fetchone()
    return row[0] if row else None
