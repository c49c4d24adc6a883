"""Silver: the events of one business date, each once, typed, with names and fallbacks resolved.

It is made of the arrival days that can hold the date's events, so the order in which dates are built changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from engage_assets.domain.summary_spec import LATE_DAYS, day_begins, day_is_over
from engage_assets.lake import replacing
from engage_assets.summaries.silver_engine import parquet, quoted, run, sql_text
from engage_assets.summaries.silver_files import write_groups
from engage_assets.summaries.silver_order import count_cells, in_order, pieces

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Built:
    """What became of a day's records: events kept, and copies that were left out."""

    events: int
    duplicates: int


def arrival_days(day: date, zone: str) -> list[date]:
    """UTC days whose files can hold an event of `day` or what it follows from (24 hours before it).

    Files take events of one day ahead and of LATE_DAYS days before.
    """
    first = (day_begins(day, zone) - _DAY).date() - _DAY
    return [first + number * _DAY for number in range((final_arrival(day, zone) - first).days + 1)]


def final_arrival(day: date, zone: str) -> date:
    """The last UTC day whose file can hold an event of `day`: once it is read, the day's silver is final."""
    return (day_is_over(day, zone) - timedelta(microseconds=1)).date() + LATE_DAYS * _DAY


def days_of_arrival(arrival: date, zone: str) -> list[date]:
    """The business dates whose silver the file of an arrival day can change, the day itself and late ones."""
    first = arrival - (LATE_DAYS + 2) * _DAY
    return [
        day for day in (first + number * _DAY for number in range(LATE_DAYS + 6)) if arrival in arrival_days(day, zone)
    ]


def build_silver(
    connection: duckdb.DuckDBPyConnection,
    arrivals: Sequence[Path],
    out: Path,
    *,
    service: str,
    zone: str,
    day: date,
) -> Built:
    """Write the events of the business date `day` to `out` out of files of `arrival_days`.

    Sorted by kind (nulls first), time and event id; the same arrivals give the same bytes. Raises QueryError.
    """
    start, until = day_begins(day, zone), day_is_over(day, zone)
    _define_arrived(connection, arrivals)
    for statement in sql_text("silver/near").split(";\n"):
        run(connection, statement, **({"start": start, "until": until} if "$start" in statement else {}))
    query = sql_text("silver/events").replace(":offset", _offset(day, zone))
    values = {"service": service, "day": day, "start": start, "until": until}
    cells = count_cells(connection, start, until)
    with replacing(out) as aside:
        events = write_groups(aside, in_order(connection, query, values, pieces(cells)), "zstd")
    return Built(events, sum(cells.records) - events)


def _define_arrived(connection: duckdb.DuckDBPyConnection, arrivals: Sequence[Path]) -> None:
    run(connection, f"CREATE OR REPLACE TEMP VIEW arrived AS SELECT * FROM {parquet(*arrivals)} WHERE fault IS NULL")


def _offset(day: date, zone: str) -> str:
    """SQL for what to add to an instant of the day, in seconds, so that it shows the zone's hour."""
    steps = offsets(day, zone)
    branches = "".join(
        f" WHEN near.event_time < TIMESTAMP {quoted(str(until))} THEN {seconds}" for until, seconds in steps[:-1]
    )
    return f"CASE{branches} ELSE {steps[-1][1]} END" if branches else str(steps[-1][1])


def offsets(day: date, zone: str) -> list[tuple[datetime, int]]:
    """The zone's offsets from UTC in seconds within the day, each with the instant up to which it holds."""
    here, until = ZoneInfo(zone), day_is_over(day, zone)
    known = day_begins(day, zone)
    found: list[tuple[datetime, int]] = []
    while known < until:
        offset = _offset_at(known, here)
        probe = known
        while probe < until and _offset_at(probe, here) == offset:
            probe += timedelta(minutes=15)
        low, high = max(known, probe - timedelta(minutes=15)), min(probe, until)
        while high < until and high - low > timedelta(seconds=1):
            middle = (low + (high - low) / 2).replace(microsecond=0)
            low, high = (middle, high) if _offset_at(middle, here) == offset else (low, middle)
        found.append((high, offset))
        known = high
    return found or [(until, _offset_at(until, here))]


def _offset_at(instant: datetime, zone: ZoneInfo) -> int:
    shift = instant.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    assert shift is not None
    return int(shift.total_seconds())
