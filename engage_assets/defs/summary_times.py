"""When summaries are made: cron times of a service, days that are due, deadlines. Knows nothing of Dagster."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final

from engage_assets.defs.summary_families import batches_of
from engage_assets.domain.summary_spec import CommerceAnalytics, Family, Service, last_complete_day, run_instant
from engage_assets.summaries.silver import final_arrival

_DAY: Final = timedelta(days=1)
_YEARS: Final = (date(2025, 1, 1), 730)
"""Days over which a zone's clocks are looked at."""


def start_of(spec: CommerceAnalytics, family: Family) -> time:
    """The family's time, UTC."""
    return (spec.behaviour if family == "behaviour" else spec.commerce).at


def begins_at(spec: CommerceAnalytics, family: Family, service: Service) -> timedelta:
    """How long after midnight UTC a service's run begins: at the family's time, later where its day may last longer.

    Where clocks change, the later time holds all year.
    """
    return _latest_start(service.time_zone, start_of(spec, family))


@cache
def _latest_start(zone: str, at: time) -> timedelta:
    first, count = _YEARS
    days = (first + number * _DAY for number in range(count))
    return max(run_instant(day, zone, at) - _midnight(day + _DAY) for day in days)


def allowed(spec: CommerceAnalytics, family: Family, service: Service) -> timedelta:
    """How long after its beginning a service's tables must be there: services are made one after the other."""
    own = sum((deadline for _, deadline in batches_of(spec, family)), timedelta())
    return own * (spec.services.index(service) + 1)


def cron(after_midnight: timedelta) -> str:
    """Every day at that time."""
    minutes = int(after_midnight.total_seconds()) // 60 % 1440
    return f"{minutes % 60} {minutes // 60} * * *"


def due_day(spec: CommerceAnalytics, family: Family, service: Service, now: datetime) -> date:
    """The newest business date whose tables can be made at `now` (UTC)."""
    return last_complete_day(now, service.time_zone, start_of(spec, family))


def final_day(service: Service, now: datetime) -> date:
    """The newest business date of which no event can arrive any more at `now` (UTC)."""
    day = now.date()
    while final_arrival(day, service.time_zone) >= now.date():
        day -= _DAY
    return day


def expected_day(spec: CommerceAnalytics, family: Family, service: Service, now: datetime) -> date:
    """The newest business date whose tables must be there at `now` (UTC)."""
    return (now - begins_at(spec, family, service) - allowed(spec, family, service)).date() - _DAY


def utc(instant: datetime) -> datetime:
    """An instant of a schedule as UTC without a zone attached."""
    return instant.astimezone(UTC).replace(tzinfo=None)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())
