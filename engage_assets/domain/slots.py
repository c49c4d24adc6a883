"""Slots: the local date and time of a campaign, and the instant at which it comes where a person lives."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

SEND_WINDOW = timedelta(hours=2)
"""A message more than this behind its slot is not sent: `SEND_WINDOW_MISSED`."""


def instant_of(local: datetime, zone: str) -> datetime:
    """The UTC instant at which the clocks of `zone` show `local`.

    In a fold the first; in a gap the transition itself, so that 02:30 becomes 03:00.
    """
    here = ZoneInfo(zone)
    aware = local.replace(tzinfo=here, fold=0)
    instant = aware.astimezone(UTC).replace(tzinfo=None)
    if aware.astimezone(UTC).astimezone(here).replace(tzinfo=None) == local:
        return instant
    # In a gap fold=0 counts with the offset before it and fold=1 with the one after: the transition lies between.
    early = local.replace(tzinfo=here, fold=1).astimezone(UTC)
    late = aware.astimezone(UTC)
    before = early.astimezone(here).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(here).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late.replace(tzinfo=None)


@cache
def next_slot(zone: str, at: time, after: datetime) -> tuple[datetime, datetime]:
    """The first slot at local time `at` in `zone` whose instant lies strictly after `after` (UTC).

    Returns the local date and time, and its UTC instant.
    """
    start = after.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date() - timedelta(days=1)
    for days in range(4):
        local = datetime.combine(start + timedelta(days=days), at)
        instant = instant_of(local, zone)
        if instant > after:
            return local, instant
    raise AssertionError(f"no slot in {zone} within three days after {after}")


@cache
def known_zones() -> frozenset[str]:
    """All IANA zones of this machine's tzdata, without the two names that mean the machine's own zone or none."""
    return frozenset(available_timezones()) - {"localtime", "Factory"}


@cache
def zones_by_name() -> Mapping[str, ZoneInfo]:
    """`known_zones`, sorted. Kept, as Python keeps but a few, and reads the others' files anew."""
    return {name: ZoneInfo(name) for name in sorted(known_zones())}
