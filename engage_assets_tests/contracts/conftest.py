"""An empty operational database of each kind, quickly: neither these suites nor their speed depend on a disk.

The session keeps one of each kind, opened twice as by two processes, and empties it: statements are compiled once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import delete, text

from engage_assets.ledger.database import Database
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.tables import gate, metadata
from engage_assets_tests.postgres import PostgresServer

Pair = tuple[Database, Database]

_MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def sqlite_pair() -> Iterator[Pair]:
    """A SQLite ledger that tests share, in memory where the machine can."""
    folder = TemporaryDirectory(prefix="engage-", dir=_MEMORY if _MEMORY.is_dir() else None)
    with folder as name, _opened(f"sqlite:///{name}/ledger.db") as pair:
        yield pair


@pytest.fixture(scope="session")
def postgres_pair(postgres_server: PostgresServer) -> Iterator[Pair]:
    """A PostgreSQL ledger that tests share; it goes with the server."""
    with _opened(postgres_server.url(postgres_server.create())) as pair:
        yield pair


@pytest.fixture
def sqlite_ledger(sqlite_pair: Pair) -> SqlLedger:
    return SqlLedger(_emptied(sqlite_pair)[0])


@pytest.fixture
def postgres_ledger(postgres_pair: Pair) -> SqlLedger:
    return SqlLedger(_emptied(postgres_pair)[0])


@pytest.fixture(params=["sqlite", "postgresql"])
def new_pair(request: pytest.FixtureRequest) -> Callable[[], Pair]:
    """Each call gives the ledger as two processes have it, emptied."""
    pair = request.getfixturevalue("sqlite_pair" if request.param == "sqlite" else "postgres_pair")
    return lambda: _emptied(pair)


@pytest.fixture
def ledger(new_pair: Callable[[], Pair]) -> SqlLedger:
    return SqlLedger(new_pair()[0])


@contextmanager
def _opened(url: str) -> Iterator[Pair]:
    pair = Database(url), Database(url)
    yield pair
    for database in pair:
        database.close()


def _emptied(pair: Pair) -> Pair:
    with pair[0].writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL lock_timeout = '10s'"))
        for table in reversed(metadata.sorted_tables):
            if table is not gate:
                connection.execute(delete(table))
    return pair
