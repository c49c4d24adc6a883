"""Notices that are due: what people are told of an event beside invitations, at which instant, and until when it holds.

Pure: a notice follows from a change of a registration, or from the catalogue, the registrations and the time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, partial
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from engage_assets.domain.events import Event
from engage_assets.domain.keys import campaign_id, segment
from engage_assets.domain.notices import TOLD_IN, Kind
from engage_assets.domain.program import ReminderRule
from engage_assets.domain.registrations import Registration
from engage_assets.domain.slots import instant_of
from engage_assets.events.catalogue import change_between

USUAL_TIME: Final = time(10)
"""Local clock time of reminders that name none, and of surveys."""
AHEAD: Final = timedelta(hours=1)
"""A reminder comes so long before the start at the latest."""
SURVEYED_FOR: Final = timedelta(days=14)
"""Whom it is known to have come only later than so long after an event's end is not asked how it was."""
RECALLED: Final = timedelta(days=2)
"""What was due longer ago, and is not in the ledger, is no more looked at."""
SUPERSEDED: Final = "SUPERSEDED"
NO_ADDRESS: Final = "NO_PUSH_ADDRESS"
UNREACHED: Final = frozenset({("skipped", NO_ADDRESS), ("failed", "PUSH_GONE")})
"""Ends of a notification that nobody got, after which another channel may tell it."""
_OF_SEATS: Final = frozenset({"confirmation", "wait_listed", "promoted"})


@dataclass(frozen=True)
class Notice:
    """One person is told one thing about one event, once."""

    kind: Kind
    event_id: str
    customer_id: str
    marketplace: str
    channel: str
    """channelId."""
    due_at: datetime
    sequence: int
    """Of the registration's change; of the event's version that moved it or called it off, 1 being the first; of the
    rule of a reminder, 0 being the first."""

    def campaign(self, program: str) -> str:
        """The campaign that its send belongs to, `event-invitations:email:2026-12-08:DE:reminder:k8s-1`."""
        where = (self.marketplace, self.kind, segment(self.event_id))
        return campaign_id(program, self.channel, self.due_at.date(), *where)

    def through(self, channel: str) -> "Notice":
        """The same through another channel."""
        return replace(self, channel=channel)


class Registrant(NamedTuple):
    """Somebody with a registration, and the zone in which he lives."""

    registration: Registration
    zone: str


@dataclass(frozen=True)
class Versions:
    """What is known of an event by now, oldest first; at least one version."""

    history: tuple[Event, ...]

    @property
    def event(self) -> Event:
        """The event as it is known now."""
        return self.history[-1]

    @cached_property
    def number(self) -> int:
        """Since which version (1 is the first) it takes place as it does now: later ones changed nothing of that."""
        number = len(self.history)
        while number > 1 and change_between(self.history[number - 2], self.event) is None:
            number -= 1
        return number

    @property
    def since(self) -> datetime:
        """When that version became known."""
        return self.history[self.number - 1].known_at

    def seen_at(self, instant: datetime) -> int:
        """How many versions were known at an instant; who asked earlier saw the first."""
        return max(sum(one.known_at <= instant for one in self.history), 1)


def of_change(said: Mapping[str, str], channel: str) -> Notice:
    """What a person is told of a change of his registration, as the outbox has it (topic `notice`), at once."""
    kinds: Mapping[str, Kind] = {
        "registered": "promoted" if said.get("was") == "wait_listed" else "confirmation",
        "wait_listed": "wait_listed",
        "cancelled": "withdrawn",
    }
    at, sequence = datetime.fromisoformat(said["at"]), int(said["sequence"])
    whom = (said["subject_id"], said["customer_id"], said["marketplace"])
    return Notice(kinds[said["status"]], *whom, channel, at, sequence)


def reminder_at(event: Event, rule: ReminderRule, zone: str) -> datetime:
    """When a rule reminds who lives in `zone`: days before the start there, and an hour before it at the latest."""
    day = _date(event.starts_at, zone) - timedelta(days=rule.days_before)
    return min(instant_of(datetime.combine(day, rule.time or USUAL_TIME), zone), event.starts_at - AHEAD)


def survey_at(event: Event, zone: str) -> datetime:
    """When who attended and lives in `zone` is asked how it was: on the day after the end."""
    return instant_of(datetime.combine(_date(event.ends_at, zone) + timedelta(days=1), USUAL_TIME), zone)


def late_survey_at(known_at: datetime, zone: str) -> datetime:
    """When he is asked of whom it is known only at `known_at`, after that hour: at the next such hour."""
    day = _date(known_at, zone)
    today = instant_of(datetime.combine(day, USUAL_TIME), zone)
    return today if known_at <= today else instant_of(datetime.combine(day + timedelta(days=1), USUAL_TIME), zone)


def reminders(
    versions: Versions, people: Iterable[Registrant], rules: Sequence[ReminderRule], now: datetime
) -> Iterator[Notice]:
    """Reminders that became due lately, of who was registered by then, and of what was known to be so by then."""
    event = versions.event
    if event.is_cancelled:
        return
    dues = _Dues(now)
    for registration, zone in people:
        if registration.status not in TOLD_IN["reminder"]:
            continue
        for place, rule in enumerate(rules):
            due_at = dues.of(place, zone, partial(reminder_at, event, rule))
            if due_at and max(registration.changed_at, versions.since) <= due_at:
                yield _notice("reminder", registration, rule.channel, due_at, place)


def surveys(versions: Versions, people: Iterable[Registrant], channel: str, now: datetime) -> Iterator[Notice]:
    """Surveys that became due lately, of who attended: once, but for whom it became known again at another time.

    `Notices.asked` knows whom not to ask again.
    """
    event = versions.event
    if event.is_cancelled or now < event.ends_at:
        return
    hours: dict[str, datetime] = {}
    for registration, zone in people:
        if registration.status not in TOLD_IN["survey"]:
            continue
        due_at = hours[zone] if zone in hours else hours.setdefault(zone, survey_at(event, zone))
        if due_at < registration.changed_at:
            due_at = late_survey_at(registration.changed_at, zone)
        if now - RECALLED < due_at <= min(now, event.ends_at + SURVEYED_FOR):
            yield _notice("survey", registration, channel, due_at, 0)


def changes(
    versions: Versions, people: Iterable[Registrant], told: Mapping[str, int], channel: str, now: datetime
) -> Iterator[Notice]:
    """That the event moved, was called off or takes place after all: to who was told otherwise last.

    That is what the catalogue said when the person registered or, by customer, the version in `told`. An event that is
    over is no news.
    """
    event = versions.event
    kind: Kind = "called_off" if event.is_cancelled else "moved"
    if not now - RECALLED < versions.since <= now:
        return
    for registration, _ in people:
        last = max(versions.seen_at(registration.registered_at), told.get(registration.customer_id, 0))
        before = versions.history[min(last, len(versions.history)) - 1]
        takes_place = before if event.is_cancelled else event
        is_news = change_between(before, event) is not None and versions.since < takes_place.ends_at
        if is_news and registration.status in TOLD_IN[kind]:
            yield _notice(kind, registration, channel, versions.since, versions.number)


def outdated(
    notice: Notice, versions: Versions | None, zone: str, rules: Sequence[ReminderRule], now: datetime
) -> str | None:
    """Why the catalogue and the time forbid to tell a notice now; None: nothing does.

    What the person's registration forbids is asked in the transaction of the claim.
    """
    if versions is None or not _holds(notice, versions, now):
        return SUPERSEDED
    if notice.kind != "reminder":
        return None
    is_rule = notice.sequence < len(rules)
    is_same = is_rule and reminder_at(versions.event, rules[notice.sequence], zone) == notice.due_at
    return None if is_same else SUPERSEDED


def _holds(notice: Notice, versions: Versions, now: datetime) -> bool:
    event = versions.event
    if notice.kind == "called_off":
        return event.is_cancelled and notice.sequence == versions.number
    if notice.kind == "withdrawn":
        return True
    if event.is_cancelled:
        return False
    if notice.kind == "survey":
        return now >= event.ends_at
    if notice.kind == "reminder":
        return now < event.starts_at
    return now < event.ends_at and (notice.kind in _OF_SEATS or notice.sequence == versions.number)


class _Dues:
    """Instants by zone, each worked out once; None where it is not now, or too long ago."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._known: dict[tuple[int, str], datetime | None] = {}

    def of(self, place: int, zone: str, make: Callable[[str], datetime]) -> datetime | None:
        if (place, zone) not in self._known:
            due_at = make(zone)
            self._known[place, zone] = due_at if self._now - RECALLED < due_at <= self._now else None
        return self._known[place, zone]


def _notice(kind: Kind, one: Registration, channel: str, due_at: datetime, sequence: int) -> Notice:
    return Notice(kind, one.event_id, one.customer_id, one.marketplace, channel, due_at, sequence)


def _date(instant: datetime, zone: str) -> date:
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()
