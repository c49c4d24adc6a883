"""Dagster's files of SQLite, for runs in this process: kept open, where Dagster opens them for every access.

Dagster's own class opens, describes and closes a file two or three times an event; here the index of all runs stays
open, and so does the file of the run that was used last. A new run's file is a copy of an empty one. What is in the
files is Dagster's own: the UI on the same home reads them as ever.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection

from engage_assets.archive.folder import FolderRoot


class KeptOpen(SqliteEventLogStorage):
    """Dagster's event log in the same files, two of which stay open; one access at a time, as ever."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._open: dict[str, Engine] = {}
        self._empty: bytes | None = None
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _engine(self, shard: str) -> Engine:
        """A file's engine; the run's that was used before is closed."""
        if shard not in self._open:
            for other in self._open.keys() - {INDEX_SHARD_NAME}:
                self._open.pop(other).dispose()
            self._open[shard] = create_engine(
                self.conn_string_for_shard(shard), connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
            )
            if shard != INDEX_SHARD_NAME:
                event.listen(self._open[shard], "connect", _write_through)
        return self._open[shard]

    def _initdb(self, engine: Engine, for_index_shard: bool = False) -> None:  # noqa: FBT001, FBT002 - Dagster's
        """Make the tables of a file that has none yet; those of a run's that is not there by copying another's."""
        path = Path(str(engine.url.database))
        is_new = path.stem != INDEX_SHARD_NAME and not path.exists()
        if is_new and self._empty is not None:
            FolderRoot(path.parent).put_new(path.name, self._empty)
        if _has_tables(path):
            return
        super()._initdb(engine, for_index_shard)
        if is_new:
            with closing(sqlite3.connect(path)) as made:
                is_empty = made.execute("SELECT count(*) FROM event_logs").fetchone() == (0,)
                self._empty = made.serialize() if is_empty else None

    def wipe(self) -> None:
        """Forget all runs."""
        self._close()
        super().wipe()

    def dispose(self) -> None:
        """Close what is open."""
        super().dispose()
        self._close()

    def _close(self) -> None:
        with self._db_lock:
            while self._open:
                self._open.popitem()[1].dispose()


class SqliteStorage(DagsterSqliteStorage):
    """Dagster's own files below `base_dir`, read and written by `KeptOpen`."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        folder = Path(self._event_log_storage.path_for_shard(INDEX_SHARD_NAME)).parent
        self._event_log_storage: SqliteEventLogStorage = KeptOpen(str(folder))

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "SqliteStorage":
        """As Dagster makes it."""
        return cls.from_local(inst_data=inst_data, **config_value)


def instance_in(home: Path) -> dg.DagsterInstance:
    """Dagster's instance in the folder `home`, with its files kept open if they are of SQLite."""
    described = InstanceRef.from_dir(str(home))
    storage = described.storage_data
    if storage is not None and storage.class_name == DagsterSqliteStorage.__name__:
        ours = storage._replace(module_name=SqliteStorage.__module__, class_name=SqliteStorage.__name__)
        described = described._replace(storage_data=ours)
    return dg.DagsterInstance.from_ref(described)


def _write_through(connection: DBAPIConnection, _: object) -> None:
    """Bring every change into the file itself: the UI watches it for what is new, and not the log beside it."""
    connection.cursor().execute("PRAGMA wal_autocheckpoint = 1")


def _has_tables(path: Path) -> bool:
    """Whether a file was set up to its end: Dagster looks through all its migrations to see that."""
    if not path.exists():
        return False
    with (
        closing(sqlite3.connect(path, timeout=SQLITE_BUSY_TIMEOUT_SECONDS)) as file,
        suppress(sqlite3.OperationalError),
    ):
        return file.execute("SELECT version_num FROM alembic_version").fetchone() is not None
    return False
