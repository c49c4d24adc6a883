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
_WRITTEN: Final = frozenset[Kind]({"key", "text", "date", "instant"})
"""Kinds that CSV files hold as they are written: no leading zero is lost, and no date is guessed."""
INSTANT: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?$"
)
"""Dates and instants written as text: ISO 8601, UTC where no offset is given."""
_INSTANT_FORMS: Final = (
    "%Y-%m-%d",
    *(f"%Y-%m-%d{gap}%H:%M{seconds}{zone}" for gap in " T" for seconds in (":%S%.f", "") for zone in ("", "%#z")),
)


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

    def find(self, name: str, *folders: str, table: Table | None = None) -> TableFiles | None:
        """The files of a table below the folders of its database and schema, or None.

        `table` declares columns, which CSV files cannot. Raises WarehouseError where a file cannot be read.
        """
        if any(not part.strip(".") or "/" in part for part in (name, *folders)):
            return None
        place = self.root.joinpath(*folders)
        for suffix in (".parquet", ".csv"):
            paths = [place / f"{name}{suffix}"]
            if not paths[0].is_file():
                paths = sorted(path for path in (place / name).glob(f"*{suffix}") if not path.name.startswith("."))
            if paths:
                return TableFiles(tuple(paths), _types(paths, table))
        return None

    def checked(self, table: Table, database: str, *, required: bool = False) -> TableFiles | None:
        """The files of `table` if they keep its contract; None where an optional table is absent.

        `database` is the folder of tables that name none, `database` or `database/schema`.
        Raises WarehouseError naming every fault: table, column, expected and found type, remedy.
        """
        folders = [table.database] if table.database else database.split("/")
        files = self.find(table.name, *folders, table=table)
        folder = ".".join(folders)
        if files is None:
            if not required:
                return None
            raise WarehouseError(
                f"table {folder}.{table.name} is missing: put {table.name}.parquet (or .csv, or a folder of them) into"
                f" {self.root.joinpath(*folders)}; it needs {_needed(table)}"
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
        return _open(files.paths, table).select(_as_kind(column, files.types[column.name]) for column in present)


def _types(paths: Sequence[Path], table: Table | None) -> pl.Schema:
    """The physical type of each column."""
    try:
        return _open(paths, table).collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise WarehouseError(
            f"{paths[0] if len(paths) == 1 else paths[0].parent} cannot be read ({type(error).__name__}): it must be"
            " Parquet, or CSV in UTF-8 with commas and a header line"
        ) from None


def _open(paths: Sequence[Path], table: Table | None) -> pl.LazyFrame:
    """Scan Parquet or CSV; parts may differ in the order of their columns, and lack optional ones."""
    if paths[0].suffix == ".csv":
        return _together([_open_csv(path, table) for path in paths])
    schemas = [pl.read_parquet_schema(path) for path in paths]
    if all(list(schema.items()) == list(schemas[0].items()) for schema in schemas):
        return pl.scan_parquet(list(paths))
    return _together([pl.scan_parquet(path) for path in paths])


def _together(parts: list[pl.LazyFrame]) -> pl.LazyFrame:
    return parts[0] if len(parts) == 1 else pl.concat(parts, how="diagonal_relaxed")


def _open_csv(path: Path, table: Table | None) -> pl.LazyFrame:
    """Scan a CSV file: what is declared as written text, or named like a key, stays text; all rows tell the rest."""
    header = pl.scan_csv(path, infer_schema_length=0).collect_schema().names()
    kinds = {column.name: column.kind for column in table.columns} if table else {}
    texts = {name: pl.String() for name in header if kinds.get(name) in _WRITTEN or name.endswith("_id")}
    frame = pl.scan_csv(path, schema_overrides=texts, infer_schema_length=None)
    # Polars takes a column without any value for text, whatever it should hold; and only reading tells bad UTF-8.
    guessed = [name for name, found in frame.collect_schema().items() if found == pl.String() and name not in texts]
    counts = frame.select(pl.col(name).count() for name in dict.fromkeys([*header[:1], *guessed])).collect()
    blank = [name for name in guessed if name in kinds and not counts[name].item()]
    return frame.with_columns(pl.lit(None).alias(name) for name in blank)


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
    if found == pl.Null():
        value = pl.lit(None)
    elif column.kind in ("date", "instant"):
        if found == pl.String():
            value = _instant(value)
        if found == pl.String() or (isinstance(found, pl.Datetime) and found.time_zone):
            value = value.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    elif column.kind == "number" and found.is_float():
        value = value.fill_nan(None)
    return value.cast(wanted).alias(column.name)


def _instant(text: pl.Expr) -> pl.Expr:
    """What is written as `INSTANT`, in UTC; null where it is not."""
    written = pl.when(text.str.contains(INSTANT)).then(text)
    return pl.coalesce(
        written.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False) for form in _INSTANT_FORMS
    )
