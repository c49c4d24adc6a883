"""The embedded connector: a program's SQL, transpiled to DuckDB, over the warehouse folder.

Memory is bounded: what does not fit is sorted on disk.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import duckdb
import polars as pl
import pyarrow as pa
from sqlglot import exp

from engage_assets.connectors import digests, naming, records, sql
from engage_assets.connectors.arrivals import arrival_window
from engage_assets.connectors.pruning import Span, spanning
from engage_assets.connectors.warehouse import INSTANT, TableFiles, Warehouse
from engage_assets.domain.cadence import FIRST_DAY
from engage_assets.domain.errors import QueryError, WarehouseError
from engage_assets.domain.program import Program
from engage_assets.domain.source import Asked, Source
from engage_assets.domain.sources import INPUT_TABLES, SOURCES
from engage_assets.domain.tables import Column, Kind, Table
from engage_assets.domain.topics import plain
from engage_assets.lake import empty_batch

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
_CSV_TYPES = {
    pl.String(): "VARCHAR",
    pl.Null(): "VARCHAR",
    pl.Int64(): "BIGINT",
    pl.Float64(): "DOUBLE",
    pl.Boolean(): "BOOLEAN",
}
_VISIBLE = r"[^\t-\r\pZ\x{85}]"
"""RE2's way to say "no white space", as Unicode defines it."""
_WITH_JSON = 16_384
"""Rows of a batch that has the JSON beside them: larger ones cost memory and save nothing."""
_NOBODY = Asked("", ())
_EXPLAINED = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)
"""Complaints about the query's text; all others may quote data."""


@dataclass(frozen=True)
class DuckDBConnector:
    """Reads records with DuckDB out of `warehouse`."""

    warehouse: Warehouse
    memory_limit: str = "512MB"
    threads: int = 2
    batch_rows: int = 65_536

    def read(self, program: Program, partition: date, asked: Sequence[Asked] | None = None) -> Iterator[pa.RecordBatch]:
        """The records of `partition`, sorted by customer, subject and record id, nulls first.

        Columns: `Source.raw_columns`. With `asked`, the query runs once for each subject, whose id the records get.
        Raises WarehouseError, QueryError.
        """
        source = SOURCES[program.source_table]
        with TemporaryDirectory(prefix="engage-duckdb-") as spill, self._connect(Path(spill)) as connection:
            tree = self._bound(connection, program, source, partition)
            is_met = bool(asked) and sql.is_row_by_row(tree)
            query = self._meeting(connection, tree, program, partition, asked, is_met=is_met)
            columns = self._columns(connection, query, source.table.columns if is_met else source.columns, source)
            day = _day(program, source)
            is_late = f"coalesce({day} < DATE '{partition}' AND {day} >= DATE '{FIRST_DAY}', false)" if day else "false"
            rows = f"SELECT {columns}, {is_late} AS is_late{', _met' if is_met else ''} FROM ({query})"
            if source.record_key:
                yield from self._numbered(connection, source, source.record_key, rows)
            else:
                yield from self._hashed(connection, source, rows, asked if is_met else None)

    def unread(self, program: Program, partition: date) -> dict[str, int]:
        """Rows of the source that no batch reads, by cause, as known at the partition's batch instant.

        `without_day`: the day is null, unparseable or before 2000, and no arrival says which batch would
        refuse it. `too_late`: arrived since the previous batch, more than `lateDays` after its day.
        """
        source = SOURCES[program.source_table]
        config = program.connector.config
        day = _day(program, source)
        if day is None:
            return {"without_day": 0, "too_late": 0}
        # Without an arrival, a day that is still to come is read on that day.
        invalid = f"({day} IS NULL OR {day} < DATE '{FIRST_DAY}')"
        counts = f"count(*) FILTER ({invalid}), 0"
        if config.arrival_column:
            instant = program.cadence.batch_instant(partition)
            arrival = _quoted(config.arrival_column)
            earliest = partition - timedelta(days=config.late_days)
            counts = (
                f"count(*) FILTER ({invalid} AND {arrival} IS NULL),"
                f" count(*) FILTER ({day} >= DATE '{FIRST_DAY}' AND {day} < DATE '{earliest}'"
                f" AND {arrival} > TIMESTAMP '{instant - program.cadence.step}' AND {arrival} <= TIMESTAMP '{instant}')"
            )
        with TemporaryDirectory(prefix="engage-duckdb-") as spill, self._connect(Path(spill)) as connection:
            files = _with_unread(self._source_files(program, source), program, source, partition)
            view = self._view(connection, "source", _contract(program, source), files)
            row = _run(connection, f"SELECT {counts} FROM {_quoted(view)}").fetchone()
        assert row is not None
        return {"without_day": row[0], "too_late": row[1]}

    def _connect(self, spill: Path) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(
            config={
                "memory_limit": self.memory_limit,
                "threads": self.threads,
                "temp_directory": str(spill),
                "preserve_insertion_order": False,
            }
        )
        connection.execute("SET TimeZone = 'UTC'")  # else the machine's zone decides what instants with a zone show
        return connection

    def _bound(
        self, connection: duckdb.DuckDBPyConnection, program: Program, source: Source, partition: date
    ) -> exp.Select:
        """The program's query, bound to the partition, over views of the tables that it reads."""
        config = program.connector.config
        instant = program.cadence.batch_instant(partition)
        day = config.partition_column or source.day
        tree = sql.bind_now(sql.parse(config.query, program.connector.type), instant)
        files = self._source_files(program, source)
        needed = [column for column in source.table.names if column in files.types]
        if day is None:
            # What holds any of which words is bound per subject: only then is no `?` of it left.
            tree = sql.add_to_projection(tree, needed, source.table.name)
            return self._over_views(connection, tree, program, source, files)

        def window(qualifier: str | None) -> exp.Expression:
            return arrival_window(
                exp.cast(exp.column(day, table=qualifier, quoted=True), exp.DataType.Type.DATE),
                exp.column(config.arrival_column or "", table=qualifier, quoted=True),
                partition=partition,
                late_days=config.late_days,
                instant=instant,
                step=program.cadence.step,
            )

        name = source.table.name
        asked = window if config.arrival_column else None
        tree = sql.bind_day(tree, column=day, day=partition, table=name, window=asked)
        if asked and sql.reads_only(tree, name, asked):
            files = _with_day(files, program, day, partition)
        tree = sql.add_to_projection(tree, list(dict.fromkeys([*needed, day])), name)
        return self._over_views(connection, tree, program, source, files)

    def _over_views(
        self,
        connection: duckdb.DuckDBPyConnection,
        tree: exp.Select,
        program: Program,
        source: Source,
        files: TableFiles,
    ) -> exp.Select:
        """The query over views; `files`: those of the source's table."""
        return sql.rename_tables(tree, lambda table: self._view_of(connection, table, program, source, files))

    def _meeting(
        self,
        connection: duckdb.DuckDBPyConnection,
        tree: exp.Select,
        program: Program,
        partition: date,
        asked: Sequence[Asked] | None,
        *,
        is_met: bool,
    ) -> str:
        """The query in DuckDB's dialect; with `asked` the rows of each subject, one after the other.

        `is_met`: each row once instead, with the places of the subjects that it meets as `_met`.
        """
        source, held = SOURCES[program.source_table], sql.held_columns(tree)
        if asked is None:
            if held or source.added:
                raise QueryError(
                    f"{program.program_id}: no subjects are given, which {source.table.name} are to meet;"
                    " `CONTAINS ?` asks for their words"
                )
            return tree.sql(dialect="duckdb")
        forms = {column: self._forms(connection, program, source, column) for column in held}
        trees = []
        for one in asked or (_NOBODY,):  # so that a partition without a subject has its columns
            words = frozenset(one.words)
            values = {column: [form for form in found if plain(form) in words] for column, found in forms.items()}
            trees.append(sql.bind_all_days(sql.bind_holding(tree, values), partition))
        if is_met:
            return sql.add_numbers(trees[0], "_met", trees).sql(dialect="duckdb")
        parts = [
            f"SELECT *, {_text(one.subject_id)} AS {_quoted(source.subject)} FROM ({bound.sql(dialect='duckdb')})"
            for one, bound in zip(asked or (_NOBODY,), trees, strict=True)
        ]
        return " UNION ALL ".join(parts) if asked else f"{parts[0]} LIMIT 0"

    def _forms(self, connection: duckdb.DuckDBPyConnection, program: Program, source: Source, column: str) -> list[str]:
        """The different words that a column of the source table holds, as they are written there."""
        if column not in source.table.names or source.table[column].kind != "texts":
            lists = ", ".join(one.name for one in source.table.columns if one.kind == "texts") or "none"
            raise QueryError(f"{column} CONTAINS ?: {source.table.name} has no list of that name (there are: {lists})")
        view = f"{program.connector.config.database}.{source.table.name}"
        self._view(connection, view, _contract(program, source), self._source_files(program, source))
        rows = _run(connection, f"SELECT DISTINCT unnest({_quoted(column)}) FROM {_quoted(view)}").fetchall()
        return sorted(row[0] for row in rows if row[0] is not None)

    def _source_files(self, program: Program, source: Source) -> TableFiles:
        """The source table's files. Raises WarehouseError where they lack a column that the program names."""
        config = program.connector.config
        files = self.warehouse.checked(_contract(program, source), config.place, required=True)
        assert files is not None
        for key, column in (("partitionColumn", config.partition_column), ("arrivalColumn", config.arrival_column)):
            if column and column not in files.types:
                raise WarehouseError(
                    f"table {config.database}.{source.table.name} has no column {column}, which"
                    f" {program.program_id} names as {key}: add the column, or remove the key from the program"
                )
        return files

    def _view_of(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: exp.Table,
        program: Program,
        source: Source,
        files: TableFiles,
    ) -> str:
        """A view of a table that the query names; returns the view's name."""
        config = program.connector.config
        name = table.name if table.this.quoted else table.name.lower()
        if name == source.table.name and table.db.lower() in ("", config.database.lower()):
            return self._view(connection, f"{config.database}.{name}", _contract(program, source), files)
        declared = INPUT_TABLES.get(name)
        schema = None if table.db or declared else config.schema_
        folders = [folder for folder in (table.db or config.database, schema) if folder]
        found = (
            self.warehouse.checked(declared, table.db or config.place)
            if declared
            else self.warehouse.find(name, *folders)
        )
        if found is None:
            raise WarehouseError(
                f"table {'.'.join([*folders, name])}, which the query of {program.program_id} reads, is missing:"
                f" put {name}.parquet (or .csv, or a folder of them) into {self.warehouse.root.joinpath(*folders)}"
            )
        return self._view(connection, ".".join([*folders, name]), declared, found)

    def _view(self, connection: duckdb.DuckDBPyConnection, name: str, declared: Table | None, files: TableFiles) -> str:
        """A view of one table with its declared columns as their kinds; returns the view's name.

        Declared columns that the files lack are null there: a query may name them.
        """
        columns = [column for column in (declared.columns if declared else ()) if column.name in files.types]
        event = SOURCES[declared.name].event if declared and declared.name in SOURCES else None
        casts = [
            f"{_as_kind(column, files.types[column.name], is_event=column.name == event)} AS {_quoted(column.name)}"
            for column in columns
        ]
        replaced = f" REPLACE ({', '.join(casts)})" if casts else ""
        there = {found.lower() for found in files.types}
        lacking = "".join(
            f", CAST(NULL AS {_TYPES[column.kind]}) AS {_quoted(column.name)}"
            for column in (declared.columns if declared else ())
            if column.name.lower() not in there
        )
        reader = _reader(files, frozenset(column.name for column in columns))
        _run(connection, f"CREATE OR REPLACE VIEW {_quoted(name)} AS SELECT *{replaced}{lacking} FROM {reader}")
        return name

    def _columns(
        self, connection: duckdb.DuckDBPyConnection, query: str, columns: Sequence[Column], source: Source
    ) -> str:
        """The declared columns out of the query's; optional ones that it lacks are null."""
        described = _run(connection, f"DESCRIBE {query}").fetchall()
        found = {row[0] for row in described}
        missing = [column.name for column in source.table.columns if column.required and column.name not in found]
        if missing:
            raise QueryError(f"the query returns no {', '.join(missing)}, which {source.table.name} needs; add it")
        return ", ".join(
            f"CAST({_quoted(column.name) if column.name in found else 'NULL'} AS {_TYPES[column.kind]})"
            f" AS {_quoted(column.name)}"
            for column in columns
        )

    def _hashed(
        self, connection: duckdb.DuckDBPyConnection, source: Source, rows: str, met: Sequence[Asked] | None
    ) -> Iterator[pa.RecordBatch]:
        """The rows without a key, named by what they state, sorted; with `met` once for each subject that they meet.

        What is sorted is as narrow as can be: the JSON is written, and subjects are met, on the way out.
        """
        run = [source.customer] if met else [source.customer, source.subject]
        by = ", ".join(f"{_quoted(name)} NULLS FIRST" for name in run)
        text = digests.canonical(source.columns, hole=source.subject if met else None)
        query = f"SELECT *, {text} AS {naming.CANONICAL} FROM ({rows} ORDER BY {by})"
        if met:
            query = _each_met(query, source, met)
        batches = (pl.DataFrame(batch) for batch in _streamed(connection, query, min(self.batch_rows, _WITH_JSON)))
        for frame in naming.ahead(naming.named(naming.ahead(batches), source, run)):
            yield from _batches(frame)

    def _numbered(
        self, connection: duckdb.DuckDBPyConnection, source: Source, key: str, rows: str
    ) -> Iterator[pa.RecordBatch]:
        """The rows with their key as record id, numbered where it repeats, sorted."""
        _run(connection, f"CREATE TEMP TABLE records AS {rows}")
        by_hand = _must_be_numbered(key)
        awkward = pl.DataFrame(connection.sql(f"SELECT * FROM records WHERE {by_hand}").to_arrow_table())
        ids = records.number(awkward.drop("is_late").iter_rows(named=True), key)
        numbered = awkward.with_columns(record_id=pl.Series(ids, dtype=pl.String))
        connection.register("numbered", numbered.to_arrow())
        names = ", ".join(f'"{column.name}"' for column in source.raw_columns)
        usual = f"SELECT *, {_quoted(key)} AS record_id FROM records WHERE NOT ({by_hand})"
        result = connection.sql(
            f"SELECT {names} FROM ({usual} UNION ALL BY NAME SELECT * FROM numbered)"
            f' ORDER BY "{source.customer}" NULLS FIRST, "{source.subject}" NULLS FIRST, record_id',
        )
        reader = result.to_arrow_reader(self.batch_rows)
        yield empty_batch(reader.schema)  # so that an empty day has its columns
        yield from cast("Iterator[pa.RecordBatch]", reader)


def _with_day(files: TableFiles, program: Program, day: str, partition: date) -> TableFiles:
    """The files that may hold a row of the partition's batch, by the days that they state (see arrivals)."""
    earliest = partition - timedelta(days=program.connector.config.late_days)

    def may_matter(spans: Sequence[Span | None]) -> bool:
        (days,) = spans
        if days is None or days.has_nulls or days.first.date() < FIRST_DAY:
            return True
        return days.last.date() >= earliest

    return spanning(files, [day], may_matter)


def _with_unread(files: TableFiles, program: Program, source: Source, partition: date) -> TableFiles:
    """The files that may hold a row that no batch reads, or that came too late for the partition's."""
    config, instant = program.connector.config, program.cadence.batch_instant(partition)
    earliest = datetime.combine(partition - timedelta(days=config.late_days), time())

    def may_matter(spans: Sequence[Span | None]) -> bool:
        days, *arrivals = spans
        if days is None or days.has_nulls or days.first.date() < FIRST_DAY:
            return True
        is_old = days.first < earliest
        return any(is_old and (one is None or one.last > instant - program.cadence.step) for one in arrivals)

    day = config.partition_column or source.day
    return spanning(files, [str(day), *([config.arrival_column] if config.arrival_column else [])], may_matter)


def _each_met(rows: str, source: Source, met: Sequence[Asked]) -> str:
    """SQL for rows once for each subject among `_met`, whose id they and their JSON then state."""
    ids = ", ".join(_text(one.subject_id) for one in met)
    written = ", ".join(_text(records.text(one.subject_id)) for one in met)
    filled = f"replace({naming.CANONICAL}, chr({ord(digests.HOLE)}), [{written}][_met])"
    return (
        f"SELECT * EXCLUDE (_met) REPLACE ({filled} AS {naming.CANONICAL}), [{ids}][_met] AS {_quoted(source.subject)}"
        f" FROM (SELECT * REPLACE (unnest(_met) AS _met) FROM ({rows})) WHERE _met IS NOT NULL"
    )


def _batches(frame: pl.DataFrame) -> list[pa.RecordBatch]:
    """A frame as Arrow; one batch, though without rows."""
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
    return table.to_batches() or [empty_batch(table.schema)]


def _must_be_numbered(key: str) -> str:
    """SQL for whether a record must be named among others: its key is none, repeats, or is the name of one that may."""
    # A key that ends like a number of ours may be the name of another's repeat.
    odd = f'"{key}" IS NULL OR NOT regexp_matches("{key}", \'{_VISIBLE}\') OR regexp_matches("{key}", \'#[0-9]+$\')'
    # A null among the repeated keys would make every other key's membership unknown, and lose its record.
    several = f'SELECT "{key}" FROM records WHERE "{key}" IS NOT NULL GROUP BY 1 HAVING count(*) > 1'
    return f'{odd} OR "{key}" IN ({several})'


def _contract(program: Program, source: Source) -> Table:
    """The source's table with the columns that the program names beside the declared ones."""
    config = program.connector.config
    named: list[tuple[str | None, Kind]] = [(config.partition_column, "date"), (config.arrival_column, "instant")]
    added = [Column(name, kind, "") for name, kind in named if name and name not in source.table.names]
    return replace(source.table, columns=(*source.table.columns, *added))


def _day(program: Program, source: Source) -> str | None:
    """SQL for a record's day; None where records have none."""
    column = program.connector.config.partition_column or source.day
    return None if column is None else f"CAST({_quoted(column)} AS DATE)"


def _as_kind(column: Column, found: pl.DataType, *, is_event: bool) -> str:
    """SQL for a column as its kind; what cannot be read as a date or an instant is null.

    An unreadable instant of a source's event becomes the year 1, which the contract then refuses.
    """
    value = _quoted(column.name)
    if column.kind in ("date", "instant"):
        if found == pl.String():
            written = f"CASE WHEN regexp_matches({value}, '{INSTANT}') THEN {value} END"
            read = f"(TRY_CAST({written} AS TIMESTAMPTZ) AT TIME ZONE 'UTC')"
            value = (
                f"CASE WHEN {value} IS NOT NULL THEN coalesce({read}, TIMESTAMP '0001-01-01') END" if is_event else read
            )
        elif isinstance(found, pl.Datetime) and found.time_zone:
            value = f"({value} AT TIME ZONE 'UTC')"
    if column.kind == "number" and found.is_float():
        # Parquet's statistics leave NaN out, and DuckDB believes them: a comparison with NaN finds none.
        value = f"CASE WHEN NOT isnan({value}) THEN {value} END"
    return f"CAST({value} AS {_TYPES[column.kind]})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _reader(files: TableFiles, declared: frozenset[str]) -> str:
    """The table function that reads the files: columns by name; the types of declared ones are the warehouse's."""
    paths = "[" + ", ".join(_text(str(path)) for path in files.paths) + "]"
    by_name = ", union_by_name = true" if len(files.paths) > 1 else ""
    if not files.is_csv:
        return f"read_parquet({paths}{by_name})"
    types = ", ".join(
        f"{_text(name)}: '{_CSV_TYPES[found]}'"
        for name, found in files.types.items()
        if found in _CSV_TYPES and (name in declared or name.endswith("_id"))
    )
    return f"read_csv({paths}{by_name}, header = true, delim = ',', types = {{{types}}}, nullstr = '')"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _run(connection: duckdb.DuckDBPyConnection, statement: str) -> duckdb.DuckDBPyConnection:
    """Execute; a failure names the engine's complaint without the data."""
    try:
        return connection.execute(statement)
    except duckdb.Error as error:
        raise _without_data(error) from None


def _streamed(connection: duckdb.DuckDBPyConnection, query: str, rows: int) -> Iterator[pa.RecordBatch]:
    """The query's rows as they come, after an empty batch: an empty day has its columns. Fails as `_run` does."""
    try:
        reader = connection.sql(query).to_arrow_reader(rows)
        yield empty_batch(reader.schema)
        yield from cast("Iterator[pa.RecordBatch]", reader)
    except (duckdb.Error, pa.ArrowException, OSError) as error:  # Arrow hands the engine's faults on as its own
        raise _without_data(error) from None


def _without_data(error: Exception) -> QueryError:
    complaint = str(error).splitlines()[0]
    if not isinstance(error, _EXPLAINED):
        complaint = re.sub(r"'.*'|\".*\"", "…", complaint)
    return QueryError(f"DuckDB cannot run the query: {complaint}")
