"""Avro container files of one type → frames of the type's committed columns, many small files at once.

Blocks are joined without being decoded: one call of the reader for hundreds of files.
"""

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, Final, NamedTuple

import polars as pl

from engage_assets.archive.avro_files import Block, Container, blocks, join_block, open_container, read_rows
from engage_assets.archive.schemas import SCHEMAS, inner
from engage_assets.domain.errors import EngageError

CHUNK: Final = 4 * 2**20
"""Encoded bytes that are decoded at once."""
PLACE: Final = {"partition_date": pl.Date(), "file": pl.String(), "ordinal": pl.Int64()}
"""Columns beside the type's own: the partition, the file's key, the record's place in it (from 0)."""
_MARKER: Final = bytes(16)
_SIMPLE: Final[dict[str, pl.DataType]] = {"string": pl.String(), "boolean": pl.Boolean()}


class AvroFile(NamedTuple):
    """A whole container file of a partition."""

    key: str
    partition_date: date
    content: bytes


class _Part(NamedTuple):
    """Consecutive blocks of a file."""

    file: AvroFile
    header: bytes
    start: int
    """Records of the file before them."""
    records: int
    blocks: tuple[Block, ...]


def columns(kind: str) -> dict[str, pl.DataType]:
    """The committed columns of a type; times are UTC without a zone, so that whoever fetches them needs no zones."""
    return {field["name"]: _dtype(field["type"]) for field in SCHEMAS[kind]["fields"]}


def _dtype(stated: Any) -> pl.DataType:
    kind = inner(stated)
    if isinstance(kind, str):
        return _SIMPLE[kind]
    if kind["type"] == "record":
        return pl.Struct({field["name"]: _dtype(field["type"]) for field in kind["fields"]})
    if kind["type"] == "array":
        return pl.List(_dtype(kind["items"]))
    if kind.get("logicalType") == "timestamp-micros":
        return pl.Datetime("us")
    raise TypeError(f"no column for {kind}")


def read_frames(kind: str, files: Iterable[AvroFile], unknown: set[str]) -> Iterator[pl.DataFrame]:
    """The records of files of a type, in frames of `columns` and PLACE.

    Fields that a file lacks are null. Fields that only a newer schema has are left out and named in `unknown`.
    Raises EngageError with the key of a file that cannot be read.
    """
    waiting: list[_Part] = []
    size = 0
    for file in files:
        for part in _parts(kind, file):
            waiting.append(part)
            size += sum(len(block.packed) for block in part.blocks)
            if size >= CHUNK:
                yield from _decode(kind, waiting, unknown)
                waiting, size = [], 0
    yield from _decode(kind, waiting, unknown)


def _parts(kind: str, file: AvroFile) -> Iterator[_Part]:
    """The blocks of a file, in pieces that are decoded at once; one piece without blocks of a file without."""
    container = open_container(file.content, file.key)
    _refuse_another_type(kind, file.key, container)
    some: list[Block] = []
    start = size = 0
    for block in blocks(container, file.key):
        some.append(block)
        size += len(block.packed)
        if size >= CHUNK:
            yield _part(file, container.header, start, some)
            start, size, some = start + sum(one.rows for one in some), 0, []
    if some or not start:
        yield _part(file, container.header, start, some)


def _part(file: AvroFile, header: bytes, start: int, some: Sequence[Block]) -> _Part:
    return _Part(file, header, start, sum(block.rows for block in some), tuple(some))


def _refuse_another_type(kind: str, key: str, container: Container) -> None:
    if _schema_name(container.schema) != SCHEMAS[kind]["name"]:
        raise _unreadable(key, f"its schema is not {SCHEMAS[kind]['name']}")


@lru_cache(maxsize=64)
def _schema_name(schema: str) -> Any:
    stated = json.loads(schema)
    return stated.get("name") if isinstance(stated, dict) else None


def _decode(kind: str, parts: Sequence[_Part], unknown: set[str]) -> Iterator[pl.DataFrame]:
    """Frames of parts, those of one header together."""
    groups: dict[bytes, list[_Part]] = {}
    for part in parts:
        groups.setdefault(part.header, []).append(part)
    for group in groups.values():
        yield from _decode_group(kind, group, unknown)


def _decode_group(kind: str, group: Sequence[_Part], unknown: set[str]) -> Iterator[pl.DataFrame]:
    """One frame; where that fails, each file by itself, so that the one at fault is named."""
    try:
        yield _placed(_with_polars(kind, group, unknown), group)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError):
        if len(group) > 1:
            for part in group:
                yield from _decode_group(kind, [part], unknown)
        else:
            yield _placed(_with_fastavro(kind, group[0]), group)


def _with_polars(kind: str, group: Sequence[_Part], unknown: set[str]) -> pl.DataFrame:
    """Raises PolarsError, PanicException, ValueError."""
    frame = pl.read_avro(io.BytesIO(_joined(group)))
    if frame.height != sum(part.records for part in group):
        raise ValueError("fewer records than stated")
    target = columns(kind)
    unknown.update(_unknown(pl.Struct(frame.schema), pl.Struct(target), kind))
    lacking = [pl.lit(None, dtype).alias(name) for name, dtype in target.items() if name not in frame.columns]
    return frame.with_columns(lacking).select(target.keys()).cast(pl.Schema(target))  # by name, also inside


def _with_fastavro(kind: str, part: _Part) -> pl.DataFrame:
    try:
        rows = list(read_rows(_joined([part]), part.file.key, json.dumps(SCHEMAS[kind])))
        return pl.DataFrame(rows, schema=columns(kind), orient="row")
    except Exception as error:  # noqa: BLE001 - a reader's words may quote records
        why = f"neither polars nor fastavro can read its records ({type(error).__name__})"
        raise _unreadable(part.file.key, why) from None


def _joined(group: Sequence[_Part]) -> bytes:
    """One container file of all blocks."""
    pieces = [join_block(block, _MARKER) for part in group for block in part.blocks]
    return b"".join((group[0].header, _MARKER, *pieces))


def _placed(frame: pl.DataFrame, group: Sequence[_Part]) -> pl.DataFrame:
    """Add PLACE."""
    places = pl.DataFrame(
        [(part.file.partition_date, part.file.key, part.start, part.start + part.records) for part in group],
        schema={"partition_date": pl.Date, "file": pl.String, "start": pl.Int64, "end": pl.Int64},
        orient="row",
    )
    filled = places.filter(pl.col("end") > pl.col("start"))
    ordinals = filled.select("partition_date", "file", ordinal=pl.int_ranges("start", "end"))
    return frame.hstack(ordinals.explode("ordinal"))


def _unknown(found: pl.DataType, target: pl.DataType, where: str) -> Iterator[str]:
    """Names of fields that the target does not have."""
    if isinstance(found, pl.List) and isinstance(target, pl.List):
        yield from _unknown(_instance(found.inner), _instance(target.inner), f"{where}[]")
    if isinstance(found, pl.Struct) and isinstance(target, pl.Struct):
        wanted = {field.name: field.dtype for field in target.fields}
        for field in found.fields:
            if field.name in wanted:
                yield from _unknown(_instance(field.dtype), _instance(wanted[field.name]), f"{where}.{field.name}")
            else:
                yield f"{where}.{field.name}"


def _instance(dtype: Any) -> pl.DataType:
    """A type that may be given as its class."""
    found: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return found


def _unreadable(key: str, why: str) -> EngageError:
    return EngageError(
        f"{key}: {why}; bring back a copy of it or take it out of the root. Until then the mirror stays as it was"
        " (engage sql --no-sync asks that)"
    )
