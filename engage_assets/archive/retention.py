"""Old partitions and old error files go, whole; off unless days are given."""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Protocol

from engage_assets.archive.error_files import stored_errors
from engage_assets.archive.error_tries import key_of
from engage_assets.archive.handle import Archive
from engage_assets.archive.live import MANIFEST, Manifest, Partition, manifest_bytes, partition_of
from engage_assets.archive.maintenance import maintaining
from engage_assets.archive.ports import Root
from engage_assets.archive.schemas import TYPES
from engage_assets.domain.errors import EngageError

_LOG: Final = logging.getLogger(__name__)
ERRORS: Final = "errors"
"""The name under which error files have their days."""


class Synced(Protocol):
    """The mirror, as far as it is asked here."""

    def sync(self, root: Root, *, forget: bool = False) -> object:
        """Be up to date with the root; with `forget` nothing of rows that went is left on disk."""


@dataclass
class RetentionSummary:
    """What a run took away."""

    partitions: int = 0
    files: int = 0
    errors: int = 0


def retain(
    archive: Archive, *, now: float, days: Mapping[str, int | None], mirror: Synced | None = None
) -> RetentionSummary:
    """Take away partitions whose date, and error files whose last put, lies more than `days` before the day of `now`.

    Days are those of UTC. An error file's name says nothing here: the time of its record may be unknown, or long ago.
    By type, and `errors`; a type that is not named or has None keeps everything. A partition goes as a whole: a reader
    sees all of it or nothing. Partitions that lie ahead stay, and error files of a root that keeps no times. Raises
    MaintenanceRuns, LeaseLost, OSError; EngageError where `days` names something else or less than one day.
    """
    _check(days)
    summary = RetentionSummary()
    today = datetime.fromtimestamp(now, UTC).date()
    with maintaining(archive) as hold:
        renew = hold.renew
        for kind in TYPES:
            if (kept := days.get(kind)) is not None:
                _retain_type(archive, kind, today - timedelta(days=kept), renew, summary)
        if (kept := days.get(ERRORS)) is not None:
            _retain_errors(archive, today - timedelta(days=kept), renew, summary)
        if mirror is not None:  # also where nothing went: the run before may have died here
            mirror.sync(archive.root, forget=True)
    _LOG.info("retention: %d partitions (%d files), %d error files", summary.partitions, summary.files, summary.errors)
    return summary


def _check(days: Mapping[str, int | None]) -> None:
    for name, number in days.items():
        if name not in {*TYPES, ERRORS}:
            raise EngageError(f"retention of {name!r}: no such type; write one of {', '.join([*TYPES, ERRORS])}")
        if number is not None and number < 1:
            raise EngageError(f"retention of {name}: {number} days; write 1 or more, or leave it out to keep all")


def _retain_type(
    archive: Archive, kind: str, first: date, renew: Callable[[], None], summary: RetentionSummary
) -> None:
    found: dict[Partition, list[str]] = defaultdict(list)
    for file in archive.root.stored(f"data/{kind}/"):
        found[partition_of(file.key)].append(file.key)
    for partition, keys in sorted(found.items()):
        if partition.date < first.isoformat():
            renew()
            summary.files += _drop(archive, partition, keys)
            summary.partitions += 1


def _drop(archive: Archive, partition: Partition, keys: list[str]) -> int:
    """Take a partition away: first its manifest says that no file of it counts, so that no reader sees half of it."""
    place = f"{partition.folder}{MANIFEST}"
    files = [key for key in keys if key != place]
    if files:
        archive.root.put(place, manifest_bytes(Manifest(retired=tuple(files))))
    for key in files:
        archive.root.delete(key)
    archive.root.delete(place)
    archive.state.forget_partition(*partition)
    return len(files)


def _retain_errors(archive: Archive, first: date, renew: Callable[[], None], summary: RetentionSummary) -> None:
    begun = {key_of(one.pending.last) for one in archive.state.shards() if one.pending is not None}
    until = datetime.combine(first, time(), UTC).timestamp()
    old = [
        file.key
        for file in stored_errors(archive.errors)
        if file.at is not None and file.at < until and file.key not in begun
    ]
    if old:
        archive.state.take_errors(len(old))
    for key in old:
        renew()
        archive.errors.delete(key)
        summary.errors += 1
