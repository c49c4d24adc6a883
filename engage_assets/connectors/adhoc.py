"""Read-only SQL of people: one SELECT over the views of a catalog, and nothing else.

Three guards: the query's syntax tree (adhoc_guard.py), a read-only transaction, and DuckDB's own lock on files,
extensions and settings.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from engage_assets.connectors.adhoc_guard import refuse_unless_read_only
from engage_assets.domain.errors import QueryError

_LISTING: Final = re.compile(r"\b(show|information_schema|duckdb_\w+|pg_\w+|sqlite_master)\b", re.IGNORECASE)
_TEXTS: Final = re.compile(r"'(?:[^']|'')*'")
_REPLACED: Final = "files that the query reads were replaced while it ran; ask again"
_EXPLAINED: Final = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)
"""Complaints about the query's own text; all others may quote data and are put in our words."""
_IN_WORDS: Final[tuple[tuple[type[duckdb.Error], str], ...]] = (
    (duckdb.ConversionException, "a value cannot be turned into the type asked for; TRY_CAST gives null for such ones"),
    (duckdb.OutOfRangeException, "a number lies outside its type's range; cast to a larger type before"),
    (duckdb.OutOfMemoryException, "it needs more memory than it may have; ask for fewer columns, or aggregate"),
    (duckdb.PermissionException, "it reads or writes files, which is not allowed here"),
    (duckdb.InterruptException, "it was interrupted"),
)


class FilesGone(QueryError):
    """Files of the catalog were replaced or taken away: make the catalog again and ask again."""


@dataclass(frozen=True)
class Catalog:
    """What may be asked."""

    views: Mapping[str, str]
    """SELECT texts by name (`name` or `schema.name`), each after those that it asks."""
    files: Sequence[Path] = ()
    """The only files that views may read."""
    macros: Mapping[str, str] = field(default_factory=dict)
    """Functions for queries: `name(parameters)` → expression."""

    def __add__(self, other: "Catalog") -> "Catalog":
        return Catalog({**self.views, **other.views}, [*self.files, *other.files], {**self.macros, **other.macros})


class Answer:
    """The rows of a query, not fetched yet; fetch them once."""

    def __init__(self, relation: duckdb.DuckDBPyRelation, files: "Files", *, is_plan: bool) -> None:
        self._relation = relation
        self._files = files
        self.is_plan = is_plan
        """Whether it is the plan of an EXPLAIN: two columns, the second is for people."""
        self.names = _distinct(relation.columns)

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Batches in their own types, column names made distinct; at least one, though without rows."""
        return self._batches(
            self._relation.project(", ".join(f"#{at} AS {_quoted(name)}" for at, name in self._places))
        )

    def texts(self) -> Iterator[pa.RecordBatch]:
        """Batches of texts, nested values as JSON, null where a value is null; at least one."""
        kinds = [str(kind) for kind in self._relation.types]
        texts = (
            f"CAST({f'to_json(#{at})' if _is_nested(kinds[at - 1]) else f'#{at}'} AS VARCHAR) AS {_quoted(name)}"
            for at, name in self._places
        )
        return self._batches(self._relation.project(", ".join(texts)))

    @property
    def _places(self) -> list[tuple[int, str]]:
        return list(enumerate(self.names, 1))

    def _batches(self, relation: duckdb.DuckDBPyRelation) -> Iterator[pa.RecordBatch]:
        with _said_plainly(self._files):
            reader = relation.to_arrow_reader(16_384)
            yield pa.RecordBatch.from_arrays([pa.nulls(0, one.type) for one in reader.schema], schema=reader.schema)
            yield from reader
            if self._files.have_changed():
                raise FilesGone(_REPLACED)


@contextmanager
def asked(
    catalog: Catalog, query: str, spill: Path, *, memory_limit: str = "1GB", threads: int | None = None
) -> Iterator[Answer]:
    """The answer to a query. What does not fit into memory goes to the folder `spill` for a while.

    Raises QueryError where it is not one SELECT (or DESCRIBE, SHOW, SUMMARIZE, EXPLAIN) over the catalog or cannot be
    run; FilesGone. Errors never quote data.
    """
    config: dict[str, Any] = {
        "memory_limit": memory_limit,
        "temp_directory": str(spill),
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "python_enable_replacements": False,
    } | ({} if threads is None else {"threads": threads})
    with _connected(config) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_progress_bar = false")
        is_plan = refuse_unless_read_only(connection, query)
        views = _needed(catalog, query)
        files = Files.of(catalog, views)
        with _said_plainly(files):
            _close_doors(connection, catalog.files)
            _make_views(connection, catalog, views)
            connection.execute("SET lock_configuration = true")
            connection.execute("BEGIN TRANSACTION READ ONLY")
            relation = connection.sql(query)
        yield Answer(relation, files, is_plan=is_plan)


@dataclass(frozen=True)
class Files:
    """The files that a query reads, as they were before it: DuckDB opens each more than once."""

    known: Mapping[Path, tuple[int, int] | None]

    @classmethod
    def of(cls, catalog: Catalog, views: Sequence[str]) -> "Files":
        """The files of some views as they are now."""
        named = {path for name in views for path in _TEXTS.findall(catalog.views[name])}
        return cls({path: _state(path) for path in catalog.files if _text(str(path)) in named})

    def have_changed(self) -> bool:
        """Whether one of them was replaced or taken away."""
        return any(state is None or _state(path) != state for path, state in self.known.items())


def _state(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _connected(config: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(config=config)
    except duckdb.Error:
        raise QueryError(
            f"a question cannot be asked with {config['memory_limit']!r} of memory; write an amount like 500MB or 2GB"
        ) from None


def _close_doors(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    """From here on no file can be opened but these; there is no way back."""
    connection.execute(f"SET allowed_paths = [{', '.join(_text(str(path)) for path in files)}]")
    connection.execute("SET enable_external_access = false")


def _needed(catalog: Catalog, query: str) -> list[str]:
    """The views that the query names, with what they ask, in the catalog's order; all of them where it lists tables."""
    if _LISTING.search(query):
        return list(catalog.views)
    needed: set[str] = set()
    text = query.lower()
    for name in reversed(list(catalog.views)):
        if name.rpartition(".")[2].lower() in text:
            needed.add(name)
            text += catalog.views[name].lower()
    return [name for name in catalog.views if name in needed]


def _make_views(connection: duckdb.DuckDBPyConnection, catalog: Catalog, names: Sequence[str]) -> None:
    """Macros, and these views."""
    for signature, expression in catalog.macros.items():
        connection.execute(f"CREATE MACRO {signature} AS {expression}")
    for name in names:
        schema, _, own = name.rpartition(".")
        if schema:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_quoted(schema)}")
        place = f"{_quoted(schema)}.{_quoted(own)}" if schema else _quoted(own)
        connection.execute(f"CREATE VIEW {place} AS {catalog.views[name]}")


@contextmanager
def _said_plainly(files: Files) -> Iterator[None]:
    """Turn DuckDB's complaints into ours, without the data that they may quote."""
    try:
        yield
    except duckdb.Error as error:
        raise _plainly(error, files) from None
    except pa.ArrowException as error:
        raise QueryError(f"the rows could not be fetched ({type(error).__name__})") from None


def _plainly(error: duckdb.Error, files: Files) -> QueryError:
    if files.have_changed():
        return FilesGone(_REPLACED)
    if isinstance(error, _EXPLAINED):
        return QueryError(f"the query cannot be run: {_first_line(error)}")
    words = next((words for kind, words in _IN_WORDS if isinstance(error, kind)), None)
    return QueryError(f"the query failed: {words or f'{type(error).__name__} while it ran'}")


def _first_line(error: duckdb.Error) -> str:
    return str(error).strip().splitlines()[0]


def _distinct(names: Sequence[str]) -> list[str]:
    """Names, later ones with a number where they came before in any case: `requested`, `requested_1`."""
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        free, number = name, 0
        while free.lower() in taken:
            number += 1
            free = f"{name}_{number}"
        taken.add(free.lower())
        found.append(free)
    return found


def _is_nested(kind: str) -> bool:
    return kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION"))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
