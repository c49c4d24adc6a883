"""Segments of the mirror: Parquet files of records of one type, written from Avro files or from other segments."""

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engage_assets.archive.live import partition_of
from engage_assets.archive.mirror_avro import AvroFile, read_frames
from engage_assets.archive.mirror_index import Entry, Segment
from engage_assets.archive.ports import Root, Stored
from engage_assets.lake import ParquetFile, replacing

SEGMENT_ROWS: Final = 1_000_000
"""Rows at which a segment is full."""
READERS: Final = 8
"""Files that are fetched at once: a remote root answers slowly."""
_BUNCH_BYTES: Final = 4 * 2**20
_BUNCH_FILES: Final = 500
_SLICE: Final = 65_536
_Item = pl.DataFrame | list[Entry]


def write_segments(
    root: Root, folder: Path, kind: str, files: Iterable[Stored], unknown: set[str]
) -> Iterator[tuple[Segment, list[Entry]]]:
    """Segments of the records of Avro files, whole files in each; one after the other as they become full.

    Raises FileNotFoundError where a file is gone; EngageError with the key of one that cannot be read.
    """
    with ThreadPoolExecutor(READERS) as readers, ThreadPoolExecutor(1) as decoder:
        items = _ahead(_read(root, kind, files, unknown, readers), decoder)
        for first in items:
            yield _write_segment(folder, kind, chain([first], items))


def _ahead(items: Iterator[_Item], decoder: ThreadPoolExecutor) -> Iterator[_Item]:
    """The items, each made while the one before is written."""
    coming = decoder.submit(next, items, None)
    while (item := coming.result()) is not None:
        coming = decoder.submit(next, items, None)
        yield item


def _read(
    root: Root, kind: str, files: Iterable[Stored], unknown: set[str], readers: ThreadPoolExecutor
) -> Iterator[_Item]:
    """Frames of some files, then the entries of these files, and so on."""
    for bunch in _bunches(files):
        contents = zip(bunch, readers.map(root.get, [one.key for one in bunch]), strict=True)
        counts: Counter[str] = Counter()
        for frame in read_frames(kind, (_avro_file(one, content) for one, content in contents), unknown):
            counts.update(dict(frame["file"].value_counts().iter_rows()))
            yield frame
        yield [Entry(one.key, one.tag, counts[one.key]) for one in bunch]


def _write_segment(folder: Path, kind: str, items: Iterator[_Item]) -> tuple[Segment, list[Entry]]:
    path = _new_path(folder, kind)
    entries: list[Entry] = []
    with replacing(path) as aside:
        file = _private(aside)
        for item in items:
            if isinstance(item, pl.DataFrame):
                file.add(item)
                continue
            entries += item
            if file.rows >= SEGMENT_ROWS:
                break
        file.close()
    return Segment(path.name, kind, file.rows, path.stat().st_size), entries


def _avro_file(stored: Stored, content: bytes) -> AvroFile:
    return AvroFile(stored.key, date.fromisoformat(partition_of(stored.key).date), content)


def rewrite_segments(folder: Path, kind: str, segments: Sequence[Segment], dead: Collection[str]) -> Segment:
    """One segment of the rows of others, without those of dead files."""
    path = _new_path(folder, kind)
    gone = pl.Series(sorted(dead), dtype=pl.String).to_arrow(compat_level=pl.CompatLevel.oldest())
    with replacing(path) as aside:
        file = _private(aside)
        for rows in (rows for segment in segments for rows in _rows(folder / segment.name)):
            file.add(rows.filter(pc.invert(pc.is_in(rows["file"], value_set=gone))) if dead else rows)
        file.close()
    return Segment(path.name, kind, file.rows, path.stat().st_size)


def _rows(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as source:
        yield from source.iter_batches(batch_size=_SLICE)


def _private(aside: Path) -> ParquetFile:
    aside.touch(mode=0o600)  # the writer keeps the mode: only the owner reads personal fields
    return ParquetFile(aside)


def _new_path(folder: Path, kind: str) -> Path:
    return folder / f"{kind}-{uuid.uuid4().hex}.parquet"


def _bunches(files: Iterable[Stored]) -> Iterator[list[Stored]]:
    """Files in their order, a few megabytes at a time."""
    bunch: list[Stored] = []
    size = 0
    for file in files:
        if bunch and (size + file.size > _BUNCH_BYTES or len(bunch) == _BUNCH_FILES):
            yield bunch
            bunch, size = [], 0
        bunch.append(file)
        size += file.size
    if bunch:
        yield bunch
