"""Which files of a table can hold rows of a batch at all, by the least and greatest values that their footers state.

A history lies in a file a day: a batch needs few of them, and a query that is an OR of several windows reads them all.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow.parquet as pq

from engage_assets.connectors.warehouse import TableFiles


class Span(NamedTuple):
    """What a file states of a column: its values lie between two instants, and some are null or none."""

    first: datetime
    last: datetime
    has_nulls: bool


def spanning(
    files: TableFiles, columns: Sequence[str], may_matter: Callable[[Sequence[Span | None]], bool]
) -> TableFiles:
    """The files for which `may_matter` holds, asked with the span of each column (None: not known); at least one.

    All of them where they state nothing (CSV, columns of text), or are not alike: what is left must read as all do.
    """
    if files.is_csv or len(files.paths) == 1:
        return files
    may = [path for path in files.paths if may_matter([_span(path, name, files.types.get(name)) for name in columns])]
    kept = tuple(may or files.paths[:1])
    are_alike = all(dict(pl.read_parquet_schema(path)) == dict(files.types) for path in kept)
    return replace(files, paths=kept) if are_alike else files


def _span(path: Path, column: str, kind: pl.DataType | None) -> Span | None:
    if not isinstance(kind, pl.Date | pl.Datetime):
        return None
    described = pq.read_metadata(path)
    places = [place for place in range(described.num_columns) if described.schema.column(place).path == column]
    if len(places) != 1 or not described.num_row_groups:
        return None
    stated = [described.row_group(group).column(places[0]).statistics for group in range(described.num_row_groups)]
    if not all(one is not None and one.has_min_max and one.has_null_count for one in stated):
        return None
    bounds = [(_instant(one.min), _instant(one.max)) for one in stated]
    if any(first is None or last is None for first, last in bounds):
        return None
    return Span(
        min(first for first, _ in bounds if first is not None),
        max(last for _, last in bounds if last is not None),
        any(one.null_count for one in stated),
    )


def _instant(value: Any) -> datetime | None:
    """A value of the statistics as an instant in UTC; None where it is none that Python knows."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return datetime(value.year, value.month, value.day) if isinstance(value, date) else None  # noqa: DTZ001 - UTC
