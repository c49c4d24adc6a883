"""One try of an error file: what of it is not archived yet, and the range under which that is archived."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any, Final

import orjson

from engage_assets.archive.batches import Counts, Entry, Range, Reading, data_name, read_range
from engage_assets.archive.error_files import CORRECTED, Stated, event_record, events_of
from engage_assets.archive.leases import REPLAY_SHARD
from engage_assets.archive.live import partition_of
from engage_assets.archive.ports import Root
from engage_assets.archive.rows import redact
from engage_assets.archive.times import iso

REPLAYED: Final = "replayed"
"""Where a file says that all of it is archived."""
REPLAYS: Final = "replays"
"""Where it says what tries have done of which something is refused still."""


def read_try(stated: Stated, key: str) -> Reading:
    """The events that no earlier try archived, read as the stream's own; the corrected ones where there are some.

    The range, and so the name of whatever it leaves behind, is the error file and what is good of it: another copy is
    another range. What an erasure takes away makes no other.
    """
    place = stated["position"]
    stream, shard, sequence = (str(place.get(name) or "?") for name in ("stream", "shard", "sequenceNumber"))
    events = events_of(stated, CORRECTED if stated.get(CORRECTED) else "events")
    records = [
        event_record(event, form, sequence if len(events) == 1 else f"{sequence}.{number}", sequence)
        for number, (event, form) in enumerate(events)
    ]
    reading = read_range(Range(stream, shard, sequence, sequence), records)
    done = _done(stated)
    entries = tuple(entry for entry in reading.entries if done.isdisjoint(map(bytes.hex, entry.identity.twins)))
    return replace(
        reading,
        range=Range(stream, REPLAY_SHARD, key, f"{key}#{_digest(reading.at, entries)}"),
        read=reading.read - len(reading.entries) + len(entries),
        entries=entries,
    )


def _digest(at: int, entries: Iterable[Entry]) -> str:
    content: list[Any] = [at]
    for entry in entries:
        values = dict(entry.row.values)
        redact(values)
        content.append([entry.row.type, entry.row.partition_date, values])
    return hashlib.sha256(orjson.dumps(content)).hexdigest()[:16]


def key_of(position: str) -> str:
    """The error file of a position in the shard of replays."""
    return position.partition("#")[0]


def is_marked(stated: Stated, position: str) -> bool:
    """Whether an error file says what became of the try that was committed up to a position."""
    return REPLAYED in stated or _tries(stated).get("range") == position


def marked(stated: Stated, reading: Reading, counts: Counts, now: float) -> Stated:
    """The error file after a try: replayed, or refused once more, with what is archived of it by now."""
    before = _tries(stated)
    outcome = {
        "at": iso(int(now * 1_000_000)),
        "archived": before.get("archived", 0) + counts.archived,
        "duplicates": before.get("duplicates", 0) + counts.duplicates,
    }
    if not reading.refusals:
        return {**stated, REPLAYED: outcome}
    marks = {mark.hex() for entry in reading.entries for mark in entry.identity.marks}
    more = {
        "tries": before.get("tries", 0) + 1,
        "message": reading.refusals[0].message,
        "range": reading.range.last,
        "done": sorted(_done(stated) | marks),
    }
    return {**stated, REPLAYS: {**outcome, **more}}


def message_of(stated: Stated) -> str | None:
    """Why it was refused when it was tried last."""
    error = stated.get("error")
    found = _tries(stated).get("message", error.get("message") if isinstance(error, dict) else None)
    return found if isinstance(found, str) else None


def _tries(stated: Stated) -> dict[str, Any]:
    found = stated.get(REPLAYS)
    return found if isinstance(found, dict) else {}


def _done(stated: Stated) -> set[str]:
    """Marks of changes that tries archived; kept in the file, for a state forgets them."""
    return set(_tries(stated).get("done", ()))


def files_of(root: Root, where: Range) -> list[str]:
    """The data files of a range, whatever it held. Raises OSError."""

    @cache
    def ending(folder: str) -> str:
        return f"-{data_name(where, *partition_of(f'{folder}/x'))}.avro"

    keys = (file.key for file in root.stored("data/") if file.key.endswith(".avro"))
    return [key for key in keys if key.endswith(ending(key.rpartition("/")[0]))]
