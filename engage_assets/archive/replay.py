"""Error files once more: what is good by now, or was corrected, is archived; the file stays and says so.

What is good of an error file is a range of its own in the shard `errors` of its stream, claimed before it is written
and committed after; so a replay that dies is taken up by the next one, and nothing is archived twice. A range that was
begun and cannot be made again, for its file is gone or another now, is given up. Lineage names where the record came
from first.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from engage_assets.archive.batches import Counts, ErrorFile, Range, Reading
from engage_assets.archive.error_files import (
    CORRECTED,
    Stated,
    corrected_events,
    error_bytes,
    error_keys,
    parse_error,
    read_error,
)
from engage_assets.archive.error_tries import (
    REPLAYED,
    files_of,
    is_marked,
    key_of,
    marked,
    message_of,
    read_try,
)
from engage_assets.archive.handle import Archive
from engage_assets.archive.late_errors import cleaned_files
from engage_assets.archive.leases import REPLAY_SHARD, ShardStatus
from engage_assets.archive.maintenance import maintaining
from engage_assets.archive.ranges import Claimed, finish
from engage_assets.archive.state import Lease
from engage_assets.domain.errors import EngageError

_LOG: Final = logging.getLogger(__name__)


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


class _Begun(NamedTuple):
    """A try that a replay had claimed, or committed and not marked, when it died."""

    key: str
    pending: Range | None


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
        settled = set()
        for one in _begun(archive):
            hold.renew()
            copy = None if one.pending is None else copies.get(one.key)
            _replay(archive, one, copy, summary, hold.renew)
            settled |= {one.key} if copy is copies.get(one.key) else set()
        for key in _chosen(archive, keys, message, copies):
            if key not in settled:
                hold.renew()
                _replay(archive, _Begun(key, None), copies.get(key), summary, hold.renew)
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
    return [key for key in error_keys(archive.errors) if message_of(read_error(archive.errors, key)) == message]


def _begun(archive: Archive) -> list[_Begun]:
    """What a dead replay left, to come first; what cannot be made again is given up. Raises OSError, EngageError."""
    shards = [shard for shard in archive.state.shards() if shard.name == REPLAY_SHARD]
    return [one for shard in shards if (one := _left_by(archive, shard)) is not None]


def _left_by(archive: Archive, shard: ShardStatus) -> _Begun | None:
    pending = shard.pending
    position = shard.checkpoint if pending is None else pending.last
    if position is None:
        return None
    key = key_of(position)
    try:
        stated = read_error(archive.errors, key)
        if not is_marked(stated, position) and (pending is not None or read_try(stated, key).range.last == position):
            return _Begun(key, pending)
    except (FileNotFoundError, EngageError):
        pass
    if pending is not None:
        lease = _lease(archive, pending.stream)
        try:
            _abandon(archive, lease, pending)
        finally:
            archive.state.release(lease)
    return None


def _abandon(archive: Archive, lease: Lease, begun: Range) -> None:
    """Take away what a dead replay left of a range, and forget it. Raises LeaseLost, OSError."""
    for key in files_of(archive.root, begun):
        archive.root.delete(key)
    archive.state.abandon(lease, begun, archive.clock())
    _LOG.warning("%s: a try that was begun is given up; nothing of it is archived", key_of(begun.last))


def _replay(
    archive: Archive, one: _Begun, copy: bytes | None, summary: ReplaySummary, renew: Callable[[], None]
) -> None:
    key = one.key
    try:
        stated = read_error(archive.errors, key)
    except FileNotFoundError:
        raise EngageError(f"{key}: no such error file; names are TIME-UUID.json") from None
    if REPLAYED in stated:
        summary.already += 1
        return
    if copy is not None:
        stated = _put(archive, key, {**stated, CORRECTED: corrected_events(copy, key)})
    reading = read_try(stated, key)
    counts = _archive(archive, reading, one.pending, renew) if reading.entries or one.pending else Counts()
    _put(archive, key, marked(stated, reading, counts, archive.clock()))
    summary.files += 1
    summary.replayed += not reading.refusals
    summary.counts += counts
    summary.still.update(refusal.message for refusal in reading.refusals)


def _put(archive: Archive, key: str, stated: Stated) -> Stated:
    """Write an error file, without what is personal of who was erased; returns what it states. Raises OSError."""
    (file,) = cleaned_files([ErrorFile(key, error_bytes(stated))], archive.state.erasures())
    archive.errors.put(key, file.content)
    return parse_error(file.content, key)


def _archive(archive: Archive, reading: Reading, begun: Range | None, renew: Callable[[], None]) -> Counts:
    """Claim, write, commit what is good. Raises LeaseLost, OSError, EngageError."""
    where = reading.range
    lease = _lease(archive, where.stream)
    good = replace(reading, refusals=(), read=reading.read - len(reading.refusals))
    try:
        if begun not in {None, where}:
            _abandon(archive, lease, begun)
        if not good.entries:
            return Counts()
        progress = archive.state.progress(lease)
        if progress.pending is None and progress.checkpoint == where.last:  # and not marked: its replay died there
            return archive.state.committed(where) or Counts(good.read, len(good.entries), 0, good.duplicates)
        fresh = archive.state.claim(lease, where, [entry.identity for entry in good.entries], archive.clock())
        return finish(archive, lease, Claimed(good, fresh, None), keep=renew).counts
    finally:
        archive.state.release(lease)


def _lease(archive: Archive, stream: str) -> Lease:
    lease = archive.state.acquire(stream, REPLAY_SHARD, archive.owner, archive.clock())
    if lease is None:
        raise EngageError(f"{stream}/{REPLAY_SHARD}: another process replays it; wait until it is done, or 60 s")
    return lease
