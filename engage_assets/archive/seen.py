"""The marks of archived changes, by which copies are known again, and the time by which marks age."""

from collections.abc import Sequence
from typing import Final

from engage_assets.archive.identities import Identity
from engage_assets.archive.state_file import Connection

LONGEST_STEP: Final = 86_400
"""Seconds that marks age at most from one look at the clock to the next: a clock set ahead by weeks forgets nothing
that a stream still holds."""


def mark_fresh(
    database: Connection, owner: bytes, identities: Sequence[Identity], now: float, *, is_again: bool = False
) -> list[bool]:
    """Mark changes as a range's own; says of each whether no range has a copy of it.

    Marks of the range itself count as its own where it `is_again` in hand; else what left them is committed.
    """
    taken = _taken(database, owner if is_again else b"", identities)
    fresh = [taken.isdisjoint(one.twins) for one in identities]
    at = _pace(database, now)
    database.executemany(
        "INSERT OR IGNORE INTO seen VALUES (?, ?, ?)",
        ((mark, owner, at) for one, is_fresh in zip(identities, fresh, strict=True) if is_fresh for mark in one.marks),
    )
    return fresh


def forget_marks(database: Connection, now: float, horizon: float) -> int:
    """Drop marks older than the horizon, and batches; the number of marks."""
    before = _pace(database, now) - horizon
    number = database.execute("DELETE FROM seen WHERE at < ?", (before,)).rowcount
    database.execute("DELETE FROM batch WHERE at < ?", (before,))
    return number


def _pace(database: Connection, now: float) -> float:
    """The time by which marks age: the clock's, without going back and without long leaps."""
    (at,) = database.execute(
        "INSERT INTO pace VALUES (1, ?, ?) ON CONFLICT DO UPDATE"
        " SET at = at + min(max(excluded.wall - wall, 0), ?), wall = excluded.wall RETURNING at",
        (now, now, LONGEST_STEP),
    ).fetchone()
    return float(at)


def _taken(database: Connection, owner: bytes, identities: Sequence[Identity]) -> set[bytes]:
    """The marks among these that another range left."""
    twins = [mark for one in identities for mark in one.twins]
    found: set[bytes] = set()
    for start in range(0, len(twins), 1000):
        some = twins[start : start + 1000]
        places = ",".join("?" * len(some))
        rows = database.execute(f"SELECT mark FROM seen WHERE mark IN ({places}) AND range != ?", (*some, owner))  # noqa: S608 - question marks
        found.update(mark for (mark,) in rows)
    return found
