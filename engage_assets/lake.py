"""The lake: one Parquet file per asset and partition, written aside and renamed, so that no part is ever visible.

The same frames give the same bytes: row groups of a fixed size, no statistics of chance.
"""

import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
LARGE = 64 * 2**20
"""Bytes at which a row group ends before it has so many rows."""
SAMPLE = 16_384
"""Rows that tell how a file's columns are written."""
LONG = 32
"""Bytes of a value: nobody skips row groups by the least and the greatest of longer ones."""

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

    @contextmanager
    def open(self, key: Sequence[str], partition: str | None) -> Iterator["ParquetFile"]:
        """A partition that grows by frames; visible only when the block ends well."""
        with replacing(self.path(key, partition)) as aside:
            file = ParquetFile(aside)
            try:
                yield file
                file.close()
            finally:
                file.stop()

    def scan(self, key: Sequence[str], partition: str | None) -> pl.LazyFrame:
        """A partition, lazily. Raises EngageError where it was not made."""
        path = self.path(key, partition)
        if not path.is_file():
            raise EngageError(
                f"{'/'.join(key)} of {partition or 'now'} has not been materialized (there is no {path}): run its batch"
                f" first, engage run {key[0].replace('_', '-')} --date {partition}"
            )
        return pl.scan_parquet(path)

    def rows(self, key: Sequence[str], partition: str | None) -> int:
        """Rows of a partition."""
        return int(self.scan(key, partition).select(pl.len()).collect().item())

    def partitions(self, key: Sequence[str]) -> list[str]:
        """Names of the partitions that are there, sorted."""
        return sorted(path.stem for path in self.root.joinpath(*key).glob("*.parquet") if not path.name.startswith("."))

    def history(self, key: Sequence[str], until: date) -> pl.LazyFrame | None:
        """All daily partitions up to and including `until`, or None where there are none.

        The newest file says which columns there are: one that an earlier release did not write is null in its files.
        """
        paths = [self.path(key, name) for name in self.partitions(key) if name <= until.isoformat()]
        if not paths:
            return None
        schema = pl.read_parquet_schema(paths[-1])
        return pl.scan_parquet(paths, schema=schema, missing_columns="insert", extra_columns="ignore")


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


class ParquetFile:
    """A Parquet file that grows by frames, in row groups of `ROW_GROUP` rows, or fewer where rows are large.

    A frame is written by a thread while the next one is made. Memory holds both, and one row group.
    """

    def __init__(self, path: Path) -> None:
        self.rows = 0
        """Rows of the frames that were added."""
        self._path = path
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="parquet")
        self._writing: Future[None] | None = None

    def add(self, frame: pl.DataFrame | pa.RecordBatch) -> None:
        """Append a frame; all frames have the same columns. A fault of writing is raised by a later call."""
        self._settle()
        self.rows += frame.height if isinstance(frame, pl.DataFrame) else frame.num_rows
        self._writing = self._thread.submit(self._append, frame)

    def close(self) -> None:
        """Write what waits and the footer. Raises EngageError where no frame was added."""
        try:
            self._settle()
            self._thread.submit(self._finish).result()
        finally:
            self.stop()

    def stop(self) -> None:
        """Let the thread end; what was not closed is no whole file."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _settle(self) -> None:
        """Wait for the frame that is being written, and raise what went wrong with it."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def _append(self, frame: pl.DataFrame | pa.RecordBatch) -> None:
        for table in _tables(frame):
            self._waiting.append(table)
            while sum(part.num_rows for part in self._waiting) >= ROW_GROUP:
                joined = pa.concat_tables(self._waiting)
                self._write_group(joined.slice(0, ROW_GROUP))
                self._waiting = [joined.slice(ROW_GROUP)]
            if sum(part.nbytes for part in self._waiting) >= LARGE:
                large, self._waiting = pa.concat_tables(self._waiting).combine_chunks(), []
                self._write_group(large)  # the pieces are gone by now: large rows are in memory once

    def _finish(self) -> None:
        if self._writer is None and not self._waiting:
            raise EngageError(
                f"nothing to write to {self._path.name}: an empty partition is a frame without rows, not no frame"
            )
        if self._writer is None or any(part.num_rows for part in self._waiting):
            self._write_group(pa.concat_tables(self._waiting))
        assert self._writer is not None
        self._writer.close()
        pa.default_memory_pool().release_unused()  # Arrow would keep the largest row group's memory for the next file

    def _write_group(self, rows: pa.Table) -> None:
        """Write one row group. In one piece: pages would otherwise end where the pieces do, which is up to chance."""
        whole = rows.combine_chunks()
        if self._writer is None:
            self._writer = _writer(self._path, whole)
        if whole.num_rows:
            self._writer.write_table(whole, row_group_size=ROW_GROUP)


def _writer(path: Path, rows: pa.Table) -> pq.ParquetWriter:
    """A writer of a file that begins with `rows`, which tell what is worth its while for each column.

    A dictionary is made where values repeat: to look for them among keys costs more than to write those. Statistics
    are, of all but long texts. What is inside of lists and structs has both.
    """
    inner = _columns(rows.schema) - set(rows.column_names)
    sample = rows.slice(0, SAMPLE)
    flat = [
        (field.name, column)
        for field, column in zip(rows.schema, sample.columns, strict=True)
        if not pa.types.is_nested(field.type)
    ]
    repeating = {name for name, column in flat if 2 * pl.Series(column).n_unique() <= len(column)}
    short = {name for name, column in flat if column.nbytes <= LONG * len(column)}
    return pq.ParquetWriter(
        path,
        rows.schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=sorted(inner | repeating),
        write_statistics=sorted(inner | short),
    )


def _columns(schema: pa.Schema) -> set[str]:
    """The paths of Parquet's columns of a schema. Raises an ArrowException for a type that Parquet lacks."""
    sink = pa.BufferOutputStream()
    pq.ParquetWriter(sink, schema).close()
    columns = pq.ParquetFile(pa.BufferReader(sink.getvalue())).schema
    return {columns.column(place).path for place in range(len(columns.names))}


def write_parquet(path: Path, frames: Frames) -> int:
    """Write frames one after the other; returns the rows. See ParquetFile."""
    file = ParquetFile(path)
    try:
        for frame in _each(frames):
            file.add(frame)
        file.close()
    finally:
        file.stop()
    return file.rows


def _each(frames: Frames) -> Iterable[pl.DataFrame] | Iterable[pa.RecordBatch]:
    """The frames one by one; those of a file in slices, so that it is never in memory as a whole."""
    if isinstance(frames, pl.DataFrame):
        return [frames]
    if isinstance(frames, pl.LazyFrame):
        return slices(frames, ROW_GROUP)
    return frames


def among(frame: pl.LazyFrame, keys: pl.Series) -> pl.LazyFrame:
    """The rows of a scanned file whose column of the name of `keys` has one of them, in the file's order.

    Of the other rows that column alone is read; a join would read them whole.
    """
    return frame.filter(pl.col(keys.name).is_in(keys.implode()))


def slices(frame: pl.LazyFrame, rows: int) -> Iterator[pl.DataFrame]:
    """The rows of a scanned file in their order, `rows` at a time; at least one frame, though without rows."""
    total = frame.select(pl.len()).collect().item()
    for start in range(0, max(total, 1), rows):
        yield frame.slice(start, rows).collect()


def empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    """A batch without rows. Arrow's own ways to make one import pandas, for a third of a CPU second."""
    return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def _tables(frame: pl.DataFrame | pa.RecordBatch) -> Iterator[pa.Table]:
    """A frame as Arrow tables of plain types, strings as large strings; at least one, though without rows."""
    if isinstance(frame, pl.DataFrame):
        # In slices, since plain Arrow strings are a copy.
        yield frame.head(0).to_arrow(compat_level=_OLDEST)
        yield from (part.to_arrow(compat_level=_OLDEST) for part in frame.iter_slices(ROW_GROUP))
    else:
        yield pa.Table.from_batches([frame])


_OLDEST = pl.CompatLevel.oldest()


def read_whole(path: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """A Parquet file, opened once: where it is replaced meanwhile, the old one or the new one, never half of each."""
    with path.open("rb") as file:
        frame = pl.from_arrow(pq.read_table(file, columns=columns))
    assert isinstance(frame, pl.DataFrame)
    return frame
