"""People as the warehouse states them at the moment of a notice. Looked up, used, and kept nowhere."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.slots import known_zones
from engage_assets.domain.sources import INPUT_TABLES
from engage_assets.domain.tables import CUSTOMERS

_COLUMNS: Final = ("customer_id", "name", "email", "is_test", "time_zone", "locale")


@dataclass(frozen=True)
class Guest:
    """Somebody with a registration. Never logged."""

    name: str | None = field(repr=False)
    address: str | None = field(repr=False)
    is_test: bool
    time_zone: str | None
    locale: str | None

    def zone(self, marketplace: Marketplace) -> str:
        """Where he lives, as far as that is known; else his marketplace's zone."""
        return self.time_zone if self.time_zone in known_zones() and self.time_zone else marketplace.time_zone


NOBODY: Final = Guest(None, None, is_test=False, time_zone=None, locale=None)


def guests(warehouse: Warehouse, customers: Collection[str], *, rehearses: bool) -> dict[str, Guest]:
    """Customers as they are known now, by customer_id.

    `rehearses`: where the deployment declares no addresses, a key stands for one, so that the outbox can be filled.
    """
    table = warehouse.scan(CUSTOMERS, str(CUSTOMERS.database), required=True)
    assert table is not None
    there = table.collect_schema().names()
    wanted = pl.LazyFrame({"customer_id": sorted(set(customers))}, schema={"customer_id": pl.String()})
    rows = table.select(one for one in _COLUMNS if one in there).join(wanted, on="customer_id", how="semi").collect()
    found = {}
    for row in rows.iter_rows(named=True):
        address = (row.get("email") or "").strip() or None
        if address is None and rehearses and "email" not in there:
            address = f"{row['customer_id']}@example.invalid"
        zone, locale = row.get("time_zone"), row.get("locale")
        found[row["customer_id"]] = Guest(row.get("name"), address, bool(row.get("is_test")), zone, locale)
    return found


def silenced(
    warehouse: Warehouse, database: str, customers: Collection[str], ways: Collection[str], now: datetime
) -> frozenset[str]:
    """Who of `customers` wants no message at all, or none through `ways`, by the warehouse's opt-outs."""
    table = warehouse.scan(INPUT_TABLES["opt_outs"], database, required=False)
    if table is None:
        return frozenset()
    there = table.collect_schema().names()
    has_begun = pl.col("at").is_null() | (pl.col("at") <= now)
    holds = has_begun & pl.col("customer_id").is_in(sorted(set(customers)))
    if "revoked_at" in there:
        holds &= pl.col("revoked_at").is_null() | (pl.col("revoked_at") > now)
    if "program" in there:
        holds &= pl.col("program").is_null()
    if "channel" in there:
        holds &= pl.col("channel").is_null() | pl.col("channel").is_in(sorted(ways))
    return frozenset(table.filter(holds).select("customer_id").collect()["customer_id"])


def zones(
    guests_: Mapping[str, Guest], of: Mapping[str, str], marketplaces: Mapping[str, Marketplace]
) -> dict[str, str]:
    """The zone of each customer; `of`: their marketplaces."""
    return {
        customer: guests_.get(customer, NOBODY).zone(marketplaces[market])
        for customer, market in of.items()
        if market in marketplaces
    }
