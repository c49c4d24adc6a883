"""What is expected of events, and how the forecasts of those that are over came out."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from engage_assets.outcomes.event_slices import of_event
from engage_assets.outcomes.event_tables import EventTables
from engage_assets.outcomes.rows import Figure, count, missing, ratio

EXPECTED: Final = ("forecast_attendance",)
JUDGED: Final = ("forecast_brier", "attended_to_forecast", "forecast_held_rate")
BASES: Final = {
    "model": "sum of the probabilities that those with a seat come",
    "share": "seats × the share of those who came to past events: too few are known for a model",
    "history": "mean attendance of past events: nobody is registered yet",
}
"""What a forecast is made of."""
_NONE: Final = "there is no forecast: of no past event it is known who came, or the event was cancelled"
_OPEN: Final = "the event is not over, or nobody is recorded as attended"
_NOT_JUDGED: Final = "no event with a forecast is over, or nobody is recorded as attended"


def forecast_figures(tables: EventTables) -> Iterator[Figure]:
    """The latest forecast of each event, and the judgement of those made at the start."""
    off = tables.states.filter("is_cancelled")["event_id"].implode()
    rows = tables.forecasts.filter(pl.col("at") <= tables.night, ~pl.col("event_id").is_in(off))
    latest = rows.sort("at").unique("event_id", keep="last", maintain_order=True).sort("event_id")
    yield from _expected(latest)
    judged = rows.filter(pl.col("moment") == "start", pl.col("attended").is_not_null(), pl.col("registered") > 0)
    yield from _judged(judged.sort("event_id"))
    for event in tables.states["event_id"]:
        if event not in judged["event_id"]:
            yield from (missing(metric, _OPEN, *of_event(event)) for metric in JUDGED)
        if event not in latest["event_id"]:
            yield from (missing(metric, _NONE, *of_event(event)) for metric in EXPECTED)


def _expected(latest: pl.DataFrame) -> Iterator[Figure]:
    if latest.is_empty():
        yield from (missing(metric, _NONE) for metric in EXPECTED)
        return
    total = round(float(latest["expected"].sum()), 6)
    yield Figure("forecast_attendance", total, "sum of the events' forecasts", numerator=total)
    for row in latest.iter_rows(named=True):
        where, note = of_event(row["event_id"]), BASES[row["basis"]]
        yield Figure("forecast_attendance", row["expected"], note, *where, numerator=row["expected"])
        for end in ("low", "high"):
            note = "end of the interval that holds the attendance of 90 % of events"
            yield count(f"forecast_{end}", row[end], note, *where)


def _judged(rows: pl.DataFrame) -> Iterator[Figure]:
    if rows.is_empty():
        yield from (missing(metric, _NOT_JUDGED) for metric in JUDGED)
        return
    for where, own in (("all", rows), *((event, rows.filter(event_id=event)) for event in rows["event_id"])):
        member = ("all", "all") if where == "all" else of_event(where)
        people = int(own["registered"].sum())
        errors = round(float((own["brier"] * own["registered"]).sum()), 6)
        note = "mean of (probability at the start − came)² over those with a seat; 0 is best"
        yield ratio("forecast_brier", errors, people, note, _NOT_JUDGED, *member)
        expected = round(float(own["expected"].sum()), 6)
        came = int(own["attended"].sum())
        yield ratio("attended_to_forecast", came, expected, "came ÷ forecast at the start", _NOT_JUDGED, *member)
        held = own.filter(pl.col("attended").is_between("low", "high")).height
        note = "events whose attendance lay within the interval at the start ÷ events judged"
        yield ratio("forecast_held_rate", held, own.height, note, _NOT_JUDGED, *member)
