"""Files of a partition → the bytes of one: block by block without decoding where that can be done.

Copies are looked for by reading the lineage alone; 16 bytes of each record are held. Where there are copies or several
schemas, all rows are decoded; copies are left out (what one of them shows as redacted stays so) and the rest is sorted
by changeTime.
"""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter
from typing import Any, Final, NamedTuple

import orjson

from engage_assets.archive.avro_files import (
    blocks,
    decode,
    encoded_container,
    encoder_of,
    join_block,
    open_container,
    read_rows,
    unpack,
)
from engage_assets.archive.containers import container
from engage_assets.archive.ports import Root
from engage_assets.archive.rows import PERSONAL, REDACTED, Values
from engage_assets.archive.schemas import SCHEMAS, refuse_evolution
from engage_assets.domain.errors import EngageError

_WANTED: Final = ("lineage", "reference")


class Joined(NamedTuple):
    """One file of several."""

    content: bytes
    records: int
    duplicates: int
    is_rewritten: bool


def join(root: Root, kind: str, keys: Sequence[str], marker: bytes, renew: Callable[[], None]) -> Joined:
    """One file of these, which are of one type; `renew` prolongs the lease before each.

    Raises OSError, LeaseLost; EngageError where one cannot be read or is newer.
    """
    seen: set[bytes] = set()
    headers: set[bytes] = set()
    out = bytearray()
    records = 0
    for key in keys:
        renew()
        file = open_container(root.get(key), key)
        _refuse_newer(file.schema, kind, key)
        headers.add(file.header)
        if not out:
            out += file.header + marker
        for block in blocks(file, key):
            seen.update(map(mark, decode(block.rows, unpack(block, file.codec), file.schema, _lineage(file.schema))))
            records += block.rows
            out += join_block(block, marker)
    if len(headers) == 1 and len(seen) == records:
        return Joined(bytes(out), records, duplicates=0, is_rewritten=False)
    del out
    return _rewritten(root, kind, keys, marker, records, renew)


def _refuse_newer(schema: str, kind: str, key: str) -> None:
    faults = refuse_evolution(json.loads(schema), SCHEMAS[kind])
    if faults:
        raise EngageError(f"{key}: of another schema ({faults[0]}); compact it with the version that wrote it")


@lru_cache
def _lineage(schema: str) -> str:
    """The part of a schema by which a record is known again."""
    stated = json.loads(schema)
    return json.dumps({**stated, "fields": [field for field in stated["fields"] if field["name"] in _WANTED]})


def mark(values: Values) -> bytes:
    """16 bytes of a row by which its copies are known: the change's id, or where it came from if it has none."""
    lineage = values["lineage"]
    parts: Any = lineage["eventId"] or [values["reference"]["id"], *(lineage[name] for name in sorted(lineage))]
    return blake2b(orjson.dumps(parts), digest_size=16).digest()


def _rewritten(
    root: Root, kind: str, keys: Sequence[str], marker: bytes, before: int, renew: Callable[[], None]
) -> Joined:
    """All rows, decoded one by one and held encoded."""
    found: dict[bytes, tuple[int, bytes]] = {}
    schema = json.dumps(SCHEMAS[kind])
    for key in keys:
        renew()
        for values in read_rows(root.get(key), key, schema):
            known = mark(values)
            if known in found:
                _redact_as(values, found[known][1], schema)
            found[known] = (values["lineage"]["changeTime"], _encoded(values, schema))
    rows = [data for _, data in sorted(found.values(), key=itemgetter(0))]
    header = container(kind, (), marker).removesuffix(marker)
    return Joined(encoded_container(header, rows, marker), len(rows), before - len(rows), is_rewritten=True)


def _redact_as(values: Values, copy: bytes, schema: str) -> None:
    """Make unreadable what a copy of the row shows as redacted."""
    (other,) = decode(1, copy, schema)
    for name in PERSONAL:
        if other.get(name) == REDACTED:
            values[name] = REDACTED


def _encoded(values: Values, schema: str) -> bytes:
    out = bytearray()
    encoder_of(schema)(values, out)
    return bytes(out)
