"""Seats that became free by another hand than a request: the line gets them as soon as the catalogue is looked at."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.domain.events import PAST_REGISTRATIONS, Event
from engage_assets.domain.program import Program
from engage_assets.domain.registrations import Fit, Registrations, Seats
from engage_assets.events.openings import seats_of


def promote_lines(
    programs: Iterable[Program],
    events: Mapping[str, Event],
    warehouse: Warehouse,
    registrations: Registrations,
    now: datetime,
) -> dict[str, int]:
    """Give free seats to the line of every event that still takes registrations; by event how many got one.

    A capacity that rose in the warehouse, and a seat that somebody gave back elsewhere, are so the line's first.
    """
    found: dict[str, int] = {}
    for program in programs:
        waited_for = _with_line(program, events.values(), registrations, now)
        elsewhere = _elsewhere(warehouse, [one.event_id for one in waited_for], now)
        offered = [seats_of(program, one, elsewhere.get(one.event_id, frozenset())) for one in waited_for]
        for seats in offered:
            if _has_room(registrations, seats):
                (applied,) = registrations.take([Fit(seats)], now)
                found[seats.event_id] = found.get(seats.event_id, 0) + len(applied.promoted)
    return {event: promoted for event, promoted in found.items() if promoted}


def _with_line(program: Program, events: Iterable[Event], registrations: Registrations, now: datetime) -> list[Event]:
    """Events that take place, before their deadline, in whose line somebody stands."""
    days = program.event_config.registration_deadline_days if program.event_config else 0
    coming = [one for one in events if not one.is_cancelled and now < one.deadline(days)]
    if not coming:
        return []
    counts = registrations.counts(program.program_id, [one.event_id for one in coming])
    return [one for one in coming if counts[one.event_id].get("wait_listed", 0)]


def _has_room(registrations: Registrations, seats: Seats) -> bool:
    free = registrations.room(seats).free
    return free is None or free > 0


def _elsewhere(warehouse: Warehouse, events: list[str], now: datetime) -> dict[str, frozenset[str]]:
    """By event who registered elsewhere; an unknown instant is long ago."""
    table = warehouse.scan(PAST_REGISTRATIONS, str(PAST_REGISTRATIONS.database)) if events else None
    if table is None:
        return {}
    earlier = (pl.col("registered_at") <= now).fill_null(value=True)
    rows = table.filter(pl.col("event_id").is_in(events), earlier).select("event_id", "customer_id").drop_nulls()
    people = rows.unique().group_by("event_id").agg("customer_id").collect()
    return {event: frozenset(customers) for event, customers in people.iter_rows()}
