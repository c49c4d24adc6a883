"""Identity of input records: the declared key, numbered where it repeats, else a hash of the row."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from itertools import count
from typing import Any

import rfc8785


def canonical(row: Mapping[str, Any]) -> bytes:
    """The row as canonical JSON (RFC 8785), instants in UTC with microseconds, dates as ISO."""
    return rfc8785.dumps({name: _value(value) for name, value in row.items()})


def text(value: str) -> str:
    """A text as canonical JSON."""
    return rfc8785.dumps(value).decode()


def number(rows: Iterable[Mapping[str, Any]], key: str | None) -> list[str]:
    """Record ids of `rows`, which must hold all rows of their keys, in the order given.

    A row without a key is named by the SHA-256 of its canonical JSON. The second, third … of one name, in
    the order of their canonical JSON, get `#2`, `#3` …, without those that are another row's own key.
    """
    named: defaultdict[str, list[tuple[bytes, int]]] = defaultdict(list)
    for place, row in enumerate(rows):
        text = canonical(row)
        own = row[key] if key else None
        name = own if own is not None and own.strip() else hashlib.sha256(text).hexdigest()
        named[name].append((text, place))
    ids = [""] * sum(map(len, named.values()))
    for name, members in named.items():
        free = (f"{name}#{ordinal}" for ordinal in count(2) if f"{name}#{ordinal}" not in named)
        for first, (_, place) in enumerate(sorted(members)):
            ids[place] = next(free) if first else name
    return ids


def _value(value: Any) -> Any:
    """A value as JSON knows it; integers beyond 2^53 and infinities, which it does not know, as text."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return str(value)
    return value
