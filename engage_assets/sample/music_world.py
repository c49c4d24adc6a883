"""The synthetic world's music: listeners, releases, plays and feedback, with bots and every fault of real data.

The tables are those of a warehouse read some weeks after the last partition, as `world` has it.
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl

from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.music import TRACK_PLAYS, TRACKS
from engage_assets.sample.catalogue import draw_products
from engage_assets.sample.customers import draw_customers
from engage_assets.sample.music_artists import ratings_of
from engage_assets.sample.music_catalogue import draw_tracks, usual_tracks
from engage_assets.sample.music_feedback import feedback_of
from engage_assets.sample.music_listeners import LISTENING_PLACES, draw_listen_only, draw_listeners
from engage_assets.sample.music_listens import draw_listens
from engage_assets.sample.music_oddities import REASONS
from engage_assets.sample.music_plays import plays_of
from engage_assets.sample.music_records import records_of
from engage_assets.sample.oddities import ODDITIES
from engage_assets.sample.people import draw_people
from engage_assets.sample.world import (
    REVIEWS_DATABASE,
    Drawn,
    Tables,
    WorldSummary,
    draw_crm,
    draw_shop,
    span,
    summary_of,
    write_tables,
)

MUSIC_DATABASE: Final = "streaming"
"""The database of the music program's tables."""
MUSIC_HISTORY_DAYS: Final = 75
"""Days of plays before the first partition, where nothing else is said."""


def generate_music(
    warehouse: Path,
    *,
    seed: int,
    first_day: date,
    days: int = 30,
    history_days: int = MUSIC_HISTORY_DAYS,
    customers: int = 4000,
    tracks: int | None = None,
    marketplaces: Mapping[str, Marketplace],
) -> WorldSummary:
    """Write the tables of the music program below `warehouse`, those of the customers among them, as `world.generate`.

    The listeners are the `customers` people of the reviews' world of the same seed, and some who only listen, most of
    them in India. Plays of `days` days from `first_day` on are the partitions, `history_days` days lie before them.

    `tracks` is by default as `music_catalogue.usual_tracks` has it. Raises EngageError for sizes that cannot hold every
    oddity in every week, or a release on every day.
    """
    start, end = span(first_day, days, history_days)
    everyone, who = draw_everyone(seed, draw_people(seed, customers), marketplaces)
    music = draw_music(seed, everyone, who, tracks, start, first_day, end)
    tables = draw_crm(seed, everyone, who, start, end, music.last_seen) | music.tables
    write_tables(warehouse, tables, MUSIC_DATABASE)
    return summary_of(tables, music.records, REASONS)


class Both(NamedTuple):
    """A world for both programs before it is written: its people, the customers' tables, each program's own."""

    everyone: pl.DataFrame
    crm: Tables
    shop: Drawn
    music: Drawn


def generate_both(warehouse: Path, **sizes: Any) -> tuple[WorldSummary, WorldSummary]:
    """Write one world for the reviews program and the music program, whose customers are the same people.

    `sizes` as `draw_both` has them.
    """
    return write_both(warehouse, draw_both(**sizes))


def draw_both(
    *,
    seed: int,
    first_day: date,
    days: int = 30,
    history_days: int = 150,
    music_history_days: int = MUSIC_HISTORY_DAYS,
    customers: int = 4000,
    products: int = 300,
    tracks: int | None = None,
    marketplaces: Mapping[str, Marketplace],
) -> Both:
    """One world for both programs."""
    start, end = span(first_day, days, history_days)
    heard_from, _ = span(first_day, days, music_history_days)
    people = draw_people(seed, customers)
    everyone, who = draw_everyone(seed, people, marketplaces)
    shop = draw_shop(seed, people, who, draw_products(seed, products), start, first_day, end)
    music = draw_music(seed, everyone, who, tracks, heard_from, first_day, end)
    last_seen = pl.concat([shop.last_seen, music.last_seen]).group_by("customer_id").agg(pl.col("day").max())
    crm = draw_crm(seed, everyone, who, min(start, heard_from), end, last_seen.sort("customer_id"))
    return Both(everyone, crm, shop, music)


def write_both(warehouse: Path, both: Both) -> tuple[WorldSummary, WorldSummary]:
    """Write a world's tables."""
    crm, shop, music = both.crm, both.shop, both.music
    write_tables(warehouse, crm | shop.tables, REVIEWS_DATABASE)
    write_tables(warehouse, music.tables, MUSIC_DATABASE)
    reviews = summary_of(crm | shop.tables, shop.records, {kind: oddity.reason for kind, oddity in ODDITIES.items()})
    return reviews, summary_of(crm | music.tables, music.records, REASONS)


def draw_everyone(
    seed: int, people: pl.DataFrame, marketplaces: Mapping[str, Marketplace]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The shop's `people` and those who only listen, and the customers table of all of them."""
    others = draw_listen_only(seed, people.height)
    abroad = draw_customers(seed, others, marketplaces, LISTENING_PLACES, purpose="customers who only listen")
    return pl.concat([people, others]), pl.concat([draw_customers(seed, people, marketplaces), abroad])


def draw_music(
    seed: int, everyone: pl.DataFrame, who: pl.DataFrame, tracks: int | None, start: date, first_day: date, end: date
) -> Drawn:
    """The tables of the music program beside those of the customers, which are `who`."""
    listeners = draw_listeners(seed, everyone)
    catalogue = draw_tracks(seed, usual_tracks(start, end) if tracks is None else tracks, start, end)
    zones = who.select("customer_id", "time_zone")
    listens = draw_listens(seed, listeners, zones, catalogue, start, first_day, end)
    records = records_of(seed, listens)
    tables = {
        "track_plays": records.select(TRACK_PLAYS.names),
        "tracks": catalogue.select(TRACKS.names),
        "feedback": feedback_of(seed, listens, listeners, catalogue, start),
        "plays": plays_of(seed, listens, first_day),
        "artist_ratings": ratings_of(seed, catalogue, start, end),
    }
    last_seen = listens.group_by("listener_id").agg(pl.col("day").max()).sort("listener_id")
    return Drawn(tables, records, last_seen.rename({"listener_id": "customer_id"}))
