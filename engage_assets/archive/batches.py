"""Records of one range of a shard → Avro files by type and partition date, error files and counts; pure.

The same range gives the same files: names and markers derive from the range, times from the records.
"""

import base64
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple

import orjson

from engage_assets.archive.containers import container
from engage_assets.archive.envelopes import Payload, created_at, open_record, read_change
from engage_assets.archive.identities import Identity, identify
from engage_assets.archive.ports import Record
from engage_assets.archive.refusals import Kind, Refused
from engage_assets.archive.rows import Row, row_of
from engage_assets.archive.times import file_time, iso

_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "engage:demand-archive")
Form = Literal["json", "text", "base64", "beginning"]
"""How an error file holds a record: by itself a record may look like any of them."""


@dataclass(frozen=True)
class Range:
    """Consecutive records of a shard, named by the positions of the first and the last."""

    stream: str
    shard: str
    first: str
    last: str

    def uuid(self, *parts: str) -> uuid.UUID:
        """The name of something that comes of this range and of nothing else."""
        text = orjson.dumps([self.stream, self.shard, self.first, self.last, *parts]).decode()
        return uuid.uuid5(_NAMESPACE, text)


class Entry(NamedTuple):
    """A good record: its identity and its row."""

    identity: Identity
    row: Row


class Refusal(NamedTuple):
    """A record that cannot be archived."""

    kind: Kind
    message: str
    position: str
    sequence: str
    at: int
    """The record's own time, else that of a neighbour, in µs."""
    record: Record


@dataclass(frozen=True)
class Reading:
    """What a range holds: `entries`, first copies in the order of the shard, and `refusals`."""

    range: Range
    at: int
    """Time of the range: the first that a record of it has."""
    read: int
    duplicates: int
    """Copies of a change that stands in the range before them."""
    entries: tuple[Entry, ...]
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True)
class DataFile:
    """An Avro file to be put under a key of the root."""

    key: str
    content: bytes
    type: str
    partition_date: str
    records: int


@dataclass(frozen=True)
class ErrorFile:
    """A refused record to be put under a key of the root for errors."""

    key: str
    content: bytes


@dataclass(frozen=True)
class Counts:
    """What became of the records of a range, each counted for itself: read = archived + errors + duplicates."""

    read: int = 0
    archived: int = 0
    errors: int = 0
    duplicates: int = 0
    redacted: int = 0
    """Of the archived: deletions that had a personal field."""

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.read + other.read,
            self.archived + other.archived,
            self.errors + other.errors,
            self.duplicates + other.duplicates,
            self.redacted + other.redacted,
        )


@dataclass(frozen=True)
class Files:
    """All that a range leaves behind: what is counted as archived lies in `data`, each error in a file of its own."""

    data: tuple[DataFile, ...]
    errors: tuple[ErrorFile, ...]
    counts: Counts
    messages: Counter[str]
    """How often each refusal was given."""


def read_range(where: Range, records: Sequence[Record]) -> Reading:
    """Read every record by itself: a bad one is refused and its neighbours are not touched."""
    entries: list[Entry] = []
    refusals: list[tuple[Refused, str, int | None, Record]] = []
    seen: set[bytes] = set()
    times: list[int | None] = []
    duplicates = 0
    for record in records:
        found = _read(record, where)
        times.append(found[1])
        if isinstance(found[0], Refused):
            refusals.append((found[0], found[2], found[1], record))
        elif seen.isdisjoint(found[0].identity.twins):
            seen.update(found[0].identity.marks)
            entries.append(found[0])
        else:
            duplicates += 1
    start = next((at for at in times if at is not None), 0)
    stated = _refusals(refusals, start)
    return Reading(where, start, len(records), duplicates, tuple(entries), stated)


def _read(record: Record, where: Range) -> tuple[Entry | Refused, int | None, str]:
    """The entry or the refusal of a record, its time where it has one, and its sequence number."""
    payload: Payload | None = None
    try:
        payload = open_record(record)
        change = read_change(payload, record.position)
        row = row_of(change, where.stream, where.shard)
        at = change.changed_at if payload.arrived_at is None else payload.arrived_at
        return Entry(identify(change), row), at, change.sequence
    except Refused as refused:
        without_trace = Refused(refused.kind, refused.message)  # a trace would hold what was parsed
        return without_trace, *_place(record, payload)
    except Exception as error:  # noqa: BLE001 - a defect of ours may cost this record a detour, never a neighbour
        return Refused("defect", f"record: {type(error).__name__} while reading it"), *_place(record, payload)


def _place(record: Record, payload: Payload | None) -> tuple[int | None, str]:
    """Time and sequence number of a refused record, as far as it states them."""
    if payload is None:
        return record.arrived_at, record.sequence or record.position
    dynamodb = payload.body.get("dynamodb")
    number = dynamodb.get("SequenceNumber") if type(dynamodb) is dict else None
    sequence = payload.sequence or (number if type(number) is str and number else record.position)
    if payload.arrived_at is not None or type(dynamodb) is not dict:
        return payload.arrived_at, sequence
    try:
        return created_at(payload), sequence
    except Refused:
        return None, sequence


def _refusals(found: Sequence[tuple[Refused, str, int | None, Record]], start: int) -> tuple[Refusal, ...]:
    return tuple(
        Refusal(
            kind=refused.kind,
            message=refused.message,
            position=record.position,
            sequence=sequence,
            at=start if at is None else at,
            record=record,
        )
        for refused, sequence, at, record in found
    )


def write_files(reading: Reading, fresh: Sequence[bool] | None = None) -> Files:
    """The files of a range; `fresh` says of each entry whether it is no copy of a change from another range."""
    new = repeat(True, len(reading.entries)) if fresh is None else fresh
    rows = [entry.row for entry, is_new in zip(reading.entries, new, strict=True) if is_new]
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=attrgetter("changed_at")):
        groups.setdefault((row.type, row.partition_date), []).append(row)
    data = tuple(_data_file(reading, *group, rows) for group, rows in sorted(groups.items()))
    errors = tuple(_error_file(reading.range, refusal) for refusal in reading.refusals)
    return Files(
        data=data,
        errors=errors,
        counts=Counts(
            read=reading.read,
            archived=sum(file.records for file in data),
            errors=len(errors),
            duplicates=reading.duplicates + len(reading.entries) - len(rows),
            redacted=sum(row.is_redacted for row in rows),
        ),
        messages=Counter(refusal.message for refusal in reading.refusals),
    )


def data_name(where: Range, kind: str, partition_date: str) -> uuid.UUID:
    """The uuid in the name of a range's file of a partition."""
    return where.uuid(kind, partition_date)


def _data_file(reading: Reading, kind: str, partition_date: str, rows: Sequence[Row]) -> DataFile:
    name = data_name(reading.range, kind, partition_date)
    return DataFile(
        key=f"data/{kind}/partition_date={partition_date}/{file_time(reading.at)}-{name}.avro",
        content=container(kind, [row.values for row in rows], name.bytes),
        type=kind,
        partition_date=partition_date,
        records=len(rows),
    )


def _error_file(where: Range, refusal: Refusal) -> ErrorFile:
    name = where.uuid("error", refusal.position)
    form, event = _original(refusal.record)
    content = {
        "timestamp": iso(refusal.at),
        "error": {"message": refusal.message},
        "position": {"stream": where.stream, "shard": where.shard, "sequenceNumber": refusal.sequence},
        "events": [event],
        "forms": [form],
    }
    return ErrorFile(f"{file_time(refusal.at)}-{name}.json", orjson.dumps(content) + b"\n")


def _original(record: Record) -> tuple[Form, Any]:
    """The record as it came, and in which form: itself where it is JSON, a text where it is UTF-8, else in base64.

    Of a record that is too large to be held, its beginning and its size.
    """
    if record.size is not None:
        return "beginning", {"beginning": _text(record.data)[1], "size": record.size}
    try:
        orjson.loads(record.data)
    except orjson.JSONDecodeError:
        return _text(record.data)
    return "json", orjson.Fragment(record.data)


def _text(data: bytes) -> tuple[Form, Any]:
    try:
        return "text", data.decode()
    except UnicodeDecodeError:
        return "base64", {"base64": base64.b64encode(data).decode()}
