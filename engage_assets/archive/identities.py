"""By what a change is known again: its event id, or its keys, time and name where a copy has no id."""

from hashlib import blake2b
from typing import NamedTuple

import orjson

from engage_assets.archive.envelopes import Change


class Identity(NamedTuple):
    """Marks of 16 bytes."""

    marks: tuple[bytes, ...]
    """What is kept once the change is archived."""
    twins: tuple[bytes, ...]
    """A change is a copy of an archived one that left any of these."""


def identify(change: Change) -> Identity:
    """The identity of a change.

    Two changes with ids are the same if the ids are; keys, time and name count where one of the two has no id, for two
    changes of one item may bear the same second.
    """
    plain = _plain(change) if change.keys is not None else None
    if change.event_id is None:
        assert plain is not None, "read_change refuses a change without id and keys"
        without, beside = b"n" + plain, b"w" + plain
        return Identity((without,), (without, beside))
    known = b"i" + blake2b(change.event_id.encode(), digest_size=15).digest()
    if plain is None:
        return Identity((known,), (known,))
    return Identity((known, b"w" + plain), (known, b"n" + plain))


def _plain(change: Change) -> bytes:
    keys = orjson.dumps(change.keys, option=orjson.OPT_SORT_KEYS)
    return blake2b(b"%b %d %b" % (keys, change.changed_at, change.event_name.encode()), digest_size=15).digest()
