"""The state of an archive, one SQLite file: shards and leases, known changes, batches and totals, tombstones.

Several processes of a machine share the file, and the threads of a process share a State.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from engage_assets.archive.batch_log import BatchDone, BatchLog, DayDone, Tally, Total, log_batch
from engage_assets.archive.batches import Range
from engage_assets.archive.belonging import Belonging
from engage_assets.archive.identities import Identity
from engage_assets.archive.leases import (
    LEASE_SECONDS,
    OWN_STREAM,
    Lease,
    LeaseLost,
    Progress,
    RangePending,
    Shards,
    ShardStatus,
    move,
    pending_of,
)
from engage_assets.archive.seen import forget_marks, mark_fresh
from engage_assets.archive.state_file import StateFile
from engage_assets.archive.tombstone_table import TombstoneTable, add_removals, are_stale
from engage_assets.archive.tombstones import Removal, Tombstones, TombstonesChanged

__all__ = [
    "LEASE_SECONDS",
    "OWN_STREAM",
    "BatchDone",
    "DayDone",
    "Lease",
    "LeaseLost",
    "Progress",
    "RangePending",
    "Removal",
    "ShardStatus",
    "State",
    "Tally",
    "Tombstones",
    "TombstonesChanged",
    "Total",
]

HORIZON_SECONDS: Final = 8 * 86_400
"""How long a change is known again: longer than a stream keeps it (a week), so that all its copies are met."""


class State(Shards, BatchLog, TombstoneTable, Belonging):
    """The state of all shards of a root. Trouble that may pass (a locked file, a full disk) is an OSError."""

    def __init__(self, path: Path) -> None:
        self._file = StateFile(path)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def claim(self, lease: Lease, where: Range, identities: Sequence[Identity], now: float) -> list[bool]:
        """Record that a range is begun and its changes are its own; durable before a file of it is written.

        Says of each change whether it is this range's (true again as long as the range is pending) and not a copy of
        one that was claimed before. Raises RangePending where another range is begun; LeaseLost, OSError.
        """
        with self._file.writing() as database:
            begun = pending_of(database, lease)
            if begun not in {None, where}:
                raise RangePending(
                    f"{where.stream}/{where.shard}: the range {begun.first} to {begun.last} is begun and not committed;"
                    f" finish it before {where.first} to {where.last}"
                )
            move(
                database,
                lease,
                now,
                "first = ?, last = ?",
                "(first IS NULL OR (first = ? AND last = ?))",
                (where.first, where.last),
                (where.first, where.last),
            )
            return mark_fresh(database, _owner(where), identities, now, is_again=begun is not None)

    def abandon(self, lease: Lease, where: Range, now: float) -> None:
        """Forget a range that is begun and of which no file is left, and its marks: its changes may come again.

        Marks that an earlier commit of the same range left stay. Raises LeaseLost, OSError.
        """
        with self._file.writing() as database:
            move(
                database,
                lease,
                now,
                "first = NULL, last = NULL",
                "first = ? AND last = ?",
                (),
                (where.first, where.last),
            )
            database.execute(
                "DELETE FROM seen WHERE range = ? AND NOT EXISTS"
                " (SELECT 1 FROM batch WHERE stream = ? AND shard = ? AND first = ? AND last = ?)",
                (_owner(where), where.stream, where.shard, where.first, where.last),
            )

    def commit(self, lease: Lease, where: Range, tally: Tally, now: float) -> None:
        """Move the checkpoint behind a range whose files are all durable, and note what it left behind.

        Raises TombstonesChanged where its files must be written again first; LeaseLost, OSError.
        """
        with self._file.writing() as database:
            move(
                database,
                lease,
                now,
                "checkpoint = ?, first = NULL, last = NULL, behind_ms = ?, at = ?,"
                " newest_change = max(coalesce(newest_change, ?), coalesce(?, newest_change))",
                "first = ? AND last = ?",
                (where.last, tally.behind_ms, now, tally.newest_change, tally.newest_change),
                (where.first, where.last),
            )
            if are_stale(database, tally.tombstones):
                raise TombstonesChanged(f"{where.stream}/{where.shard}: {where.first} to {where.last}: write it again")
            log_batch(database, where, tally, now)
            add_removals(database, tally.removals)

    def forget(self, now: float, horizon: float = HORIZON_SECONDS) -> int:
        """Drop marks and batches older than the horizon: older copies are not recognized any more."""
        with self._file.writing() as database:
            return forget_marks(database, now, horizon)


def _owner(where: Range) -> bytes:
    """By what the marks of a range are known."""
    return where.uuid("seen").bytes
