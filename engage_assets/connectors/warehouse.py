"""The embedded warehouse: a folder of Parquet or CSV tables, checked against the contract of each.

`<root>/<database>[/<schema>]/<table>.parquet`, `…/<table>/*.parquet`, or the same with `.csv`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import polars.selectors as cs

from engage_assets.domain.errors import WarehouseError
from engage_assets.domain.tables import POLARS_TYPES, SOURCE_TYPES, Column, Kind, Table

_TAKEN: Final[dict[Kind, cs.Selector]] = {
    "key": cs.string() | cs.categorical() | cs.enum() | cs.integer(),
    "text": cs.string() | cs.categorical() | cs.enum(),
    "texts": cs.list(),
    "date": cs.date() | cs.datetime() | cs.string(),
    "instant": cs.datetime() | cs.date() | cs.string(),
    "number": cs.numeric(),
    "integer": cs.integer(),
    "flag": cs.boolean(),
}
_INSTANT_FORMATS: Final = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d")


@dataclass(frozen=True)
class TableFiles:
    """Where a table lies, and the physical type of each of its columns."""

    paths: tuple[Path, ...]
    types: Mapping[str, pl.DataType]

    @property
    def is_csv(self) -> bool:
        """Whether the files are CSV."""
        return self.paths[0].suffix == ".csv"


@dataclass(frozen=True)
class Warehouse:
    """Tables below `root`."""

    root: Path

    def find(self, table: str, *folders: str) -> TableFiles | None:
        """The files of a table below the folders of its database and schema, or None."""
        place = self.root.joinpath(*folders)
        for suffix in (".parquet", ".csv"):
            paths = [place / f"{table}{suffix}"]
            if not paths[0].is_file():
                paths = sorted(path for path in (place / table).glob(f"*{suffix}") if not path.name.startswith("."))
            if paths:
                return TableFiles(tuple(paths), _open(paths).collect_schema())
        return None

    def checked(self, table: Table, database: str, *, required: bool = False) -> TableFiles | None:
        """The files of `table` if they keep its contract; None where an optional table is absent.

        Raises WarehouseError naming every fault: table, column, expected and found type, remedy.
        """
        folder = table.database or database
        files = self.find(table.name, folder)
        if files is None:
            if not required:
                return None
            raise WarehouseError(
                f"table {folder}.{table.name} is missing: put {table.name}.parquet (or .csv, or a folder of them) into"
                f" {self.root / folder}; it needs {_needed(table)}"
            )
        faults = [fault for column in table.columns if (fault := _fault(column, files.types))]
        if faults:
            place = files.paths[0] if len(files.paths) == 1 else files.paths[0].parent
            raise WarehouseError("\n".join([f"table {folder}.{table.name} ({place}) breaks its contract:", *faults]))
        return files

    def scan(self, table: Table, database: str, *, required: bool = False) -> pl.LazyFrame | None:
        """The declared columns of `table` that are there, as their kinds: keys as strings, instants UTC, NaN null."""
        files = self.checked(table, database, required=required)
        if files is None:
            return None
        present = [column for column in table.columns if column.name in files.types]
        return _open(files.paths).select(_as_kind(column, files.types[column.name]) for column in present)


def _open(paths: Sequence[Path]) -> pl.LazyFrame:
    """Scan Parquet or CSV; what looks like a key in CSV stays text, so that no leading zero is lost."""
    if paths[0].suffix == ".parquet":
        return pl.scan_parquet(list(paths))
    header = pl.scan_csv(paths[0], infer_schema_length=0).collect_schema().names()
    texts = {name: pl.String() for name in header if name.endswith("_id")}
    return pl.scan_csv(list(paths), schema_overrides=texts, infer_schema_length=None, try_parse_dates=True)


def _fault(column: Column, types: Mapping[str, pl.DataType]) -> str | None:
    """What is wrong with a column, or None."""
    found = types.get(column.name)
    expected = SOURCE_TYPES[column.kind]
    if found is None:
        return f"  column {column.name} is missing: expected {expected}; add or rename it" if column.required else None
    probe = pl.DataFrame(schema={column.name: found})
    if probe.select(_TAKEN[column.kind] | cs.by_dtype(pl.Null())).width:
        return None
    return f"  column {column.name}: expected {expected}, found {found}; cast it where the table is written"


def _needed(table: Table) -> str:
    return ", ".join(f"{column.name} ({SOURCE_TYPES[column.kind]})" for column in table.columns if column.required)


def _as_kind(column: Column, found: pl.DataType) -> pl.Expr:
    """The column as its kind's type; what cannot be read as a date or an instant is null."""
    value, wanted = pl.col(column.name), POLARS_TYPES[column.kind]
    if column.kind in ("date", "instant"):
        if found == pl.String():
            instants = pl.coalesce(value.str.to_datetime(f, time_unit="us", strict=False) for f in _INSTANT_FORMATS)
            return instants.cast(wanted).alias(column.name)
        if isinstance(found, pl.Datetime) and found.time_zone:
            value = value.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if column.kind == "number" and found.is_float():
        value = value.fill_nan(None)
    return value.cast(wanted).alias(column.name)
