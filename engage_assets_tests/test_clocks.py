"""Clocks: the machine's, and one that a demonstration declares."""

import time
from datetime import UTC, datetime

import pytest

from engage_assets.clocks import RealClock, read_clock
from engage_assets.domain.errors import EngageError
from engage_assets_tests.builders import instant


@pytest.mark.parametrize("environment", [{}, {"ENGAGE_NOW": ""}, {"ENGAGE_NOW": "  "}])
def test_without_a_declaration_it_is_the_machines_clock(environment):
    clock = read_clock(environment)
    assert isinstance(clock, RealClock)
    assert not clock.is_declared


def test_the_machines_clock_shows_utc_without_a_zone(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        before, now, after = datetime.now(UTC), RealClock().now(), datetime.now(UTC)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert now.tzinfo is None
    assert before <= now.replace(tzinfo=UTC) <= after


@pytest.mark.parametrize(
    "text", ["2026-10-31T02:00:00Z", "2026-10-31 02:00", "2026-10-31T03:00+01:00", " 2026-10-31T02:00 "]
)
def test_a_declared_clock_stands_at_its_instant(text):
    clock = read_clock({"ENGAGE_NOW": text})
    assert clock.is_declared
    assert clock.now() == clock.now() == instant("2026-10-31 02:00")


@pytest.mark.parametrize("text", ["tomorrow", "31.10.2026", "2026-10-31T25:00"])
def test_what_is_no_instant_is_refused_with_an_example(text):
    with pytest.raises(
        EngageError, match=r"^ENGAGE_NOW='.*' is no ISO instant; write for example 2026-10-31T02:00:00Z$"
    ):
        read_clock({"ENGAGE_NOW": text})
