"""What the people of the synthetic world buy: true order lines.

A line is a delivered product of an order as it really was. The tables that follow from it are made by `purchases`,
and what the warehouse tells of deliveries, faults included, by `deliveries`.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import polars as pl

from engage_assets.domain.slots import known_zones
from engage_assets.sample.catalogue import UNKNOWN_PRODUCT
from engage_assets.sample.oddities import ODDITIES, ORDINARY, assign
from engage_assets.sample.people import ORDERS_PER_MONTH, generator

WEEKDAYS: Final = (1.12, 1.08, 1.03, 1.00, 1.07, 0.95, 0.75)
"""Orders relative to the mean, Monday first."""

_LINES: Final = ((1, 2, 3), (0.68, 0.22, 0.10))
_REPEAT_DAYS: Final = 2
"""A batch reads three days' records: within them nobody gets the same product twice by chance."""


def draw_lines(
    seed: int,
    people: pl.DataFrame,
    zones: pl.DataFrame,
    products: pl.DataFrame,
    start: date,
    first_day: date,
    end: date,
) -> pl.DataFrame:
    """The true order lines delivered from `start` up to `end` (not included), by instant.

    `zones` holds customer_id and time_zone (null and unknown ones count as UTC). Weeks, in each of which every
    oddity is found, begin at `first_day`; a part of a week belongs to the whole one beside it.
    Columns: order (number), kind, customer_id (who receives), buyer_id (who ordered), product_id, day, delivered_at
    (UTC, between 8 and 21 o'clock where the customer lives), quantity, unit_price.
    """
    rng = generator(seed, "lines")
    days = np.datetime64(start) + np.arange((end - start).days)
    rhythm = np.array(WEEKDAYS)[(days.astype(np.int64) + 3) % 7]  # 1970-01-01 was a Thursday
    day = np.repeat(days, rng.poisson(people.height * ORDERS_PER_MONTH / 30 * rhythm))
    kinds = assign(_weeks(day, start, first_day, end), rng)
    buyers = _buyers(people, rng, len(day))
    receivers = _receivers(people, kinds, buyers)
    receivers = np.where(kinds == "unknown_customer", [f"x-{n:07d}" for n in range(len(day))], receivers)
    orders = pl.DataFrame(
        {
            "order": np.arange(1, len(day) + 1),
            "kind": kinds,
            "customer_id": receivers,
            "buyer_id": np.where(kinds == "order_of_another", buyers, receivers),
            "day": pl.Series(day.astype("datetime64[ms]")).cast(pl.Date),
            "delivered_at": day.astype("datetime64[us]") + time_of_day(receivers, zones, first_day, rng),
        }
    )
    size = np.where(kinds == ORDINARY, rng.choice(_LINES[0], len(day), p=_LINES[1]), 1)
    lines = orders.select(pl.all().gather(np.repeat(np.arange(len(day)), size).tolist()))
    lines = _without_repeats(_without_repeats(lines.with_columns(_products(lines["kind"], products, rng))))
    quantity = rng.choice([1, 2, 3], lines.height, p=[0.85, 0.11, 0.04])
    discount = rng.choice([1.0, 0.9, 0.8], lines.height, p=[0.7, 0.2, 0.1])
    return (
        lines.join(products.select("product_id", "price"), on="product_id", how="left", maintain_order="left")
        .with_columns(
            quantity=pl.Series(quantity, dtype=pl.Int64),
            unit_price=(pl.col("price").fill_null(19.99) * pl.Series(discount)).round(2),
        )
        .drop("price")
        .sort("delivered_at", "order", "product_id")
    )


def _weeks(day: npt.NDArray[np.datetime64], start: date, first_day: date, end: date) -> npt.NDArray[np.int64]:
    week = (day - np.datetime64(first_day)).astype(np.int64) // 7
    earliest = -((first_day - start).days // 7)
    latest = max(earliest, (end - first_day).days // 7 - 1)
    return np.clip(week, earliest, latest)


def _buyers(people: pl.DataFrame, rng: np.random.Generator, count: int) -> npt.NDArray[np.object_]:
    """Ordinary people, by their activity."""
    ordinary = people.filter(pl.col("kind") == ORDINARY)
    weights = ordinary["activity"].to_numpy()
    chosen = rng.choice(ordinary.height, count, p=weights / weights.sum())
    return ordinary["customer_id"].to_numpy()[chosen]


def _receivers(
    people: pl.DataFrame, kinds: npt.NDArray[np.str_], buyers: npt.NDArray[np.object_]
) -> npt.NDArray[np.object_]:
    """The buyers, except for oddities that have people of their own: these take turns."""
    receivers = buyers.copy()
    for kind in (kind for kind, oddity in ODDITIES.items() if oddity.own_people):
        own = people.filter(pl.col("kind") == kind)["customer_id"].to_numpy()
        places = np.flatnonzero(kinds == kind)
        receivers[places] = own[np.arange(len(places)) % len(own)]
    return receivers


def _products(kinds: pl.Series, products: pl.DataFrame, rng: np.random.Generator) -> pl.Series:
    """A product for each line: popular ones more often; for some oddities one that is closed or unknown."""
    is_open = products["is_reviewable"].fill_null(False)
    open_ids, closed_ids = (products.filter(mask)["product_id"].to_numpy() for mask in (is_open, ~is_open))
    weights = 1.0 / (rng.permutation(len(open_ids)) + 10.0) ** 0.7
    chosen = open_ids[rng.choice(len(open_ids), len(kinds), p=weights / weights.sum())]
    closed = np.flatnonzero((kinds == "product_closed").to_numpy())
    chosen[closed] = closed_ids[np.arange(len(closed)) % len(closed_ids)]
    chosen[(kinds == "product_unknown").to_numpy()] = UNKNOWN_PRODUCT
    return pl.Series("product_id", chosen.tolist())


def time_of_day(
    receivers: npt.NDArray[np.object_], zones: pl.DataFrame, on: date, rng: np.random.Generator
) -> npt.NDArray[np.timedelta64]:
    """A UTC time between 8 and 21 o'clock local time for each person, by the zones' offsets on the day `on`."""
    noon = datetime.combine(on, time(12), UTC)
    known = sorted(set(zones["time_zone"].drop_nulls()) & known_zones())
    offsets = {zone: (noon.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()).total_seconds() for zone in known}
    offset = (
        pl.DataFrame({"customer_id": receivers})
        .join(zones, on="customer_id", how="left", maintain_order="left")
        .select(pl.col("time_zone").replace_strict(offsets, default=0.0, return_dtype=pl.Float64))
        .to_series()
        .to_numpy()
    )
    local = 8 * 3600 + 13 * 3600 * rng.beta(2.2, 2.0, len(receivers))
    seconds: npt.NDArray[np.timedelta64] = ((local - offset) % 86_400).astype("timedelta64[s]")
    return seconds


def _without_repeats(lines: pl.DataFrame) -> pl.DataFrame:
    """Drop lines that would be unplanned duplicates in a batch; of two, one with an oddity stays."""
    is_odd = pl.col("kind") != ORDINARY
    gap = pl.col("day").diff().over("customer_id", "product_id").dt.total_days().fill_null(99)
    following = gap.shift(-1).over("customer_id", "product_id").fill_null(99)
    odd_before = is_odd.shift(1).over("customer_id", "product_id").fill_null(False)
    odd_after = is_odd.shift(-1).over("customer_id", "product_id").fill_null(False)
    repeats = (gap <= _REPEAT_DAYS) & (odd_before | ~is_odd) | (following <= _REPEAT_DAYS) & odd_after & ~is_odd
    return lines.sort("customer_id", "product_id", "day", "order", "kind").filter(~repeats)
