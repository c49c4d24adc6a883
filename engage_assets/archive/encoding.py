"""Rows → Avro's binary form, for the few types that the schemas use.

Byte for byte what fastavro writes, in half its time: no search for the branch of a union that a value belongs to.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from engage_assets.archive.schemas import Schema, inner, is_nullable

Encode = Callable[[Any, bytearray], None]
"""(value, what its bytes are added to)"""

_NULL: Final = 0
_PRESENT: Final = 2


def number(value: int) -> bytes:
    """An Avro long: zigzag, then 7 bits a byte, the lowest first."""
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


_SHORT: Final = [number(value) for value in range(4096)]
_PAIRS: Final = [bytes([value & 0x7F | 0x80, value >> 7 | 0x80]) for value in range(1 << 14)]
"""14 bits of a number that goes on."""


def _text(value: str, out: bytearray) -> None:
    data = value.encode()
    size = len(data)
    out += _SHORT[size] if size < 4096 else number(size)
    out += data


def _instant(value: int, out: bytearray) -> None:
    rest = value << 1
    if rest >> 49 and not rest >> 56:  # eight bytes: every time between 1978 and 3111
        high = rest >> 42
        out += _PAIRS[rest & 0x3FFF]
        out += _PAIRS[rest >> 14 & 0x3FFF]
        out += _PAIRS[rest >> 28 & 0x3FFF]
        out.append(high & 0x7F | 0x80)
        out.append(high >> 7)
    else:
        out += number(value)


def _flag(value: bool, out: bytearray) -> None:  # noqa: FBT001 - the value itself
    out.append(value)


def encoder(kind: Any) -> Encode:
    """How to write values of an Avro type: string, boolean, long, array, record, and `["null", T]` of these."""
    if is_nullable(kind):
        return _text_or_null if inner(kind) == "string" else _nullable(encoder(inner(kind)))
    if kind == "string":
        return _text
    if kind == "boolean":
        return _flag
    if kind["type"] == "record":
        return _record(kind)
    if kind["type"] == "array":
        return _array(encoder(kind["items"]))
    if kind["type"] == "long":
        return _instant
    raise TypeError(f"no encoder for {kind}")


def _text_or_null(value: str | None, out: bytearray) -> None:
    if value is None:
        out.append(_NULL)
        return
    data = value.encode()
    size = len(data)
    out.append(_PRESENT)
    out += _SHORT[size] if size < 4096 else number(size)
    out += data


def _nullable(encode: Encode) -> Encode:
    def write(value: Any, out: bytearray) -> None:
        if value is None:
            out.append(_NULL)
        else:
            out.append(_PRESENT)
            encode(value, out)

    return write


def _array(encode: Encode) -> Encode:
    def write(values: list[Any], out: bytearray) -> None:
        if values:
            out += number(len(values))
            for value in values:
                encode(value, out)
        out.append(0)

    return write


def _record(schema: Schema) -> Encode:
    plan = [(field["name"], encoder(field["type"])) for field in schema["fields"]]

    def write(values: Mapping[str, Any], out: bytearray) -> None:
        get = values.get
        for name, encode in plan:
            encode(get(name), out)

    return write
