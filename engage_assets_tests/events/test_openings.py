"""Which events take registrations: not cancelled, a seat left, the deadline ahead."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from engage_assets.domain.events import PAST_REGISTRATIONS, REGISTRATIONS_LOG
from engage_assets.domain.program import EventConfig
from engage_assets.events.openings import openings, seats_taken
from engage_assets_tests.filters.inviting import MONDAY, an_event

TICK = timedelta(microseconds=1)
DEADLINE = datetime(2026, 11, 30, 15)  # noqa: DTZ001 - 16:00 in Berlin on the day before


def is_open(*, taken=0, limit=10, at=MONDAY, **changes) -> bool:
    config = EventConfig(capacity_limit=limit, registration_deadline_days=1)
    return openings([an_event(**changes)], {"e-1": taken}, config, at)["is_open"].item()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"status": "cancelled"}, False),
        ({"taken": 9}, True),
        ({"taken": 10}, False),
        ({"taken": 4, "capacity": 5}, True),
        ({"taken": 5, "capacity": 5}, False),
        ({"taken": 10, "capacity": 50}, False),
        ({"taken": 999, "limit": None}, True),
        ({"capacity": 0}, False),
        ({"at": DEADLINE - TICK}, True),
        ({"at": DEADLINE}, False),
    ],
)
def test_an_event_is_open(changes, expected):
    assert is_open(**changes) is expected


def test_seats_are_those_of_the_ledger_and_of_other_systems_each_person_once():
    def change(customer, sequence, status, at=MONDAY, **others):
        row = {"program": "p", "event_id": "e-1", "customer_id": customer, "sequence": sequence, "status": status}
        return {**row, "at": at, **others}

    log = [
        change("c-1", 0, "registered"),
        change("c-2", 0, "registered"), change("c-2", 1, "cancelled"),
        change("c-3", 0, "wait_listed"),
        change("c-4", 0, "wait_listed"), change("c-4", 1, "registered"),
        change("c-5", 0, "registered"), change("c-5", 1, "cancelled", MONDAY + TICK),
        change("c-6", 0, "registered", MONDAY + TICK),
        change("c-7", 0, "registered", program="another"),
        change("c-8", 0, "registered", event_id="e-2"),
    ]  # fmt: skip
    past = [
        {"customer_id": "c-1", "event_id": "e-1", "registered_at": MONDAY},
        {"customer_id": "c-9", "event_id": "e-1", "registered_at": None},
        {"customer_id": "c-10", "event_id": "e-1", "registered_at": MONDAY + TICK},
    ]
    frames = [pl.LazyFrame(log, schema=REGISTRATIONS_LOG.schema), pl.LazyFrame(past, schema=PAST_REGISTRATIONS.schema)]
    assert seats_taken(["e-1"], *frames, "p", MONDAY) == {"e-1": 4}, "c-1, c-4, c-5 and c-9"
    assert seats_taken(["e-1"], None, None, "p", MONDAY) == {}
