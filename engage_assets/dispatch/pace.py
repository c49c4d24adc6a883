"""Pace: whether a campaign can be finished in its window, and whether it is night where a person lives."""

from datetime import UTC, datetime, time, timedelta
from math import ceil, floor
from zoneinfo import ZoneInfo

from engage_assets.domain.program import QuietHours
from engage_assets.domain.slots import SEND_WINDOW


def finishes_within(messages: int, per_second: float | None, window: timedelta = SEND_WINDOW) -> str | None:
    """Why a transport of `per_second` cannot send `messages` within `window`, with the arithmetic; None: it can.

    `per_second` None means no limit.
    """
    seconds = window.total_seconds()
    if per_second is None or messages <= per_second * seconds:
        return None
    takes = _spoken(timedelta(seconds=ceil(messages / per_second))) if per_second > 0 else "for ever"
    return (
        f"{messages:,} messages at {per_second:g} a second take {takes}, longer than the send window of"
        f" {_spoken(window)}: {ceil(messages / seconds * 100) / 100:,g} a second are needed, or at most"
        f" {floor(per_second * seconds):,} messages"
    )


def local_time(instant: datetime, zone: str) -> time:
    """What the clocks of an IANA zone show at a UTC instant."""
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).time()


def is_quiet(hours: QuietHours | None, instant: datetime, zone: str) -> bool:
    """Whether a program's quiet hours cover a UTC instant where a person lives; None: no quiet hours."""
    return hours is not None and hours.covers(local_time(instant, zone))


def _spoken(length: timedelta) -> str:
    """`2 h 46 min 40 s`."""
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{count} {unit}" for count, unit in ((hours, "h"), (minutes, "min"), (seconds, "s")) if count]
    return " ".join(parts) or "0 s"
