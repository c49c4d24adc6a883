"""An empty operational database of each kind, quickly: neither these suites nor their speed depend on a disk."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psycopg
import pytest

from engage_assets.ledger.database import Database
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.tables import gate, metadata
from engage_assets_tests.postgres import PostgresServer

_MEMORY = Path("/dev/shm")
_EMPTY = "; ".join(f"DELETE FROM {table.name}" for table in metadata.sorted_tables if table is not gate)


@pytest.fixture(scope="session")
def sqlite_files() -> Iterator[Path]:
    """A folder, in memory where the machine can, with a new ledger `new.db`."""
    with TemporaryDirectory(prefix="engage-", dir=_MEMORY if _MEMORY.is_dir() else None) as name:
        _make(f"sqlite:///{name}/new.db")
        yield Path(name)


@pytest.fixture(scope="session")
def shared_url(postgres_server: PostgresServer) -> str:
    """A PostgreSQL ledger that tests share and empty; its commits do not wait for the disk."""
    name = postgres_server.create()
    url = postgres_server.url(name)
    with _session(url) as connection:
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    _make(url)
    return url  # it goes with the server: to drop it would take seconds


@pytest.fixture
def sqlite_url(sqlite_files: Path) -> Callable[[], str]:
    """Each call gives the URL of a new SQLite ledger without rows."""

    def url() -> str:
        path = sqlite_files / f"{uuid4().hex}.db"
        shutil.copy(sqlite_files / "new.db", path)
        return f"sqlite:///{path}"

    return url


@pytest.fixture
def emptied_url(shared_url: str) -> Callable[[], str]:
    """Each call empties the shared PostgreSQL ledger and gives its URL."""

    def url() -> str:
        with _session(shared_url) as connection:
            connection.execute("SET lock_timeout = '10s'")
            connection.execute(_EMPTY)
        return shared_url

    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Each call gives the URL of an empty ledger; on PostgreSQL it takes the place of the one before."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "emptied_url")


@pytest.fixture
def ledger(new_url: Callable[[], str]) -> Iterator[SqlLedger]:
    ledger = SqlLedger(new_url())
    yield ledger
    ledger.close()


def _make(url: str) -> None:
    database = Database(url)
    assert database.engine
    database.close()


def _session(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
