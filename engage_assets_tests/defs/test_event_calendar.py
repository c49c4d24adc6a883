"""The calendar file that goes with an invitation."""

from datetime import UTC, date, datetime, timedelta

import pytest
from icalendar import Calendar

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.batch import Batch
from engage_assets.defs.event_calendar import invitations
from engage_assets.defs.event_stages import known_events
from engage_assets.programs import load_folder
from engage_assets_tests.defs.homes import PROGRAMS
from engage_assets_tests.defs.small_events import add_version, make_events

MONDAY = date(2026, 11, 23)
NOW = datetime.fromisoformat("2026-11-23 10:00")
EVENT = "e03-0"


@pytest.fixture
def batch(tmp_path) -> Batch:
    make_events(tmp_path, last_monday=MONDAY, weeks=3)
    folder = load_folder(PROGRAMS)
    return Batch(folder.programs["event-invitations"], MONDAY, folder.marketplaces, Warehouse(tmp_path))


def row(customer: str = "c-1") -> dict:
    return {"subject_id": EVENT, "customer_id": customer, "marketplace": "DE", "subject": "Kommen Sie?"}


def entry(part):
    return Calendar.from_ical(part.content).events[0]


def test_it_is_the_events_entry_of_one_customer(batch):
    add_version(batch.warehouse.root, EVENT, join_link="https://canary-room.example", known_at=NOW - timedelta(days=9))
    enclose, event = invitations(batch, NOW), known_events(batch, NOW)[EVENT]
    mine, theirs = entry(enclose(row())), entry(enclose(row("c-2")))
    assert mine.start.astimezone(UTC).replace(tzinfo=None) == event.starts_at
    assert (mine["STATUS"], mine["SUMMARY"], mine["SEQUENCE"]) == ("TENTATIVE", event.name, 1)
    assert mine["UID"] != theirs["UID"]
    assert "ATTENDEE" not in mine
    assert b"canary" not in enclose(row()).content


def test_a_moved_event_has_the_next_sequence_and_a_cancelled_one_no_file(batch):
    before = entry(invitations(batch, NOW)(row()))
    root = batch.warehouse.root
    moved = known_events(batch, NOW)[EVENT].starts_at + timedelta(days=1)
    add_version(root, EVENT, starts_at=moved, known_at=NOW + timedelta(hours=1))
    add_version(root, EVENT, status="cancelled", known_at=NOW + timedelta(hours=2))
    again = Batch(batch.program, MONDAY, batch.marketplaces, batch.warehouse)
    after = entry(invitations(again, NOW + timedelta(hours=1))(row()))
    assert (after["UID"], after["SEQUENCE"]) == (before["UID"], before["SEQUENCE"] + 1)
    assert after.start.astimezone(UTC).replace(tzinfo=None) == moved
    assert invitations(again, NOW + timedelta(hours=2))(row()) is None
