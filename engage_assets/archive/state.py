"""The state of an archive, one SQLite file: shards and leases, known changes, batches and totals, tombstones.

Several processes of a machine share the file, and the threads of a process share a State.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from engage_assets.archive.batch_log import BatchDone, BatchLog, DayDone, Tally, Total, log_batch
from engage_assets.archive.batches import Range
from engage_assets.archive.identities import Identity
from engage_assets.archive.leases import (
    LEASE_SECONDS,
    OWN_STREAM,
    Lease,
    LeaseLost,
    Progress,
    Shards,
    ShardStatus,
    move,
)
from engage_assets.archive.seen import forget_marks, mark_fresh
from engage_assets.archive.state_file import StateFile
from engage_assets.archive.tombstone_table import TombstoneTable, add_removals, are_stale
from engage_assets.archive.tombstones import Removal, Tombstones, TombstonesChanged
from engage_assets.domain.errors import EngageError

__all__ = [
    "LEASE_SECONDS",
    "OWN_STREAM",
    "BatchDone",
    "DayDone",
    "Lease",
    "LeaseLost",
    "Progress",
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


class State(Shards, BatchLog, TombstoneTable):
    """The state of all shards of a root. Trouble that may pass (a locked file, a full disk) is an OSError."""

    def __init__(self, path: Path) -> None:
        self._file = StateFile(path)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def bind(self, root: str) -> None:
        """Note to which root the state belongs: what it knows as archived lies there and nowhere else.

        Raises EngageError where it belongs to another; OSError.
        """
        with self._file.writing() as database:
            database.execute("INSERT OR IGNORE INTO belongs VALUES (1, ?)", (root,))
            ((known,),) = database.execute("SELECT root FROM belongs").fetchall()
        if known != root:
            raise EngageError(
                f"{self._file.path}: it says what is archived in {known}, not in {root}; give each root a state of its"
                " own (--state FILE), or go on with the root that it knows"
            )

    def claim(self, lease: Lease, where: Range, identities: Sequence[Identity], now: float) -> list[bool]:
        """Record that a range is begun and its changes are its own; durable before a file of it is written.

        Says of each change whether it is this range's (true again when the range is replayed) and not a copy of one
        that another range claimed. Raises LeaseLost, OSError.
        """
        with self._file.writing() as database:
            move(
                database,
                lease,
                now,
                "first = ?, last = ?",
                "(first IS NULL OR (first = ? AND last = ?))",
                (where.first, where.last),
                (where.first, where.last),
            )
            return mark_fresh(database, where.uuid("seen").bytes, identities, now)

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
