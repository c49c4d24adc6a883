"""What is to be expected of a batch's events, from the moment that their registration opens to their start."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import polars as pl

from engage_assets.defs.event_attendees import Knowledge, Learned, learn
from engage_assets.defs.event_stages import invited
from engage_assets.domain.events import ATTENDANCE_FORECASTS, Event
from engage_assets.events import attending
from engage_assets.events.attendance import NO_SHOW_AFTER
from engage_assets.events.forecast import Floats, forecast, from_history

if TYPE_CHECKING:
    from engage_assets.defs.batch import Batch

Moment = Literal["opening", "night", "now", "start"]

_NIGHT: Final = timedelta(hours=23, minutes=59)
_ROW: Final = ["event_id", "customer_id", "registered_at"]


def forecasts(batch: "Batch", log: pl.LazyFrame, until: datetime) -> tuple[pl.DataFrame, Learned | None]:
    """ATTENDANCE_FORECASTS of the events that the batch invited for, as known at `until`, and what they come from.

    `log`: REGISTRATIONS_LOG of the program. What past events teach is what was known at the batch instant, so that a
    forecast of a moment is the same whenever it is made. No rows where of no past event it is known who came.
    """
    learned = learn(Knowledge.of(batch, log, batch.instant))
    if learned is None:
        return pl.DataFrame(schema=ATTENDANCE_FORECASTS.schema), None
    known = Knowledge.of(batch, log, until)
    asked = {one.event_id for one in invited(batch, batch.partition, batch.instant)}
    now = known.catalogue.known(until)
    moments = {one: _moments(now[one], batch.instant, until, known) for one in sorted(asked & now.keys())}
    seated = _seated(known, moments)
    chances = _chances(known, learned, seated)
    rows = [
        _row(now[event], at, moment, chances.filter(event_id=event, at=at), learned, known)
        for event, instants in moments.items()
        for at, moment in instants
    ]
    return pl.DataFrame(rows, schema=ATTENDANCE_FORECASTS.schema).sort("event_id", "at"), learned


def _moments(event: Event, opening: datetime, until: datetime, known: Knowledge) -> list[tuple[datetime, Moment]]:
    """The moments of an event up to `until`, none from its cancellation on."""
    found: list[tuple[datetime, Moment]] = [(opening, "opening")] if opening <= min(until, event.starts_at) else []
    night = datetime.combine(opening.date(), datetime.min.time()) + _NIGHT
    while night <= until and night < event.starts_at:
        found.append((night, "night"))
        night += timedelta(days=1)
    if event.starts_at <= until:
        found.append((event.starts_at, "start"))
    elif found and until > found[-1][0]:
        found.append((until, "now"))
    return [(at, moment) for at, moment in found if not known.catalogue.known(at)[event.event_id].is_cancelled]


def _seated(known: Knowledge, moments: dict[str, list[tuple[datetime, Moment]]]) -> pl.DataFrame:
    """Who has a seat at each moment: the columns of attending.standing, and `at`."""
    instants = sorted({at for found in moments.values() for at, _ in found})
    log = known.log.filter(pl.col("event_id").is_in(list(moments))).collect().lazy()
    parts = [
        attending.standing(log, at).collect().with_columns(at=pl.lit(at).cast(pl.Datetime("us"))) for at in instants
    ]
    return (
        pl.concat(parts) if parts else attending.standing(log, known.until).collect().with_columns(at="registered_at")
    )


def _chances(known: Knowledge, learned: Learned, seated: pl.DataFrame) -> pl.DataFrame:
    """event_id, customer_id, at and `chance` of coming of who has a seat."""
    once = seated.drop("at", "status").unique(_ROW, keep="any")
    given = known.with_features(once)
    predicted = learned.predict(given) if given.height else np.zeros(0)
    chance = given.select(_ROW).with_columns(chance=pl.Series(predicted, dtype=pl.Float64))
    return (
        seated.join(chance, on=_ROW).select("event_id", "customer_id", "at", "chance").sort("event_id", "customer_id")
    )


def _row(
    event: Event, at: datetime, moment: Moment, people: pl.DataFrame, learned: Learned, known: Knowledge
) -> dict[str, Any]:
    chances: Floats = people["chance"].to_numpy()
    found = forecast(chances, learned.spread) if people.height else from_history(learned.attendances)
    assert found is not None  # what was learned comes from events
    basis = ("model" if learned.model else "share") if people.height else "history"
    came = _who_came(event, known) if moment == "start" else None
    labels = people["customer_id"].is_in(came).to_numpy() if came is not None else None
    return {
        "event_id": event.event_id,
        "at": at,
        "moment": moment,
        "registered": people.height,
        **vars(found),
        "basis": basis,
        "attended": None if labels is None else int(labels.sum()),
        "brier": None if labels is None or not people.height else round(float(np.mean((chances - labels) ** 2)), 6),
        "model_version": learned.model.version if learned.model else None,
        "examples": learned.examples,
    }


def _who_came(event: Event, known: Knowledge) -> list[str] | None:
    """Customers who came; None while it is not known of all who had a seat, or nobody is said to have come."""
    if known.until < event.ends_at + NO_SHOW_AFTER:
        return None
    stand = attending.standing(known.log.filter(pl.col("event_id") == event.event_id), known.until).collect()
    came = stand.filter(pl.col("status") == "attended")["customer_id"].to_list()
    return came if came and "registered" not in stand["status"] else None


def told_of(learned: Learned) -> Iterator[tuple[str, Any]]:
    """What an analyst wants to know of what a forecast comes from, by name."""
    yield "past_events", len(learned.attendances)
    yield "past_registrations", learned.examples
    yield "spread_of_events", learned.spread
    if learned.model is None:
        yield "no_model", learned.cause
        return
    yield "model_version", learned.model.version
    wanted = ("rows", "base_rate", "roc_auc", "brier", "calibration_error")
    yield from ((f"later_{name}", learned.model.metrics[name]) for name in wanted)
