"""Small files of a quiet partition become one, published so that each record counts once at every moment.

The order is: the new file, then the manifest that names it and what it replaced, then, a grace later, the replaced
files go. Whatever dies in between leaves either the small files or the one in force.
"""

import logging
import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

import orjson

from engage_assets.archive.batches import data_name
from engage_assets.archive.handle import Archive
from engage_assets.archive.joining import Joined, join
from engage_assets.archive.live import (
    COMPACTED,
    MANIFEST,
    Compacted,
    Manifest,
    Partition,
    live_below,
    manifest_bytes,
    partition_of,
    read_manifest,
)
from engage_assets.archive.maintenance import Hold, maintaining
from engage_assets.archive.ports import Root, Stored
from engage_assets.archive.state import LeaseLost, Total
from engage_assets.domain.errors import EngageError

_LOG: Final = logging.getLogger(__name__)
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "engage:demand-archive:compacted")
QUIET_DAYS: Final = 7
GRACE_SECONDS: Final = 900.0
"""How long a replaced file stays for readers that have listed it."""
DAY_SECONDS: Final = 86_400
_TIME: Final = len("2026-11-20T09-00-00.123000Z")


class Skipped(NamedTuple):
    """A partition that was left as it is."""

    partition: Partition
    why: str


@dataclass
class CompactionSummary:
    """What a run did."""

    partitions: int = 0
    """Partitions of which one file was made."""
    files: int = 0
    """Files that these replaced."""
    records: int = 0
    """Records in the new files."""
    duplicates: int = 0
    """Records left out because another of the same change was there."""
    rewritten: int = 0
    """New files that could not be joined block by block: copies in them, or several schemas."""
    deleted: int = 0
    """Replaced files that were taken away, now that their grace is over."""
    waiting: int = 0
    """Partitions with several files that were not quiet long enough."""
    skipped: list[Skipped] = field(default_factory=list)


def compact(
    archive: Archive, *, now: float, quiet_days: float = QUIET_DAYS, grace: float = GRACE_SECONDS
) -> CompactionSummary:
    """Make one file of every partition that has several and got no new one for `quiet_days`.

    The state knows when a worker added a file; one that it does not know is as old as the time in its name, when the
    stream took its first record. A late record is a file of its own until the partition is quiet again. `now` is in s
    since 1970. Raises MaintenanceRuns, LeaseLost, OSError.
    """
    summary = CompactionSummary()
    quiet_since = now - quiet_days * DAY_SECONDS
    began = archive.clock()
    with maintaining(archive) as hold:
        added = {Partition(*place): total.at for place, total in archive.state.totals().items()}
        for partition, files in sorted(_partitions(archive.root).items()):
            hold.renew()
            try:
                summary.deleted += _sweep(archive.root, partition, files, now - grace)
                live = _quiet(archive.root, partition, files, added.get(partition, 0.0), quiet_since, summary)
                if len(live) > 1:
                    _compact(archive, partition, live, now - began, hold, summary)
            except LeaseLost:
                raise
            except EngageError as error:
                summary.skipped.append(Skipped(partition, str(error)))
                _LOG.error("%s", error)
    _LOG.info(
        "compaction: %d files became %d, %d records, %d duplicates; %d replaced files deleted",
        summary.files, summary.partitions, summary.records, summary.duplicates, summary.deleted,
    )  # fmt: skip
    return summary


def _partitions(root: Root) -> dict[Partition, list[Stored]]:
    found: dict[Partition, list[Stored]] = defaultdict(list)
    for file in root.stored("data/"):
        if file.key.endswith((".avro", MANIFEST)):
            found[partition_of(file.key)].append(file)
    return found


def _quiet(
    root: Root,
    partition: Partition,
    files: Sequence[Stored],
    added: float,
    quiet_since: float,
    summary: CompactionSummary,
) -> list[Stored]:
    """The live files of a partition, if there are several and it was quiet long enough; else none."""
    if len(files) < 2:
        return []
    live = live_below(root, partition.folder)
    if len(live) < 2 or max(added, *(_time_of(file.key) for file in live)) <= quiet_since:
        return live
    summary.waiting += 1
    return []


def _compact(
    archive: Archive,
    partition: Partition,
    live: Sequence[Stored],
    ahead: float,
    hold: Hold,
    summary: CompactionSummary,
) -> None:
    """`ahead` is what the run's time is ahead of the archive's clock."""
    name = uuid.uuid5(_NAMESPACE, orjson.dumps([file.key for file in live]).decode())
    joined = join(archive.root, partition.type, [file.key for file in live], name.bytes, hold.renew)
    key = f"{partition.folder}{min(_stamp(file.key) for file in live)}-{name}{COMPACTED}"
    replaced = _publish(archive, partition, live, Compacted(key, joined.records, (), ahead), joined.content, hold)
    _count(archive, partition, len(live), replaced, joined)
    summary.partitions += 1
    summary.files += len(live)
    summary.records += joined.records
    summary.duplicates += joined.duplicates
    summary.rewritten += joined.is_rewritten


def _count(archive: Archive, partition: Partition, files: int, replaced: Collection[str], joined: Joined) -> None:
    """Correct the state's total to what the new file holds.

    Only by what compaction changed where a worker added a file meanwhile, and where a range that is not committed has
    one among the replaced: its commit is still to come and adds it. The order of the three looks is what makes it so.
    """
    begun = {str(data_name(one.pending, *partition)) for one in archive.state.shards() if one.pending is not None}
    total = archive.state.totals().get((partition.type, partition.date), Total(0, 0))
    is_begun = any(key.endswith(tuple(f"-{name}.avro" for name in begun)) for key in replaced)
    if is_begun or len(live_below(archive.root, partition.folder)) != 1:
        archive.state.change_total(*partition, -joined.duplicates, 1 - files)
    else:
        archive.state.change_total(*partition, joined.records - total.records, 1 - total.files)


def _publish(
    archive: Archive,
    partition: Partition,
    live: Sequence[Stored],
    new: Compacted,
    content: bytes,
    hold: Hold,
) -> set[str]:
    """Put the file, then the manifest; nothing where an input changed meanwhile. Raises LeaseLost, EngageError.

    `new.at` is added to the moment of the manifest, from which the grace counts. Returns all keys that were replaced.
    """
    root = archive.root
    root.put(new.key, content)
    if [file for file in live_below(root, partition.folder) if file in live] != list(live):
        raise EngageError(f"{partition.folder}: written to while it was compacted; the next run compacts it")
    before = read_manifest(root, f"{partition.folder}{MANIFEST}")
    replaced = before.replaced.union(file.key for file in live)
    hold.confirm()
    new = new._replace(replaced=tuple(replaced), at=archive.clock() + new.at)
    root.put(f"{partition.folder}{MANIFEST}", manifest_bytes(Manifest((new,))))
    return replaced


def _stamp(key: str) -> str:
    return key.rpartition("/")[2][:_TIME]


def _time_of(key: str) -> float:
    """The time in a file's name, in s since 1970. Raises EngageError."""
    date, _, clock = _stamp(key).partition("T")
    try:
        return datetime.fromisoformat(f"{date}T{clock.replace('-', ':')}").timestamp()
    except ValueError:
        raise EngageError(f"{key}: its name begins with no time; take it away, the archive did not write it") from None


def _sweep(root: Root, partition: Partition, files: Sequence[Stored], until: float) -> int:
    """Take away files that were replaced or retired up to `until`, and what a run that died left behind.

    Counts the files that were taken away.
    """
    if not any(file.key.endswith((COMPACTED, MANIFEST)) for file in files):
        return 0
    manifest = read_manifest(root, f"{partition.folder}{MANIFEST}")
    current = {one.key for one in manifest.files}
    due = {key for one in manifest.files if one.at <= until for key in one.replaced}.union(manifest.retired)
    gone = [
        file.key
        for file in files
        if file.key in due or (file.key.endswith(COMPACTED) and file.key not in current | manifest.replaced)
    ]
    for key in gone:
        root.delete(key)
    return len(gone)
