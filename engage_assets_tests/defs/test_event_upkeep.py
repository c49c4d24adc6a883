"""Dietary preferences are erased a week after their event's end, as the catalogue states it then."""

from datetime import timedelta

import pytest

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.event_upkeep import erase_dietary
from engage_assets.domain.registrations import KEPT_DIETARY, Registration
from engage_assets.events.writing import append
from engage_assets.ledger.dietary import SqlDietaryPreferences
from engage_assets_tests.serving.gatherings import MINUTE, NOW, START, a_ledger, an_event

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
