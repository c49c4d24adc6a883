"""The worker: range by range, shard by shard, each change archived once whatever happens between two steps.

For each range: read, claim (the range and its changes are durable in the state), write every error and data file,
commit. A worker that starts finds a claimed range that was not committed and writes exactly that again: the same
files, byte for byte.
"""

import gc
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from engage_assets.archive.batches import Counts, Files, Range, read_range, write_files
from engage_assets.archive.ports import Record, Root, Shard, Source
from engage_assets.archive.state import Lease, LeaseLost, Progress, State
from engage_assets.domain.errors import EngageError

_LOG: Final = logging.getLogger(__name__)
BATCH: Final = 1000
LARGEST_RANGE: Final = 10_000
"""Records of a range at most, whoever began it: how far its end is looked for."""
RETRY_SECONDS: Final = (0.2, 1.0, 5.0, 20.0)
IDLE_SECONDS: Final = 1.0
HORIZON_SECONDS: Final = 8 * 86_400
"""How long a change is known again: longer than a stream keeps it (a week), so that all its copies are met."""


class ShardStopped(EngageError):
    """A shard cannot go on; nothing of it was skipped."""


@dataclass(frozen=True)
class Archive:
    """What a worker works with. `clock` gives s since 1970: for leases and forgetting, never for what is archived."""

    source: Source
    root: Root
    errors: Root
    state: State
    owner: str
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    batch: int = BATCH


@dataclass
class Summary:
    """What a run did."""

    counts: Counts = field(default_factory=Counts)
    batches: int = 0
    data_files: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Files by type and partition date."""
    messages: Counter[str] = field(default_factory=Counter)
    """Refusals by message."""
    stopped: dict[str, str] = field(default_factory=dict)
    """Shards that cannot go on, and why."""
    held: set[str] = field(default_factory=set)
    """Shards that another worker has."""
    unfinished: set[str] = field(default_factory=set)
    """Shards that end with half a record."""

    def add(self, files: Files) -> None:
        """Count a range."""
        self.counts += files.counts
        self.batches += 1
        self.data_files.update((file.type, file.partition_date) for file in files.data)
        self.messages.update(files.messages)


def run(
    archive: Archive,
    *,
    is_until_idle: bool = True,
    should_stop: Callable[[], bool] = lambda: False,
) -> Summary:
    """Archive what the source has: until it has no more for now, or until `should_stop`."""
    summary = Summary()
    leases: dict[str, Lease] = {}
    archive.state.forget(archive.clock() - HORIZON_SECONDS)
    try:
        while not should_stop():
            if not _pass(archive, leases, summary, should_stop):
                if is_until_idle:
                    break
                archive.sleep(IDLE_SECONDS)
    finally:
        for lease in leases.values():
            archive.state.release(lease)
    return summary


def _pass(archive: Archive, leases: dict[str, Lease], summary: Summary, should_stop: Callable[[], bool]) -> bool:
    """One range of every shard that is ready; says whether there was one, or a shard ended."""
    has_moved = False
    for shard in _ready(archive.source.shards(), archive.state.ended(archive.source.stream)):
        if should_stop() or shard.name in summary.stopped:
            continue
        try:
            has_moved |= _advance(archive, shard.name, leases, summary)
        except LeaseLost as lost:
            leases.pop(shard.name, None)
            _LOG.warning("%s", lost)
        except EngageError as error:
            summary.stopped[shard.name] = str(error)
            _LOG.error("%s", error)
    return has_moved


def _ready(shards: Sequence[Shard], ended: set[str]) -> list[Shard]:
    """Shards that are not archived yet and whose parents are, as far as these are still there."""
    there = {shard.name for shard in shards}
    return [
        shard
        for shard in shards
        if shard.name not in ended and all(parent in ended or parent not in there for parent in shard.parents)
    ]


def _advance(archive: Archive, shard: str, leases: dict[str, Lease], summary: Summary) -> bool:
    """Archive the next range of a shard. Raises LeaseLost, EngageError."""
    lease = leases.get(shard) or archive.state.acquire(archive.source.stream, shard, archive.owner, archive.clock())
    if lease is None:
        summary.held.add(shard)
        return False
    leases[shard] = lease
    summary.held.discard(shard)
    progress = archive.state.progress(lease)
    records, is_end = _next(archive, shard, progress, summary)
    if records:
        summary.add(_archive(archive, lease, records))
    elif is_end:
        archive.state.end(lease, archive.clock())
    return bool(records) or is_end


def _next(archive: Archive, shard: str, progress: Progress, summary: Summary) -> tuple[Sequence[Record], bool]:
    if progress.pending is not None:
        return _read_again(archive.source, progress.pending, progress.checkpoint, archive.batch), False
    page = archive.source.read(shard, progress.checkpoint, archive.batch)
    (summary.unfinished.add if page.is_partial else summary.unfinished.discard)(shard)
    return page.records, page.is_end


def _read_again(source: Source, pending: Range, after: str | None, limit: int) -> list[Record]:
    """Exactly the records of a range, however the source cuts its pages now."""
    records: list[Record] = []
    while not records or records[-1].position != pending.last:
        page = source.read(pending.shard, records[-1].position if records else after, limit)
        records.extend(page.records)
        places = [record.position for record in records]
        if pending.last in places:
            records = records[: places.index(pending.last) + 1]
        elif not page.records or len(records) > LARGEST_RANGE:
            raise _not_there(pending)
    if records[0].position != pending.first:
        raise _not_there(pending)
    return records


def _not_there(pending: Range) -> ShardStopped:
    return ShardStopped(
        f"{pending.stream}/{pending.shard}: the records {pending.first} to {pending.last} were begun and cannot be read"
        " again; bring them back, or some of them stay unarchived"
    )


def _archive(archive: Archive, lease: Lease, records: Sequence[Record]) -> Files:
    where = Range(lease.stream, lease.shard, records[0].position, records[-1].position)
    with _no_collection():
        reading = read_range(where, records)
        fresh = archive.state.claim(lease, where, [entry.identity for entry in reading.entries], archive.clock())
        files = write_files(reading, fresh)
        for error in files.errors:
            _put(archive, archive.errors, error.key, error.content, where)
        for file in files.data:
            _put(archive, archive.root, file.key, file.content, where)
        archive.state.commit(lease, where, archive.clock())
    _tell(where, files)
    return files


def _put(archive: Archive, root: Root, key: str, content: bytes, where: Range) -> None:
    """Write a file, again after a while where it failed. Raises ShardStopped."""
    for wait in (*RETRY_SECONDS, None):
        try:
            root.put(key, content)
        except OSError as error:
            if wait is None:
                why = error.strerror or type(error).__name__
                raise ShardStopped(
                    f"{where.stream}/{where.shard}: {key} could not be written ({why}); nothing from {where.first} on"
                    " is archived until it can: mend the root and start again"
                ) from error
            archive.sleep(wait)
        else:
            return


def _tell(where: Range, files: Files) -> None:
    counts = files.counts
    _LOG.info(
        "%s/%s %s to %s: %d read, %d archived in %d files, %d errors, %d duplicates, %d redacted",
        where.stream, where.shard, where.first, where.last,
        counts.read, counts.archived, len(files.data), counts.errors, counts.duplicates, counts.redacted,
    )  # fmt: skip
    for message, number in files.messages.items():
        _LOG.warning("%s/%s: %d refused: %s", where.stream, where.shard, number, message)


@contextmanager
def _no_collection() -> Iterator[None]:
    """No search for cycles while a thousand records are in hand: there are none, and it costs as much as the work."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
