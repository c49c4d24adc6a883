"""The synthetic world: a warehouse of one seed, with people who buy and review, and with every fault of real data.

The tables are those of a warehouse read some weeks after the last partition: reviews, returns, late records and
versions of trust that come after a batch are there, and a batch must not see them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl

from engage_assets.domain.errors import EngageError
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.sources import INPUT_TABLES
from engage_assets.sample.catalogue import draw_products
from engage_assets.sample.customers import draw_customers
from engage_assets.sample.deliveries import records_of
from engage_assets.sample.lines import draw_lines
from engage_assets.sample.oddities import ODDITIES
from engage_assets.sample.people import draw_people
from engage_assets.sample.purchases import order_items_of, orders_of, returns_of, reviews_of
from engage_assets.sample.standing import draw_opt_outs, draw_trust

REVIEWS_DATABASE: Final = "ecommerce"
"""The database of the reviews program's tables."""

Tables = dict[str, pl.DataFrame]


class Drawn(NamedTuple):
    """A program's own tables, their records with the kinds of oddity, and the last day of each customer in them."""

    tables: Tables
    records: pl.DataFrame
    last_seen: pl.DataFrame


@dataclass(frozen=True)
class WorldSummary:
    """What was written for a program.

    Attributes:
        rows: Rows by table.
        reasons: What the program as documented records, by kind of oddity; None: no refusal for this.
        oddities: Records by kind of oddity, history included.
        oddities_by_day: kind, read_in (the daily partition whose batch reads them; null: none), rows.
    """

    rows: dict[str, int]
    reasons: Mapping[str, str | None]
    oddities: dict[str, int]
    oddities_by_day: pl.DataFrame

    def refusals(self, partition: date) -> dict[str, int]:
        """Records of `partition` by the reason that their oddity leads to.

        Exact for the reasons of the stages contract, duplicate and trust. Later stages refuse some of these records
        for an earlier reason (an ordinary answer may precede an opt-out) and others beside them.
        """
        counts: dict[str, int] = {}
        for kind, rows in (
            self.oddities_by_day.filter(pl.col("read_in") == partition).select("kind", "rows").iter_rows()
        ):
            reason = self.reasons[kind]
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
    start, end = span(first_day, days, history_days)
    people = draw_people(seed, customers)
    who = draw_customers(seed, people, marketplaces)
    shop = draw_shop(seed, people, who, draw_products(seed, products), start, first_day, end)
    tables = draw_crm(seed, people, who, start, end, shop.last_seen) | shop.tables
    write_tables(warehouse, tables, REVIEWS_DATABASE)
    return summary_of(tables, shop.records, {kind: oddity.reason for kind, oddity in ODDITIES.items()})


def span(first_day: date, days: int, history_days: int) -> tuple[date, date]:
    """First day of a world's history, and the day after its last."""
    if days < 1 or history_days < 0:
        raise EngageError(f"days={days}, history_days={history_days}: take at least one day, and no negative history")
    return first_day - timedelta(days=history_days), first_day + timedelta(days=days)


def draw_shop(
    seed: int, people: pl.DataFrame, who: pl.DataFrame, sold: pl.DataFrame, start: date, first_day: date, end: date
) -> Drawn:
    """The tables of the reviews program beside those of the customers, which are `who`."""
    lines = draw_lines(seed, people, who.select("customer_id", "time_zone"), sold, start, first_day, end)
    records = records_of(seed, lines)
    tables = {
        "deliveries": records.select(INPUT_TABLES["deliveries"].names),
        "orders": orders_of(seed, lines),
        "order_items": order_items_of(lines, sold),
        "returns": returns_of(seed, lines),
        "products": sold,
        "reviews": reviews_of(seed, lines, people, sold),
    }
    return Drawn(tables, records, lines.group_by("customer_id").agg(pl.col("day").max()).sort("customer_id"))


def draw_crm(
    seed: int, people: pl.DataFrame, who: pl.DataFrame, start: date, end: date, last_seen: pl.DataFrame
) -> Tables:
    """The tables of the customers: who they are, their trust over time, their opt-outs."""
    return {
        "customers": who,
        "customer_trust": draw_trust(seed, people, start, end, last_seen),
        "opt_outs": draw_opt_outs(seed, people, start, last_seen),
    }


def summary_of(tables: Tables, records: pl.DataFrame, reasons: Mapping[str, str | None]) -> WorldSummary:
    """What was written; the kinds of `records` that are not in `reasons` are no oddities."""
    odd = records.filter(pl.col("kind").is_in(list(reasons)))
    by_day = odd.group_by("kind", "read_in").agg(rows=pl.len().cast(pl.Int64)).sort("kind", "read_in")
    totals = dict(by_day.group_by("kind").agg(pl.col("rows").sum()).iter_rows())
    return WorldSummary(
        rows={name: frame.height for name, frame in tables.items()},
        reasons=reasons,
        oddities={kind: totals.get(kind, 0) for kind in reasons},
        oddities_by_day=by_day,
    )


def write_tables(warehouse: Path, tables: Tables, database: str) -> None:
    """Write each table as one file, below its own database or `database`."""
    for name, frame in tables.items():
        _write(frame, warehouse / (INPUT_TABLES[name].database or database) / f"{name}.parquet")


def _write(frame: pl.DataFrame, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    frame.write_parquet(unfinished, compression="zstd")
    unfinished.replace(target)
