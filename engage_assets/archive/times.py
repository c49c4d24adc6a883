"""Instants as whole microseconds since 1970 in UTC: read, limited, printed."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from engage_assets.archive.refusals import Refused

DAY: Final = 86_400_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST: Final = 946_684_800_000_000
"""2000-01-01: nothing that this archive is about happened before."""
LATEST: Final = 4_102_444_800_000_000
"""2100-01-01: the last time at which a change can have been made."""
YEARS_AHEAD: Final = 10
_MIDNIGHT: Final = re.compile(r"(T)24(?=:?00(?::?00(?:[.,]0+)?)?(?:Z|[+-][\d:]+)$)")
"""The hour of a day's end."""
_SECONDS_OF_ZONE: Final = re.compile(r"T.*[+-]\d\d:?\d\d(?::?\d\d)")


def read_time(text: str, where: str, until: int) -> int:
    """An ISO 8601 date and time with a zone, in µs; `24:00:00` is the next day's start, `z` is `Z`.

    Raises Refused("impossible-date") where it is none, lies before 2000 or after `until`.
    """
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, TypeError, OverflowError):
        since = _seldom(text, where)
    if text[-1] not in "Zz" and text[-6] not in "+-" and _SECONDS_OF_ZONE.match(text, text.find("T")):
        raise Refused("impossible-date", f"{where}: not an ISO 8601 time (seconds in its zone)")
    if text[-1] == "Z" and not text[-2].isdigit():  # which fromisoformat takes for the mark of a fraction
        raise Refused("impossible-date", f"{where}: not an ISO 8601 time (no digit before its zone)")
    if "T" not in text:
        raise Refused("impossible-date", f"{where}: not an ISO 8601 time (no T between day and time)")
    instant = since.days * DAY + since.seconds * 1_000_000 + since.microseconds
    if not EARLIEST <= instant <= until:
        side = "before 2000" if instant < EARLIEST else f"more than {YEARS_AHEAD} years after the change"
        raise Refused("impossible-date", f"{where}: lies {side}")
    return instant


def _seldom(text: str, where: str) -> timedelta:
    """Since 1970, of what `fromisoformat` does not know. Raises Refused."""
    plain = f"{text[:-1]}Z" if text[-1:] == "z" and text[-2:-1].isdigit() else text
    plain, days = _MIDNIGHT.subn(r"\g<1>00", plain)
    if plain != text:
        try:
            return datetime.fromisoformat(plain) - _EPOCH + timedelta(days=days)
        except (ValueError, TypeError, OverflowError):
            pass
    raise Refused("impossible-date", f"{where}: not an ISO 8601 time with a zone")


def ten_years_after(instant: int) -> int:
    """The same moment ten calendar years later (29 February: the 28th where there is none)."""
    day, rest = divmod(instant, DAY)
    return _day_ten_years_after(day) + rest


@lru_cache(maxsize=4096)
def _day_ten_years_after(day: int) -> int:
    start = _EPOCH + timedelta(days=day)
    is_leap_day = (start.month, start.day) == (2, 29)
    later = start.replace(year=start.year + YEARS_AHEAD, day=28 if is_leap_day else start.day)
    return (later - _EPOCH).days * DAY


@lru_cache(maxsize=4096)
def _date_of_day(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()


def utc_date(instant: int) -> str:
    """The UTC date, YYYY-MM-DD."""
    return _date_of_day(instant // DAY)


def iso(instant: int) -> str:
    """ISO 8601 in UTC with microseconds and Z."""
    return f"{_EPOCH + timedelta(microseconds=instant):%Y-%m-%dT%H:%M:%S.%f}Z"


def file_time(instant: int) -> str:
    """`iso` as a part of a file's name: `:` becomes `-`."""
    return iso(instant).replace(":", "-")
