"""One range of a shard: claimed, written, committed; the same files however often it is written.

Only erasures and removals make a difference: a file that is written again holds no more than it must.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Final

from engage_assets.archive.batch_log import Tally, Total
from engage_assets.archive.batches import ErrorFile, Files, Range, Reading, read_range, write_files
from engage_assets.archive.handle import Archive
from engage_assets.archive.late_errors import cleaned_files
from engage_assets.archive.ports import Record, Root
from engage_assets.archive.state import Lease, LeaseLost, Tombstones, TombstonesChanged
from engage_assets.archive.tombstones import bury, fans_of, reference_of, removals_of

_AT_ONCE: Final = 8
"""Files that are written at the same time."""

Put = Callable[[], object]


@dataclass
class Claimed:
    """A range that is this worker's, read and not committed."""

    reading: Reading
    fresh: Sequence[bool]
    """Of each entry: whether it is no copy of a change from another range."""
    behind_ms: int | None
    is_again: bool = False
    """Whether files of it may be there: then an error file stays as it is, for somebody may have corrected it."""


def claim(archive: Archive, lease: Lease, records: Sequence[Record], behind_ms: int | None = None) -> Claimed:
    """Make records a range that will be archived, whatever happens. Raises LeaseLost, OSError."""
    where = Range(lease.stream, lease.shard, records[0].position, records[-1].position)
    reading = read_range(where, records)
    is_again = archive.state.progress(lease).pending is not None
    fresh = archive.state.claim(lease, where, [entry.identity for entry in reading.entries], archive.clock())
    return Claimed(reading, fresh, behind_ms, is_again)


def finish(
    archive: Archive,
    lease: Lease,
    claimed: Claimed,
    *,
    keep: Callable[[], None] = lambda: None,
    pool: Executor | None = None,
) -> Files:
    """Write every file of a range, errors first, and move the checkpoint; `keep` prolongs the lease before each.

    Error files that name an erased fan are put without what is personal. Raises LeaseLost; EngageError where one that
    is there cannot be read; OSError, after which it can be called again.
    """
    tombstones: Tombstones | None = None

    def hold() -> None:
        keep()
        archive.state.progress(lease)  # whoever stood still may have lost it, and must not write over what came since

    try:
        while True:
            tombstones = _tombstones(archive, claimed.reading)
            buried = bury(claimed.reading, tombstones)
            files = write_files(buried, claimed.fresh)
            is_again, claimed.is_again = claimed.is_again, True
            _put(archive, files, tombstones, hold, pool, is_again=is_again)
            try:
                archive.state.commit(lease, buried.range, _tally(claimed, buried, files, tombstones), archive.clock())
            except TombstonesChanged:
                continue
            return files
    except LeaseLost:
        if tombstones is not None:
            _mend(archive, claimed, tombstones)
        raise


def _tombstones(archive: Archive, reading: Reading) -> Tombstones:
    references = frozenset(reference_of(entry.row) for entry in reading.entries)
    return archive.state.tombstones(fans_of(reading.entries), references, has_refusals=bool(reading.refusals))


def _mend(archive: Archive, claimed: Claimed, written: Tombstones) -> None:
    """Whoever took the range over may have redacted what this worker then wrote over: write it as it must be now."""
    while (now := _tombstones(archive, claimed.reading)) and replace(now, version=written.version) != written:
        _put(archive, write_files(bury(claimed.reading, now), claimed.fresh), now, is_again=True)
        written = now


def _tally(claimed: Claimed, buried: Reading, files: Files, tombstones: Tombstones) -> Tally:
    rows = [entry.row for entry, is_fresh in zip(buried.entries, claimed.fresh, strict=True) if is_fresh]
    return Tally(
        counts=files.counts,
        partitions={(file.type, file.partition_date): Total(file.records, 1) for file in files.data},
        removals=removals_of(rows),
        messages=files.messages,
        newest_change=max((row.changed_at for row in rows), default=None),
        behind_ms=claimed.behind_ms,
        tombstones=tombstones,
    )


def _put(
    archive: Archive,
    files: Files,
    tombstones: Tombstones,
    hold: Callable[[], None] = lambda: None,
    pool: Executor | None = None,
    *,
    is_again: bool,
) -> None:
    """Every error is durable before the first data file is written. Raises OSError, LeaseLost, EngageError."""
    erased = tombstones.everyone or frozenset()
    put_error = partial(_put_where_none_is, erased=erased) if is_again else _put_one
    errors = [partial(put_error, archive.errors, file) for file in cleaned_files(files.errors, erased)]
    _put_all(errors, hold, pool)
    _put_all([partial(archive.root.put, file.key, file.content) for file in files.data], hold, pool)


def _put_one(errors: Root, file: ErrorFile) -> None:
    errors.put(file.key, file.content)


def _put_where_none_is(errors: Root, file: ErrorFile, erased: frozenset[str]) -> None:
    """Leave a file that is there, with its corrected copies and marks; but nothing personal of who was erased."""
    try:
        there = replace(file, content=errors.get(file.key))
    except FileNotFoundError:
        _put_one(errors, file)
        return
    (cleaned,) = cleaned_files([there], erased)
    if cleaned != there:
        _put_one(errors, cleaned)


def _put_all(puts: Sequence[Put], hold: Callable[[], None], pool: Executor | None) -> None:
    for some in _parts(puts):
        hold()
        if pool is None or len(some) == 1:
            for put in some:
                put()
        else:
            list(pool.map(_call, some))


def _call(put: Put) -> None:
    put()


def _parts(puts: Iterable[Put]) -> Iterator[list[Put]]:
    left = iter(puts)
    while some := list(islice(left, _AT_ONCE)):
        yield some
