"""Rows as SQLite keeps them, and as readers get them: instants and dates as such, flags as booleans."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

import polars as pl

from engage_assets.domain.tables import POLARS_TYPES, Kind
from engage_assets.stores.columns import STORED, TYPES
from engage_assets.stores.cursors import EPOCH, micros

Row = tuple[Any, ...]

_KEPT: Final[dict[str, pl.DataType]] = {
    name: {"instant": pl.Int64(), "flag": pl.Int64(), "date": pl.String()}.get(kind, POLARS_TYPES[kind])
    for name, kind in STORED.items()
}


class _Instants(dict[int | None, datetime | None]):
    """Instants by microseconds. Most of a batch's are few: they are made once."""

    def __missing__(self, stored: int) -> datetime:
        self[stored] = instant = EPOCH + timedelta(microseconds=stored)
        return instant


class _Dates(dict[str | None, date | None]):
    def __missing__(self, text: str) -> date:
        self[text] = day = date.fromisoformat(text)
        return day


def decoder() -> Callable[[Sequence[Row]], list[Row]]:
    """A function that turns stored rows, in the order of STORED, into those of readers. It remembers what it met."""
    read: dict[Kind, Callable[[Any], object]] = {
        "instant": _Instants({None: None}).__getitem__,
        "date": _Dates({None: None}).__getitem__,
        "flag": {0: False, 1: True, None: None}.__getitem__,
    }
    kinds = tuple(STORED.values())

    def decode(rows: Sequence[Row]) -> list[Row]:
        if not rows:
            return []
        columns = zip(kinds, zip(*rows, strict=True), strict=True)
        return list(zip(*(map(read[kind], cells) if kind in read else cells for kind, cells in columns), strict=True))

    return decode


def frame_of(rows: Sequence[Row]) -> pl.DataFrame:
    """Stored rows, at least one, in the order of STORED as a frame for readers."""
    cells = zip(*rows, strict=True)
    kept = pl.DataFrame(
        [pl.Series(name, column, kind) for (name, kind), column in zip(_KEPT.items(), cells, strict=True)]
    )
    return kept.with_columns(pl.col("partition_date").str.to_date()).cast(pl.Schema(TYPES))


def values_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as SQLite keeps them."""
    return {name: _kept(value) for name, value in values.items()}


def instant_of(stored: int | None) -> datetime | None:
    """The instant that SQLite keeps as microseconds."""
    return None if stored is None else EPOCH + timedelta(microseconds=stored)


def _kept(value: object) -> object:
    if isinstance(value, datetime):
        return micros(value)
    return value.isoformat() if isinstance(value, date) else value
