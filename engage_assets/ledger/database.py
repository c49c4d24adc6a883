"""The operational database: opened once, migrated on first use, shared by the parts of the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from random import Random
from threading import Lock, local
from typing import Any, Final
from weakref import WeakSet

import polars as pl
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, Select, inspect, select, text
from sqlalchemy import Table as SqlTable
from sqlalchemy.schema import SetColumnComment, SetTableComment

from engage_assets.domain.errors import EngageError
from engage_assets.domain.tables import Table, empty_frame
from engage_assets.ledger import tables
from engage_assets.ledger.engines import CHECKPOINT_PAGES, WRITES, carry_over, insert_new, open_engine
from engage_assets.ledger.prepared import at_once
from engage_assets.ledger.synced_log import SyncedLog

_PAST_THE_GATE: Final = f"LOCK TABLE {tables.gate.name} IN ROW SHARE MODE"
MIGRATIONS: Final = Path(__file__).with_name("migrations")
_ROWS_AT_ONCE: Final = 50_000
_MIGRATION_LOCK: Final = 7_316_240_911  # any number that nobody else locks in the same database
_ALEMBIC: Final = Lock()  # it keeps what it works on in its module, whatever the thread


class Database:
    """The database at `url`: SQLite by default, PostgreSQL by its URL. Threads and processes may share it.

    **Time.** Callers state the time, and may wait for the lock after having read their clock. So whoever
    reads the log up to an instant leaves that cut behind, and a write stamped at or before a cut is
    stamped just after it: the same cut gives the same rows for ever. This holds for writers up to
    SEND_WINDOW behind; a cut further ahead of a writer's clock was taken of the future and settles nothing.
    """

    def __init__(
        self,
        url: str,
        random: Random | None = None,
        *,
        checkpoint_pages: int = CHECKPOINT_PAGES,
        durably: bool = True,
    ) -> None:
        self.url = url
        self._checkpoint_pages = checkpoint_pages
        self._durably = durably
        self._random = random or Random()  # noqa: S311 – spreads retries, guards nothing
        self._lock = Lock()
        self._engine: Engine | None = None
        self._writer: Engine | None = None
        self._prompt: Engine | None = None
        self._own = local()
        self._kept: WeakSet[Connection] = WeakSet()
        self._log = SyncedLog()

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        with self._lock:
            kept = list(self._kept)
        for connection in kept:
            connection.close()
        self._log.close()
        if self._engine:
            self._engine.dispose()

    @property
    def engine(self) -> Engine:
        """The engine, its schema being that of this version; threads that meet here share it."""
        if self._engine is None:
            with self._lock:
                if self._engine is None:
                    self._engine = self._opened()
        return self._engine

    def _opened(self) -> Engine:
        engine = open_engine(self.url, self._random, self._checkpoint_pages, durably=self._durably)
        try:
            _bring_up_to_date(engine)
        except BaseException:
            engine.dispose()
            raise
        return engine

    def settle(self) -> None:
        """Wait until all that was committed before is durable, though the database is not opened `durably`.

        Raises EngageError where the disk does not take it, and then each time: what was committed since is in doubt.
        """
        if self.engine.dialect.name == "sqlite" and self.engine.url.database:
            self._log.sync(Path(f"{self.engine.url.database}-wal"))

    def carry_over(self) -> None:
        """Empty SQLite's log while nobody waits for it; see engines."""
        carry_over(self.engine, self._random)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that writes nothing."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, *, alone: bool = False) -> Iterator[Connection]:
        """A transaction past the gate. Writers pass together where the database can; a cut waits for all of them."""
        with self._writing.connect() as connection, connection.begin():
            # A table lock is fair; a lock on the gate's row would let new writers pass a cut that waits, for ever.
            lock(connection, tables.gate, "EXCLUSIVE" if alone else "ROW SHARE")
            yield connection

    @contextmanager
    def reading_often(self) -> Iterator[Connection]:
        """As `reading`, on a connection that the thread keeps, for a few threads; see `writing_often`.

        Of PostgreSQL each statement reads what is there at its moment.
        """
        if self.engine.dialect.name != "sqlite":
            with self._at_once("reader") as kept:
                yield kept
            return
        kept = self._kept_for("reader", self.engine)
        with kept.begin():
            yield kept

    @contextmanager
    def writing_often(self) -> Iterator[Connection]:
        """As `writing`; on SQLite the thread keeps the connection, since to take one costs as much as small writes."""
        if self._writing.dialect.name != "sqlite":
            with self.writing() as connection:
                yield connection
            return
        kept = self._kept_for("writer", self._writing)
        with kept.begin():
            yield kept

    @contextmanager
    def writing_at_once(self) -> Iterator[Connection]:
        """As `writing_often`; PostgreSQL is told statements without waiting for what came of those before.

        It takes statements of `prepared` alone. What fails is raised by one that is told later, at the latest by the
        end of the transaction.
        """
        if self.engine.dialect.name == "sqlite":
            with self.writing_often() as connection:
                yield connection
            return
        with self._at_once("writer") as kept, at_once(kept, _PAST_THE_GATE):
            yield kept

    @contextmanager
    def _at_once(self, role: str) -> Iterator[Connection]:
        """This thread's connection to PostgreSQL for a role; SQLAlchemy begins nothing on it, which costs a message.

        After a fault the next call takes another one.
        """
        if self._prompt is None:
            self._prompt = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        kept = self._kept_for(role, self._prompt)
        try:
            yield kept
        except BaseException:
            kept.close()
            raise

    def _kept_for(self, role: str, engine: Engine) -> Connection:
        """This thread's connection for a role."""
        kept: Connection | None = getattr(self._own, role, None)
        if kept is None or kept.closed:
            kept = engine.connect()
            setattr(self._own, role, kept)
            with self._lock:
                self._kept.add(kept)
        return kept

    @property
    def _writing(self) -> Engine:
        """The engine for transactions that write. Made once: options of a single connection cost more than it."""
        if self._writer is None:
            self._writer = self.engine.execution_options(**WRITES)
        return self._writer

    def cut(self, until: datetime, statement: Select[Any], table: Table) -> pl.DataFrame:
        """Rows of `statement` once every writer that stamped its time up to `until` has committed."""
        with self.writing(alone=True) as connection:
            connection.execute(insert_new(connection, tables.cuts), {"until": until})
        return self.frame(statement, table)

    def frame(self, statement: Select[Any], table: Table) -> pl.DataFrame:
        """Rows of `statement` as a frame of `table`."""
        with self.reading() as connection:
            parts = connection.execute(statement).partitions(_ROWS_AT_ONCE)
            frames = [pl.DataFrame(list(map(tuple, rows)), schema=table.schema, orient="row") for rows in parts]
        return pl.concat([empty_frame(table), *frames])


def lock(connection: Connection, table: SqlTable, mode: str = "SHARE ROW EXCLUSIVE") -> None:
    """Lock a table until the end of the transaction where writers do not wait for each other anyway.

    By the default mode transactions that read `table` and then write it follow one another.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {table.name} IN {mode} MODE"))


def _bring_up_to_date(engine: Engine) -> None:
    """Make or migrate the schema, once, however many processes meet at the database.

    Raises EngageError where it is of a later version.
    """
    version = _version(engine)
    if version != tables.SCHEMA_VERSION:
        with engine.connect().execution_options(**WRITES) as connection, connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            version = _version(connection)
            if version is None:
                _make(connection)
            elif version < tables.SCHEMA_VERSION:
                # Writers of the earlier version hold the gate first, then rows: so do we, or both wait for ever.
                lock(connection, tables.gate, "EXCLUSIVE")
                migrate(connection, version)
        version = _version(engine)
    if version != tables.SCHEMA_VERSION:
        raise EngageError(
            f"{engine.url.render_as_string()}: ledger of schema {version}, this version of engage_assets reads"
            f" {tables.SCHEMA_VERSION}; use the version that wrote it"
        )


def _version(where: Engine | Connection) -> int | None:
    if not inspect(where).has_table(tables.gate.name):
        return None
    query = select(tables.gate.c.schema_version)
    if isinstance(where, Connection):
        return int(where.execute(query).scalar_one())
    with where.connect() as connection:
        return int(connection.execute(query).scalar_one())


def _make(connection: Connection) -> None:
    """A new schema at once; the migrations are marked as done."""
    tables.metadata.create_all(connection)
    connection.execute(insert_new(connection, tables.gate), {"id": 1, "schema_version": tables.SCHEMA_VERSION})
    with _ALEMBIC:
        command.stamp(_alembic(connection), "head")


def migrate(connection: Connection, version: int, to: str = "head") -> None:
    """Bring a schema of an earlier version up to date, in the caller's transaction; version 1 bears no mark."""
    settings = _alembic(connection)
    with _ALEMBIC:
        if version == 1:
            command.stamp(settings, "0001")
        command.upgrade(settings, to)
    if to == "head" and connection.dialect.supports_comments:
        _comment(connection)


def _comment(connection: Connection) -> None:
    """Let tables and columns that migrations made say what they mean, as new ones do."""
    for table in tables.metadata.sorted_tables:
        connection.execute(SetTableComment(table))
        for column in table.columns:
            if column.comment:
                connection.execute(SetColumnComment(column))


def _alembic(connection: Connection) -> Config:
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    settings.attributes["connection"] = connection
    return settings
