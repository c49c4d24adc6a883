"""Small worlds that the tests of the sample read."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl

from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.sources import INPUT_TABLES
from engage_assets.sample.music_world import MUSIC_DATABASE, generate_both
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
MUSIC_MARKETPLACES = {**MARKETPLACES, "IN": marketplace("Asia/Kolkata", "en-IN", "INR")}
MUSIC_TABLES = ("track_plays", "tracks", "feedback", "plays", "artist_ratings")


def small_world(warehouse: Path, **changes: object) -> WorldSummary:
    return generate(warehouse, marketplaces=MARKETPLACES, **{**SMALL, **changes})


def both_worlds(warehouse: Path, **changes: object) -> tuple[WorldSummary, WorldSummary]:
    sizes = {**SMALL, "music_history_days": 14, "tracks": 90}
    return generate_both(warehouse, marketplaces=MUSIC_MARKETPLACES, **{**sizes, **changes})


def tables(warehouse: Path) -> dict[str, pl.DataFrame]:
    """The tables that were written, by noun."""
    found = {}
    for name, table in INPUT_TABLES.items():
        own = MUSIC_DATABASE if name in MUSIC_TABLES else REVIEWS_DATABASE
        path = warehouse / (table.database or own) / f"{name}.parquet"
        if path.is_file():
            found[name] = pl.read_parquet(path)
    return found


def partitions() -> list[date]:
    return [FIRST_DAY + timedelta(days=day) for day in range(SMALL["days"])]
