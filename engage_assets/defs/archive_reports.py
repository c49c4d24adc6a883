"""What assets hear of batches: a materialization per partition that got something, with what came and what it holds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import dagster as dg
import polars as pl

from engage_assets.archive.state import BatchDone, Total
from engage_assets.defs.archive_assets import CHANGES, ERRORS, PARTITIONS, type_key
from engage_assets.defs.archive_desk import ArchiveDesk
from engage_assets.defs.describe import markdown_table

PARTITIONS_AT_ONCE: Final = 200
"""Partitions that one tick reports; the next one goes on."""
_LONGEST_LIST: Final = 20


class Reports(NamedTuple):
    """What a tick tells Dagster of some batches."""

    events: list[dg.AssetMaterialization | dg.AssetObservation]
    days: dict[str, list[str]]
    """By type: the partition dates that are named."""
    last: int
    """The number of the last batch that they are of."""


def reports_of(
    desk: ArchiveDesk, batches: Sequence[BatchDone], totals: Mapping[tuple[str, str], Total], lag: float | None
) -> Reports:
    """Events for the first of `batches`, as many as name PARTITIONS_AT_ONCE partitions; at least one batch."""
    came: dict[tuple[str, str], Counter[str]] = {}
    told: list[BatchDone] = []
    for batch in batches:
        new = came.keys() | batch.partitions.keys()
        if told and len(new) > PARTITIONS_AT_ONCE:
            break
        told.append(batch)
        for partition, added in batch.partitions.items():
            came.setdefault(partition, Counter()).update(records=added.records, files=added.files)
    days: dict[str, list[str]] = {}
    for kind, day in sorted(came):
        days.setdefault(kind, []).append(day)
    events: list[dg.AssetMaterialization | dg.AssetObservation] = [
        _partition_event(desk, kind, day, counts, totals.get((kind, day), Total(0, 0)))
        for (kind, day), counts in sorted(came.items())
    ]
    return Reports([*events, *_stream_events(desk, told, lag)], days, told[-1].id)


def _partition_event(
    desk: ArchiveDesk, kind: str, day: str, came: Counter[str], total: Total
) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        type_key(kind),
        partition=day,
        description=f"{came['records']:,} new records in {came['files']:,} files",
        metadata={
            "dagster/partition_row_count": total.records,
            "new_records": came["records"],
            "new_files": came["files"],
            "files": total.files,
            "folder": dg.MetadataValue.path(f"{desk.root_text}/data/{kind}/partition_date={day}"),
        },
    )


def _stream_events(
    desk: ArchiveDesk, told: Sequence[BatchDone], lag: float | None
) -> list[dg.AssetMaterialization | dg.AssetObservation]:
    """What was read, and what was refused."""
    counts = told[0].counts
    messages: Counter[str] = Counter(told[0].messages)
    for batch in told[1:]:
        counts += batch.counts
        messages.update(batch.messages)
    read = dg.AssetObservation(
        CHANGES,
        description=f"{counts.read:,} read = {counts.archived:,} archived + {counts.errors:,} errors"
        f" + {counts.duplicates:,} duplicates",
        metadata={
            "read": counts.read,
            "archived": counts.archived,
            "errors": counts.errors,
            "duplicates": counts.duplicates,
            "redacted": counts.redacted,
            "batches": len(told),
            **({} if lag is None else {"lag_seconds": round(lag, 1)}),
        },
    )
    if not counts.errors:
        return [read]
    metadata: dict[str, Any] = {
        "errors": counts.errors,
        "share": round(counts.errors / counts.read, 5),
        "messages": messages_table(messages),
        "folder": dg.MetadataValue.path(desk.errors_text),
    }
    return [read, dg.AssetMaterialization(ERRORS, description=f"{counts.errors:,} refused", metadata=metadata)]


def messages_table(messages: Mapping[str, int]) -> dg.MetadataValue:
    """Refusals by message, most first."""
    rows = sorted(messages.items(), key=lambda one: (-one[1], one[0]))[:_LONGEST_LIST]
    frame = pl.DataFrame(rows, schema={"message": pl.String, "records": pl.Int64}, orient="row")
    return markdown_table(frame)


def partition_requests(days: Mapping[str, Sequence[str]]) -> list[dg.AddDynamicPartitionsRequest]:
    """Requests that register partition dates; those that are known already are no concern."""
    return [PARTITIONS[kind].build_add_request(list(dates)) for kind, dates in days.items()]
