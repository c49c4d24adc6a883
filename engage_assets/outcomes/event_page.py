"""Parts of an event's page: when it is, key figures, the funnel of records, the forecast, channels, ratings, gaps."""

from datetime import UTC, date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

import polars as pl

from engage_assets.domain.program import Program
from engage_assets.outcomes import charts
from engage_assets.outcomes.event_answers import RATINGS
from engage_assets.outcomes.event_charts import Moment, outlook
from engage_assets.outcomes.event_figures import FORMS, LABELS
from engage_assets.outcomes.event_forecasts import BASES
from engage_assets.outcomes.event_section import ends, of
from engage_assets.outcomes.event_tables import EventTables
from engage_assets.outcomes.figures import UNMEASURED, Figures, instant, long_day, percent, thousands
from engage_assets.outcomes.metrics import stages_of
from engage_assets.outcomes.rows import ALL

CHART_WIDTH: Final = 440
_WIDTHS: Final = {"wide": 1000, "narrow": 360}


def when(state: dict[str, Any]) -> str:
    """Wednesday, 2 December 2026, 18:00 in Europe/Berlin."""
    there = state["starts_at"].replace(tzinfo=UTC).astimezone(ZoneInfo(state["time_zone"]))
    return f"{long_day(there.date())}, {there:%H:%M} in {state['time_zone']}"


def origin(state: dict[str, Any], partition: date, as_of: date) -> list[tuple[str, str]]:
    """Where the figures come from, and what the event offers."""
    seats = state["seats"]
    return [
        ("Batch", long_day(partition)),
        ("As of", instant(datetime.combine(as_of, time(23, 59)))),
        ("Registration until", instant(state["deadline"])),
        ("Seats", "no limit" if seats is None else f"{thousands(state['taken'])} of {thousands(seats)} taken"),
    ]


def key_figures(figures: Figures, event: str) -> list[dict[str, str]]:
    """The nine figures to read first."""

    def shown(metric: str) -> str:
        value = of(figures, metric, event)
        if metric.endswith(("_rate", "_share")):
            return percent(value)
        return UNMEASURED if value is None else FORMS.get(metric, "{:,.0f}").format(value)

    notes = {
        "reach": f"{shown('invited')} invitations over all channels",
        "registrations": f"{shown('registration_rate')} of the invitations;"
        f" {shown('registrations_cancelled')} given back",
        "capacity_use_rate": f"{shown('seats_taken')} of {shown('seats')} seats",
        "waiting": f"of {shown('wait_listed')} ever in line {shown('promoted')} got a seat",
        "forecast_attendance": f"of those with a seat; interval {ends(figures, event)}",
        "attended": f"{shown('attendance_rate')} of the seats kept; {shown('mean_watch_minutes')} on average",
        "satisfaction": f"{shown('survey_answers')} answers",
        "cost_per_registration": f"{shown('cost_per_attendee')} per attendee",
        "push_open_rate": f"of {shown('push_sent')} push notifications",
    }
    labels = {**LABELS, "waiting": "In line now", "reach": "People invited"}
    lacking = {metric: why for metric in notes if (why := _cause(figures, metric, event))}
    return [
        {
            "label": labels[metric],
            "value": shown(metric),
            "note": f"not measured: {lacking[metric]}" if metric in lacking else note,
        }
        for metric, note in notes.items()
    ]


def _cause(figures: Figures, metric: str, event: str) -> str | None:
    """Why the event lacks a figure; None: it has it, or figures of its kind are of all events only."""
    here = figures.rows.get((metric, "event", event), figures.rows.get((metric, ALL, ALL), (0.0, "")))
    is_stated = (metric, "event", event) in figures.rows or figures.value(metric) is None
    return here[1] if is_stated and here[0] is None else None


def record_funnel(program: Program, decided: pl.DataFrame) -> dict[str, Any] | None:
    """The funnel of the records that met the event; None where there are none."""
    total = int(decided["records"].sum())
    if not total:
        return None
    left, steps = total, [charts.Step("Records", None, total)]
    for stage in stages_of(program, decided["stage"].to_list()):
        ended = int(decided.filter(pl.col("stage") == stage, pl.col("reason") != "LISTED")["records"].sum())
        left -= ended
        name = stage.replace("-", " ").capitalize()
        steps.append(charts.Step("Listed" if stage == "list" else name, ended, left))
    words = "; ".join(f"{step.name}: {thousands(step.went_on)}" for step in steps)
    return {"chart": charts.funnel(steps, CHART_WIDTH), "words": words}


def forecast_chart(forecasts: pl.DataFrame) -> dict[str, Any] | None:
    """The forecast from the opening on; None where there is none."""
    if forecasts.is_empty():
        return None
    rows = list(forecasts.iter_rows(named=True))
    names = ("at", "registered", "expected", "low", "high")
    moments = [Moment(**{name: row[name] for name in names}, is_past=row["basis"] == "history") for row in rows]
    came = rows[-1]["attended"]
    newest = rows[-1]
    words = f"{thousands(newest['registered'])} registered, {newest['expected']:,.1f} expected, interval"
    words += f" {thousands(newest['low'])} to {thousands(newest['high'])}"
    words += "" if came is None else f"; {thousands(came)} came"
    return {
        **{size: outlook(moments, came, width) for size, width in _WIDTHS.items()},
        "words": words,
        "has_past": any(one.is_past for one in moments),
        "basis": BASES[newest["basis"]],
        "examples": thousands(newest["examples"]),
        "rows": [
            (
                instant(row["at"]),
                row["moment"],
                thousands(row["registered"]),
                f"{row['expected']:,.1f}",
                f"{thousands(row['low'])}–{thousands(row['high'])}",
                BASES[row["basis"]].split(":")[0],
            )
            for row in rows
        ],
    }


def by_channel(program: Program, tables: EventTables, event: str) -> list[tuple[str, ...]]:
    """What came of the invitations of each channel; the seen are displayed banners, or opened messages."""
    sent = tables.invitations.filter(subject_id=event)
    found: list[tuple[str, ...]] = []
    for channel in program.asking_channels:
        own = sent.filter(channel=channel.channel_id)
        number, seen, clicked = own.height, int(own["is_seen"].sum()), int(own["is_clicked"].sum())
        is_banner = channel.channel_id in program.banner_channels
        rate = percent(clicked, seen if is_banner else number)
        found.append(
            (channel.channel_id, thousands(number), thousands(seen), percent(seen, number), thousands(clicked), rate)
        )
    return found


def ratings(figures: Figures, event: str) -> list[tuple[str, float, float]]:
    """Answers by rating, best first; none where nobody answered."""
    counts = {one: figures.count("survey_answers", "event_rating", f"{event}/{one}") for one in reversed(RATINGS)}
    whole = sum(counts.values())
    return [(rating, number, number / whole) for rating, number in counts.items()] if whole else []


def not_measured(figures: Figures, event: str) -> list[tuple[str, str]]:
    """Figures that the event lacks, with why, those of one cause together."""
    causes: dict[str, list[str]] = {}
    for metric, label in LABELS.items():
        if cause := _cause(figures, metric, event):
            causes.setdefault(cause, []).append(label)
    return [(", ".join(labels).capitalize(), note) for note, labels in causes.items()]
