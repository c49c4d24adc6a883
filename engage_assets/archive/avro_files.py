"""Avro container files as they lie in a root: taken apart into blocks, read, joined without decoding, rewritten.

Times are whole µs on both sides, as `container` wants them.
"""

import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

import fastavro

from engage_assets.archive.containers import BLOCK_BYTES, DEFLATE_LEVEL
from engage_assets.archive.encoding import Encode, encoder, number
from engage_assets.archive.rows import Values
from engage_assets.archive.schemas import Schema
from engage_assets.domain.errors import EngageError

_MAGIC: Final = b"Obj\x01"
_MARKER_BYTES: Final = 16


class Container(NamedTuple):
    """A file, taken apart: `header` ends before the sync marker."""

    header: bytes
    schema: str
    codec: str
    marker: bytes
    body: memoryview


class Block(NamedTuple):
    """Rows that are packed together."""

    rows: int
    packed: memoryview


def open_container(content: bytes, key: str) -> Container:
    """Take a file apart. Raises EngageError where it is no Avro container with the codec deflate or null."""
    try:
        container = _open(content)
    except (IndexError, UnicodeDecodeError, ValueError):
        raise EngageError(f"{key}: not an Avro container file; bring back the one that was there") from None
    if container.codec not in {"deflate", "null"}:
        raise EngageError(f"{key}: codec {container.codec}; the archive writes deflate, write the file again with it")
    return container


def _open(content: bytes) -> Container:
    if not content.startswith(_MAGIC):
        raise ValueError
    about: dict[str, bytes] = {}
    at = len(_MAGIC)
    while True:
        count, at = _number(content, at)
        if count == 0:
            break
        if count < 0:
            _, at = _number(content, at)
        for _ in range(abs(count)):
            name, at = _bytes(content, at)
            about[name.decode()], at = _bytes(content, at)
    end = at + _MARKER_BYTES
    if len(content) < end:
        raise IndexError
    codec = about.get("avro.codec", b"null").decode()
    view = memoryview(content)[end:]
    return Container(content[:at], about["avro.schema"].decode(), codec, content[at:end], view)


def _number(data: bytes | memoryview, at: int) -> tuple[int, int]:
    shift = rest = 0
    while True:
        byte = data[at]
        at += 1
        rest |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (rest >> 1) ^ -(rest & 1), at
        shift += 7


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = _number(data, at)
    if size < 0 or at + size > len(data):
        raise IndexError
    return data[at : at + size], at + size


def blocks(container: Container, key: str) -> Iterator[Block]:
    """The blocks of a file. Raises EngageError where one is cut off or followed by another marker."""
    body, at = container.body, 0
    while at < len(body):
        try:
            count, at = _number(body, at)
            size, at = _number(body, at)
        except IndexError:
            raise _broken(key) from None
        end = at + size
        if size < 0 or body[end : end + _MARKER_BYTES] != container.marker:
            raise _broken(key)
        yield Block(count, body[at:end])
        at = end + _MARKER_BYTES


def _broken(key: str) -> EngageError:
    return EngageError(f"{key}: a block of it is cut off; bring back the file that was there")


def count_rows(container: Container, key: str) -> int:
    """How many rows a file holds. Raises EngageError."""
    return sum(block.rows for block in blocks(container, key))


def unpack(block: Block, codec: str) -> bytes:
    """The encoded rows of a block."""
    return bytes(block.packed) if codec == "null" else zlib.decompress(block.packed, -zlib.MAX_WBITS)


def pack(count: int, data: bytes | bytearray, marker: bytes) -> bytes:
    """A block of a deflate file, with the marker behind it."""
    deflate = zlib.compressobj(DEFLATE_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = deflate.compress(data) + deflate.flush()
    return b"".join((number(count), number(len(packed)), packed, marker))


def join_block(block: Block, marker: bytes) -> bytes:
    """A block as it is, for a file with another marker."""
    return b"".join((number(block.rows), number(len(block.packed)), block.packed, marker))


def read_rows(content: bytes, key: str, reader: str | None = None, *, needle: bytes = b"") -> Iterator[Values]:
    """The rows of a file, resolved to the schema `reader` (JSON; None: the file's own), of blocks that hold `needle`.

    Raises EngageError.
    """
    container = open_container(content, key)
    for block in blocks(container, key):
        data = unpack(block, container.codec)
        if needle in data:
            yield from decode(block.rows, data, container.schema, reader)


def decode(count: int, data: bytes, writer: str, reader: str | None = None) -> Iterator[Values]:
    """Rows from their encoded form."""
    written, wanted = _plain(writer), None if reader is None else _plain(reader)
    stream = io.BytesIO(data)
    for _ in range(count):
        yield cast("Values", fastavro.schemaless_reader(stream, written, wanted))


@lru_cache(maxsize=64)
def _plain(schema: str) -> Schema:
    """A schema whose times are plain numbers."""
    stated = _without_logical_types(json.loads(schema))
    return cast("Schema", fastavro.parse_schema(stated))


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_logical_types(one) for one in schema]
    if isinstance(schema, Mapping):
        return {name: _without_logical_types(one) for name, one in schema.items() if name != "logicalType"}
    return schema


@lru_cache(maxsize=64)
def encoder_of(schema: str) -> Encode:
    """How to encode a row by a schema that a file states."""
    return encoder(json.loads(schema))


class Rewritten(NamedTuple):
    """A file after a change of some of its rows."""

    content: bytes
    rows: int
    """How many were changed."""


def rewrite(
    content: bytes, key: str, change: Callable[[Values], bool], needles: Iterable[bytes] | None = None
) -> Rewritten | None:
    """Change rows of a file in place: same order, schema and marker; None where `change` changed none of them.

    Only blocks whose encoded rows hold one of `needles` are decoded (None: all of them). Raises EngageError.
    """
    container = open_container(content, key)
    wanted = None if needles is None else tuple(needles)
    parts: list[bytes] = [container.header, container.marker]
    changed = 0
    for block in blocks(container, key):
        data = unpack(block, container.codec)
        is_met = wanted is None or any(needle in data for needle in wanted)
        count, encoded = _change(block.rows, data, container.schema, change) if is_met else (0, bytearray())
        changed += count
        parts.append(_packed(container, block.rows, encoded) if count else join_block(block, container.marker))
    return Rewritten(b"".join(parts), changed) if changed else None


def _change(count: int, data: bytes, schema: str, change: Callable[[Values], bool]) -> tuple[int, bytearray]:
    out, changed = bytearray(), 0
    encode = encoder_of(schema)
    for values in decode(count, data, schema):
        changed += change(values)
        encode(values, out)
    return changed, out


def _packed(container: Container, count: int, data: bytearray) -> bytes:
    if container.codec == "null":
        return b"".join((number(count), number(len(data)), data, container.marker))
    return pack(count, data, container.marker)


def encoded_container(header: bytes, rows: Iterable[bytes], marker: bytes) -> bytes:
    """A deflate file of rows that are encoded already."""
    parts: list[bytes] = [header, marker]
    data, count = bytearray(), 0
    for row in rows:
        data += row
        count += 1
        if len(data) >= BLOCK_BYTES:
            parts.append(pack(count, data, marker))
            data, count = bytearray(), 0
    if count:
        parts.append(pack(count, data, marker))
    return b"".join(parts)
