"""Roots with a few records and their mirror, for the tests of both."""

import io
import uuid

import fastavro
import polars as pl

from engage_assets.archive.batches import Range
from engage_assets.archive.folder import FolderRoot
from engage_assets.archive.live import COMPACTED, MANIFEST, Compacted, Manifest, live_files, manifest_bytes
from engage_assets.archive.mirror import Mirror
from engage_assets.archive.schemas import TYPES
from engage_assets_tests.archive.changes import archived


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now


class CountingRoot(FolderRoot):
    """Counts the files that are read, and fails at one of them if asked to."""

    read = 0
    fails_at = 0
    before_reading = staticmethod(lambda: None)

    def get(self, key):
        if key.endswith(".avro"):
            CountingRoot.before_reading()
            CountingRoot.read += 1
            if CountingRoot.read == CountingRoot.fails_at:
                raise OSError(5, "the disk is on fire")
        return super().get(key)


def a_root(folder):
    CountingRoot.read = CountingRoot.fails_at = 0
    CountingRoot.before_reading = staticmethod(lambda: None)
    return CountingRoot(folder / "root")


def a_mirror(folder, clock=None):
    return Mirror(folder / "mirror", clock or Clock())


def put(root, *bodies, first="1"):
    """Archive changes as one range; the keys of the files."""
    files = archived(*bodies, where=Range("changes", "shard-1", first, first)).data
    for file in files:
        root.put(file.key, file.content)
    return [file.key for file in files]


def compact(root, *keys):
    """Make files of one partition into one, as compaction publishes it."""
    folder = keys[0].rpartition("/")[0] + "/"
    rows, schema = [], None
    for key in keys:
        reader = fastavro.reader(io.BytesIO(root.get(key)))
        schema, rows = reader.writer_schema, [*rows, *reader]
    out = io.BytesIO()
    fastavro.writer(out, schema, rows, codec="deflate")
    key = f"{folder}2026-01-01T00-00-00.000000Z-{uuid.uuid4()}{COMPACTED}"
    root.put(key, out.getvalue())
    root.put(f"{folder}{MANIFEST}", manifest_bytes(Manifest((Compacted(key, len(rows), keys, 0.0),))))
    return key


def expected(root):
    """(file, ordinal, sequence number) of every record of the live files, as fastavro reads them."""
    return sorted(
        (file.key, place, row["lineage"]["sequenceNumber"])
        for file in live_files(root)
        for place, row in enumerate(fastavro.reader(io.BytesIO(root.get(file.key))))
    )


def shown(mirror):
    """The same of what readers of the mirror see."""
    found = []
    for paths in mirror.segments().values():
        if paths:
            frame = pl.concat([pl.read_parquet(path) for path in paths])
            numbers = pl.col("lineage").struct.field("sequenceNumber")
            found += frame.select("file", "ordinal", numbers).rows()
    return sorted(found)


def rows_of(mirror, kind):
    """A type's rows in the order of file and place, by column."""
    frame = pl.concat([pl.read_parquet(path) for path in mirror.segments()[kind]])
    return frame.sort("file", "ordinal").to_dicts()


def number_of_segments(mirror):
    return sum(len(mirror.segments()[kind]) for kind in TYPES)
