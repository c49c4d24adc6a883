"""Which batch takes a row: an independent statement of the rule, and every row in exactly one batch."""

from datetime import date, datetime, time, timedelta

import duckdb
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from engage_assets.connectors.arrivals import arrival_window
from engage_assets.domain.cadence import Cadence

FIRST = date(2026, 11, 10)
DATABASE = duckdb.connect()
PARTITIONS = [FIRST + timedelta(days=n) for n in range(8)]
DAYS = [
    None,
    date(1999, 12, 31),
    date(2000, 1, 1),
    date(2027, 3, 1),
    *(FIRST + timedelta(days=n) for n in range(-4, 11)),
]


def batch_of(day, arrival, late_days, cadence):
    """The partition whose batch reads the row, or why none does. The rule as the specification states it."""
    plausible = day is not None and day >= date(2000, 1, 1)
    if arrival is None:
        return day if plausible else "without day"
    of_arrival = cadence.partition_of(arrival - timedelta(microseconds=1)) + timedelta(days=1)
    if not plausible or day > cadence.batch_instant(of_arrival).date():
        return of_arrival
    if of_arrival <= day:
        return day
    return of_arrival if of_arrival - day <= timedelta(days=late_days) else "too late"


def batches_that_read(rows, late_days, cadence):
    """For each row, the partitions whose window holds it."""
    table = pl.DataFrame(
        [(n, day, arrival) for n, (day, arrival) in enumerate(rows)],
        schema={"n": pl.Int64, "day": pl.Date, "arrival": pl.Datetime("us")},
        orient="row",
    ).to_arrow()
    windows = {
        partition: arrival_window(
            exp.column("day"),
            exp.column("arrival"),
            partition=partition,
            late_days=late_days,
            instant=cadence.batch_instant(partition),
            step=cadence.step,
        )
        for partition in PARTITIONS
    }
    flags = ", ".join(window.sql(dialect="duckdb") for window in windows.values())
    DATABASE.register("given", table)
    found = DATABASE.execute(f"SELECT {flags} FROM given ORDER BY n").fetchall()
    return [[partition for partition, flag in zip(windows, flagged, strict=True) if flag] for flagged in found]


@st.composite
def arrivals(draw, at):
    """Null, at a batch instant, a microsecond beside it, or any time within the days around."""
    base = datetime.combine(FIRST + timedelta(days=draw(st.integers(-3, 10))), at)
    beside = st.sampled_from([timedelta(0), timedelta(microseconds=1), timedelta(microseconds=-1)])
    return draw(st.none() | st.just(base + draw(beside | st.timedeltas(timedelta(0), timedelta(days=1)))))


@st.composite
def tables(draw):
    at = draw(st.sampled_from([time(2), time(0), time(23, 30)]))
    rows = draw(st.lists(st.tuples(st.sampled_from(DAYS), arrivals(at)), min_size=20, max_size=60))
    return rows, draw(st.integers(0, 3)), Cadence("daily", at)


@given(tables())
@settings(max_examples=15, deadline=None)
def test_every_row_with_an_arrival_is_in_exactly_one_batch_or_counted(table):
    rows, late_days, cadence = table
    for row, found in zip(rows, batches_that_read(rows, late_days, cadence), strict=True):
        wanted = batch_of(*row, late_days, cadence)
        assert found == ([wanted] if wanted in PARTITIONS else []), row
