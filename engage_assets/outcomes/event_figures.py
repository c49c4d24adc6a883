"""Own figures of programs about events: people, seats, attribution, answers, costs and forecasts."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engage_assets.outcomes.event_answers import COSTS, PUSH, cost_figures, notice_figures, survey_figures
from engage_assets.outcomes.event_forecasts import EXPECTED, JUDGED, forecast_figures
from engage_assets.outcomes.event_people import CAME, INVITED, people_figures
from engage_assets.outcomes.event_section import events_section
from engage_assets.outcomes.event_tables import EventTables
from engage_assets.outcomes.event_touches import NAMES, touch_figures
from engage_assets.outcomes.own import Given, OwnFigures
from engage_assets.outcomes.rows import Figure, missing

LABELS: Final[Mapping[str, str]] = {
    "events": "Events",
    "events_moved": "Events moved",
    "events_cancelled": "Events cancelled",
    "invited": "Invitations",
    "reach": "People invited",
    "registrations": "Registrations",
    "registrations_cancelled": "Registrations given back",
    "registration_rate": "Registration rate",
    "reach_registration_rate": "Registration rate of people",
    "seats": "Seats",
    "seats_taken": "Seats taken",
    "capacity_use_rate": "Capacity use",
    "wait_listed": "Ever in line",
    "waiting": "In line",
    "promoted": "Promoted from the line",
    "attended": "Attended",
    "no_shows": "No-shows",
    "attendance_rate": "Attendance rate",
    "mean_watch_minutes": "Mean watch time",
    "last_touch_share": "Brought by us, last touch",
    "first_touch_share": "Brought by us, first touch",
    "time_decay_share": "Brought by us, time decay",
    "multi_channel_share": "Multi-channel share",
    "notices": "Notices",
    "push_sent": "Push notifications",
    "push_open_rate": "Push open rate",
    "push_click_through_rate": "Push click-through rate",
    "survey_answers": "Survey answers",
    "survey_answer_rate": "Survey answer rate",
    "satisfaction": "Satisfaction",
    "cost_per_registration": "Cost per registration",
    "cost_per_attendee": "Cost per attendee",
    "forecast_attendance": "Forecast of attendance",
    "forecast_brier": "Brier score of the forecasts",
    "attended_to_forecast": "Attended ÷ forecast",
    "forecast_held_rate": "Forecast intervals that held",
}
FORMS: Final[Mapping[str, str]] = {
    "mean_watch_minutes": "{:.1f} min",
    "satisfaction": "{:.2f} of 5",
    "cost_per_registration": "{:,.2f}",
    "cost_per_attendee": "{:,.2f}",
    "forecast_attendance": "{:,.1f}",
    "forecast_brier": "{:.4f}",
    "attended_to_forecast": "{:.2f}",
}
_NOT_READ: Final = "the events of the batch were not read"
_COUNTED: Final = ("events", "registrations", "waiting", "seats_taken", "survey_answers", "satisfaction", "notices")


def event_figures(tables: EventTables) -> Iterator[Figure]:
    """Every figure of a batch's events."""
    yield from people_figures(tables)
    yield from touch_figures(tables)
    yield from notice_figures(tables)
    yield from survey_figures(tables)
    yield from cost_figures(tables)
    yield from forecast_figures(tables)


def _measure(given: Given) -> Iterator[Figure]:
    tables = EventTables.of(given)
    if tables is None:
        names = (*_COUNTED, *INVITED, *CAME, *NAMES, *PUSH, *COSTS, *EXPECTED, *JUDGED)
        yield from (missing(metric, _NOT_READ) for metric in names)
        return
    yield from event_figures(tables)


def _section(figures: Any, width: int) -> Mapping[str, Any] | None:
    return events_section(figures, width)


OWN: Final = OwnFigures(
    made=(),
    measure=_measure,
    labels=LABELS,
    forms=FORMS,
    section=_section,
    template="events.html.j2",
)
