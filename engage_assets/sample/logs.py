"""Raw log events of the two shops for the demo and the benches: any number of days, one at a time in memory.

Nobody stands behind a user key: users are numbers. The same seed gives the same bytes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engage_assets.domain.errors import EngageError
from engage_assets.lake import ROW_GROUP, replacing
from engage_assets.sample.log_records import CLEAN, SCHEMA, Quirks, Writer
from engage_assets.sample.log_shop import SHOPS, Ints, daily_visits, draw_stock, start_seconds
from engage_assets.sample.log_visits import MEAN_EVENTS, PURCHASE, SECOND, START, Events, walk
from engage_assets.sample.people import generator

Form = Literal["parquet", "ndjson"]
ZONE: Final = ZoneInfo("Asia/Seoul")
ANONYMOUS: Final = 0.03
"""Share of visits without a user."""
LATE: Final = (0.982, 0.012, 0.005, 0.001)
"""Shares of events that arrive on their own UTC day, 1, 2 and 3 days later."""
SENT_TWICE: Final = 0.003
RELOADED: Final = 0.02
"""Share of purchases that are logged again, with another record id, since the page that confirms them is reloaded."""
DAY_US: Final = 86_400 * SECOND


@dataclass(frozen=True)
class LogSummary:
    """What was written."""

    records: int
    files: int


@dataclass(frozen=True)
class Plan:
    """How much to make of whom: about `events` in all, visits of `first` to `last` (UTC days), `users` per service."""

    seed: int
    first: date
    last: date
    events: int
    users: int = 0
    """0: a user for fifty events, at least 500."""
    form: Form = "parquet"
    quirks: Mapping[str, Quirks] | None = None
    """By service; CLEAN where nothing is said."""

    def days(self) -> list[date]:
        """The UTC days, each of which is a file per service."""
        return [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]


def write_logs(folder: Path, plan: Plan) -> LogSummary:
    """Write `logs/<service>/<YYYY-MM-DD>.<form>` below `folder`, the warehouse; raises EngageError for an empty plan.

    A record lies in the file of the UTC day on which it arrives; what would arrive after the last day is left out.
    """
    if plan.last < plan.first or plan.events < len(plan.days()):
        raise EngageError(
            f"{plan.events} events from {plan.first} to {plan.last}: give at least one day and event a day"
        )
    records = files = 0
    for service in SHOPS:
        for day, table in service_logs(service, plan):
            path = folder / "logs" / service / f"{day}.{plan.form}"
            with replacing(path) as aside:
                write_parquet(aside, table) if plan.form == "parquet" else write_ndjson(aside, table)
            records, files = records + table.num_rows, files + 1
    return LogSummary(records, files)


def service_logs(service: str, plan: Plan) -> Iterator[tuple[date, pa.Table]]:
    """Each day's file of a service (SCHEMA of log_records), in the order of days."""
    stock = draw_stock(plan.seed, service)
    users = plan.users or max(500, plan.events // 50)
    quirks = (plan.quirks or {}).get(service, CLEAN)
    writer = Writer(service, stock, users, quirks)
    waiting: dict[date, list[pa.Table]] = {}
    days = plan.days()
    mean = plan.events * SHOPS[service].share / len(days) / (MEAN_EVENTS - (not quirks.has_session_start))
    for number, day in enumerate(days):
        rng = generator(plan.seed, f"visits of {service} on {day}")
        starts = _starts(rng, service, day, mean)
        visitors = _visitors(rng, len(starts), users, (number + 1) / len(days))
        events = _reloaded(rng, walk(rng, stock, starts))
        if not quirks.has_session_start:
            events = _taken(events, np.flatnonzero(events.kind != START))
        for arrival, rows, ids in _by_arrival(rng, events):
            own = _taken(events, rows)
            waiting.setdefault(arrival, []).append(writer.records(day, own, visitors[own.visit], ids))
        yield day, pa.concat_tables([SCHEMA.empty_table(), *waiting.pop(day, [])])


def _starts(rng: np.random.Generator, service: str, day: date, mean: float) -> Ints:
    """Instants (µs) at which a UTC day's visits begin."""
    midnight = int(datetime.combine(day, time(), UTC).timestamp())
    offset = int(ZONE.utcoffset(datetime.combine(day, time())).total_seconds())  # type: ignore[union-attr]
    size = daily_visits(service, day.weekday(), mean * rng.normal(1, 0.04))
    seconds = (start_seconds(rng, service, size) - offset) % 86_400
    starts: Ints = (midnight + seconds) * SECOND + rng.integers(0, SECOND, size)
    return np.sort(starts)


def _visitors(rng: np.random.Generator, size: int, users: int, grown: float) -> Ints:
    """The user of each visit (ABSENT: none): a few come daily, most seldom, and new ones join as days go by."""
    joined = int(users * (0.55 + 0.45 * grown))
    chosen: Ints = ((users * rng.random(size) ** 2.2) % joined).astype(np.int64)
    spread = chosen * 7_919 % users  # so that the daily ones are among those who joined late, too
    return np.where(rng.random(size) < ANONYMOUS, -1, np.where(spread < joined, spread, chosen))


def _reloaded(rng: np.random.Generator, events: Events) -> Events:
    """The events, and those of confirmations that were loaded again, up to ten minutes later."""
    bought = np.flatnonzero(events.kind == PURCHASE)
    again = _taken(events, bought[rng.random(len(bought)) < RELOADED])
    again = replace(again, at=again.at + rng.integers(SECOND, 600 * SECOND, len(again.at)))
    both = {column.name: (getattr(events, column.name), getattr(again, column.name)) for column in fields(Events)}
    return Events(**{name: np.concatenate(parts) for name, parts in both.items()})


def _by_arrival(rng: np.random.Generator, events: Events) -> Iterator[tuple[date, Ints, Ints]]:
    """Days of arrival, and which events (by time) arrive then, with their record ids' numbers; some are sent twice."""
    size = len(events.at)
    order = np.argsort(events.at, kind="stable")
    twice = np.flatnonzero(rng.random(size) < SENT_TWICE)
    rows = np.concatenate([order, order[twice]])
    days = events.at[rows] // DAY_US + rng.choice(len(LATE), len(rows), p=LATE)
    for day in np.unique(days):
        own = rows[days == day]
        yield date(1970, 1, 1) + timedelta(days=int(day)), own, own


def _taken(events: Events, rows: Ints) -> Events:
    return Events(**{column.name: getattr(events, column.name)[rows] for column in fields(events)})


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write records as a Parquet file; attributes and resource are maps of texts."""
    pq.write_table(table.combine_chunks(), path, compression="zstd", compression_level=1, row_group_size=ROW_GROUP)


def write_ndjson(path: Path, table: pa.Table) -> None:
    """Write records as one JSON object a line."""
    with path.open("wb") as file:
        for batch in table.to_batches(max_chunksize=ROW_GROUP):
            if batch.num_rows:
                file.write("\n".join(_lines(batch).to_pylist()).encode() + b"\n")


def _lines(batch: pa.RecordBatch) -> pa.Array:
    """Records as JSON. Texts of the sample need no escapes."""
    column = dict(zip(batch.schema.names, batch.columns, strict=True))
    instants = pl.Series(column["timestamp"]).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    parts = [
        '{"timestamp":"',
        instants.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string()),
        '","body":"',
        column["body"],
        '","attributes":{',
        _members(column["attributes"]),
        '},"resource":{',
        _members(column["resource"]),
        '},"record_id":"',
        column["record_id"],
        '"}',
    ]
    return pc.binary_join_element_wise(*parts, "")


def _members(maps: pa.MapArray) -> pa.Array:
    pairs = pc.binary_join_element_wise('"', maps.keys, '":"', maps.items, '"', "")
    return pc.binary_join(pa.ListArray.from_arrays(maps.offsets, pairs), ",")
