"""The deliveries table of the synthetic world: the true lines as the warehouse tells of them, faults included."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from engage_assets.domain.purchases import DELIVERIES
from engage_assets.sample.oddities import ORDINARY, UNREAD
from engage_assets.sample.people import generator
from engage_assets.sample.purchases import order_id

BATCH_AT: Final = timedelta(hours=2)
"""Time of the daily batch, UTC, on the day after the partition's."""
LATE_DAYS: Final = 2
"""Records that arrive up to this many days after their day's batch are read by a later one."""

_UNPARSEABLE: Final = ("tomorrow", "n/a", "31.12.2025", "2026-02-30", "", "20260x14")
_ANCIENT: Final = ("1970-01-01", "1999-12-31", "0001-01-01")
_NOT_COMPLETED: Final = ("IN_TRANSIT", "CANCELLED", "completed", None)
_KEYS: Final = ("delivery_id", "order_id", "customer_id", "product_id")
_INSTANTS: Final = (datetime.fromisoformat("1970-01-01T00:00"), datetime.fromisoformat("2099-06-01T12:00"))


def records_of(seed: int, lines: pl.DataFrame) -> pl.DataFrame:
    """One row per line and one more per duplicate, in the order of the true instants.

    Columns: those of DELIVERIES, delivery_date as a string (ISO, or a word where the source has none); kind (what is
    odd; of two duplicates the second has it); read_in (the daily partition whose batch reads the row; null: none).
    A row of day D arrives within two hours of the delivery, before the batch of D.
    """
    rng = generator(seed, "deliveries")
    kind = pl.col("kind")
    delay = 300 + 6_300 * rng.random(lines.height)
    late = 60 + (86_400 * LATE_DAYS - 120) * rng.random(lines.height)
    batch = pl.col("day").cast(pl.Datetime("us")) + timedelta(days=1) + BATCH_AT
    true = lines.with_row_index("row").with_columns(
        delivery_id=_delivery_id(pl.col("row") + 1),
        order_id=order_id(),
        delivery_date=pl.col("day").cast(pl.String),
        status=pl.lit("COMPLETED"),
        order_value=(pl.col("quantity") * pl.col("unit_price")).round(2),
        # A multiple of the lengths of all lists that are picked from, so that each of their items is as likely.
        pick=pl.Series(rng.integers(0, 12, lines.height)),
        arrived_at=pl.when(kind == "late")
        .then(batch + _seconds("late", late))
        .when(kind == "too_late")
        .then(batch + timedelta(days=LATE_DAYS) + _seconds("late", late))
        .when(~kind.is_in(["arrival_null", "date_and_arrival_null"]))
        .then(pl.col("delivered_at") + _seconds("delay", delay)),
    )
    told = pl.concat([_broken(true), _duplicates(true, rng)]).sort("row", "delivery_id")
    return told.select(*DELIVERIES.names, "kind", read_in=_read_in(batch))


def _broken(true: pl.DataFrame) -> pl.DataFrame:
    kind, pick = pl.col("kind"), pl.col("pick")
    donor = pl.when(kind == ORDINARY).then("delivery_id")
    future = (pl.col("day") + timedelta(days=10)).cast(pl.String)
    keys = [
        pl.when((kind == "key_null") & (pick % len(_KEYS) == place))
        .then(pl.lit(None, pl.String))
        .when((kind == "key_blank") & (pick % len(_KEYS) == place))
        .then(_among(("", "  ", "\t")))
        .otherwise(name)
        .alias(name)
        for place, name in enumerate(_KEYS)
    ]
    return true.with_columns(
        delivery_id=pl.when(kind == "repeated_delivery_id")
        .then(pl.coalesce(donor.forward_fill().over("day"), donor.backward_fill().over("day"), "delivery_id"))
        .otherwise("delivery_id")
    ).with_columns(
        *keys,
        delivery_date=pl.when(kind == "date_unparseable")
        .then(_among(_UNPARSEABLE))
        .when(kind == "date_before_2000")
        .then(_among(_ANCIENT))
        .when(kind == "date_in_future")
        .then(pl.when(pick % 2 == 0).then(pl.lit("2099-12-31")).otherwise(future))
        .when(~kind.is_in(["date_null", "date_and_arrival_null"]))
        .then("delivery_date"),
        status=pl.when(kind == "not_completed").then(_among(_NOT_COMPLETED)).otherwise("status"),
        delivered_at=pl.when(kind == "instant_implausible")
        .then(pl.when(pick % 2 == 0).then(pl.lit(_INSTANTS[0])).otherwise(pl.lit(_INSTANTS[1])))
        .otherwise("delivered_at"),
        order_value=pl.when(kind == "value_negative")
        .then(-pl.col("order_value"))
        .when(kind == "value_infinite")
        .then(pl.when(pick % 2 == 0).then(float("inf")).otherwise(float("-inf")))
        .when(kind == "value_nan")
        .then(float("nan"))
        .when(kind != "value_null")
        .then("order_value"),
        kind=pl.when(kind == "duplicate").then(pl.lit(ORDINARY)).otherwise("kind"),
    )


def _duplicates(true: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """The same customer and product again on the same day: earlier, or (each third) at the same instant."""
    again = true.filter(pl.col("kind") == "duplicate")
    midnight = pl.col("day").cast(pl.Datetime("us"))
    share = np.where(np.arange(again.height) % 3 == 0, 1.0, rng.random(again.height))
    since = (pl.col("delivered_at") - midnight).dt.total_seconds() * pl.Series("share", share)
    return again.with_columns(
        delivery_id=_delivery_id(true.height + 1 + pl.int_range(pl.len())),
        delivered_at=midnight + (since.cast(pl.Int64) * 1_000_000).cast(pl.Duration("us")),
    )


def _read_in(own_batch: pl.Expr) -> pl.Expr:
    """The partition whose batch reads a row: its own day's, or the one in whose window it arrived."""
    # The window of D ends with its batch instant, which belongs to it.
    by_arrival = (pl.col("arrived_at") - BATCH_AT - timedelta(microseconds=1)).dt.date()
    no_day = pl.col("kind").is_in(["date_null", "date_unparseable", "date_before_2000", "date_in_future"])
    return (
        pl.when(pl.col("kind").is_in(sorted(UNREAD)))
        .then(None)
        .when(no_day | (pl.col("arrived_at") > own_batch))
        .then(by_arrival)
        .otherwise("day")
    )


def _delivery_id(number: pl.Expr) -> pl.Expr:
    return pl.format("d-{}", number.cast(pl.String).str.zfill(7))


def _among(values: Sequence[str | None]) -> pl.Expr:
    """One of `values` by the row's pick."""
    return (pl.col("pick") % len(values)).replace_strict(list(range(len(values))), list(values), return_dtype=pl.String)


def _seconds(name: str, seconds: npt.NDArray[np.float64]) -> pl.Series:
    return pl.Series(name, seconds.astype(np.int64) * 1_000_000).cast(pl.Duration("us"))
