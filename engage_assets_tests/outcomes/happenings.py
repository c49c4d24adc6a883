"""A Monday's events in figures: one that is over, one that lies ahead, whom they invited, and who came."""

from datetime import date, datetime, timedelta

import narwhals as nw
import polars as pl

from engage_assets.domain.events import ATTENDANCE_FORECASTS, PAST_REGISTRATIONS, REGISTRATIONS_LOG
from engage_assets.domain.notices import SURVEY_LOG
from engage_assets.domain.tables import DECISIONS, INTERACTIONS_LOG, SENDS_LOG
from engage_assets.outcomes.event_tables import EVENT_STATES
from engage_assets.outcomes.metrics import measure
from engage_assets.outcomes.own import Given
from engage_assets_tests.filters.inviting import EVENTS
from engage_assets_tests.outcomes.frames import on_polars, outcome_rows

MONDAY = date(2026, 11, 23)
NIGHT = date(2026, 12, 4)
"""Of e-1 it is known who came; e-2 lies ahead."""
OVER, AHEAD = "e-1", "e-2"
GERMAN = {"c-1", "c-3", "c-5", "c-7"}


def on(day: int, hour: int = 12, minute: int = 0) -> datetime:
    """An instant so many days after the Monday."""
    return datetime.combine(MONDAY, datetime.min.time()) + timedelta(days=day, hours=hour, minutes=minute)


def market(customer: str) -> str:
    return "DE" if customer in GERMAN else "US"


def invitation(customer: str, channel: str, event: str = OVER, state: str = "sent", at: datetime | None = None) -> dict:
    """A row of SENDS_LOG."""
    campaign = f"event-invitations:{channel}:{MONDAY}:{market(customer)}:{event}:Europe~2FBerlin"
    return {
        "send_id": f"{event}-{channel}-{customer}", "program": EVENTS.program_id, "campaign_id": campaign,
        "customer_id": customer, "subject_id": event, "channel": channel, "is_solicitation": True, "state": state,
        "at": at or on(0),
    }  # fmt: skip


def notice(customer: str, kind: str, channel: str = "email", event: str = OVER, at: datetime | None = None) -> dict:
    """A notice that was sent; its campaign bears the day on which it is due, which may be a batch's Monday."""
    campaign = f"event-invitations:{channel}:{MONDAY}:{market(customer)}:{kind}:{event}"
    row = invitation(customer, channel, event, at=at or on(1))
    return row | {
        "send_id": f"{event}-{kind}-{customer}", "campaign_id": campaign, "is_solicitation": False, "kind": kind,
    }  # fmt: skip


def did(kind: str, send: str, day: int, rule: str | None = None) -> dict:
    """A row of INTERACTIONS_LOG."""
    event = f"{kind}-{send}"
    return {
        "event_id": event, "send_id": send, "kind": kind, "at": on(day), "received_at": on(day), "machine_rule": rule,
    }  # fmt: skip


def changes(customer: str, *states: tuple, event: str = OVER) -> list[dict]:
    """Rows of REGISTRATIONS_LOG: (status, day, minutes or nothing)."""
    return [
        {
            "program": EVENTS.program_id, "event_id": event, "customer_id": customer, "sequence": place,
            "marketplace": market(customer), "status": status, "at": on(day), "received_at": on(day),
            "watch_minutes": minutes[0] if minutes else None,
        }
        for place, (status, day, *minutes) in enumerate(states)
    ]  # fmt: skip


SENDS = [
    *(invitation(f"c-{number}", "email") for number in range(1, 7)),
    *(invitation(f"c-{number}", "in-app") for number in range(1, 5)),
    *(invitation(f"c-{number}", "email", AHEAD) for number in (7, 8)),
    invitation("c-10", "email", state="skipped"),
    *(notice(f"c-{number}", "confirmation") for number in (1, 2, 3, 9)),
    *(notice(f"c-{number}", "reminder", "push", at=on(8)) for number in (1, 3, 4)),
    *(notice(f"c-{number}", "survey", at=on(10)) for number in (1, 4, 9)),
]
SEEN = [
    *(did("open", f"e-1-email-c-{number}", 0) for number in (1, 2, 3)),
    *(did("click", f"e-1-email-c-{number}", 0) for number in (1, 2)),
    did("click", "e-1-email-c-6", 0, "scanner"),
    *(did("displayed", f"e-1-in-app-c-{number}", 1) for number in (1, 3, 4)),
    *(did("click", f"e-1-in-app-c-{number}", 1) for number in (1, 3)),
    *(did("open", f"e-1-reminder-c-{number}", 8) for number in (1, 4)),
    did("click", "e-1-reminder-c-1", 8),
]
LOG = [
    *changes("c-1", ("registered", 2), ("attended", 10, 45.0)),
    *changes("c-2", ("registered", 2), ("cancelled", 3)),
    *changes("c-3", ("registered", 2), ("no_show", 10)),
    *changes("c-4", ("wait_listed", 2), ("registered", 3), ("attended", 10, 30.0)),
    *changes("c-5", ("wait_listed", 3)),
    *changes("c-9", ("registered", 3), ("attended", 10, 60.0)),
    *changes("c-7", ("registered", 4), event=AHEAD),
]
ANSWERS = [
    {
        "program": EVENTS.program_id, "event_id": OVER, "customer_id": customer, "marketplace": market(customer),
        "rating": rating, "has_text": False, "at": on(10), "received_at": on(10),
    }
    for customer, rating in (("c-1", 5), ("c-4", 4))
]  # fmt: skip
STATES = [
    {
        "event_id": OVER, "name": "Kubernetes in practice", "starts_at": on(9, 17), "ends_at": on(9, 18),
        "time_zone": "Europe/Berlin", "deadline": on(8, 17), "seats": 5, "taken": 5, "is_cancelled": False,
        "is_moved": True,
    },
    {
        "event_id": AHEAD, "name": "Statistics & <other> numbers", "starts_at": on(12, 17), "ends_at": on(12, 18),
        "time_zone": "America/New_York", "deadline": on(11, 17), "seats": None, "taken": 1, "is_cancelled": False,
        "is_moved": False,
    },
]  # fmt: skip


def expected(event: str, day: int, registered: int, *figures, moment: str = "night", **more) -> dict:
    names = ("expected", "low", "high")
    basis = "model" if registered else "history"
    row = {"event_id": event, "at": on(day, 23, 59), "moment": moment, "registered": registered, "basis": basis}
    return {**row, **dict(zip(names, figures, strict=True)), "model_version": "0f3a", "examples": 900, **more}


FORECASTS = [
    expected(OVER, 0, 0, 15.5, 9, 22, moment="opening", at=on(0, 2)),
    expected(OVER, 2, 3, 2.1, 1, 3),
    expected(OVER, 3, 4, 3.0, 2, 4),
    expected(OVER, 9, 4, 3.2, 2, 4, moment="start", at=on(9, 17), attended=3, brier=0.12),
    expected(AHEAD, 0, 0, 15.5, 9, 22, moment="opening", at=on(0, 2)),
    expected(AHEAD, 11, 1, 0.7, 0, 1, moment="now"),
]


def frame(rows, schema) -> nw.LazyFrame:
    return nw.from_native(pl.LazyFrame(rows, schema=schema))


def given(**changed) -> Given:
    """What the figures are made of; `changed`: rows of a table instead, by its name."""
    schemas = {
        "event_states": (STATES, EVENT_STATES.schema),
        "send_events": (SENDS, SENDS_LOG.schema),
        "interactions": (SEEN, INTERACTIONS_LOG.schema),
        "registrations": (LOG, REGISTRATIONS_LOG.schema),
        "survey_answers": (ANSWERS, SURVEY_LOG.schema),
        "attendance_forecasts": (FORECASTS, ATTENDANCE_FORECASTS.schema),
    }
    made = {name: frame(changed.get(name, rows), schema) for name, (rows, schema) in schemas.items()}
    elsewhere = [{"customer_id": "c-20", "event_id": OVER, "registered_at": on(1)}]
    tables = {"past_registrations": frame(elsewhere, PAST_REGISTRATIONS.schema)}
    return Given(changed.get("program", EVENTS), MONDAY, changed.get("as_of", NIGHT), tables, made)


DECIDED = pl.DataFrame(
    [
        {
            "subject_id": event,
            "stage": stage,
            "reason": reason,
            "marketplace": "DE",
            "channels": channels,
            "score": score,
        }
        for event, stage, reason, channels, score in (
            *[(OVER, "list", "LISTED", "email,in-app", 0.9)] * 4,
            *[(OVER, "list", "LISTED", "email", 0.6)] * 2,
            *[(OVER, "interest-match", "INTEREST_LOW", None, None)] * 9,
            (OVER, "list", "BELOW_MIN_SCORE", None, 0.2),
            *[(AHEAD, "list", "LISTED", "email", 0.8)] * 2,
            *[(AHEAD, "geographic", "TIME_ZONE", None, None)] * 3,
        )
    ],
    schema=DECISIONS.schema,
)
CAME = outcome_rows(
    *({"subject_id": OVER, "human_opens": 1, "human_clicks": clicks} for clicks in (1, 1, 0)),
    *({"subject_id": OVER} for _ in range(3)),
    *({"subject_id": OVER, "channel": "in-app", "displayed_at": on(1), "human_clicks": clicks} for clicks in (1, 0)),
    {"subject_id": OVER, "channel": "in-app", "displayed_at": on(1), "human_clicks": 1, "outcome": "responded"},
    {"subject_id": OVER, "channel": "in-app"},
    *({"subject_id": AHEAD} for _ in range(2)),
)


def measured(own: Given | None = None, came: pl.DataFrame = CAME) -> pl.DataFrame:
    """METRICS of the Monday."""
    return measure(
        on_polars(DECIDED),
        program=EVENTS,
        partition=MONDAY,
        as_of=NIGHT,
        sends=None,
        batch=(12.5, 10),
        outcomes=on_polars(came),
        unsolicited=0,
        own=own or given(),
    )
