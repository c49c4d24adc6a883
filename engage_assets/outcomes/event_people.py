"""Who was invited to events, who registered and who came: counts, rates, seats and the line."""

from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl

from engage_assets.outcomes.event_slices import (
    EVERYTHING,
    Counts,
    Slice,
    counted,
    counts,
    events_of,
    of_event,
    ratios,
    slices,
)
from engage_assets.outcomes.event_tables import SEATED, EventTables
from engage_assets.outcomes.rows import Figure, count, missing

INVITED: Final = ("invited", "reach", "registration_rate", "reach_registration_rate")
CAME: Final = ("attended", "no_shows", "attendance_rate", "mean_watch_minutes")
STEPS: Final = {
    "invited": "people who were invited",
    "seen": "of them, who opened a message or was shown a banner",
    "clicked": "of them, who clicked",
    "registered": "people who got a seat, invited or not",
    "attended": "of them, who came",
    "answered": "of these, who answered the survey",
}
"""The way of people, step by step."""
_NOBODY: Final = "no invitation went out"
_NOT_KNOWN: Final = "the event is not over, or nobody is recorded as attended"
_NO_ATTENDANCE: Final = "no event of the batch is over, or nobody is recorded as attended"


def people_figures(tables: EventTables) -> Iterator[Figure]:
    """Everything that is counted in people."""
    yield from _events(tables)
    yield from _invited(tables)
    yield from _registered(tables)
    yield from _seats(tables)
    yield from _came(tables)
    yield from _steps(tables)


def _events(tables: EventTables) -> Iterator[Figure]:
    states = tables.states
    yield count("events", states.height, "events that the batch invited for")
    for row in states.iter_rows(named=True):
        yield count("events", 1, when_and_what(row), *of_event(row["event_id"]))
    yield count(
        "events_moved", int(states["is_moved"].sum()), "of them, those whose start, length or zone changed since"
    )
    yield count("events_cancelled", int(states["is_cancelled"].sum()), "of them, those that do not take place")


def when_and_what(state: Mapping[str, Any]) -> str:
    """An event's name and its start on its own clock, out of a row of EVENT_STATES."""
    there = state["starts_at"].replace(tzinfo=UTC).astimezone(ZoneInfo(state["time_zone"]))
    words = f"{state['name']}, {there:%Y-%m-%d %H:%M} {state['time_zone']}"
    return f"{words}, cancelled" if state["is_cancelled"] else words


def with_seat(tables: EventTables) -> pl.DataFrame:
    """Who got a seat, whether kept or not."""
    return tables.people.filter("had_seat")


def _invited(tables: EventTables) -> Iterator[Figure]:
    sent, seated = tables.invitations, with_seat(tables)
    if sent.is_empty():
        yield from (missing(metric, _NOBODY) for metric in INVITED)
        return
    invited, reach, registered = counted(sent), counted(sent, distinct=True), counted(seated)
    asked = counted(seated.join(sent.select("subject_id", "customer_id").unique(), on=["subject_id", "customer_id"]))
    people = counted(sent.unique(["subject_id", "customer_id"]))
    wanted = slices(tables.states, tables.program.marketplaces, invited, registered)
    yield from counts("invited", invited, wanted, "invitations: messages sent and banners open, summed over channels")
    yield from _by_channel("invited", sent, tables, "invitations of this channel")
    yield from counts("reach", reach, wanted, "people who got an invitation, each once")
    note = "people who got a seat ÷ invitations, summed over channels"
    yield from ratios("registration_rate", registered, invited, wanted, note, _NOBODY)
    note = "invited people who got a seat ÷ people invited, each once an event"
    yield from ratios("reach_registration_rate", asked, people, wanted, note, _NOBODY)


def _by_channel(metric: str, rows: pl.DataFrame, tables: EventTables, note: str) -> Iterator[Figure]:
    """Rows of each channel, in all and by event."""
    found = dict(rows.group_by("channel").len().iter_rows())
    channels = [channel.channel_id for channel in tables.program.asking_channels]
    yield from (count(metric, found.get(one, 0), note, "channel", one) for one in channels)
    pairs = {(event, one): number for event, one, number in rows.group_by("subject_id", "channel").len().iter_rows()}
    for event in tables.states["event_id"]:
        for one in channels:
            yield count(metric, pairs.get((event, one), 0), note, "event_channel", f"{event}/{one}")


def _registered(tables: EventTables) -> Iterator[Figure]:
    seated = with_seat(tables)
    registered = counted(seated)
    wanted = slices(tables.states, tables.program.marketplaces, registered, counted(tables.invitations))
    yield from counts("registrations", registered, wanted, "people who got a seat, those who gave it back included")
    gone = counted(seated.filter(pl.col("status") == "cancelled"))
    yield from counts("registrations_cancelled", gone, wanted, "of the registrations, those given back")
    events, people = events_of(tables.states), tables.people
    for metric, where, note in (
        ("wait_listed", pl.col("waited"), "people who ever stood in line"),
        ("waiting", pl.col("status") == "wait_listed", "people in line at the night"),
        ("promoted", pl.col("is_promoted"), "people in line who got a seat"),
    ):
        yield from counts(metric, counted(people.filter(where)), events, note)


def _seats(tables: EventTables) -> Iterator[Figure]:
    limited = tables.states.filter(pl.col("seats").is_not_null()).rename({"event_id": "subject_id"})
    names = ("seats", "seats_taken", "capacity_use_rate")
    for event in tables.states.filter(pl.col("seats").is_null())["event_id"]:
        yield from (missing(metric, "the event has no limit of seats", *of_event(event)) for metric in names)
    if limited.is_empty():
        yield from (missing(metric, "no event of the batch has a limit of seats") for metric in names)
        return
    seats, taken = (_sums(limited, column) for column in ("seats", "taken"))
    wanted = [one for one in events_of(tables.states) if one in seats]
    yield from counts("seats", seats, wanted, "seats of the events that have a limit")
    yield from counts("seats_taken", taken, wanted, "of them, those taken, here or through another system")
    yield from ratios("capacity_use_rate", taken, seats, wanted, "seats taken ÷ seats", "the events have no seats")


def _sums(rows: pl.DataFrame, column: str) -> dict[Slice, float]:
    by_event = {("event", event): float(number) for event, number in rows.select("subject_id", column).iter_rows()}
    return {EVERYTHING: float(rows[column].sum()), **by_event}


def _came(tables: EventTables) -> Iterator[Figure]:
    for event in tables.states["event_id"]:
        if event not in tables.attended:
            yield from (missing(metric, _NOT_KNOWN, *of_event(event)) for metric in CAME)
    if not tables.attended:
        yield from (missing(metric, _NO_ATTENDANCE) for metric in CAME)
        return
    seats = tables.people.filter(pl.col("subject_id").is_in(tables.attended), pl.col("status").is_in(SEATED))
    came = seats.filter(pl.col("status") == "attended")
    kept, attended = counted(seats), counted(came)
    some = tables.states.filter(pl.col("event_id").is_in(tables.attended))
    wanted = slices(some, tables.program.marketplaces, kept)
    yield from counts("attended", attended, wanted, "people with a seat who came")
    absent = counted(seats.filter(pl.col("status") == "no_show"))
    yield from counts("no_shows", absent, wanted, "people with a seat who did not come")
    note = "came ÷ seats that were kept, of events of which it is recorded who came"
    yield from ratios("attendance_rate", attended, kept, wanted, note, "nobody had a seat")
    watched = came.drop_nulls("watch_minutes")
    minutes = _minutes(watched)
    note = "minutes that people stayed ÷ people who came, where the minutes are known"
    yield from ratios("mean_watch_minutes", minutes, counted(watched), events_of(some), note, "no minutes are recorded")


def _minutes(watched: pl.DataFrame) -> Counts:
    by_event = watched.group_by("subject_id").agg(pl.col("watch_minutes").sum().round(2))
    found: dict[Slice, float] = {("event", event): minutes for event, minutes in by_event.iter_rows()}
    return {EVERYTHING: round(sum(found[one] for one in sorted(found)), 2), **found}


def _steps(tables: EventTables) -> Iterator[Figure]:
    """The funnel of people, in all and by event: an event's people, so that who is invited to two counts twice."""
    sent, seated, pair = tables.invitations, with_seat(tables), ["subject_id", "customer_id"]
    came = seated.filter(pl.col("status") == "attended")
    found = {
        "invited": counted(sent.unique(pair)),
        "seen": counted(sent.filter("is_seen").unique(pair)),
        "clicked": counted(sent.filter("is_clicked").unique(pair)),
        "registered": counted(seated),
        "attended": counted(came),
        "answered": counted(tables.answers.join(came.select(pair), on=pair)),
    }
    for step, note in STEPS.items():
        yield count("event_people", int(found[step][EVERYTHING]), note, "step", step)
        for dimension, event in events_of(tables.states)[1:]:
            number = int(found[step].get((dimension, event), 0))
            yield count("event_people", number, note, "event_step", f"{event}/{step}")
