"""Rows of a day in order, in bounded memory: piece after piece, each put in order by its keys alone."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from engage_assets.lake import ROW_GROUP, empty_batch
from engage_assets.summaries.silver_engine import batches, identifier, run

ORDER: Final = ("kind", "event_time", "event_id")
"""Nulls first; texts by their bytes."""
PIECE: Final = 300_000_000
"""Bytes that a piece may hold, by the estimate below."""
_ROW: Final = 150
"""Bytes of a row of events beside its texts."""
_SAMPLE: Final = 20_000
"""Records by which the width of texts is judged."""
_Cell = tuple[str, datetime]


class Cells(NamedTuple):
    """Records of a day by kind and hour, in the order of events: how many, and about how many bytes each."""

    cells: list[_Cell]
    records: list[int]
    width: float


def count_cells(connection: duckdb.DuckDBPyConnection, start: datetime, until: datetime) -> Cells:
    """The records of `arrived` between two instants, copies too. Raises QueryError."""
    described = run(connection, "DESCRIBE arrived").fetchall()
    texts = " + ".join(f"coalesce(strlen({identifier(row[0])}), 0)" for row in described if row[1] == "VARCHAR")
    found = run(
        connection,
        "SELECT coalesce(kind, '') AS cell_kind, date_trunc('hour', event_time) AS hour, count(*) AS records"
        " FROM arrived WHERE event_time >= $start AND event_time < $until GROUP BY ALL ORDER BY ALL",
        start=start,
        until=until,
    ).fetchall()
    ((width,),) = run(connection, f"SELECT avg({texts}) FROM (FROM arrived LIMIT {_SAMPLE})").fetchall()
    return Cells([row[:2] for row in found], [row[2] for row in found], _ROW + (width or 0))


def pieces(cells: Cells, limit: int = PIECE) -> list[tuple[_Cell, _Cell]]:
    """The first and last cell of each piece, in order; a piece is larger than `limit` only where one cell is."""
    found: list[tuple[_Cell, _Cell]] = []
    held = float(limit)
    for cell, records in zip(cells.cells, cells.records, strict=True):
        size = records * cells.width
        if held + size > limit:
            found.append((cell, cell))
            held = size
        else:
            found[-1] = (found[-1][0], cell)
            held += size
    return found


def in_order(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    values: Mapping[str, Any],
    wanted: Sequence[tuple[_Cell, _Cell]],
) -> Iterator[pa.RecordBatch]:
    """The rows of a query of events by ORDER, in batches; at least one, though without rows. Raises QueryError."""
    if len(wanted) < 2:
        yield from _sorted(batches(connection, query, values))
        return
    for (first_kind, first_hour), (last_kind, last_hour) in wanted:
        bounds = {"first_kind": first_kind, "first_hour": first_hour, "last_kind": last_kind, "last_hour": last_hour}
        part = (
            f"SELECT * FROM ({query}) WHERE (coalesce(kind, ''), date_trunc('hour', event_time))"
            " BETWEEN ($first_kind, CAST($first_hour AS TIMESTAMP)) AND ($last_kind, CAST($last_hour AS TIMESTAMP))"
        )
        yield from _sorted(batches(connection, part, {**values, **bounds}))


def _sorted(found: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Batches as one run of rows in order."""
    table = pa.Table.from_batches(found)
    if not table.num_rows:
        yield empty_batch(table.schema)
        return
    keys = [(name, "ascending", "at_start") for name in ORDER]
    places = pc.sort_indices(table.select(ORDER).combine_chunks(), sort_keys=keys)
    yield from table.take(places).combine_chunks().to_batches(ROW_GROUP)
