"""Error files once more: what is good by now, or was corrected, is archived; the file stays and says so.

Each error file is a range of its own in the shard `errors` of its stream, claimed before it is written and committed
after; so a replay that dies is taken up by the next one, and nothing is archived twice. Lineage names where the record
came from first.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from engage_assets.archive.batches import Counts, Range, Reading, read_range
from engage_assets.archive.error_files import (
    CORRECTED,
    Stated,
    corrected_events,
    error_bytes,
    error_keys,
    event_record,
    read_error,
)
from engage_assets.archive.handle import Archive
from engage_assets.archive.maintenance import maintaining
from engage_assets.archive.ports import Record
from engage_assets.archive.ranges import Claimed, finish
from engage_assets.archive.state import Lease
from engage_assets.archive.times import iso
from engage_assets.domain.errors import EngageError

_LOG: Final = logging.getLogger(__name__)
SHARD: Final = "errors"
REPLAYED: Final = "replayed"
REPLAYS: Final = "replays"


@dataclass
class ReplaySummary:
    """What a run did."""

    files: int = 0
    """Error files that were tried."""
    replayed: int = 0
    """Of these: all of whose events are archived now, or were before."""
    counts: Counts = field(default_factory=Counts)
    """What was archived by it."""
    already: int = 0
    """Error files that an earlier run had replayed."""
    still: Counter[str] = field(default_factory=Counter)
    """Why the others are refused still."""


def replay(
    archive: Archive,
    keys: Iterable[str] | None = None,
    *,
    message: str | None = None,
    corrected: Mapping[str, bytes] | None = None,
) -> ReplaySummary:
    """Try error files again: those of `keys`, else all with this message, else all; the replayed are passed over.

    `corrected` gives to a key the corrected events as NDJSON: they are put into the file as `corrected`, beside the
    originals, and tried instead of them (so are those that somebody wrote there by hand). Raises MaintenanceRuns,
    LeaseLost, OSError; EngageError where a key is no error file.
    """
    copies = corrected or {}
    summary = ReplaySummary()
    with maintaining(archive) as hold:
        renew = hold.renew
        begun = _begun(archive)
        for key in [*begun, *(key for key in _chosen(archive, keys, message, copies) if key not in begun)]:
            renew()
            _replay(archive, key, copies.get(key), summary, renew)
    _LOG.info(
        "replay: %d error files, %d replayed, %d archived, %d duplicates",
        summary.files, summary.replayed, summary.counts.archived, summary.counts.duplicates,
    )  # fmt: skip
    for why, number in summary.still.items():
        _LOG.warning("replay: %d still refused: %s", number, why)
    return summary


def _chosen(
    archive: Archive, keys: Iterable[str] | None, message: str | None, copies: Mapping[str, bytes]
) -> list[str]:
    if keys is not None:
        return sorted({*keys, *copies})
    if message is None:
        return list(copies) if copies else error_keys(archive.errors)
    return [key for key in error_keys(archive.errors) if _message(read_error(archive.errors, key)) == message]


def _message(stated: Stated) -> str | None:
    """Why it was refused when it was tried last."""
    error = stated.get("error")
    again = stated.get(REPLAYS, error)
    found = again.get("message") if isinstance(again, dict) else None
    return found if isinstance(found, str) else None


def _begun(archive: Archive) -> list[str]:
    """Error files that a replay had claimed, or committed and not marked, when it died: they come first.

    Raises EngageError where one that was claimed is gone: some of it may be known as archived and is not.
    """
    found = []
    for shard in archive.state.shards():
        key = shard.checkpoint if shard.pending is None else shard.pending.first
        if shard.name != SHARD or key is None:
            continue
        try:
            if REPLAYED not in read_error(archive.errors, key):
                found.append(key)
        except FileNotFoundError:
            if shard.pending is not None:
                raise _gone(key) from None
    return found


def _gone(key: str) -> EngageError:
    return EngageError(f"{key}: no such error file; names are TIME-UUID.json, and one that was begun must be there")


def _replay(archive: Archive, key: str, copy: bytes | None, summary: ReplaySummary, renew: Callable[[], None]) -> None:
    try:
        stated = read_error(archive.errors, key)
    except FileNotFoundError:
        raise _gone(key) from None
    if REPLAYED in stated:
        summary.already += 1
        return
    if copy is not None:
        stated = {**stated, CORRECTED: corrected_events(copy, key)}
        archive.errors.put(key, error_bytes(stated))
    reading = _reading(stated, key)
    counts = _archive(archive, reading, renew) if reading.entries else Counts()
    archive.errors.put(key, error_bytes(_marked(stated, reading, counts, archive.clock())))
    summary.files += 1
    summary.replayed += not reading.refusals
    summary.counts += counts
    summary.still.update(one.message for one in reading.refusals)


def _reading(stated: Stated, key: str) -> Reading:
    """The events, read as the stream's own; the range, and so the names of what it leaves behind, is the error file."""
    place = stated["position"]
    stream, shard, sequence = (str(place.get(name) or "?") for name in ("stream", "shard", "sequenceNumber"))
    events: list[Any] = stated.get(CORRECTED) or stated["events"]
    records: list[Record] = [
        event_record(event, sequence if len(events) == 1 else f"{sequence}.{number}", sequence)
        for number, event in enumerate(events)
    ]
    reading = read_range(Range(stream, shard, sequence, sequence), records)
    return replace(reading, range=Range(stream, SHARD, key, key))


def _archive(archive: Archive, reading: Reading, renew: Callable[[], None]) -> Counts:
    """Claim, write, commit what is good. Raises LeaseLost, OSError, EngageError."""
    where = reading.range
    lease = _lease(archive, where)
    good = replace(reading, refusals=(), read=reading.read - len(reading.refusals))
    try:
        progress = archive.state.progress(lease)
        if progress.pending is None and progress.checkpoint == where.last and reading.read == 1:
            return Counts(read=1, archived=1)  # committed by a replay that died before it marked the file
        fresh = archive.state.claim(lease, where, [entry.identity for entry in good.entries], archive.clock())
        return finish(archive, lease, Claimed(good, fresh, None), keep=renew).counts
    finally:
        archive.state.release(lease)


def _lease(archive: Archive, where: Range) -> Lease:
    lease = archive.state.acquire(where.stream, SHARD, archive.owner, archive.clock())
    if lease is None:
        raise EngageError(f"{where.stream}/{SHARD}: another process replays it; wait until it is done, or 60 s")
    return lease


def _marked(stated: Stated, reading: Reading, counts: Counts, now: float) -> Stated:
    """The error file after a try: replayed, or refused once more."""
    at = iso(int(now * 1_000_000))
    if not reading.refusals:
        outcome = {"at": at, "archived": counts.archived, "duplicates": counts.duplicates}
        return {**stated, REPLAYED: outcome}
    before = stated.get(REPLAYS)
    tries = before.get("tries", 0) if isinstance(before, dict) else 0
    return {**stated, REPLAYS: {"tries": tries + 1, "at": at, "message": reading.refusals[0].message}}
