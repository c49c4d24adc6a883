"""All 16 tables of both services, from raw log files, against a second implementation that shares no code with them."""

from datetime import date, timedelta

import pytest

from engage_assets_tests.summaries.events import SERVICES, random_world
from engage_assets_tests.summaries.made import build_days, differences, tables
from engage_assets_tests.summaries.naive import figures
from engage_assets_tests.summaries.naive_events import read_log
from engage_assets_tests.summaries.naive_spec import SHIPPED
from engage_assets_tests.summaries.raw_logs import write_raw_logs

LAST = date(2026, 3, 20)
EDGES = (0, 1, 6, 7, 30, 90)
"""Days before the last: inside and outside of the windows."""
SPEC = SHIPPED._replace(page_memory=timedelta(hours=24))
"""Silver looks for the page before a page change in the 24 hours before it."""


@pytest.mark.parametrize(
    ("events", "ages", "before"),
    [
        pytest.param(5_000, EDGES, (0,), id="5,000 events"),
        pytest.param(100_000, range(120), (0, 20), id="100,000 events", marks=pytest.mark.soak),
    ],
)
def test_all_tables(tmp_path, events, ages, before):
    records = random_world(events, events, [LAST - timedelta(days=age) for age in ages])
    write_raw_logs(tmp_path / "logs", records)
    for service in SERVICES:
        known = read_log(records, service, LAST + timedelta(days=2), SPEC).events
        made = build_days(tmp_path, service, SPEC.zones[service], sorted({event.day for event in known}))
        for day in (LAST - timedelta(days=age) for age in before):
            wanted, found = figures(known, service, day, SPEC), tables(made, day)
            assert found.keys() == wanted.keys()
            assert all(wanted.values()), f"{service} {day}: a table without rows compares nothing"
            assert not [line for name in wanted for line in differences(name, found[name], wanted[name])]
