"""What reports show of events: the way of people as bars, a table of events, attribution, marketplaces, forecasts."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engage_assets.outcomes import charts
from engage_assets.outcomes.event_touches import CAVEAT, NAMES
from engage_assets.outcomes.figures import UNMEASURED, Figures, percent, thousands
from engage_assets.outcomes.rows import ALL

STEPS: Final = {
    "invited": "Invited",
    "seen": "Saw it",
    "clicked": "Clicked",
    "registered": "Registered",
    "attended": "Attended",
    "answered": "Answered the survey",
}
_MODELS: Final = {
    "last_touch_share": "Last touch",
    "first_touch_share": "First touch",
    "time_decay_share": "Time decay",
}
assert _MODELS.keys() == NAMES.keys()


def events_section(figures: Figures, width: int) -> Mapping[str, Any] | None:
    """What the template `events.html.j2` shows; None where the events are not known."""
    if figures.value("events") is None:
        return None
    return {
        "events": figures.count("events"),
        "moved": figures.count("events_moved"),
        "cancelled": figures.count("events_cancelled"),
        "summary": summary(figures),
        "rows": [_event(figures, event) for event in figures.members("events", "event")],
        "funnel": people_chart(figures, width),
        "attribution": attribution(figures, width),
        "caveat": CAVEAT,
        "marketplaces": list(marketplaces(figures)),
        "judged": judged(figures),
        "no_forecast": None
        if figures.value("forecast_attendance") is not None
        else figures.note("forecast_attendance"),
    }


def of(figures: Figures, metric: str, event: str | None) -> float | None:
    """A figure in all, or of one event."""
    return figures.value(metric, *(("event", event) if event else (ALL, ALL)))


def summary(figures: Figures, event: str | None = None) -> str:
    """Invitations, people, registrations and attendance in one sentence."""
    invited, reach = of(figures, "invited", event), of(figures, "reach", event)
    registered = thousands(of(figures, "registrations", event))
    if invited is None:
        return f"No invitation went out; {registered} registrations."
    words = f"{thousands(reach)} people got {thousands(invited)} invitations over all channels; {registered} registered"
    words += f" ({percent(of(figures, 'registration_rate', event))} of the invitations)"
    attended = of(figures, "attended", event)
    if attended is None:
        return f"{words}."
    return f"{words}, {thousands(attended)} came ({percent(of(figures, 'attendance_rate', event))} of the seats kept)."


def people_chart(figures: Figures, width: int, event: str | None = None) -> dict[str, Any] | None:
    """The way of people, a bar for each step; None where nobody was invited and nobody registered."""
    steps = {
        label: figures.count("event_people", *(("event_step", f"{event}/{step}") if event else ("step", step)))
        for step, label in STEPS.items()
    }
    whole, most = steps[STEPS["invited"]], max(steps.values())
    if not most:
        return None
    rows = [
        charts.Bar(
            label, f"{thousands(people)} · {percent(people, whole)}" if whole else thousands(people), people / most
        )
        for label, people in steps.items()
    ]
    words = "; ".join(f"{row.name}: {row.figures}" for row in rows)
    return {"chart": charts.bars(rows, width), "words": words, "rows": [(row.name, row.figures) for row in rows]}


def attribution(figures: Figures, width: int, event: str | None = None) -> dict[str, Any] | None:
    """Registrations by channel under three models; None where nobody registered."""
    whole = of(figures, "registrations", event)
    if not whole or of(figures, "last_touch_share", event) is None:
        return None
    dimension = "event_channel" if event else "channel"
    members = [
        one for one in figures.members("last_touch_share", dimension) if not event or one.startswith(f"{event}/")
    ]

    def share(metric: str, member: str) -> float:
        return figures.value(metric, dimension, member) or 0

    named = {member: member.removeprefix(f"{event}/") if event else member for member in members}
    ranked = sorted(members, key=lambda member: (-share("last_touch_share", member), member))
    bars = [
        charts.Bar(named[one], percent(share("last_touch_share", one)), share("last_touch_share", one))
        for one in ranked
    ]
    rows = [
        (named[one], [(_number(share(metric, one) * whole), percent(share(metric, one))) for metric in _MODELS])
        for one in ranked
    ]
    return {
        "chart": charts.bars(bars, width),
        "words": "; ".join(f"{bar.name}: {bar.figures}" for bar in bars),
        "models": list(_MODELS.values()),
        "rows": rows,
        "whole": f"{thousands(whole)} {'registration' if whole == 1 else 'registrations'}",
        "several": percent(of(figures, "multi_channel_share", event)),
    }


def marketplaces(figures: Figures, event: str | None = None) -> Iterator[tuple[str, ...]]:
    """Marketplaces in which somebody was invited or registered: people, registrations and who came, with rates."""
    dimension = "event_marketplace" if event else "marketplace"
    there = dict.fromkeys([*figures.members("registrations", dimension), *figures.members("reach", dimension)])
    for member in there:
        if event and not member.startswith(f"{event}/"):
            continue
        invited, registered = (figures.value(metric, dimension, member) for metric in ("reach", "registrations"))
        if invited or registered:
            yield (
                member.removeprefix(f"{event}/") if event else member,
                thousands(invited),
                _with_rate(figures, "registrations", "reach_registration_rate", dimension, member),
                _with_rate(figures, "attended", "attendance_rate", dimension, member),
            )


def _with_rate(figures: Figures, metric: str, rate: str, dimension: str, member: str) -> str:
    value = figures.value(metric, dimension, member)
    share = figures.value(rate, dimension, member)
    return thousands(value) if share is None else f"{thousands(value)} · {percent(share)}"


def judged(figures: Figures, event: str | None = None) -> str | None:
    """How the forecasts of events that are over came out; None: none is judged."""
    held = of(figures, "forecast_held_rate", event)
    if held is None:
        return None
    ratio, brier = of(figures, "attended_to_forecast", event), of(figures, "forecast_brier", event)
    words = f"At the start the interval {'held' if held == 1 else 'did not hold'}"
    if event is None:
        words = f"Of the forecasts at the start of events that are over, {percent(held)} held (90 % are meant to)"
    return f"{words}; came ÷ forecast is {ratio:.2f}, the Brier score {brier:.3f}."


def interval(figures: Figures, event: str) -> str:
    """A forecast with its interval, 35 (28–41); a dash where there is none."""
    expected = figures.value("forecast_attendance", "event", event)
    if expected is None:
        return UNMEASURED
    return f"{expected:,.1f} ({ends(figures, event)})"


def ends(figures: Figures, event: str) -> str:
    """The ends of a forecast's interval, 28–41."""
    return "–".join(thousands(figures.value(f"forecast_{end}", "event", event)) for end in ("low", "high"))


def event_words(figures: Figures, event: str) -> str:
    """The event's name and when it is."""
    return figures.rows["events", "event", event][1]


def _event(figures: Figures, event: str) -> dict[str, str]:
    seats = figures.value("seats", "event", event)
    taken = thousands(figures.value("seats_taken", "event", event) if seats is not None else None)
    rating = figures.value("satisfaction", "event", event)
    return {
        "id": event,
        "name": event_words(figures, event),
        "people": thousands(figures.value("reach", "event", event)),
        "registered": thousands(figures.value("registrations", "event", event)),
        "seats": f"{taken} of {thousands(seats)}" if seats is not None else "no limit",
        "waiting": thousands(figures.value("waiting", "event", event)),
        "forecast": interval(figures, event),
        "came": thousands(figures.value("attended", "event", event)),
        "rating": UNMEASURED if rating is None else f"{rating:.2f}",
    }


def _number(value: float) -> str:
    """Whole where it is: fractions of registrations come of time decay."""
    return thousands(value) if abs(value - round(value)) < 0.05 else f"{value:,.1f}"
