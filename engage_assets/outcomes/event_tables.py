"""What figures of events are made of: who was invited, who has a seat, who was told and asked, as of one night."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

import narwhals as nw
import polars as pl

from engage_assets.domain.events import ATTENDANCE_FORECASTS, PAST_REGISTRATIONS, REGISTRATIONS_LOG
from engage_assets.domain.notices import SURVEY_LOG
from engage_assets.domain.program import Program
from engage_assets.domain.tables import INTERACTIONS_LOG, SENDS_LOG, Column, Table
from engage_assets.outcomes.attribution import NIGHT, marketplace_of
from engage_assets.outcomes.event_attribution import registrants, touches
from engage_assets.outcomes.own import Frame, Given
from engage_assets.outcomes.states import last_states, of_partition

EVENT_STATES: Final = Table(
    "event_states",
    "one row per event that the batch invited for, as known at the night",
    (
        Column("event_id", "key", "The event."),
        Column("name", "text", "Its name."),
        Column("starts_at", "instant", "Start, UTC."),
        Column("ends_at", "instant", "End, UTC."),
        Column("time_zone", "text", "IANA zone of its dates."),
        Column("deadline", "instant", "From then on requests are refused."),
        Column("seats", "integer", "How many there are; null: no limit."),
        Column("taken", "integer", "Who has one, here or through another system, each once."),
        Column("is_cancelled", "flag", "Whether it does not take place."),
        Column("is_moved", "flag", "Whether start, length or zone changed since the batch."),
    ),
)
SEATED: Final = ("registered", "attended", "no_show")
_PERSON: Final = ["subject_id", "customer_id"]


@dataclass(frozen=True)
class EventTables:
    """Collected tables of the events of one batch. People are rows of customer_id and subject_id."""

    program: Program
    night: datetime
    states: pl.DataFrame
    """EVENT_STATES, by event."""
    invitations: pl.DataFrame
    """Messages sent and banners open: marketplace, channel, is_seen (opened or displayed), is_clicked."""
    notices: pl.DataFrame
    """Sends that solicit nothing: kind, channel, is_opened, is_clicked."""
    people: pl.DataFrame
    """Who asked for a seat: marketplace, status, had_seat, waited, is_promoted, watch_minutes."""
    elsewhere: pl.DataFrame
    """Who registered through another system."""
    answers: pl.DataFrame
    """SURVEY_LOG, with subject_id."""
    seated: pl.DataFrame
    touched: pl.DataFrame
    """See event_attribution."""
    forecasts: pl.DataFrame
    """ATTENDANCE_FORECASTS."""

    @classmethod
    def of(cls, given: Given) -> Self | None:
        """Collect them; None where it is not known which events there are."""
        made = given.made
        if EVENT_STATES.name not in made:
            return None
        night = datetime.combine(given.as_of, NIGHT)
        states = _collected(made[EVENT_STATES.name]).sort("event_id")
        events = states["event_id"].to_list()
        sends = made[SENDS_LOG.name].filter(nw.col("subject_id").is_in(events), nw.col("at") <= night)
        seen = made[INTERACTIONS_LOG.name].filter(nw.col("received_at") <= night)
        log = made[REGISTRATIONS_LOG.name].filter(nw.col("event_id").is_in(events), nw.col("received_at") <= night)
        known = registrants(log)
        return cls(
            given.program,
            night,
            states,
            invitations=_invitations(sends, seen, given),
            notices=_notices(sends, seen, night),
            people=people(_collected(log)),
            elsewhere=_elsewhere(given.tables.get(PAST_REGISTRATIONS.name), events, night),
            answers=_answers(made.get(SURVEY_LOG.name), events, night),
            seated=_collected(known).sort(_PERSON),
            touched=_collected(touches(sends, seen, known)).sort(*_PERSON, "at", "event_id"),
            forecasts=_forecasts(made.get(ATTENDANCE_FORECASTS.name)),
        )

    @property
    def over(self) -> list[str]:
        """Events that are over and took place."""
        rows = self.states.filter(pl.col("ends_at") <= self.night, ~pl.col("is_cancelled"))
        return rows["event_id"].to_list()

    @property
    def attended(self) -> list[str]:
        """Events that are over and of which it is recorded who came."""
        came = self.people.filter(pl.col("status") == "attended")["subject_id"].unique()
        return [one for one in self.over if one in came]


def people(log: pl.DataFrame) -> pl.DataFrame:
    """Who asked for a seat, one row per person and event, out of REGISTRATIONS_LOG rows."""
    ordered = log.sort("sequence")
    status = pl.col("status")
    in_line = pl.col("sequence").filter(status == "wait_listed").min()
    got = pl.col("sequence").filter(status == "registered").max()
    return (
        ordered.group_by(subject_id="event_id", customer_id="customer_id")
        .agg(
            marketplace=pl.col("marketplace").last(),
            status=status.last(),
            had_seat=status.is_in(SEATED).any(),
            waited=(status == "wait_listed").any(),
            is_promoted=(got > in_line).fill_null(value=False),
            watch_minutes=pl.col("watch_minutes").last(),
        )
        .sort(_PERSON)
    )


def _collected(frame: Frame) -> pl.DataFrame:
    found = frame.collect("polars").to_native()
    assert isinstance(found, pl.DataFrame)
    return found


def _invitations(sends: Frame, seen: Frame, given: Given) -> pl.DataFrame:
    night = datetime.combine(given.as_of, NIGHT)
    own = last_states(sends.filter(of_partition(given.program, given.partition)), night)
    named = own.with_columns(marketplace=marketplace_of(given.program, given.partition))
    joined = _collected(named).join(_by_people(seen), on="send_id", how="left")
    flags = joined.with_columns(
        is_seen=pl.col("open").fill_null(value=False) | pl.col("displayed").fill_null(value=False),
        is_clicked=pl.col("click").fill_null(value=False),
    )
    out = flags.filter((pl.col("state") == "sent") | pl.col("is_seen") | pl.col("is_clicked"))
    return out.select("send_id", *_PERSON, "marketplace", "channel", "is_seen", "is_clicked").sort("send_id")


def _notices(sends: Frame, seen: Frame, night: datetime) -> pl.DataFrame:
    """A send's kind is the same in all its rows."""
    told = sends.filter(~nw.col("is_solicitation"))
    kinds = _collected(told.select("send_id", "kind").unique())
    rows = _collected(last_states(told, night)).filter(pl.col("state") == "sent").join(kinds, on="send_id")
    joined = rows.join(_by_people(seen), on="send_id", how="left")
    return joined.select(
        "send_id",
        *_PERSON,
        "kind",
        "channel",
        is_opened=pl.col("open").fill_null(value=False),
        is_clicked=pl.col("click").fill_null(value=False),
    ).sort("send_id")


def _by_people(seen: Frame) -> pl.DataFrame:
    """By send whether a person opened (open), clicked (click), or was shown it (displayed)."""
    mine = seen.filter(nw.col("machine_rule").is_null()).select("send_id", "kind").unique()
    names = ("open", "click", "displayed")
    return _collected(mine).group_by("send_id").agg((pl.col("kind") == name).any().alias(name) for name in names)


def _elsewhere(table: Frame | None, events: list[str], night: datetime) -> pl.DataFrame:
    if table is None:
        return pl.DataFrame(schema=dict.fromkeys(_PERSON, pl.String))
    earlier = nw.col("registered_at").is_null() | (nw.col("registered_at") <= night)
    own = table.filter(nw.col("event_id").is_in(events), earlier)
    return _collected(own.select(nw.col("event_id").alias("subject_id"), "customer_id").unique()).sort(_PERSON)


def _answers(log: Frame | None, events: list[str], night: datetime) -> pl.DataFrame:
    if log is None:
        return pl.DataFrame(schema={**SURVEY_LOG.schema, "subject_id": pl.String})
    own = log.filter(nw.col("event_id").is_in(events), nw.col("received_at") <= night)
    return _collected(own).with_columns(subject_id="event_id").sort(_PERSON)


def _forecasts(table: Frame | None) -> pl.DataFrame:
    return pl.DataFrame(schema=ATTENDANCE_FORECASTS.schema) if table is None else _collected(table)
