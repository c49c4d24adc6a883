"""The synthetic world's events: guests with profiles, a catalogue, and a history of who registered and came.

The tables are those of a warehouse read some weeks after the last partition, as `world` has it.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from engage_assets.domain.events import Event
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.sample.customers import draw_customers
from engage_assets.sample.events_catalogue import draw_events, events_frame, mondays, topics_frame
from engage_assets.sample.events_guests import (
    PEOPLE_REASONS,
    PROFILE_ODDITIES,
    draw_abroad,
    draw_guests,
    draw_profiles,
)
from engage_assets.sample.events_history import past_registrations
from engage_assets.sample.events_vocabulary import GUEST_PLACES
from engage_assets.sample.music_world import draw_both, draw_everyone, write_both
from engage_assets.sample.people import draw_people
from engage_assets.sample.world import Drawn, Tables, WorldSummary, draw_crm, span, summary_of, write_tables

EVENTS_DATABASE: Final = "customer_data/profiles"
"""The folder of the events program's profiles."""
EVENTS_HISTORY_WEEKS: Final = 34
"""Weeks of events before the first partition, where nothing else is said."""
_NOBODY: Final = pl.DataFrame(schema={"customer_id": pl.String, "day": pl.Date})
AHEAD: Final = 2
"""Weeks after the last day whose events are in the catalogue already."""


def generate_all(
    warehouse: Path,
    *,
    seed: int,
    first_day: date,
    days: int = 30,
    customers: int = 4000,
    event_history_weeks: int = EVENTS_HISTORY_WEEKS,
    marketplaces: Mapping[str, Marketplace],
    **sizes: Any,
) -> tuple[WorldSummary, WorldSummary, WorldSummary]:
    """Write one world for the three programs, whose customers are the same people, and a few who only come to events.

    `sizes` are further ones of `music_world.generate_both`. The tables of the other programs are those that they are
    without events, but for the people from abroad among the customers and their trust.
    """
    both = draw_both(seed=seed, first_day=first_day, days=days, customers=customers, marketplaces=marketplaces, **sizes)
    everyone, who, crm = draw_all_guests(seed, both.everyone, both.crm, marketplaces, first_day, days)
    events = draw_event_tables(seed, everyone, who, first_day, days, customers, event_history_weeks)
    reviews, music = write_both(warehouse, both._replace(crm=crm))
    write_tables(warehouse, events.tables, EVENTS_DATABASE)
    reasons = {**PEOPLE_REASONS, **PROFILE_ODDITIES}
    return reviews, music, summary_of(crm | events.tables, events.records, reasons)


def generate_events(
    warehouse: Path,
    *,
    seed: int,
    first_day: date,
    days: int = 30,
    customers: int = 4000,
    event_history_weeks: int = EVENTS_HISTORY_WEEKS,
    marketplaces: Mapping[str, Marketplace],
) -> WorldSummary:
    """Write the tables of the events program below `warehouse`, those of the customers among them, as `generate_all`.

    The guests are the same people; only who opts out or is suspended after something that he bought or heard is not.
    """
    start, end = span(first_day, days, 150)
    others, who = draw_everyone(seed, draw_people(seed, customers), marketplaces)
    crm = draw_crm(seed, others, who, start, end, _NOBODY)
    everyone, who, crm = draw_all_guests(seed, others, crm, marketplaces, first_day, days)
    events = draw_event_tables(seed, everyone, who, first_day, days, customers, event_history_weeks)
    write_tables(warehouse, crm | events.tables, EVENTS_DATABASE)
    return summary_of(crm | events.tables, events.records, {**PEOPLE_REASONS, **PROFILE_ODDITIES})


def draw_all_guests(
    seed: int,
    everyone: pl.DataFrame,
    crm: Tables,
    marketplaces: Mapping[str, Marketplace],
    first_day: date,
    days: int,
) -> tuple[pl.DataFrame, pl.DataFrame, Tables]:
    """`everyone` and the people from abroad; CUSTOMERS of all of them; the tables of the customers with theirs."""
    abroad = draw_abroad(seed, everyone.height)
    places = {code: place for code, place in GUEST_PLACES.items() if code in marketplaces}
    if not places:
        return everyone, crm["customers"], crm
    theirs = draw_customers(seed, abroad, marketplaces, places, purpose="guests from abroad")
    start, end = first_day - timedelta(days=200), first_day + timedelta(days=days)
    own = draw_crm(seed, abroad, theirs, start, end, _NOBODY)
    joined = {name: pl.concat([crm[name], own[name]]) for name in crm}
    sorted_ = {name: frame if name == "customers" else frame.sort(frame.columns) for name, frame in joined.items()}
    return pl.concat([everyone, abroad]), joined["customers"], sorted_


def draw_event_tables(
    seed: int, everyone: pl.DataFrame, who: pl.DataFrame, first_day: date, days: int, customers: int, weeks: int
) -> Drawn:
    """The tables of the events program beside those of the customers, which are `who`.

    Records are the profiles that each Monday's batch reads for sure, once per event, with their kinds of oddity.
    """
    begins, end = first_day - timedelta(weeks=weeks), first_day + timedelta(days=days)
    versions = draw_events(seed, first_day, begins, end + timedelta(weeks=AHEAD), customers)
    guests = draw_guests(seed, everyone)
    profiles, kinds = draw_profiles(seed, guests, who, begins, end)
    latest = latest_of(versions)
    regions = guests.join(who, on="customer_id", how="left", maintain_order="left")["marketplace"]
    tables = {
        "customer_profiles": profiles,
        "events": events_frame(versions),
        "topics": topics_frame(),
        "past_registrations": past_registrations(seed, guests, regions, latest, first_day),
    }
    asked = [(monday, len(_asked(versions, monday))) for monday in mondays(first_day, end - timedelta(days=1))]
    counts = pl.DataFrame(asked, schema={"read_in": pl.Date, "events": pl.Int64}, orient="row")
    odd = kinds.filter(pl.col("kind").is_in([*PEOPLE_REASONS, *PROFILE_ODDITIES]))
    records = odd.join(counts.select(pl.col("read_in").repeat_by("events").explode()), how="cross")
    return Drawn(tables, records, _NOBODY)


def latest_of(versions: Sequence[Event]) -> list[Event]:
    """The latest version of each event, by id; `versions` oldest first."""
    return [one for _, one in sorted({version.event_id: version for version in versions}.items())]


def _asked(versions: Sequence[Event], monday: date) -> list[Event]:
    """The events that the batch of a Monday reads profiles for."""
    instant = datetime.combine(monday, datetime.min.time()) + timedelta(hours=2)
    known = latest_of([one for one in versions if one.known_at <= instant])
    return [one for one in known if monday + timedelta(days=7) <= one.local_date <= monday + timedelta(days=13)]
