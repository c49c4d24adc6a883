"""The embedded connector: a program's SQL, transpiled to DuckDB, over the warehouse folder.

Memory is bounded: what does not fit is sorted on disk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import duckdb
import polars as pl
import pyarrow as pa
from sqlglot import exp

from engage_assets.connectors import records, sql
from engage_assets.connectors.warehouse import TableFiles, Warehouse
from engage_assets.domain.errors import QueryError, WarehouseError
from engage_assets.domain.program import Program
from engage_assets.domain.sources import SOURCES, Source
from engage_assets.domain.tables import INPUT_TABLES, Column, Kind

_TYPES: dict[Kind, str] = {
    "key": "VARCHAR",
    "text": "VARCHAR",
    "texts": "VARCHAR[]",
    "date": "DATE",
    "instant": "TIMESTAMP",
    "number": "DOUBLE",
    "integer": "BIGINT",
    "flag": "BOOLEAN",
}


@dataclass(frozen=True)
class DuckDBConnector:
    """Reads records with DuckDB out of `warehouse`."""

    warehouse: Warehouse
    memory_limit: str = "512MB"
    threads: int = 2
    batch_rows: int = 65_536

    def read(self, program: Program, partition: date) -> Iterator[pa.RecordBatch]:
        """The records of `partition`, sorted by customer, subject and record id, nulls first.

        Columns: `Source.raw_columns`. Raises WarehouseError, QueryError.
        """
        source = SOURCES[program.source_table]
        with TemporaryDirectory(prefix="engage-duckdb-") as spill, self._connect(Path(spill)) as connection:
            query = self._bound(connection, program, source, partition)
            columns = self._columns(connection, query, source)
            day = f'"{program.connector.config.partition_column or source.day}"'
            _run(
                connection,
                f"CREATE TEMP TABLE records AS SELECT {columns},"
                f" coalesce({day} < DATE '{partition}' AND {day} >= DATE '{sql.FIRST_DAY}', false) AS is_late"
                f" FROM ({query})",
            )
            yield from self._numbered(connection, source)

    def unread(self, program: Program, partition: date) -> dict[str, int]:
        """Rows of the source that no batch reads, by cause, as known at the partition's batch instant.

        `without_day`: the day is null, unparseable or implausible and no arrival says which batch would
        refuse it. `too_late`: arrived since the previous batch, more than `lateDays` after its day.
        """
        source = SOURCES[program.source_table]
        config = program.connector.config
        instant = program.cadence.batch_instant(partition)
        day = f'"{config.partition_column or source.day}"'
        invalid = f"({day} IS NULL OR {day} < DATE '{sql.FIRST_DAY}' OR {day} > DATE '{instant.date()}')"
        if config.arrival_column:
            arrival = f'"{config.arrival_column}"'
            earliest = partition - timedelta(days=config.late_days)
            previous = instant - program.cadence.step
            counts = (
                f"count(*) FILTER ({invalid} AND {arrival} IS NULL),"
                f" count(*) FILTER ({day} >= DATE '{sql.FIRST_DAY}' AND {day} < DATE '{earliest}'"
                f" AND {arrival} > TIMESTAMP '{previous}' AND {arrival} <= TIMESTAMP '{instant}')"
            )
        else:
            counts = f"count(*) FILTER ({invalid}), 0"
        with TemporaryDirectory(prefix="engage-duckdb-") as spill, self._connect(Path(spill)) as connection:
            view = self._view(connection, source.table.name, config.database, program)
            row = _run(connection, f'SELECT {counts} FROM "{view}"').fetchone()
        assert row is not None
        return {"without_day": row[0], "too_late": row[1]}

    def _connect(self, spill: Path) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(
            config={
                "memory_limit": self.memory_limit,
                "threads": self.threads,
                "temp_directory": str(spill),
                "preserve_insertion_order": False,
            }
        )

    def _bound(self, connection: duckdb.DuckDBPyConnection, program: Program, source: Source, partition: date) -> str:
        """The program's query in DuckDB's dialect, bound to the partition."""
        config = program.connector.config
        instant = program.cadence.batch_instant(partition)
        day = config.partition_column or source.day
        tree = sql.bind_now(sql.parse(config.query, program.connector.type), instant)

        def window(qualifier: str | None) -> exp.Expression:
            return _arrival_window(
                exp.column(day, table=qualifier, quoted=True),
                exp.column(config.arrival_column or "", table=qualifier, quoted=True),
                partition=partition,
                late_days=config.late_days,
                instant=instant,
                step=program.cadence.step,
            )

        tree = sql.bind_day(tree, column=day, day=partition, window=window if config.arrival_column else None)
        files = self.warehouse.checked(source.table, config.database, required=True)
        assert files is not None
        if config.arrival_column and config.arrival_column not in files.types:
            raise WarehouseError(
                f"table {config.database}.{source.table.name} has no column {config.arrival_column}, which"
                f" {program.program_id} names as arrivalColumn: add the column, or remove the key from the program"
            )
        present = [name for name in source.table.names if name in files.types]
        tree = sql.add_to_projection(tree, present)
        tree = sql.rename_tables(tree, lambda table: self._view(connection, table.name, table.db, program))
        return tree.sql(dialect="duckdb")

    def _view(self, connection: duckdb.DuckDBPyConnection, table: str, database: str, program: Program) -> str:
        """A view of one table with its declared columns as their kinds; returns the view's name."""
        config = program.connector.config
        folders = [folder for folder in (database or config.database, None if database else config.schema_) if folder]
        declared = INPUT_TABLES.get(table)
        files = self.warehouse.checked(declared, folders[0]) if declared else self.warehouse.find(table, *folders)
        if files is None:
            raise WarehouseError(
                f"table {'.'.join([*folders, table])}, which the query of {program.program_id} reads, is missing: put"
                f" {table}.parquet (or .csv, or a folder of them) into {self.warehouse.root.joinpath(*folders)}"
            )
        name = ".".join([*folders, table])
        casts = [
            f'{_as_kind(column, files.types[column.name], table)} AS "{column.name}"'
            for column in (declared.columns if declared else ())
            if column.name in files.types
        ]
        replaced = f" REPLACE ({', '.join(casts)})" if casts else ""
        _run(connection, f'CREATE OR REPLACE VIEW "{name}" AS SELECT *{replaced} FROM {_reader(files)}')
        return name

    def _columns(self, connection: duckdb.DuckDBPyConnection, query: str, source: Source) -> str:
        """The declared columns out of the query's; optional ones that it lacks are null."""
        described = _run(connection, f"DESCRIBE {query}").fetchall()
        found = {row[0] for row in described}
        missing = [column.name for column in source.table.columns if column.required and column.name not in found]
        if missing:
            raise QueryError(f"the query returns no {', '.join(missing)}, which {source.table.name} needs; add it")
        return ", ".join(
            f"CAST({_quoted(column.name) if column.name in found else 'NULL'} AS {_TYPES[column.kind]})"
            f" AS {_quoted(column.name)}"
            for column in source.table.columns
        )

    def _numbered(self, connection: duckdb.DuckDBPyConnection, source: Source) -> Iterator[pa.RecordBatch]:
        """The temporary table's rows with their record ids, sorted."""
        key = source.record_key
        unnamed = f'"{key}" IS NULL OR trim("{key}") = \'\'' if key else "true"
        repeated = f'"{key}" IN (SELECT "{key}" FROM records GROUP BY 1 HAVING count(*) > 1)' if key else "false"
        awkward = pl.DataFrame(connection.sql(f"SELECT * FROM records WHERE {unnamed} OR {repeated}").to_arrow_table())
        ids = records.number(awkward.drop("is_late").iter_rows(named=True), key)
        numbered = awkward.with_columns(record_id=pl.Series(ids, dtype=pl.String))
        connection.register("numbered", numbered.to_arrow())
        names = ", ".join(f'"{column.name}"' for column in source.raw_columns)
        plain = f'SELECT *, "{key or source.customer}" AS record_id FROM records WHERE NOT ({unnamed} OR {repeated})'
        result = connection.sql(
            f"SELECT {names} FROM ({plain} UNION ALL BY NAME SELECT * FROM numbered)"
            f' ORDER BY "{source.customer}" NULLS FIRST, "{source.subject}" NULLS FIRST, record_id',
        )
        reader = result.to_arrow_reader(self.batch_rows)
        yield pa.RecordBatch.from_pylist([], schema=reader.schema)  # so that an empty day has its columns
        yield from cast("Iterator[pa.RecordBatch]", reader)


def _arrival_window(
    day: exp.Expression, arrival: exp.Expression, *, partition: date, late_days: int, instant: datetime, step: timedelta
) -> exp.Expression:
    """Which rows belong to a batch by the day they bear and the instant at which they arrived (decision 19).

    Its own day's rows that had arrived; rows of up to `late_days` earlier days, and rows without a
    plausible day, that arrived since the previous batch. A day that lay in the future of the batch in
    whose window the row arrived was refused there and is not read again.
    """
    since = exp.and_(arrival > sql.instant_literal(instant - step), arrival <= sql.instant_literal(instant))
    # The batch that took an arrival a runs at the next batch time at or after a; its date bounds plausible days.
    clock = exp.cast(exp.Literal.string(f"{instant:%H:%M:%S}"), exp.DataType.Type.INTERVAL)
    moment = exp.cast(exp.Literal.string("1 microsecond"), exp.DataType.Type.INTERVAL)
    batch_date = exp.cast(exp.paren(arrival - clock - moment), exp.DataType.Type.DATE) + exp.Literal.number(1)
    own = exp.and_(
        day.eq(sql.date_literal(partition)),
        exp.or_(arrival.is_(exp.null()), exp.and_(arrival <= sql.instant_literal(instant), day <= batch_date)),
    )
    late = exp.and_(
        day >= sql.date_literal(max(partition - timedelta(days=late_days), sql.FIRST_DAY)),
        day < sql.date_literal(partition),
        since,
    )
    implausible = exp.or_(
        day.is_(exp.null()), day < sql.date_literal(sql.FIRST_DAY), day > sql.date_literal(instant.date())
    )
    return cast("exp.Expression", exp.or_(own, late, exp.and_(implausible, since)))


def _as_kind(column: Column, found: pl.DataType, table: str) -> str:
    """SQL for a column as its kind; what cannot be read as a date or an instant is null.

    An unreadable instant of a source's event becomes the year 1, which the contract then refuses.
    """
    value = f'"{column.name}"'
    if column.kind in ("date", "instant"):
        if found == pl.String():
            read = f"TRY_CAST({value} AS TIMESTAMP)"
            is_event = table in SOURCES and column.name == SOURCES[table].event
            value = (
                f"CASE WHEN {value} IS NOT NULL THEN coalesce({read}, TIMESTAMP '0001-01-01') END" if is_event else read
            )
        elif isinstance(found, pl.Datetime) and found.time_zone:
            value = f"({value} AT TIME ZONE 'UTC')"
    if column.kind == "number" and found.is_float():
        value = f"nullif({value}, 'NaN')"
    return f"CAST({value} AS {_TYPES[column.kind]})"


def _quoted(name: str) -> str:
    return f'"{name}"'


def _reader(files: TableFiles) -> str:
    """The table function that reads the files."""
    paths = "[" + ", ".join("'" + str(path).replace("'", "''") + "'" for path in files.paths) + "]"
    if not files.is_csv:
        return f"read_parquet({paths})"
    texts = ", ".join(f"'{name}': 'VARCHAR'" for name, found in files.types.items() if found == pl.String())
    return f"read_csv({paths}, header = true, types = {{{texts}}}, nullstr = '')"


def _run(connection: duckdb.DuckDBPyConnection, statement: str) -> duckdb.DuckDBPyConnection:
    """Execute; a failure names the engine's complaint without the data."""
    try:
        return connection.execute(statement)
    except duckdb.Error as error:
        raise QueryError(f"DuckDB cannot run the query: {str(error).splitlines()[0]}") from None
