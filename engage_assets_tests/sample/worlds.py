"""Small worlds that the tests of the sample read."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl

from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.tables import INPUT_TABLES
from engage_assets.sample.world import REVIEWS_DATABASE, WorldSummary, generate

FIRST_DAY = date(2026, 10, 19)
SMALL = {"seed": 7, "first_day": FIRST_DAY, "days": 14, "history_days": 17, "customers": 400, "products": 40}


def marketplace(zone: str, locale: str, currency: str) -> Marketplace:
    return Marketplace(
        name=locale,
        time_zone=zone,
        locale=locale,
        currency=currency,
        sender_name="Shop",
        sender_address="shop@example.invalid",
        reply_to="care@example.invalid",
        postal_address="1 Invented Street",
        site_url="https://shop.example.invalid/",
    )


MARKETPLACES = {
    "US": marketplace("America/New_York", "en-US", "USD"),
    "UK": marketplace("Europe/London", "en-GB", "GBP"),
    "DE": marketplace("Europe/Berlin", "de-DE", "EUR"),
    "FR": marketplace("Europe/Paris", "fr-FR", "EUR"),
    "JP": marketplace("Asia/Tokyo", "ja-JP", "JPY"),
}


def small_world(warehouse: Path, **changes: object) -> WorldSummary:
    return generate(warehouse, marketplaces=MARKETPLACES, **{**SMALL, **changes})


def tables(warehouse: Path) -> dict[str, pl.DataFrame]:
    return {
        name: pl.read_parquet(warehouse / (table.database or REVIEWS_DATABASE) / f"{name}.parquet")
        for name, table in INPUT_TABLES.items()
    }


def partitions() -> list[date]:
    return [FIRST_DAY + timedelta(days=day) for day in range(SMALL["days"])]
