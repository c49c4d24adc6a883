"""Regions, and events that start while people are awake: where they live, and in every week of the year."""

from datetime import datetime

import pytest

from engage_assets.filters import geography
from engage_assets.filters.clauses import Clause
from engage_assets_tests.filters.inviting import EVENTS, an_event


def awake(at: str, *zones: str) -> list[bool]:
    starts = datetime.fromisoformat(at)
    found = geography.waking([an_event(starts_at=starts)], EVENTS)
    return [zone in found["time_zone"].to_list() for zone in zones]


@pytest.mark.parametrize(
    ("at", "zone", "is_awake"),
    [
        ("2026-12-01 07:00", "Europe/Berlin", True),  # 08:00 there
        ("2026-12-01 06:59", "Europe/Berlin", False),
        ("2026-12-01 19:59", "Europe/Berlin", True),
        ("2026-12-01 20:00", "Europe/Berlin", False),  # 21:00 there
        ("2026-12-01 02:30", "Asia/Kolkata", True),  # 08:00 there: half an hour beside the full ones
        ("2026-12-01 02:29", "Asia/Kolkata", False),
        ("2026-01-12 21:00", "Australia/Sydney", True),  # 08:00 there, in summer; in winter 07:00
        ("2026-07-13 21:00", "Australia/Sydney", False),
        ("2018-12-03 10:00", "America/Sao_Paulo", True),  # 08:00 there: 2018 still had a summer time
        ("2020-12-07 10:00", "America/Sao_Paulo", False),  # 07:00 there: 2020 had none
        ("2020-12-07 11:00", "America/Sao_Paulo", True),
    ],
)
def test_waking_hours_where_people_live(at, zone, is_awake):
    assert awake(at, zone) == [is_awake]


@pytest.mark.parametrize(
    ("at", "new_york", "berlin"),
    [
        ("2026-03-06 12:30", False, True),  # before both changed: 07:30, 13:30
        ("2026-03-13 12:30", True, True),  # New York alone has: 08:30, 13:30
        ("2026-03-13 19:30", True, True),  # 15:30, 20:30
        ("2026-04-03 19:30", True, False),  # both have: 15:30, 21:30
        ("2026-10-30 19:30", True, True),  # Berlin alone went back: 15:30, 20:30
        ("2026-10-30 12:30", True, True),  # 08:30, 13:30
        ("2026-11-06 12:30", False, True),  # both did: 07:30, 13:30
    ],
)
def test_the_weeks_in_which_clocks_differ(at, new_york, berlin):
    assert awake(at, "America/New_York", "Europe/Berlin") == [new_york, berlin]


def test_the_events_regions_count_else_the_programs():
    def regions(*own):
        return geography.regions([an_event(target_regions=own)], EVENTS)["geographic_region"].to_list()

    assert regions("JP", "IN", "JP") == ["IN", "JP"]
    assert regions() == regions(" ") == ["DE", "FR", "UK", "US"]


def test_an_hour_of_the_event_does_not_depend_on_its_own_zone():
    here, there = (geography.waking([an_event(time_zone=zone)], EVENTS) for zone in ("UTC", "Asia/Tokyo"))
    assert here.equals(there)


def test_the_time_zone_is_asked_only_where_the_program_says_so():
    (spec,) = [one for one in EVENTS.filter_chain if one.filter_id == "geographic"]

    def codes(*, compatible: bool) -> list[str]:
        parameters = spec.parameters.model_copy(update={"timezone_compatibility": compatible})
        clauses: list[Clause] = geography.geographic(spec.model_copy(update={"parameters": parameters}), EVENTS)
        return [clause.code for clause in clauses]

    assert (codes(compatible=True), codes(compatible=False)) == (["REGION", "TIME_ZONE"], ["REGION"])
