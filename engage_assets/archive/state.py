"""How far each shard is archived, who may write it, and which changes are known: one SQLite file.

A shard is written under a lease with a token that grows with every acquisition; whoever lost the lease holds an old
token and changes nothing any more.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from engage_assets.archive.batches import Range
from engage_assets.archive.identities import Identity
from engage_assets.domain.errors import EngageError

LEASE_SECONDS: Final = 60
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS shard (
    stream TEXT, name TEXT, checkpoint TEXT, first TEXT, last TEXT, is_ended INTEGER NOT NULL DEFAULT 0,
    owner TEXT, token INTEGER NOT NULL DEFAULT 0, leased_until REAL NOT NULL DEFAULT 0, PRIMARY KEY (stream, name));
CREATE TABLE IF NOT EXISTS seen (mark BLOB PRIMARY KEY, range BLOB NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
"""


class LeaseLost(EngageError):
    """Another worker took the shard over; this one must leave it alone."""


class Lease(NamedTuple):
    """The right to write a shard."""

    stream: str
    shard: str
    owner: str
    token: int


class Progress(NamedTuple):
    """How far a shard is."""

    checkpoint: str | None
    """Position of the last record that is archived."""
    pending: Range | None
    """The range that was begun and must be written again as it was."""
    is_ended: bool


class State:
    """The state of all shards of a root, in a file of its own that several workers share."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Let the file go."""
        self._database.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield self._database
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def acquire(self, stream: str, shard: str, owner: str, now: float) -> Lease | None:
        """The lease of a shard, or None while another owner's has not run out. `now` is in s since 1970."""
        with self._writing() as database:
            database.execute("INSERT OR IGNORE INTO shard (stream, name) VALUES (?, ?)", (stream, shard))
            taken = database.execute(
                "UPDATE shard SET owner = ?, token = token + 1, leased_until = ?"
                " WHERE stream = ? AND name = ? AND (owner IS NULL OR owner = ? OR leased_until <= ?) RETURNING token",
                (owner, now + LEASE_SECONDS, stream, shard, owner, now),
            ).fetchone()
        return Lease(stream, shard, owner, taken[0]) if taken else None

    def release(self, lease: Lease) -> None:
        """Give a lease back; one that was lost is no concern."""
        self._database.execute(
            "UPDATE shard SET owner = NULL WHERE stream = ? AND name = ? AND token = ?",
            (lease.stream, lease.shard, lease.token),
        )

    def progress(self, lease: Lease) -> Progress:
        """How far the shard of a lease is. Raises LeaseLost."""
        row = self._database.execute(
            "SELECT checkpoint, first, last, is_ended FROM shard WHERE stream = ? AND name = ? AND token = ?",
            (lease.stream, lease.shard, lease.token),
        ).fetchone()
        if row is None:
            raise _lost(lease)
        checkpoint, first, last, is_ended = row
        pending = Range(lease.stream, lease.shard, first, last) if first is not None else None
        return Progress(checkpoint, pending, bool(is_ended))

    def ended(self, stream: str) -> set[str]:
        """Shards of a stream that are archived to their end."""
        rows = self._database.execute("SELECT name FROM shard WHERE stream = ? AND is_ended", (stream,))
        return {name for (name,) in rows}

    def claim(self, lease: Lease, where: Range, identities: Sequence[Identity], now: float) -> list[bool]:
        """Record that a range is begun and its changes are its own; durable before a file of it is written.

        Says of each change whether it is this range's (true again when the range is replayed) and not a copy of one
        that another range claimed. Raises LeaseLost.
        """
        owner = where.uuid("seen").bytes
        with self._writing() as database:
            _move(
                database,
                lease,
                now,
                "first = ?, last = ?",
                "(first IS NULL OR (first = ? AND last = ?))",
                (where.first, where.last),
                (where.first, where.last),
            )
            taken = _taken(database, owner, identities)
            fresh = [taken.isdisjoint(one.twins) for one in identities]
            database.executemany(
                "INSERT OR IGNORE INTO seen VALUES (?, ?, ?)",
                (
                    (mark, owner, now)
                    for one, is_fresh in zip(identities, fresh, strict=True)
                    if is_fresh
                    for mark in one.marks
                ),
            )
        return fresh

    def commit(self, lease: Lease, where: Range, now: float) -> None:
        """Move the checkpoint behind a range whose files are all durable. Raises LeaseLost."""
        with self._writing() as database:
            _move(
                database,
                lease,
                now,
                "checkpoint = ?, first = NULL, last = NULL",
                "first = ? AND last = ?",
                (where.last,),
                (where.first, where.last),
            )

    def end(self, lease: Lease, now: float) -> None:
        """Note that a shard is archived to its end, so that its children may begin. Raises LeaseLost."""
        with self._writing() as database:
            _move(database, lease, now, "is_ended = 1", "first IS NULL", (), ())

    def forget(self, before: float) -> int:
        """Drop marks of changes archived before an instant (s since 1970): older copies are not recognized any more."""
        return self._database.execute("DELETE FROM seen WHERE at < ?", (before,)).rowcount


def _move(
    database: sqlite3.Connection,
    lease: Lease,
    now: float,
    change: str,
    condition: str,
    changed: tuple[str, ...],
    conditioned: tuple[str, ...],
) -> None:
    """Change a shard under its lease, which is prolonged."""
    moved = database.execute(
        f"UPDATE shard SET {change}, leased_until = ? WHERE stream = ? AND name = ? AND token = ? AND {condition}",  # noqa: S608 - both are ours
        (*changed, now + LEASE_SECONDS, lease.stream, lease.shard, lease.token, *conditioned),
    ).rowcount
    if moved != 1:
        raise _lost(lease)


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(
        f"{lease.stream}/{lease.shard}: another worker took it over from {lease.owner}; let one of them archive it"
    )


def _taken(database: sqlite3.Connection, owner: bytes, identities: Sequence[Identity]) -> set[bytes]:
    """The marks among these that another range left."""
    twins = [mark for one in identities for mark in one.twins]
    found: set[bytes] = set()
    for start in range(0, len(twins), 1000):
        some = twins[start : start + 1000]
        places = ",".join("?" * len(some))
        rows = database.execute(f"SELECT mark FROM seen WHERE mark IN ({places}) AND range != ?", (*some, owner))  # noqa: S608 - question marks
        found.update(mark for (mark,) in rows)
    return found
