"""Runs the tables' SQL on DuckDB over Parquet files of silver, atoms and roll-ups, in bounded memory.

Tables of one service and day share an engine: what several of them read is made once.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, NamedTuple, Self

import duckdb
import pyarrow as pa
from sqlglot import exp

from engage_assets.domain.errors import QueryError
from engage_assets.lake import empty_batch, replacing, write_parquet
from engage_assets.summaries.dialect import Value, write
from engage_assets.summaries.queries import Span, plan
from engage_assets.summaries.relations import RELATIONS
from engage_assets.summaries.silver_engine import MEMORY_LIMIT
from engage_assets.summaries.tables import SummaryTable

Inputs = Mapping[str, Sequence[Path] | str]
"""By relation: its Parquet files, daily ones named after their day; or the DuckDB query that makes it."""


class Limits(NamedTuple):
    """What an engine may take of the machine; what does not fit into memory is sorted on disk."""

    memory: str = MEMORY_LIMIT
    threads: int = 2


DEFAULT_LIMITS: Final = Limits()


class Engine:
    """DuckDB over the inputs of one service; a context manager. Not for several threads at once."""

    def __init__(self, inputs: Inputs, limits: Limits = DEFAULT_LIMITS) -> None:
        self._inputs = inputs
        self._limits = limits
        self._made: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory(prefix="engage-summaries-")
        self._connection = duckdb.connect(
            config={
                "memory_limit": self._limits.memory,
                "threads": self._limits.threads,
                "temp_directory": self._folder.name,
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
            }
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._folder.cleanup()

    def run(self, table: SummaryTable, values: Mapping[str, Value], out: Path) -> int:
        """Make a table and publish it at `out`, whole or not at all. Returns its rows.

        The same inputs give the same bytes. Raises QueryError where the SQL cannot be read, bound or run.
        """
        result = self.result(table, values)
        with replacing(out) as aside:
            return write_parquet(aside, _batches(result))

    def result(self, table: SummaryTable, values: Mapping[str, Value]) -> pa.Table:
        """The rows of a table in its order."""
        todo = plan(table, values)
        names = {name: self._files(name, span) for name, span in todo.spans.items()}
        names |= {name: self._shared(name, query, names) for name, query in todo.views.items()}
        try:
            return self._connection.sql(_renamed(todo.query, names)).to_arrow_table()
        except duckdb.Error as error:
            raise _refusal(table.name, error) from error

    def _files(self, relation: str, span: Span | None) -> str:
        """A view of the relation's files of those days, or the roll-up's rows; returns its name."""
        given = self._inputs.get(relation, ())
        if isinstance(given, str):
            return self._once(f"TEMP TABLE {relation}", given)
        paths = [path for path in given if span is None or span.first <= date.fromisoformat(path.stem) <= span.last]
        return self._once(f"TEMP VIEW {relation}", _scan(relation, paths))

    def _shared(self, view: str, query: exp.Query, names: Mapping[str, str]) -> str:
        return self._once(f"TEMP TABLE {view}", _renamed(query, names))

    def _once(self, what: str, sql: str) -> str:
        """Make a view or a table of this SQL unless it is there; returns its name."""
        if sql not in self._made:
            kind, relation = what.rsplit(" ", maxsplit=1)
            name = f"{relation}_{len(self._made)}"
            try:
                self._connection.execute(f"CREATE {kind} {name} AS {sql}")
            except duckdb.Error as error:
                raise _refusal(relation, error) from error
            self._made[sql] = name
        return self._made[sql]


def run_table(
    table: SummaryTable, inputs: Inputs, values: Mapping[str, Value], out: Path, limits: Limits = DEFAULT_LIMITS
) -> int:
    """Make one table by itself; see Engine.run."""
    with Engine(inputs, limits) as engine:
        return engine.run(table, values, out)


def _refusal(what: str, error: duckdb.Error) -> QueryError:
    return QueryError(f"DuckDB cannot make {what}: {str(error).splitlines()[0]}")


def _renamed(query: exp.Query, names: Mapping[str, str]) -> str:
    """The query in DuckDB's dialect over the relations that the engine has made; columns stay qualified as written."""
    renamed = query.copy()
    own = {cte.alias for cte in renamed.find_all(exp.CTE)}
    for node in renamed.find_all(exp.Table):
        if node.name in names and node.name not in own:
            alias = node.alias or node.name
            node.set("this", exp.to_identifier(names[node.name]))
            node.set("alias", exp.TableAlias(this=exp.to_identifier(alias)))
    return write(renamed, "duckdb")


def _scan(relation: str, paths: Iterable[Path]) -> str:
    """DuckDB's reading of the relation's columns; without files no row of them."""
    columns = RELATIONS[relation].columns
    files = ", ".join(exp.Literal.string(str(path)).sql(dialect="duckdb") for path in sorted(paths))
    if files:
        return f"SELECT {', '.join(columns)} FROM read_parquet([{files}])"
    nulls = (
        exp.alias_(exp.cast(exp.null(), exp.DataType.build(kind, dialect="athena")), name).sql(dialect="duckdb")
        for name, kind in columns.items()
    )
    return f"SELECT {', '.join(nulls)} LIMIT 0"


def _batches(table: pa.Table) -> list[pa.RecordBatch]:
    return table.combine_chunks().to_batches() or [empty_batch(table.schema)]
