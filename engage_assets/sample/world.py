"""The synthetic world: a warehouse of one seed, with people who buy and review, and with every fault of real data.

The tables are those of a warehouse read some weeks after the last partition: reviews, returns, late records and
versions of trust that come after a batch are there, and a batch must not see them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from engage_assets.domain.errors import EngageError
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.tables import INPUT_TABLES
from engage_assets.sample.catalogue import draw_products
from engage_assets.sample.customers import draw_customers
from engage_assets.sample.deliveries import records_of
from engage_assets.sample.lines import draw_lines
from engage_assets.sample.oddities import ODDITIES, ORDINARY
from engage_assets.sample.people import draw_people
from engage_assets.sample.purchases import order_items_of, orders_of, returns_of, reviews_of
from engage_assets.sample.standing import draw_opt_outs, draw_trust

REVIEWS_DATABASE: Final = "ecommerce"
"""The database of the reviews program's tables."""


@dataclass(frozen=True)
class WorldSummary:
    """What was written.

    Attributes:
        rows: Rows by table.
        oddities: Deliveries by kind of oddity (`oddities.ODDITIES`), history included.
        oddities_by_day: kind, read_in (the daily partition whose batch reads them; null: none), rows.
    """

    rows: dict[str, int]
    oddities: dict[str, int]
    oddities_by_day: pl.DataFrame

    def refusals(self, partition: date) -> dict[str, int]:
        """Records of `partition` by the reason that their oddity leads to.

        Exact for the reasons of the stages contract, duplicate and trust. Later stages refuse some of these records
        for an earlier reason (an ordinary review may precede an opt-out) and others beside them.
        """
        counts: dict[str, int] = {}
        for kind, rows in (
            self.oddities_by_day.filter(pl.col("read_in") == partition).select("kind", "rows").iter_rows()
        ):
            reason = ODDITIES[kind].reason
            if reason is not None:
                counts[reason] = counts.get(reason, 0) + rows
        return counts


def generate(
    warehouse: Path,
    *,
    seed: int,
    first_day: date,
    days: int = 30,
    history_days: int = 150,
    customers: int = 4000,
    products: int = 300,
    marketplaces: Mapping[str, Marketplace],
) -> WorldSummary:
    """Write the tables of the reviews program below `warehouse`, one Parquet file each, replacing older ones.

    The deliveries of `days` days from `first_day` on are the partitions; `history_days` days before them have
    deliveries, orders and reviews as well. The same arguments give the same bytes. Each file appears complete or not
    at all. `marketplaces` are those of marketplaces.yaml; of them US, UK, DE, FR and JP have people.

    Raises EngageError for sizes that cannot hold every oddity in every week.
    """
    if days < 1 or history_days < 0:
        raise EngageError(f"days={days}, history_days={history_days}: take at least one day, and no negative history")
    start, end = first_day - timedelta(days=history_days), first_day + timedelta(days=days)
    people = draw_people(seed, customers)
    sold = draw_products(seed, products)
    who = draw_customers(seed, people, marketplaces)
    lines = draw_lines(seed, people, who.select("customer_id", "time_zone"), sold, start, first_day, end)
    records = records_of(seed, lines)
    last_delivery = lines.group_by("customer_id").agg(pl.col("day").max()).sort("customer_id")
    tables = {
        "customers": who,
        "customer_trust": draw_trust(seed, people, start, end, last_delivery),
        "opt_outs": draw_opt_outs(seed, people, start, last_delivery),
        "deliveries": records.select(INPUT_TABLES["deliveries"].names),
        "orders": orders_of(seed, lines),
        "order_items": order_items_of(lines, sold),
        "returns": returns_of(seed, lines),
        "products": sold,
        "reviews": reviews_of(seed, lines, people, sold),
    }
    for name, frame in tables.items():
        database = INPUT_TABLES[name].database or REVIEWS_DATABASE
        _write(frame, warehouse / database / f"{name}.parquet")
    return _summary(tables, records)


def _summary(tables: Mapping[str, pl.DataFrame], records: pl.DataFrame) -> WorldSummary:
    odd = records.filter(pl.col("kind") != ORDINARY)
    by_day = odd.group_by("kind", "read_in").agg(rows=pl.len().cast(pl.Int64)).sort("kind", "read_in")
    totals = dict(by_day.group_by("kind").agg(pl.col("rows").sum()).iter_rows())
    return WorldSummary(
        rows={name: frame.height for name, frame in tables.items()},
        oddities={kind: totals.get(kind, 0) for kind in ODDITIES},
        oddities_by_day=by_day,
    )


def _write(frame: pl.DataFrame, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    frame.write_parquet(unfinished, compression="zstd")
    unfinished.replace(target)
