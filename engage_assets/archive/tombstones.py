"""What must not be readable any more: erased fans and removed references, and the rows that they redact; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from engage_assets.archive.batches import Entry, Reading
from engage_assets.archive.rows import Row, redact
from engage_assets.domain.errors import EngageError

Reference = tuple[str, str]
"""(type, reference.id)"""


class TombstonesChanged(EngageError):
    """A fan was erased or a reference removed since these files were made: they must be written again."""


class Removal(NamedTuple):
    """A REMOVE: versions of its reference that were made no later than it hold nothing personal."""

    type: str
    reference_id: str
    changed_at: int
    """In µs."""


@dataclass(frozen=True)
class Tombstones:
    """What is known of some fans and references at one moment."""

    version: int = 0
    """Grows with every erasure and removal."""
    fans: frozenset[str] = frozenset()
    """The fans asked about."""
    references: frozenset[Reference] = frozenset()
    """The references asked about."""
    erased: Mapping[str, int] = field(default_factory=dict)
    """Of the fans asked about: when they were erased, in µs."""
    removed: Mapping[Reference, int] = field(default_factory=dict)
    """Of the references asked about: their latest removal, in µs."""
    everyone: frozenset[str] | None = None
    """All erased fans where they were asked about, for nobody knows whom a refused record names; else None."""

    def covers(self, row: Row) -> bool:
        """Whether a row must hold nothing personal."""
        erased = self.erased.get(row.values.get("fanId", ""))
        removed = self.removed.get(reference_of(row))
        return (erased is not None and row.changed_at <= erased) or (removed is not None and row.changed_at <= removed)


def reference_of(row: Row) -> Reference:
    """By what the versions of an item are known."""
    return row.type, row.values["reference"]["id"]


def fans_of(entries: Iterable[Entry]) -> frozenset[str]:
    """The fans that rows are about."""
    return frozenset(entry.row.values["fanId"] for entry in entries if "fanId" in entry.row.values)


def removals_of(rows: Iterable[Row]) -> dict[Reference, int]:
    """The latest removal of each reference that is removed among the rows."""
    found: dict[Reference, int] = {}
    for row in rows:
        if row.values["isDeleted"]:
            key = reference_of(row)
            found[key] = max(found.get(key, row.changed_at), row.changed_at)
    return found


def bury(reading: Reading, tombstones: Tombstones) -> Reading:
    """The same with every row redacted that an erasure or a removal covers, also one that the range itself holds."""
    own = removals_of(entry.row for entry in reading.entries)
    merged: dict[Reference, int] = dict(tombstones.removed)
    for key, at in own.items():
        merged[key] = max(merged.get(key, at), at)
    if not merged and not tombstones.erased:
        return reading
    known = replace(tombstones, removed=merged)
    return replace(reading, entries=tuple(_buried(entry, known) for entry in reading.entries))


def _buried(entry: Entry, tombstones: Tombstones) -> Entry:
    if not tombstones.covers(entry.row):
        return entry
    values: dict[str, Any] = dict(entry.row.values)
    if not redact(values):
        return entry
    return entry._replace(row=entry.row._replace(values=values, is_redacted=True))
