"""Parts of the machine that some tests need: found, or skipped with a line that says how to get them.

In CI a missing part is a failure, so that nothing goes untested unnoticed. And how workers share the tests.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

from engage_assets_tests import sharing
from engage_assets_tests.postgres import PostgresServer, find_binaries, running_server

if "PYTEST_XDIST_WORKER" in os.environ:
    # One of several workers: threads beyond its own core would only wait for the others. Read at import.
    os.environ |= {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}


# How long an example takes is the machine's affair, not the code's.
settings.register_profile("here", deadline=None)
settings.load_profile("here")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> sharing.Sharing:
    """`pytest -n 2` shares by pieces."""
    return sharing.Sharing(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Workers take the pieces in this order; alone, the order of the files holds."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: sharing.place(item.nodeid))


def _need(found: object, part: str, remedy: str) -> None:
    """Skip, or fail in CI, where `found` is nothing."""
    if found:
        return
    message = f"{part} is missing; to get it: {remedy}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Path of the system's Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    _need(path, "Chromium", "apt-get install chromium (make test does it where it may)")
    assert path is not None
    return path


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL server for all tests."""
    binaries = find_binaries()
    _need(binaries, "PostgreSQL", "make parts")
    assert binaries is not None
    with running_server(binaries, is_durable=False) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Callable[[], str]:
    """Each call makes an empty database and gives its `postgresql+psycopg://` URL; it goes with the server."""
    return lambda: postgres_server.url(postgres_server.create())


@pytest.fixture(scope="session")
def spark() -> Iterator[object]:
    """A local PySpark session on two threads, in UTC."""
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        SparkSession = None  # noqa: N806 - the class itself
    _need(SparkSession, "PySpark", "make spark")
    _need(shutil.which("java") or os.environ.get("JAVA_HOME"), "Java, which PySpark needs,", "make spark")
    # PySpark reads naive Python instants in the process's own zone.
    zone = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    session = (
        SparkSession.builder.master("local[2]")
        .appName("engage_assets_tests")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
    if zone is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = zone
    time.tzset()
