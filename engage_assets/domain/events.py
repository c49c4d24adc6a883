"""Events: the tables that a program about events reads, and an event as one version of it states it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from engage_assets.domain.slots import instant_of
from engage_assets.domain.source import Answers, Source, Subjects
from engage_assets.domain.tables import Column, Table, needed

CUSTOMER_PROFILES = Table(
    "customer_profiles",
    "one row per customer",
    (
        needed("customer_id", "key", "The customer's key."),
        needed("interest_tags", "texts", "What the customer is interested in."),
        Column("event_attendance_history", "integer", "Events that the customer attended, as the source counts them."),
        Column("engagement_score", "number", "How engaged the customer is, 0 to 1."),
        Column("geographic_region", "text", "Region where the customer lives, such as US."),
        Column("job_role", "text", "The customer's work."),
        Column("updated_at", "instant", "When the profile changed last; it orders repeated profiles."),
    ),
)
EVENTS = Table(
    "events",
    "one row per event and version; the latest known at the batch instant counts",
    (
        needed("event_id", "key", "The event."),
        needed("known_at", "instant", "When this version became known."),
        needed("name", "text", "Name shown in messages."),
        needed("topics", "texts", "What it is about."),
        needed("starts_at", "instant", "Start, UTC."),
        needed("time_zone", "text", "IANA zone of its dates."),
        needed("duration_minutes", "integer", "How long it takes."),
        Column("event_type", "text", "webinar, workshop, conference, …"),
        Column("speakers", "texts", "Who speaks."),
        Column("target_regions", "texts", "Regions whose customers are invited; null or empty: the program's."),
        Column("capacity", "integer", "Seats; null: the program's capacityLimit."),
        Column("join_link", "text", "Where it takes place. Read at the send only."),
        Column("languages", "texts", "Languages in which it is held."),
        Column("status", "text", "scheduled or cancelled; null: scheduled."),
    ),
    database="events",
)
TOPICS = Table(
    "topics",
    "one row per topic",
    (
        needed("topic", "text", "The topic."),
        Column("parent", "text", "The topic above it; null: none."),
        Column("synonyms", "texts", "Other names of it."),
    ),
    database="events",
)
PAST_REGISTRATIONS = Table(
    "past_registrations",
    "one row per registration that was made elsewhere",
    (
        needed("customer_id", "key", "Who registered."),
        needed("event_id", "key", "For which event."),
        needed("registered_at", "instant", "When; null counts as long ago."),
        Column("attended", "flag", "Whether the person came."),
        Column("watch_minutes", "number", "Minutes that the person stayed."),
    ),
    database="events",
)
REGISTRATIONS_LOG = Table(
    "registrations",
    "one row per change of a registration",
    (
        Column("program", "text", "programId."),
        Column("event_id", "key", "For which event."),
        Column("customer_id", "key", "Who."),
        Column("sequence", "integer", "0 is the first state, the highest stands."),
        Column("marketplace", "text", "Where the customer shops."),
        Column("status", "text", "registered, wait_listed, cancelled, attended or no_show."),
        Column("channel", "text", "channelId of the link that was used; null: direct."),
        Column("send_id", "key", "The send whose link was used."),
        Column("at", "instant", "When it happened."),
        Column("received_at", "instant", "When it was recorded."),
        Column("watch_minutes", "number", "How long who attended was there."),
    ),
)
ATTENDANCE_FORECASTS = Table(
    "attendance_forecasts",
    "one row per event and moment, as of one night",
    (
        Column("event_id", "key", "The event."),
        Column("at", "instant", "The moment: what was known by then."),
        Column(
            "moment",
            "text",
            "opening (the batch instant), night (23:59 UTC), now (a run between), or start (of the event).",
        ),
        Column("registered", "integer", "Who had a seat through us."),
        Column("expected", "number", "How many of them will come: the sum of their probabilities."),
        Column("low", "integer", "Lower end of the interval that holds the attendance of 90 % of events."),
        Column("high", "integer", "Its upper end, included."),
        Column(
            "basis",
            "text",
            "model; share: that of past events, alike for all; history: their attendance, nobody being registered.",
        ),
        Column("attended", "integer", "How many of them came; null: not known yet. Rows of the start only."),
        Column("brier", "number", "Mean of (probability − came)² over them; null: likewise."),
        Column("model_version", "text", "The model; null: there is none."),
        Column("examples", "integer", "Past registrations that it learned from."),
    ),
)
TABLES: Final = (CUSTOMER_PROFILES, EVENTS, TOPICS, PAST_REGISTRATIONS)
SOURCE: Final = Source(
    table=CUSTOMER_PROFILES,
    record_key=None,
    customer="customer_id",
    subject="event_id",
    subject_type="event",
    day=None,
    event="updated_at",
    carried=("interest_tags", "geographic_region"),
    # Whether and until when an event takes registrations is no column of the catalogue: both follow from others.
    subjects=Subjects(EVENTS, key="event_id", is_open="is_open", starts="starts_at", closes="closes_at"),
    answers=Answers(
        PAST_REGISTRATIONS,
        customer="customer_id",
        subject="event_id",
        at="registered_at",
        word="registration",
        is_rated=False,
    ),
    form="registration",
    added=(Column("event_id", "key", "An event that the batch invites for.", required=True),),
    looked_up=("time_zone",),
    tables=TABLES,
    limits_per_subject=True,
    segments=("subject_id", "time_zone"),
)


@dataclass(frozen=True)
class Event:
    """One version of an event. Instants are UTC without a zone attached."""

    event_id: str
    known_at: datetime
    name: str
    topics: tuple[str, ...]
    starts_at: datetime
    time_zone: str
    duration_minutes: int
    event_type: str | None = None
    speakers: tuple[str, ...] = ()
    target_regions: tuple[str, ...] = ()
    capacity: int | None = None
    join_link: str | None = None
    languages: tuple[str, ...] = ()
    status: Literal["scheduled", "cancelled"] = "scheduled"

    @property
    def ends_at(self) -> datetime:
        """End, UTC."""
        return self.starts_at + timedelta(minutes=self.duration_minutes)

    @property
    def is_cancelled(self) -> bool:
        """Whether it takes place no more."""
        return self.status == "cancelled"

    @property
    def local_start(self) -> datetime:
        """Start on the event's own clock, without a zone attached."""
        return self.starts_at.replace(tzinfo=UTC).astimezone(ZoneInfo(self.time_zone)).replace(tzinfo=None)

    @property
    def local_date(self) -> date:
        """The day on which it starts, on the event's own clock."""
        return self.local_start.date()

    def deadline(self, days: int) -> datetime:
        """The instant from which on registrations are refused, UTC: the local start time, `days` calendar days before.

        In a gap of the clock the transition itself counts, in a fold the first of the two.
        """
        local = datetime.combine(self.local_date - timedelta(days=days), self.local_start.time())
        return instant_of(local, self.time_zone)

    def seats(self, limit: int | None) -> int | None:
        """The lesser of its capacity and the program's capacityLimit, nulls ignored; None: no limit."""
        return min((seats for seats in (self.capacity, limit) if seats is not None), default=None)
