"""A table of the warehouse in memory, read again when its files have changed."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final, Generic, TypeVar

import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.domain.errors import EngageError
from engage_assets.domain.tables import Table

FRESH_SECONDS: Final = 3.0
"""The files are looked at again after so long."""
_log = logging.getLogger(__name__)
Made = TypeVar("Made")
_Marks = tuple[tuple[str, int, int], ...]


class FreshTable(Generic[Made]):
    """What `make` makes of a table (None: there is none). `seconds` is a clock that never goes back.

    Threads may share it: one reads anew, the others get what was known before. The first call reads at once and raises
    WarehouseError; later faults are logged, and what was known stays.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        table: Table,
        make: Callable[[pl.LazyFrame | None], Made],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._warehouse = warehouse
        self._table = table
        self._make = make
        self._seconds = seconds
        self._reading = Lock()
        self._made: tuple[Made] | None = None
        self._marks: _Marks = ()
        self._due = 0.0

    def get(self) -> Made:
        """What it holds now, or held a few seconds ago."""
        known = self._made
        if known is None:
            with self._reading:
                known = self._made or self._read()
        elif self._seconds() >= self._due and self._reading.acquire(blocking=False):
            try:
                known = self._look()
            finally:
                self._reading.release()
        return known[0]

    def _look(self) -> tuple[Made]:
        assert self._made is not None
        self._due = self._seconds() + FRESH_SECONDS
        if self._marks_now() == self._marks:
            return self._made
        try:
            return self._read()
        except EngageError as error:
            _log.warning("table %s is not read again: %s", self._table.name, type(error).__name__)
            return self._made

    def _read(self) -> tuple[Made]:
        marks = self._marks_now()
        self._made = (self._make(self._warehouse.scan(self._table, str(self._table.database))),)
        self._marks, self._due = marks, self._seconds() + FRESH_SECONDS
        return self._made

    def _marks_now(self) -> _Marks:
        """Names, times and sizes of its files."""
        place = self._warehouse.root / str(self._table.database) / self._table.name
        files = [place.with_suffix(".parquet"), place.with_suffix(".csv"), *_inside(place)]
        return tuple((one.name, one.stat().st_mtime_ns, one.stat().st_size) for one in files if one.is_file())


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
