"""DuckDB as silver and atoms use it: memory bounded, the rest on disk, UTC, the same result on every run."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb
import pyarrow as pa

from engage_assets.domain.errors import QueryError
from engage_assets.lake import ROW_GROUP, empty_batch

_SQL: Final = Path(__file__).with_name("sql")
MEMORY_LIMIT: Final = "700MB"
"""What DuckDB may hold before it turns to the disk."""


@contextmanager
def bounded(memory_limit: str = MEMORY_LIMIT, threads: int = 2) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB of its own with silver's macros, and a folder to spill to; both gone afterwards."""
    with (
        TemporaryDirectory(prefix="engage-silver-") as spill,
        duckdb.connect(
            config={"memory_limit": memory_limit, "threads": threads, "temp_directory": spill}
        ) as connection,
    ):
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        connection.execute(sql_text("silver/macros"))
        yield connection


@cache
def sql_text(name: str) -> str:
    """The SQL file `name` of this room."""
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")


def run(connection: duckdb.DuckDBPyConnection, statement: str, **values: Any) -> duckdb.DuckDBPyConnection:
    """Execute. Raises QueryError with the engine's complaint, without the data that it may quote."""
    try:
        return connection.execute(statement, values) if values else connection.execute(statement)
    except duckdb.Error as error:
        raise QueryError(_complaint(error)) from None


def batches(connection: duckdb.DuckDBPyConnection, query: str, values: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
    """The rows of a query in pieces; at least one, though without rows. Raises QueryError."""
    try:
        reader = connection.sql(query, params=dict(values)).to_arrow_reader(ROW_GROUP)
        yield empty_batch(reader.schema)
        yield from reader
    except (duckdb.Error, pa.ArrowException) as error:
        raise QueryError(_complaint(error)) from None


def _complaint(error: Exception) -> str:
    """What the engine says, without the data that it may quote."""
    text = re.sub(r"'.*'|\".*\"", "…", str(error).splitlines()[0])
    return f"DuckDB cannot read the logs: {text}"


def quoted(value: str) -> str:
    """A text literal."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def file_name(path: Path) -> str:
    """A path as a text literal that names one file, though it has letters of a pattern."""
    return quoted(re.sub(r"[*?[]", r"[\g<0>]", str(path)))


def parquet(*paths: Path) -> str:
    """The table function that reads Parquet files in this order."""
    return f"read_parquet([{', '.join(map(file_name, paths))}], hive_partitioning = false)"
