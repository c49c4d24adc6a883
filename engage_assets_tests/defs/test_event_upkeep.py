"""What follows from an event's end, as the catalogue states it then: dietary preferences go, and figures end."""

from datetime import date, timedelta

import pytest

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.event_attendance import record_attendance
from engage_assets.defs.event_upkeep import erase_dietary, erase_marks
from engage_assets.defs.jobs import _last_nights
from engage_assets.domain.attendance import KEPT_MARKS, Mark, Stay
from engage_assets.domain.registrations import KEPT_DIETARY, Register, Registration, Seats
from engage_assets.events.writing import append
from engage_assets.ledger.attendance import SqlAttendances
from engage_assets.ledger.dietary import SqlDietaryPreferences
from engage_assets.ledger.registrations import SqlRegistrations
from engage_assets_tests.builders import a_program
from engage_assets_tests.serving.gatherings import (
    MINUTE,
    NOW,
    START,
    a_ledger,
    an_event,
    event_program,
    know_the_source,
)

END = START + timedelta(minutes=90)


@pytest.fixture
def dietary():
    with a_ledger() as database:
        yield SqlDietaryPreferences(database)


def a_person(customer: str, event_id: str = "e-1") -> Registration:
    return Registration("p", event_id, customer, "DE", "registered", None, NOW, NOW, 0)


def test_what_people_eat_is_erased_a_week_after_the_event(dietary, tmp_path):
    warehouse = Warehouse(tmp_path)
    append(tmp_path, an_event("e-1"))
    for customer in ("c-1", "c-2"):
        dietary.keep(a_person(customer), f"words of {customer}", END + KEPT_DIETARY, NOW)
    dietary.keep(a_person("c-3"), "", END + KEPT_DIETARY, NOW)
    assert erase_dietary(dietary, warehouse, END + KEPT_DIETARY - MINUTE) == 0
    assert dietary.of(a_person("c-1")) == "words of c-1"
    assert erase_dietary(dietary, warehouse, END + KEPT_DIETARY) == 2
    assert [dietary.of(a_person(customer)) for customer in ("c-1", "c-2", "c-3")] == [None] * 3


def test_a_moved_event_counts_as_it_stands_and_a_lost_one_as_it_was(dietary, tmp_path):
    append(tmp_path, an_event("e-1"))
    append(tmp_path, an_event("e-1", known_at=NOW, starts_at=START + timedelta(days=2)))
    for event_id in ("e-1", "lost"):
        dietary.keep(a_person("c-1", event_id), "fish", END + KEPT_DIETARY, NOW)
    assert erase_dietary(dietary, Warehouse(tmp_path), END + KEPT_DIETARY) == 1
    assert dietary.events().keys() == {("p", "e-1")}
    assert erase_dietary(dietary, Warehouse(tmp_path), END + KEPT_DIETARY + timedelta(days=2)) == 1
    assert dietary.erase("p", "e-1", "c-1") == 0


def test_joins_and_leaves_are_erased_a_month_after_the_event_and_who_came_stays(tmp_path):
    warehouse, month = Warehouse(tmp_path), KEPT_MARKS
    append(tmp_path, an_event("e-1"))
    with a_ledger() as database:
        registrations, attendances = SqlRegistrations(database), SqlAttendances(database)
        registrations.take([Register(Seats("p", "e-1", 9, START), "c-1", "DE")], NOW)
        marks = [Mark(START, "joined", "c-1"), Mark(END, "left", "c-1")]
        attendances.tell("p", "e-1", marks, END)
        attendances.put("p", "e-1", [Stay("c-1", START, END)], END)
        attendances.tell("p", "lost", marks[:1], START)
        assert record_attendance(registrations, attendances, "p", an_event("e-1"), END).attended == 1
        assert erase_marks(attendances, warehouse, START + month - MINUTE) == 0
        assert erase_marks(attendances, warehouse, END + month - MINUTE) == 1, "of an event that nobody knows any more"
        assert erase_marks(attendances, warehouse, END + month) == 4
        assert (attendances.of("p", "e-1"), attendances.events()) == ([], {})
        again = record_attendance(registrations, attendances, "p", an_event("e-1"), END + month)
        assert (again.attended, again.watch_minutes) == (1, 90)


def test_figures_end_14_nights_after_the_last_survey(tmp_path, monkeypatch):
    know_the_source(monkeypatch)
    append(tmp_path, an_event("e-1"))  # 9 days after the Monday, and in the far west its survey comes on the 11th day

    def last_night(monday, now=NOW):
        return _last_nights(event_program(), Warehouse(tmp_path), now)(monday)

    monday = date(2026, 11, 30)
    assert last_night(monday) == date(2026, 12, 10) + timedelta(days=14)
    assert last_night(date(2026, 11, 23)) == date(2026, 11, 24) + timedelta(days=14), "it invites for nothing"
    later = NOW + timedelta(days=12)
    append(tmp_path, an_event("e-1", known_at=later, starts_at=START + timedelta(days=30)))
    append(tmp_path, an_event("e-2", known_at=later, starts_at=START + timedelta(days=1)))
    assert last_night(monday, later) == date(2027, 1, 23), "it moved after its batch; what came too late does not count"
    append(tmp_path, an_event("e-1", known_at=later + MINUTE, status="cancelled"))
    assert last_night(monday, later + MINUTE) == date(2026, 12, 15)
    assert _last_nights(a_program(), Warehouse(tmp_path), NOW)(monday) == date(2026, 12, 2) + timedelta(days=14)
