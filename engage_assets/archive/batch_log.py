"""What was archived, as a state remembers it: a row for each batch, sums by day, totals by type and partition date."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

from engage_assets.archive.batches import Counts, Range
from engage_assets.archive.state_file import Connection, StateFile
from engage_assets.archive.tombstones import Reference, Tombstones

Partition = tuple[str, str]
"""(type, partition date)"""


class Total(NamedTuple):
    """What a partition holds."""

    records: int
    files: int
    at: float = 0.0
    """When something was added last, in s since 1970."""


@dataclass(frozen=True)
class Tally:
    """What a range left behind."""

    counts: Counts
    partitions: Mapping[Partition, Total] = field(default_factory=dict)
    """Records and files that it added."""
    removals: Mapping[Reference, int] = field(default_factory=dict)
    """References that it removed, and when, in µs."""
    messages: Mapping[str, int] = field(default_factory=dict)
    """How often each refusal was given."""
    newest_change: int | None = None
    """In µs."""
    behind_ms: int | None = None
    tombstones: Tombstones = field(default_factory=Tombstones)
    """Those that its files were made with."""


class BatchDone(NamedTuple):
    """A range that is archived."""

    id: int
    range: Range
    at: float
    """In s since 1970."""
    counts: Counts
    newest_change: int | None
    behind_ms: int | None
    messages: dict[str, int]
    partitions: dict[Partition, Total]


class DayDone(NamedTuple):
    """What was archived on a UTC day."""

    day: str
    batches: int
    counts: Counts


class BatchLog:
    """Batches, days and totals."""

    _file: StateFile

    def batches(self, after: int = 0, limit: int = 1000) -> list[BatchDone]:
        """Batches with higher numbers, the lowest first."""
        rows = self._file.rows(
            "SELECT id, stream, shard, first, last, at, read, archived, errors, duplicates, redacted, newest_change,"
            " behind_ms, messages, partitions FROM batch WHERE id > ? ORDER BY id LIMIT ?",
            (after, limit),
        )
        return [
            BatchDone(row[0], Range(*row[1:5]), row[5], Counts(*row[6:11]), row[11], row[12], *_parsed(*row[13:]))
            for row in rows
        ]

    def committed(self, where: Range) -> Counts | None:
        """What a range left behind that was committed last; None where it was not, or batches of then are dropped."""
        rows = self._file.rows(
            "SELECT read, archived, errors, duplicates, redacted FROM batch"
            " WHERE stream = ? AND shard = ? AND first = ? AND last = ? ORDER BY id DESC LIMIT 1",
            (where.stream, where.shard, where.first, where.last),
        )
        return Counts(*rows[0]) if rows else None

    def newest_batch(self) -> int:
        """The number of the latest batch; 0 where there was none."""
        ((number,),) = self._file.rows("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'batch'")
        return int(number)

    def days(self) -> list[DayDone]:
        """Sums of each day, the first day first."""
        return [DayDone(day, number, Counts(*counts)) for day, number, *counts in self._file.rows(_DAYS)]

    def errors_there(self) -> int:
        """How many error files must lie there: each refused record has one, less those that were taken away."""
        ((number,),) = self._file.rows(
            "SELECT coalesce((SELECT sum(errors) FROM day), 0) - coalesce((SELECT number FROM errors_taken), 0)"
        )
        return int(number)

    def take_errors(self, number: int) -> None:
        """Note that error files are about to be taken away for good."""
        with self._file.writing() as database:
            database.execute(
                "INSERT INTO errors_taken VALUES (1, ?) ON CONFLICT DO UPDATE SET number = number + excluded.number",
                (number,),
            )

    def totals(self) -> dict[Partition, Total]:
        """What each partition holds."""
        query = "SELECT type, partition_date, records, files, at FROM total ORDER BY type, partition_date"
        return {(kind, date): Total(*rest) for kind, date, *rest in self._file.rows(query)}

    def set_total(self, kind: str, date: str, records: int, files: int) -> None:
        """Correct a total after a count; see `change_total` where a worker may be adding."""
        with self._file.writing() as database:
            database.execute(
                "INSERT INTO total VALUES (?, ?, ?, ?, 0) ON CONFLICT DO UPDATE SET records = excluded.records,"
                " files = excluded.files",
                (kind, date, records, files),
            )

    def change_total(self, kind: str, date: str, records: int, files: int) -> None:
        """Add to a total, or take away; when something was archived last stays as it is."""
        with self._file.writing() as database:
            database.execute(
                "INSERT INTO total VALUES (?, ?, ?, ?, 0) ON CONFLICT DO UPDATE SET records = records +"
                " excluded.records, files = files + excluded.files",
                (kind, date, records, files),
            )

    def forget_partition(self, kind: str, date: str) -> None:
        """A partition that is no more."""
        with self._file.writing() as database:
            database.execute("DELETE FROM total WHERE type = ? AND partition_date = ?", (kind, date))


_DAYS = "SELECT day, batches, read, archived, errors, duplicates, redacted FROM day ORDER BY day"


def log_batch(database: Connection, where: Range, tally: Tally, now: float) -> None:
    """Note a batch, and add it to its day and to the totals."""
    counts = tally.counts
    numbers = (counts.read, counts.archived, counts.errors, counts.duplicates, counts.redacted)
    partitions = [[*key, total.records, total.files] for key, total in tally.partitions.items()]
    database.execute(
        "INSERT INTO batch (stream, shard, first, last, at, read, archived, errors, duplicates, redacted,"
        " newest_change, behind_ms, messages, partitions) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (where.stream, where.shard, where.first, where.last, now, *numbers, tally.newest_change, tally.behind_ms,
         orjson.dumps(dict(tally.messages)).decode(), orjson.dumps(partitions).decode()),
    )  # fmt: skip
    database.execute(
        "INSERT INTO day VALUES (?, 1, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET batches = batches + 1,"
        " read = read + excluded.read, archived = archived + excluded.archived, errors = errors + excluded.errors,"
        " duplicates = duplicates + excluded.duplicates, redacted = redacted + excluded.redacted",
        (datetime.fromtimestamp(now, UTC).date().isoformat(), *numbers),
    )
    database.executemany(
        "INSERT INTO total VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET records = records + excluded.records,"
        " files = files + excluded.files, at = excluded.at",
        [(*one, now) for one in partitions],
    )


def _parsed(messages: str, partitions: str) -> tuple[dict[str, int], dict[Partition, Total]]:
    parts = orjson.loads(partitions)
    return orjson.loads(messages), {(kind, date): Total(records, files) for kind, date, records, files in parts}
