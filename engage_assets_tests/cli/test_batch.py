"""Ranges of partitions: days of a daily program, Mondays of a weekly one."""

from datetime import date, datetime

import pytest

from engage_assets.cli.batch import _partitions
from engage_assets.domain.errors import EngageError
from engage_assets_tests.defs.homes import PROGRAMS, Light

SUNDAY, TUESDAY, NEXT = (datetime(2026, 11, day) for day in (22, 24, 30))  # noqa: DTZ001 - days, as a person types them
PROGRAM_OF = Light({"ENGAGE_PROGRAMS": str(PROGRAMS)}).program


def test_a_weekly_program_has_its_mondays():
    weekly = PROGRAM_OF("event-invitations")
    assert _partitions(weekly, SUNDAY, NEXT) == [date(2026, 11, 23), date(2026, 11, 30)]
    with pytest.raises(EngageError, match="no Monday lies from 2026-11-24 to 2026-11-24"):
        _partitions(weekly, TUESDAY, TUESDAY)


def test_a_daily_program_has_every_day():
    daily = PROGRAM_OF("product-reviews")
    assert _partitions(daily, SUNDAY, TUESDAY) == [date(2026, 11, day) for day in (22, 23, 24)]
    with pytest.raises(EngageError, match="lies before"):
        _partitions(daily, TUESDAY, SUNDAY)
