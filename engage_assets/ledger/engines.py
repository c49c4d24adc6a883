"""Databases under the ledger: all that differs between them stands here."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from json.encoder import encode_basestring_ascii
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    Connection,
    Engine,
    Insert,
    PoolProxiedConnection,
    Select,
    String,
    Table,
    any_,
    bindparam,
    cast,
    column,
    create_engine,
    event,
    func,
    literal_column,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection

from engage_assets.disk import write_back
from engage_assets.domain.errors import EngageError

WRITES: Final = {"engage_writes": True}
"""Execution options of a connection whose transactions write."""

_INSERTS: Final[dict[str, Callable[[Table], sqlite.Insert | postgresql.Insert]]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
_GIVE_UP_SECONDS: Final = 60.0
_READ_TIMEOUT_MS: Final = 10_000
_JOURNAL_BYTES: Final = 256 << 20
"""A log that grew beside a long reader shrinks to this once it is empty. No other is cut: it would have to grow again,
and a commit that lets a file grow waits for all that other files owe the disk."""
_CACHE_KIB: Final = 16_384
_WAITS: Final = "engage_waits"
"""Where a connection notes how long it waits for a lock."""
_PAUSE_SECONDS: Final = (0.0001, 0.001)
_CARRY_TRIES: Final = 40
_PAGE_BYTES: Final = 4_096


CHECKPOINT_PAGES: Final = 1_000
"""SQLite: who commits when its log holds so many pages carries them over to the file first."""


def open_engine(url: str, random: Random, checkpoint_pages: int = CHECKPOINT_PAGES, *, durably: bool = True) -> Engine:
    """An engine for `url`; `random` spreads the retries of processes that wait for one lock.

    SQLite: what is not written durably may be lost in a power cut, a transaction as a whole, and none before it.
    Raises EngageError for a database that the ledger does not know.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() not in _INSERTS:
        raise EngageError(f"ledger URL {parsed.render_as_string()}: the database must be one of {', '.join(_INSERTS)}")
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    # A service answers from up to 40 threads, each with a connection of its own for a moment.
    pool = {"pool_size": 10, "max_overflow": 40} if parsed.get_backend_name() == "postgresql" else {}
    engine = create_engine(parsed, **pool)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        _prepare_sqlite(engine, random, checkpoint_pages, durably=durably)
    return engine


def carry_over(engine: Engine, random: Random) -> None:
    """SQLite: carry the log over to the file, so that it begins anew, beside the writers, who hardly wait for it.

    Most is copied and then written to the disk in portions; what came meanwhile is little, and is carried with the
    write lock held. Gives up where writers or readers leave no room: the next call does it then.
    """
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return
    with closing(engine.raw_connection()) as lent, closing(engine.raw_connection()) as other:
        pages = _copy_unsynced(_wait_for_locks(lent, _READ_TIMEOUT_MS), _wait_for_locks(other, 0))
        write_back(Path(engine.url.database), pages * _PAGE_BYTES)
        raw = _wait_for_locks(lent, 0)
        raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        for _ in range(_CARRY_TRIES):
            is_busy, _, _ = raw.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
            if not is_busy:
                return
            sleep(random.uniform(*_PAUSE_SECONDS))


def _copy_unsynced(connection: sqlite3.Connection, behind: sqlite3.Connection) -> int:
    """Copy the log's pages to the file; returns how many it holds.

    SQLite syncs the file at once when all were copied: so a reader stays behind a commit that changes nothing.
    """
    behind.execute("BEGIN")
    behind.execute("SELECT 1 FROM sqlite_schema").fetchone()
    connection.execute("PRAGMA user_version = 0")
    _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    behind.execute("COMMIT")
    return int(pages)


def insert_new(connection: Connection, table: Table) -> Insert:
    """An INSERT into `table` that leaves rows alone whose key is there already."""
    return insert_new_on(connection.dialect.name, table)


def insert_new_on(dialect: str, table: Table) -> Insert:
    """As `insert_new`, on a database of this dialect."""
    return _INSERTS[dialect](table).on_conflict_do_nothing()


def among(dialect: str, of: ColumnElement[Any], name: str = "keys") -> ColumnElement[bool]:
    """Whether `of` is among the texts of the parameter `name`, as `as_list` wrote them: one parameter, any length.

    On PostgreSQL they become an array first, which its planner takes to an index.
    """
    given = bindparam(name, type_=String)
    if dialect == "postgresql":
        value = func.json_array_elements_text(cast(given, JSON(none_as_null=True))).table_valued("value", name=name)
        return of == any_(func.array(select(value.c.value).scalar_subquery(), type_=ARRAY(String)))
    value = func.json_each(given).table_valued(column("value", String), name=name)
    return of.in_(select(value.c.value))


@cache
def rows_on(dialect: str, name: str, width: int) -> Select[Any]:
    """A SELECT of rows of texts that the parameter `name` holds as a JSON list of lists, each `width` long."""
    given = bindparam(name, type_=String)
    if dialect == "postgresql":
        each = func.json_array_elements(cast(given, JSON(none_as_null=True)))
        value = each.table_valued(column("value", JSON), name=name).c.value
        cells: list[Any] = [value.op("->>", return_type=String)(literal_column(str(place))) for place in range(width)]
    else:
        value = func.json_each(given).table_valued(column("value", String), name=name).c.value
        cells = [func.json_extract(value, f"$[{place}]", type_=String) for place in range(width)]
    labelled: Select[Any] = select(*(cell.label(f"c{place}") for place, cell in enumerate(cells)))
    return labelled


def as_list(keys: Sequence[str]) -> str:
    """The value of a parameter that `among` reads."""
    return f"[{', '.join(map(encode_basestring_ascii, keys))}]"


def later(dialect: str, one: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
    """The later of two instants."""
    greatest = func.greatest if dialect == "postgresql" else func.max
    return greatest(one, other, type_=one.type)


def _prepare_sqlite(engine: Engine, random: Random, checkpoint_pages: int, *, durably: bool) -> None:
    """Durable commits, transactions that we begin ourselves, and a fair wait for the write lock.

    SQLite's own back-off starves one of two busy processes (up to 1.6 s, some never won); short random
    retries do not.
    """

    def patiently(connection: sqlite3.Connection, statement: str) -> None:
        give_up = monotonic() + _GIVE_UP_SECONDS
        while True:
            try:
                connection.execute(statement)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                if monotonic() > give_up:
                    raise EngageError(
                        f"{engine.url.database}: another process has held the ledger for {_GIVE_UP_SECONDS:.0f} s;"
                        " find it (a stopped debugger, an open database browser) and end its transaction"
                    ) from error
                sleep(random.uniform(*_PAUSE_SECONDS))
            else:
                return

    @event.listens_for(engine, "connect")
    def _connected(connection: DBAPIConnection, _record: object) -> None:
        raw = _sqlite(connection)
        raw.isolation_level = None
        patiently(raw, "PRAGMA journal_mode = WAL")
        # A claim must outlive a power cut before anything is handed over.
        raw.execute(f"PRAGMA synchronous = {'FULL' if durably else 'NORMAL'}")
        raw.execute(f"PRAGMA journal_size_limit = {_JOURNAL_BYTES}")
        raw.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        raw.execute(f"PRAGMA wal_autocheckpoint = {checkpoint_pages}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        if connection.get_execution_options().get("engage_writes"):
            # Whoever has the write lock meets no other: nothing that follows waits.
            patiently(_wait_for_locks(connection.connection, 0), "BEGIN IMMEDIATE")
        else:
            _wait_for_locks(connection.connection, _READ_TIMEOUT_MS).execute("BEGIN")


def _wait_for_locks(lent: PoolProxiedConnection, milliseconds: int) -> sqlite3.Connection:
    """The driver's connection, waiting so long for a lock; the statement is spared where it does already."""
    raw = _sqlite(lent.dbapi_connection)
    if lent.info.get(_WAITS) != milliseconds:
        raw.execute(f"PRAGMA busy_timeout = {milliseconds}")
        lent.info[_WAITS] = milliseconds
    return raw


def _sqlite(connection: object) -> sqlite3.Connection:
    assert isinstance(connection, sqlite3.Connection)
    return connection
