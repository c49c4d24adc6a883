"""Who may write a shard, how far it is, and how far it is behind: the shards' table of a state.

A shard is written under a lease with a token that grows with every acquisition; whoever lost the lease holds an old
token and changes nothing any more.
"""

from typing import Any, Final, NamedTuple

from engage_assets.archive.batches import Range
from engage_assets.archive.state_file import Connection, StateFile
from engage_assets.domain.errors import EngageError

LEASE_SECONDS: Final = 60
OWN_STREAM: Final = "~"
"""The stream of leases that are not about shards: `acquire("~", "maintenance", …)`."""


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


class ShardStatus(NamedTuple):
    """A shard as a person sees it."""

    stream: str
    name: str
    checkpoint: str | None
    pending: Range | None
    is_ended: bool
    owner: str | None
    """Who had it last and did not give it back; alive while `leased_until` lies ahead."""
    leased_until: float
    """In s since 1970."""
    behind_ms: int | None
    """How old the newest record that was read is, as the stream says it; 0 where all there is was read."""
    newest_change: int | None
    """The latest change time that was archived, in µs."""
    at: float | None
    """When `behind_ms` was noted, in s since 1970."""


class Shards:
    """Leases, checkpoints and lag of all shards. `now` is always in s since 1970."""

    _file: StateFile

    def acquire(self, stream: str, shard: str, owner: str, now: float) -> Lease | None:
        """The lease of a shard, or None while another owner's has not run out."""
        with self._file.writing() as database:
            database.execute("INSERT OR IGNORE INTO shard (stream, name) VALUES (?, ?)", (stream, shard))
            taken = database.execute(
                "UPDATE shard SET owner = ?, token = token + 1, leased_until = ?"
                " WHERE stream = ? AND name = ? AND (owner IS NULL OR owner = ? OR leased_until <= ?) RETURNING token",
                (owner, now + LEASE_SECONDS, stream, shard, owner, now),
            ).fetchone()
        return Lease(stream, shard, owner, taken[0]) if taken else None

    def renew(self, lease: Lease, now: float) -> None:
        """Prolong a lease. Raises LeaseLost."""
        with self._file.writing() as database:
            move(database, lease, now, "token = token", "TRUE")

    def release(self, lease: Lease) -> None:
        """Give a lease back; one that was lost is no concern."""
        with self._file.writing() as database:
            database.execute(
                "UPDATE shard SET owner = NULL WHERE stream = ? AND name = ? AND token = ?",
                (lease.stream, lease.shard, lease.token),
            )

    def progress(self, lease: Lease) -> Progress:
        """How far the shard of a lease is. Raises LeaseLost."""
        rows = self._file.rows(
            "SELECT checkpoint, first, last, is_ended FROM shard WHERE stream = ? AND name = ? AND token = ?",
            (lease.stream, lease.shard, lease.token),
        )
        if not rows:
            raise lost(lease)
        ((checkpoint, first, last, is_ended),) = rows
        return Progress(checkpoint, _pending(lease.stream, lease.shard, first, last), bool(is_ended))

    def ended(self, stream: str) -> set[str]:
        """Shards of a stream that are archived to their end."""
        return {name for (name,) in self._file.rows("SELECT name FROM shard WHERE stream = ? AND is_ended", (stream,))}

    def end(self, lease: Lease, now: float) -> None:
        """Note that a shard is archived to its end, so that its children may begin. Raises LeaseLost."""
        with self._file.writing() as database:
            move(database, lease, now, "is_ended = 1, behind_ms = 0, at = ?", "first IS NULL", (now,))

    def note_lag(self, lease: Lease, behind_ms: int | None, now: float) -> None:
        """Note how far a shard is behind while nothing is archived of it, and prolong the lease. Raises LeaseLost."""
        with self._file.writing() as database:
            move(database, lease, now, "behind_ms = ?, at = ?", "TRUE", (behind_ms, now))

    def shards(self) -> list[ShardStatus]:
        """All shards of all streams, by name."""
        rows = self._file.rows(
            "SELECT stream, name, checkpoint, first, last, is_ended, owner, leased_until, behind_ms, newest_change, at"
            " FROM shard WHERE stream NOT LIKE '~%' ORDER BY stream, name"
        )
        return [
            ShardStatus(stream, name, checkpoint, _pending(stream, name, first, last), bool(is_ended), *rest)
            for stream, name, checkpoint, first, last, is_ended, *rest in rows
        ]

    def has_live_worker(self, stream: str, now: float) -> bool:
        """Whether a shard of the stream is leased at this moment."""
        query = "SELECT EXISTS (SELECT 1 FROM shard WHERE stream = ? AND owner IS NOT NULL AND leased_until > ?)"
        ((is_there,),) = self._file.rows(query, (stream, now))
        return bool(is_there)


def move(
    database: Connection,
    lease: Lease,
    now: float,
    change: str,
    condition: str,
    changed: tuple[Any, ...] = (),
    conditioned: tuple[Any, ...] = (),
) -> None:
    """Change a shard under its lease, which is prolonged. Raises LeaseLost."""
    moved = database.execute(
        f"UPDATE shard SET {change}, leased_until = ? WHERE stream = ? AND name = ? AND token = ? AND {condition}",  # noqa: S608 - both are ours
        (*changed, now + LEASE_SECONDS, lease.stream, lease.shard, lease.token, *conditioned),
    ).rowcount
    if moved != 1:
        raise lost(lease)


def lost(lease: Lease) -> LeaseLost:
    """The error of whoever holds an old token."""
    return LeaseLost(
        f"{lease.stream}/{lease.shard}: another worker took it over from {lease.owner}; let one of them archive it"
    )


def _pending(stream: str, shard: str, first: str | None, last: str | None) -> Range | None:
    return None if first is None or last is None else Range(stream, shard, first, last)
