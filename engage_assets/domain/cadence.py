"""When a program's batches run, and which instant belongs to which partition.

Partition D of a daily program holds day D and is filled on D+1; a weekly partition is keyed by the
Monday on which its batch runs (docs/decisions.md, 28). All instants are UTC without a zone attached.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, Literal

FIRST_DAY: Final = date(2000, 1, 1)
"""Days before this one are implausible: `DATE_INVALID`."""

_AWS_CRON = re.compile(r"^cron\(([^()]*)\)$")
_NUMBER = re.compile(r"^[0-9]{1,2}$")
_AWS_WEEKDAYS = {"1": "SUN", "2": "MON", "3": "TUE", "4": "WED", "5": "THU", "6": "FRI", "7": "SAT"}


@dataclass(frozen=True)
class Cadence:
    """Daily, or weekly on Mondays, at a clock time in UTC."""

    period: Literal["daily", "weekly"]
    at: time

    @property
    def cron(self) -> str:
        """The same as a unix cron expression."""
        return f"{self.at.minute} {self.at.hour} * * {'*' if self.period == 'daily' else 'MON'}"

    @property
    def step(self) -> timedelta:
        """Time between two batches."""
        return timedelta(days=1 if self.period == "daily" else 7)

    def batch_instant(self, partition: date) -> datetime:
        """The instant at which the batch of `partition` is scheduled."""
        day = partition + timedelta(days=1) if self.period == "daily" else partition
        return datetime.combine(day, self.at)

    def last_day(self, partition: date) -> date:
        """The last UTC day that is over at the batch instant of `partition`."""
        return self.batch_instant(partition).date() - timedelta(days=1)

    def partition_of(self, instant: datetime) -> date:
        """The newest partition whose batch instant is not after `instant`."""
        day = instant.date() if instant.time() >= self.at else instant.date() - timedelta(days=1)
        return day - timedelta(days=1) if self.period == "daily" else day - timedelta(days=day.weekday())


def read_aws_cron(expression: str) -> Cadence:
    """Read an AWS cron expression (six fields, UTC, Sunday = 1) that is daily or on Mondays.

    Raises ValueError with the field at fault.
    """
    at, weekday = _read(expression)
    if weekday is None:
        return Cadence("daily", at)
    if weekday != "MON":
        raise ValueError(f"day-of-week {weekday!r}: weekly batches run on Monday (MON or 2; AWS counts Sunday as 1)")
    return Cadence("weekly", at)


def read_weekly_cron(expression: str) -> str:
    """The unix cron expression of an AWS one that fires once a week. Raises ValueError with the field at fault."""
    at, weekday = _read(expression)
    if weekday is None or weekday not in _AWS_WEEKDAYS.values():
        raise ValueError(f'day-of-week {weekday or "*"!r}: one day, for example "cron(0 3 ? * SUN *)"')
    return f"{at.minute} {at.hour} * * {list(_AWS_WEEKDAYS.values()).index(weekday)}"


def _read(expression: str) -> tuple[time, str | None]:
    """Clock time and weekday, None for every day."""
    match = _AWS_CRON.match(expression.strip())
    fields = match[1].split() if match else []
    if len(fields) != 6:
        raise ValueError('write six fields, for example "cron(0 2 * * ? *)": minute hour day month weekday year')
    minute, hour, day, month, weekday, year = fields
    if not (_NUMBER.match(minute) and int(minute) < 60):
        raise ValueError(f"minute {minute!r}: one number from 0 to 59")
    if not (_NUMBER.match(hour) and int(hour) < 24):
        raise ValueError(f"hour {hour!r}: one number from 0 to 23")
    if (day == "?") == (weekday == "?"):
        raise ValueError("exactly one of day-of-month and day-of-week must be '?'")
    if month != "*" or year != "*" or day not in ("*", "?"):
        raise ValueError("only daily and weekly batches are known: day, month and year must be '*' or '?'")
    at = time(int(hour), int(minute))
    return at, None if weekday in ("?", "*") else _AWS_WEEKDAYS.get(weekday, weekday.upper())
