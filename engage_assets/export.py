"""The warehouse export: partitioned Parquet with a catalogue that any engine, and a person, can read.

`<root>/<table>/partition_date=<D>/data.parquet` and `<root>/catalogue.json`.
"""

import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from engage_assets.domain.tables import Column
from engage_assets.lake import replacing, write_parquet


def export_partition(root: Path, table: str, partition: str, rows: pl.LazyFrame) -> int:
    """Write one partition of a table; visible only when whole. Returns its rows."""
    with replacing(root / table / f"partition_date={partition}" / "data.parquet") as aside:
        return write_parquet(aside, rows)


def write_catalogue(root: Path, tables: dict[str, tuple[str, tuple[Column, ...]]]) -> dict[str, Any]:
    """Rewrite `catalogue.json` from what lies there: grain, columns, partitions with rows, bytes and hash.

    `tables` gives grain and columns by table. One writer at a time; returns the catalogue.
    """
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root / ".catalogue.lock"):
        known = _unchanged(root)
        catalogue = {
            "tables": [
                {
                    "name": name,
                    "grain": grain,
                    "path": f"{name}/partition_date=*/data.parquet",
                    "columns": _columns(root / name, columns),
                    "partitions": [known.get(path) or _partition(root, path) for path in _files(root / name)],
                }
                for name, (grain, columns) in sorted(tables.items())
            ]
        }
        with replacing(root / "catalogue.json") as aside:
            aside.write_text(json.dumps(catalogue, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return catalogue


def _unchanged(root: Path) -> dict[Path, dict[str, Any]]:
    """Entries of the catalogue that is there, by file, where the file is older: nobody has to read those again."""
    path = root / "catalogue.json"
    if not path.is_file():
        return {}
    written = path.stat().st_mtime_ns
    entries = [part for table in json.loads(path.read_text(encoding="utf-8"))["tables"] for part in table["partitions"]]
    files = {root / entry["path"]: entry for entry in entries}
    return {file: entry for file, entry in files.items() if file.is_file() and file.stat().st_mtime_ns < written}


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("partition_date=*/data.parquet"))


def _columns(folder: Path, columns: tuple[Column, ...]) -> list[dict[str, str]]:
    """The columns of the newest partition, with what they mean."""
    files = _files(folder)
    means = {column.name: column.description for column in columns}
    schema = pl.read_parquet_schema(files[-1]) if files else {}
    return [{"name": name, "type": str(dtype), "description": means.get(name, "")} for name, dtype in schema.items()]


def _partition(root: Path, path: Path) -> dict[str, Any]:
    return {  # in the order of the catalogue, whose entries are taken over as they stand there
        "bytes": path.stat().st_size,
        "partition_date": path.parent.name.removeprefix("partition_date="),
        "path": str(path.relative_to(root)),
        "rows": pq.read_metadata(path).num_rows,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock among the processes of this machine."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
