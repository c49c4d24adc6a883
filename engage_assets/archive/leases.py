"""Who may write a shard, how far it is, and how far it is behind: the shards' table of a state.

A shard is written under a lease with a token that grows with every acquisition; whoever lost the lease holds an old
token and changes nothing any more.
"""

from typing import Any, Final, NamedTuple

from engage_assets.archive.batches import Range
from engage_assets.archive.state_file import Connection, StateFile
from engage_assets.domain.errors import EngageError

LEASE_SECONDS: Final = 60
LONGEST_LEASE: Final = 2 * LEASE_SECONDS
"""One that would hold longer was given before the clock was set back, perhaps to one who is dead: it does not hold. A
clock that is put right by seconds takes no lease away."""
OWN_STREAM: Final = "~"
"""The stream of leases that are not about shards: `acquire("~", "maintenance", …)`."""
REPLAY_SHARD: Final = "errors"
"""The shard under which error files are replayed: of every stream, and no source has one of this name."""


class LeaseLost(EngageError):
    """Another worker took the shard over; this one must leave it alone."""


class RangePending(LeaseLost):
    """Another range of the shard is begun and not committed; it comes first."""


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
    stopped: str | None = None
    """Why it could not go on when it was worked on last."""
    mark: tuple[str, str] | None = None
    """A position and what the change there is known by, see `ports.Recognizing`."""


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
    """When `behind_ms` was noted, else when a worker first had it, in s since 1970."""
    stopped: str | None = None
    """Why it cannot go on; None where it can."""
    stopped_at: float | None = None
    """Since when, in s since 1970."""

    def has_worker(self, now: float) -> bool:
        """Whether its lease holds."""
        return self.owner is not None and now < self.leased_until <= now + LONGEST_LEASE


class Shards:
    """Leases, checkpoints and lag of all shards. `now` is always in s since 1970."""

    _file: StateFile

    def acquire(self, stream: str, shard: str, owner: str, now: float) -> Lease | None:
        """The lease of a shard, or None while another owner's has not run out.

        Where it had not and its owner lives (see LONGEST_LEASE), the new token protects the shard.
        """
        with self._file.writing() as database:
            database.execute("INSERT OR IGNORE INTO shard (stream, name) VALUES (?, ?)", (stream, shard))
            taken = database.execute(
                "UPDATE shard SET owner = ?, token = token + 1, leased_until = ?, at = coalesce(at, ?)"
                " WHERE stream = ? AND name = ? AND (owner IS NULL OR owner = ? OR leased_until <= ? OR"
                " leased_until > ?) RETURNING token",
                (owner, now + LEASE_SECONDS, now, stream, shard, owner, now, now + LONGEST_LEASE),
            ).fetchone()
        return Lease(stream, shard, owner, taken[0]) if taken else None

    def renew(self, lease: Lease, now: float) -> None:
        """Prolong a lease. Raises LeaseLost."""
        with self._file.writing() as database:
            move(database, lease, now, "token = token", "TRUE")

    def stop(self, lease: Lease, why: str, now: float) -> None:
        """Note why a shard cannot go on, and since when; of a lease that was lost nothing is noted."""
        with self._file.writing() as database:
            database.execute(
                "UPDATE shard SET stopped = ?, stopped_at = coalesce(stopped_at, ?)"
                " WHERE stream = ? AND name = ? AND token = ?",
                (why, now, lease.stream, lease.shard, lease.token),
            )

    def go_on(self, lease: Lease, now: float) -> None:
        """Note that a shard that had stopped goes on. Raises LeaseLost."""
        with self._file.writing() as database:
            move(database, lease, now, "stopped = NULL, stopped_at = NULL", "TRUE")

    def mark(self, lease: Lease, position: str, mark: str, now: float) -> None:
        """Note what the change at an archived position is known by. Raises LeaseLost."""
        with self._file.writing() as database:
            move(database, lease, now, "marked = ?, mark = ?", "TRUE", (position, mark))

    def forget_position(self, stream: str, shard: str, now: float) -> None:
        """Let a shard begin again at the oldest record that its stream has.

        What a begun range claimed is claimed no more. Raises EngageError where a worker has the shard, or it is
        unknown.
        """
        with self._file.writing() as database:
            found = database.execute(
                "SELECT owner IS NOT NULL AND leased_until > ? AND leased_until <= ?, first, last FROM shard"
                " WHERE stream = ? AND name = ?",
                (now, now + LONGEST_LEASE, stream, shard),
            ).fetchone()
            if found is None:
                raise EngageError(f"{stream}/{shard}: no such shard in the state; `engage archive status` lists them")
            if found[0]:
                raise EngageError(f"{stream}/{shard}: a worker has it; stop the worker first")
            if (pending := _pending(stream, shard, *found[1:])) is not None:
                database.execute("DELETE FROM seen WHERE range = ?", (pending.uuid("seen").bytes,))
            database.execute(
                "UPDATE shard SET checkpoint = NULL, first = NULL, last = NULL, is_ended = 0, owner = NULL,"
                " token = token + 1, stopped = NULL, stopped_at = NULL, marked = NULL, mark = NULL"
                " WHERE stream = ? AND name = ?",
                (stream, shard),
            )

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
            "SELECT checkpoint, first, last, is_ended, stopped, marked, mark FROM shard"
            " WHERE stream = ? AND name = ? AND token = ?",
            (lease.stream, lease.shard, lease.token),
        )
        if not rows:
            raise lost(lease)
        ((checkpoint, first, last, is_ended, stopped, marked, mark),) = rows
        known = (marked, mark) if marked and mark else None
        return Progress(checkpoint, _pending(lease.stream, lease.shard, first, last), bool(is_ended), stopped, known)

    def ended(self, stream: str) -> set[str]:
        """Shards of a stream that are archived to their end."""
        return {name for (name,) in self._file.rows("SELECT name FROM shard WHERE stream = ? AND is_ended", (stream,))}

    def end(self, lease: Lease, now: float) -> None:
        """Note that a shard is archived to its end, so that its children may begin. Raises LeaseLost."""
        with self._file.writing() as database:
            move(database, lease, now, "is_ended = 1, behind_ms = 0, at = ?, stopped = NULL, stopped_at = NULL",
                 "first IS NULL", (now,))  # fmt: skip

    def note_lag(self, lease: Lease, behind_ms: int | None, now: float) -> None:
        """Note how far a shard is behind while nothing is archived of it, and prolong the lease. Raises LeaseLost."""
        with self._file.writing() as database:
            move(database, lease, now, "behind_ms = ?, at = ?", "TRUE", (behind_ms, now))

    def shards(self) -> list[ShardStatus]:
        """All shards of all streams, by name."""
        rows = self._file.rows(
            "SELECT stream, name, checkpoint, first, last, is_ended, owner, leased_until, behind_ms, newest_change, at,"
            " stopped, stopped_at"
            " FROM shard WHERE stream NOT LIKE '~%' ORDER BY stream, name"
        )
        return [
            ShardStatus(stream, name, checkpoint, _pending(stream, name, first, last), bool(is_ended), *rest)
            for stream, name, checkpoint, first, last, is_ended, *rest in rows
        ]

    def has_live_worker(self, stream: str, now: float) -> bool:
        """Whether a worker has a shard of the stream at this moment; a replay is none."""
        query = (
            "SELECT EXISTS (SELECT 1 FROM shard WHERE stream = ? AND name <> ? AND owner IS NOT NULL"
            " AND leased_until > ? AND leased_until <= ?)"
        )
        ((is_there,),) = self._file.rows(query, (stream, REPLAY_SHARD, now, now + LONGEST_LEASE))
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


def pending_of(database: Connection, lease: Lease) -> Range | None:
    """The range of a lease's shard that is begun; None where there is none, or the lease is lost."""
    row = database.execute(
        "SELECT first, last FROM shard WHERE stream = ? AND name = ? AND token = ?",
        (lease.stream, lease.shard, lease.token),
    ).fetchone()
    return _pending(lease.stream, lease.shard, *row) if row else None


def lost(lease: Lease) -> LeaseLost:
    """The error of whoever holds an old token."""
    return LeaseLost(
        f"{lease.stream}/{lease.shard}: another worker took it over from {lease.owner}; let one of them archive it"
    )


def _pending(stream: str, shard: str, first: str | None, last: str | None) -> Range | None:
    return None if first is None or last is None else Range(stream, shard, first, last)
