"""By what the change of a line is known again after its file was replaced, or cleaned of a fan."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

import orjson

from engage_assets.archive.envelopes import open_record, read_change
from engage_assets.archive.identities import identify
from engage_assets.archive.ports import Record

_LAST: Final = 20
"""Records that are looked through for one that is a change."""


def mark_of(record: Record) -> str | None:
    """What an erasure leaves of a change: its event id, else keys, time and name; None of what is no change."""
    with suppress(Exception):  # a record is refused elsewhere, with its reason
        return identify(read_change(open_record(record), record.position)).marks[0].hex()
    return None


def last_mark(records: Sequence[Record]) -> tuple[str, str] | None:
    """Position and mark of the last change among the last records."""
    marks = ((record.position, mark_of(record)) for record in islice(reversed(records), _LAST))
    return next(((position, mark) for position, mark in marks if mark is not None), None)


def is_marked(record: Record, mark: str) -> bool:
    """Whether a record is the change of a mark, or what an erasure put in its place."""
    return mark_of(record) == mark or _was_erased(record.data)


def _was_erased(data: bytes) -> bool:
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return isinstance(body, dict) and body.keys() == {"erased"}
