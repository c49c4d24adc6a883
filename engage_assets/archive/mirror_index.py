"""The mirror's index: which segment holds which version of which file; one SQLite file, many readers, one writer."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

BUSY_SECONDS: Final = 60
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS segment (
    name TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('staged', 'live', 'retired')),
    retired_at REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entry (
    segment TEXT NOT NULL REFERENCES segment (name) ON DELETE CASCADE,
    key TEXT NOT NULL,
    tag TEXT NOT NULL,
    records INTEGER NOT NULL,
    PRIMARY KEY (segment, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS version (print TEXT NOT NULL);
"""


class Entry(NamedTuple):
    """A version of a file: its key, its tag and its records."""

    key: str
    tag: str
    records: int


class Segment(NamedTuple):
    """A Parquet file of the mirror."""

    name: str
    type: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Index:
    """The index in `path`; `version` says what wrote its segments."""

    path: Path
    version: str

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)) as database:
            database.execute("PRAGMA foreign_keys = ON")
            database.execute("PRAGMA synchronous = NORMAL")  # what a power cut takes back is read again
            yield database

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                database.execute("ROLLBACK")
                raise

    def begin(self, now: float) -> None:
        """Make the index where it is not there; retire all segments that another version wrote."""
        with self._open() as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(_SCHEMA)
        with self._writing() as database:
            known = database.execute("SELECT print FROM version").fetchone()
            if known != (self.version,):
                database.execute(
                    "UPDATE segment SET state = 'retired', retired_at = ? WHERE state != 'retired'", (now,)
                )
                database.execute("DELETE FROM version")
                database.execute("INSERT INTO version VALUES (?)", (self.version,))

    def is_current(self) -> bool:
        """Whether this version wrote it."""
        if not self.path.exists():
            return False
        with self._open() as database:
            return bool(database.execute("SELECT print FROM version").fetchone() == (self.version,))

    def segments(self, state: str) -> list[Segment]:
        """The segments of a state, all as of one moment; none where there is no index."""
        if not self.path.exists():
            return []
        with self._open() as database:
            rows = database.execute(
                "SELECT name, type, rows, bytes FROM segment WHERE state = ? ORDER BY type, name", (state,)
            )
            return [Segment(*row) for row in rows]

    def entries(self, segment: str) -> list[Entry]:
        """What a segment holds, by key."""
        with self._open() as database:
            rows = database.execute("SELECT key, tag, records FROM entry WHERE segment = ? ORDER BY key", (segment,))
            return [Entry(*row) for row in rows]

    def stage(self, segment: Segment, entries: Iterable[Entry]) -> None:
        """Note a segment that is whole and that no reader sees yet."""
        with self._writing() as database:
            database.execute(
                "INSERT INTO segment VALUES (?, ?, ?, ?, 'staged', NULL)",
                (segment.name, segment.type, segment.rows, segment.bytes),
            )
            database.executemany("INSERT INTO entry VALUES (?, ?, ?, ?)", ((segment.name, *entry) for entry in entries))

    def publish(self, retired: Iterable[str], now: float) -> None:
        """Show readers all staged segments instead of the retired ones, at once."""
        with self._writing() as database:
            database.executemany(
                "UPDATE segment SET state = 'retired', retired_at = ? WHERE name = ?", ((now, name) for name in retired)
            )
            database.execute("UPDATE segment SET state = 'live' WHERE state = 'staged'")

    def retire(self, names: Iterable[str], now: float) -> None:
        """Take segments from readers."""
        with self._writing() as database:
            database.executemany(
                "UPDATE segment SET state = 'retired', retired_at = ? WHERE name = ?", ((now, name) for name in names)
            )

    def retired(self, until: float) -> list[str]:
        """Segments that were retired up to an instant."""
        with self._open() as database:
            rows = database.execute("SELECT name FROM segment WHERE state = 'retired' AND retired_at <= ?", (until,))
            return [name for (name,) in rows]

    def drop(self, names: Iterable[str]) -> None:
        """Forget segments whose files are gone."""
        with self._writing() as database:
            database.executemany("DELETE FROM segment WHERE name = ?", ((name,) for name in names))

    def names(self) -> set[str]:
        """All segments of any state."""
        with self._open() as database:
            return {name for (name,) in database.execute("SELECT name FROM segment")}
