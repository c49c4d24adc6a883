"""Parquet files of arrivals and silver: row groups of a fixed size, and no more work on a column than readers use."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from engage_assets.lake import LARGE, ROW_GROUP

Compression = Literal["zstd", "snappy"]
_UNLIKE: Final = frozenset({"event_id", "event_time"})
"""Columns whose values hardly repeat: a dictionary of them would be as large as they are."""
_SKIPPED_BY: Final = frozenset({"kind"})
"""Texts by which readers leave row groups out."""


def write_groups(
    path: Path, found: Iterator[pa.RecordBatch], compression: Compression, source: str | None = None
) -> int:
    """Write batches of one schema, at least one; returns the rows. The same rows give the same bytes.

    `source` is kept in the file's metadata. A row group ends at ROW_GROUP rows, or before where rows are large.
    """
    waiting = pa.Table.from_batches([next(found)])
    rows = 0
    with _writer(path, waiting.schema, compression) as file:
        if source is not None:
            file.add_key_value_metadata({"source": source})
        for batch in found:
            waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
            while waiting.num_rows >= ROW_GROUP or waiting.nbytes >= LARGE * 2:
                file.write_table(waiting.slice(0, ROW_GROUP).combine_chunks())
                rows += min(ROW_GROUP, waiting.num_rows)
                waiting = waiting.slice(ROW_GROUP)
        if waiting.num_rows:
            file.write_table(waiting.combine_chunks())
    pa.default_memory_pool().release_unused()
    return rows + int(waiting.num_rows)


def _writer(path: Path, schema: pa.Schema, compression: Compression) -> pq.ParquetWriter:
    coded = [name for name in schema.names if name not in _UNLIKE]
    described = [field.name for field in schema if field.name in _SKIPPED_BY or not pa.types.is_string(field.type)]
    level = 1 if compression == "zstd" else None
    return pq.ParquetWriter(
        path,
        schema,
        compression=compression,
        compression_level=level,
        use_dictionary=coded,
        write_statistics=described,
    )
