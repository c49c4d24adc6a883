"""The report of one event: a page that opens offline, from the records that met it to the survey, with its forecast."""

import hashlib
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import quote

import polars as pl

from engage_assets.domain.program import Program
from engage_assets.outcomes.event_page import (
    CHART_WIDTH,
    by_channel,
    forecast_chart,
    key_figures,
    not_measured,
    origin,
    ratings,
    record_funnel,
    when,
)
from engage_assets.outcomes.event_section import attribution, interval, judged, marketplaces, people_chart, summary
from engage_assets.outcomes.event_tables import EventTables
from engage_assets.outcomes.event_touches import CAVEAT
from engage_assets.outcomes.figures import Figures, instant
from engage_assets.outcomes.report import templates
from engage_assets.outcomes.rows import Figure

_PICTURE_WIDTH: Final = 640
_LONGEST: Final = 120


def render_event_report(
    *,
    program: Program,
    tables: EventTables,
    figures: Figures,
    decisions: pl.DataFrame,
    event_id: str,
    as_of: date,
    partition: date,
    declared_clock: datetime | None,
) -> str:
    """The page of one event, as HTML; the same arguments give the same text.

    `figures`: those of outcomes.event_figures. `decisions`: subject_id, stage, reason and records of the batch.
    """
    state = tables.states.row(by_predicate=pl.col("event_id") == event_id, named=True)
    page = templates().get_template("event_report.html.j2")
    return page.render(
        program_name=program.program_name,
        event_id=event_id,
        name=state["name"],
        when=when(state),
        is_cancelled=state["is_cancelled"],
        origin=origin(state, partition, as_of),
        declared_clock=declared_clock and instant(declared_clock),
        records=record_funnel(program, decisions.filter(subject_id=event_id)),
        channels=by_channel(program, tables, event_id),
        outlook=forecast_chart(tables.forecasts.filter(event_id=event_id).sort("at")),
        **_said(figures, event_id),
    )


def _said(figures: Figures, event_id: str) -> dict[str, Any]:
    """What the figures alone say."""
    return {
        "summary": summary(figures, event_id),
        "key_figures": key_figures(figures, event_id),
        "people": people_chart(figures, CHART_WIDTH, event_id),
        "judged": judged(figures, event_id),
        "interval": interval(figures, event_id),
        "attribution": attribution(figures, CHART_WIDTH, event_id),
        "caveat": CAVEAT,
        "marketplaces": list(marketplaces(figures, event_id)),
        "ratings": ratings(figures, event_id),
        "not_measured": not_measured(figures, event_id),
    }


def event_picture(figures: Figures, event_id: str, caption: str) -> str | None:
    """The way of the event's people as an SVG file; None where there is nobody."""
    people = people_chart(figures, _PICTURE_WIDTH, event_id)
    if people is None:
        return None
    bars = templates().get_template("bars.svg.j2")
    title = "From invitation to survey"
    return bars.render(caption=caption, legend="", title=title, chart=people["chart"], description=people["words"])


def file_name(event_id: str) -> str:
    """A name for the event's files: its id where that is a plain word, else percent-encoded, or hashed if long."""
    plain = quote(event_id, safe="")
    return (
        plain if len(plain) <= _LONGEST and not plain.startswith(".") else hashlib.sha256(event_id.encode()).hexdigest()
    )


def looked_up(figures: Iterable[Figure]) -> Figures:
    """Figures by metric, dimension and member."""
    return Figures({(one.metric, one.dimension, one.member): (one.value, one.note) for one in figures})
