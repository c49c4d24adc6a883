"""The lake: one Parquet file per asset and partition, written aside and renamed, so that no part is ever visible.

The same frames give the same bytes: row groups of a fixed size, no statistics of chance.
"""

import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from engage_assets.domain.errors import EngageError

ROW_GROUP = 131_072
"""Rows per row group: small enough to skip by customer, large enough to compress."""

Frames = pl.LazyFrame | pl.DataFrame | Iterable[pl.DataFrame] | Iterable[pa.RecordBatch]


@dataclass(frozen=True)
class Lake:
    """Files below `root`: `<asset key>/<partition>.parquet`, `<asset key>.parquet` without partitions."""

    root: Path

    def path(self, key: Sequence[str], partition: str | None, suffix: str = ".parquet") -> Path:
        """Where a partition of an asset lies."""
        folder = self.root.joinpath(*key)
        return folder / f"{partition}{suffix}" if partition else folder.with_suffix(suffix)

    def write(self, key: Sequence[str], partition: str | None, frames: Frames) -> int:
        """Write a partition; visible only when whole. Returns its rows."""
        with replacing(self.path(key, partition)) as aside:
            return write_parquet(aside, frames)

    def scan(self, key: Sequence[str], partition: str | None) -> pl.LazyFrame:
        """A partition, lazily. Raises EngageError where it was not made."""
        path = self.path(key, partition)
        if not path.is_file():
            raise EngageError(
                f"{'/'.join(key)} of {partition or 'now'} has not been materialized: there is no {path}; run it first"
            )
        return pl.scan_parquet(path)

    def rows(self, key: Sequence[str], partition: str | None) -> int:
        """Rows of a partition."""
        return int(self.scan(key, partition).select(pl.len()).collect().item())

    def partitions(self, key: Sequence[str]) -> list[str]:
        """Names of the partitions that are there, sorted."""
        return sorted(path.stem for path in self.root.joinpath(*key).glob("*.parquet") if not path.name.startswith("."))

    def history(self, key: Sequence[str], until: date) -> pl.LazyFrame | None:
        """All daily partitions up to and including `until`, or None where there are none."""
        names = [name for name in self.partitions(key) if name <= until.isoformat()]
        return pl.scan_parquet([self.path(key, name) for name in names]) if names else None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A hidden file beside `path` that takes its place when the block ends well, and goes when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield aside
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_parquet(path: Path, frames: Frames) -> int:
    """Write frames one after the other into row groups of `ROW_GROUP` rows; returns the rows.

    Memory holds one row group beside the frame at hand.
    """
    writer: pq.ParquetWriter | None = None
    waiting: list[pa.Table] = []
    rows = 0
    for table in _tables(frames):
        if writer is None:
            writer = pq.ParquetWriter(path, table.schema, compression="zstd", compression_level=1)
        waiting.append(table)
        rows += table.num_rows
        while sum(part.num_rows for part in waiting) >= ROW_GROUP:
            joined = pa.concat_tables(waiting)
            _write_group(writer, joined.slice(0, ROW_GROUP))
            waiting = [joined.slice(ROW_GROUP)]
    if writer is None:
        raise EngageError(f"nothing to write to {path.name}: an empty partition is a frame without rows, not no frame")
    if rest := [part for part in waiting if part.num_rows]:
        _write_group(writer, pa.concat_tables(rest))
    writer.close()
    return rows


def _write_group(writer: pq.ParquetWriter, rows: pa.Table) -> None:
    """Write one row group. In one piece: pages would otherwise end where the pieces do, which is up to chance."""
    writer.write_table(rows.combine_chunks(), row_group_size=ROW_GROUP)


def _tables(frames: Frames) -> Iterator[pa.Table]:
    """The frames as Arrow tables of plain types, strings as large strings; at least one, though without rows."""
    if isinstance(frames, pl.LazyFrame):
        yield frames.head(0).collect().to_arrow(compat_level=_OLDEST)
        frames = frames.collect_batches(chunk_size=ROW_GROUP, maintain_order=True)
    elif isinstance(frames, pl.DataFrame):
        frames = [frames]
    for frame in frames:
        if isinstance(frame, pl.DataFrame):
            # In slices, since plain Arrow strings are a copy.
            yield frame.head(0).to_arrow(compat_level=_OLDEST)
            yield from (part.to_arrow(compat_level=_OLDEST) for part in frame.iter_slices(ROW_GROUP))
        else:
            yield pa.Table.from_batches([frame])


_OLDEST = pl.CompatLevel.oldest()
