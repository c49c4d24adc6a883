"""Erasures and removals as a state keeps them, each with the version at which it came."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from engage_assets.archive.state_file import Connection, StateFile
from engage_assets.archive.tombstones import Reference, Removal, Tombstones

_AT_ONCE: Final = 500
"""Values of a query at most."""


class TombstoneTable:
    """Who was erased and what was removed."""

    _file: StateFile

    def erase(self, fan_id: str, erased_at: int) -> None:
        """From now on no row of the fan that was made until `erased_at` (µs) is archived readable."""
        self.learn({fan_id: erased_at})

    def learn(self, erasures: Mapping[str, int]) -> None:
        """Take over erasures (fan → µs); of two of a fan the later counts."""
        with self._file.writing() as database:
            known = dict(database.execute("SELECT fan_id, erased_at FROM erasure"))
            new = {fan: at for fan, at in erasures.items() if at > known.get(fan, -1)}
            if new:
                version = _next_version(database)
                database.executemany(
                    "INSERT OR REPLACE INTO erasure VALUES (?, ?, ?)", [(*one, version) for one in new.items()]
                )

    def erasures(self) -> dict[str, int]:
        """All erased fans, and when, in µs."""
        return dict(self._file.rows("SELECT fan_id, erased_at FROM erasure ORDER BY fan_id"))

    def tombstones(
        self, fans: frozenset[str], references: frozenset[Reference], *, has_refusals: bool = False
    ) -> Tombstones:
        """What is known of these fans and references now; all erased fans too where a range `has_refusals`."""
        ((version,),) = self._file.rows("SELECT version FROM tombstones")  # first: what comes meanwhile is newer
        erased: dict[str, int] = {}
        for some in _parts(sorted(fans)):
            query = f"SELECT fan_id, erased_at FROM erasure WHERE fan_id IN ({_places(some)})"  # noqa: S608 - question marks
            erased.update(self._file.rows(query, some))
        removed: dict[Reference, int] = {}
        for some in _parts(sorted({reference for _, reference in references})):
            query = f"SELECT type, reference_id, changed_at FROM removal WHERE reference_id IN ({_places(some)})"  # noqa: S608 - question marks
            removed.update(((kind, one), at) for kind, one, at in self._file.rows(query, some))
        return Tombstones(
            version,
            fans,
            references,
            erased,
            {key: removed[key] for key in references & removed.keys()},
            frozenset(self.erasures()) if has_refusals else None,
        )

    def pending_removals(self, limit: int) -> list[Removal]:
        """Removals whose earlier versions may still be readable, the oldest first."""
        query = "SELECT type, reference_id, changed_at FROM removal WHERE NOT is_done ORDER BY changed_at LIMIT ?"
        return [Removal(*row) for row in self._file.rows(query, (limit,))]

    def removals_done(self, removals: Sequence[Removal]) -> None:
        """Note that no earlier version of these is readable; a later removal of the same stays pending."""
        with self._file.writing() as database:
            database.executemany(
                "UPDATE removal SET is_done = 1 WHERE type = ? AND reference_id = ? AND changed_at = ?", removals
            )


def add_removals(database: Connection, removals: Mapping[Reference, int]) -> None:
    """Queue removals; one that is known with a later change is no news."""
    if removals:
        version = _next_version(database)
        database.executemany(
            "INSERT INTO removal VALUES (?, ?, ?, 0, ?) ON CONFLICT DO UPDATE SET changed_at = excluded.changed_at,"
            " is_done = 0, version = excluded.version WHERE excluded.changed_at > changed_at",
            [(*key, at, version) for key, at in removals.items()],
        )


def are_stale(database: Connection, tombstones: Tombstones) -> bool:
    """Whether one of the fans or references asked about was erased or removed since."""
    fans = database.execute("SELECT fan_id FROM erasure WHERE version > ?", (tombstones.version,))
    if any(tombstones.everyone is not None or fan in tombstones.fans for (fan,) in fans):
        return True
    removed = database.execute("SELECT type, reference_id FROM removal WHERE version > ?", (tombstones.version,))
    return any(key in tombstones.references for key in removed)


def _next_version(database: Connection) -> int:
    ((version,),) = database.execute("UPDATE tombstones SET version = version + 1 RETURNING version")
    return int(version)


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    yield from (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))


def _places(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))
