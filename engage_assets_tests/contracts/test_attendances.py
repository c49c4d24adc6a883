"""Joins and leaves: kept once, in any order; an import stands in place of them, on both databases."""

from datetime import datetime, timedelta

import pytest

from engage_assets.domain.attendance import Mark, Stay
from engage_assets.ledger.attendance import SqlAttendances
from engage_assets.ledger.ledger import SqlLedger

NOW = datetime.fromisoformat("2026-03-10 09:00")
MINUTE = timedelta(minutes=1)
PLACE = ("event-invitations", "e-1")
JOINED = Mark(NOW, "joined", "c-1", "s-1")
LEFT = Mark(NOW + 30 * MINUTE, "left", "c-1", "s-1")
OTHER = Mark(NOW + MINUTE, "joined", "c-2")


@pytest.fixture
def attendances(ledger: SqlLedger) -> SqlAttendances:
    return SqlAttendances(ledger.database)


def test_what_is_told_again_is_not_new(attendances):
    assert attendances.tell(*PLACE, [LEFT, OTHER, LEFT], NOW) == {LEFT, OTHER}
    assert attendances.tell(*PLACE, [JOINED, LEFT], NOW + MINUTE) == {JOINED}
    assert attendances.tell(*PLACE, [], NOW) == set()
    assert attendances.of(*PLACE) == [JOINED, OTHER, LEFT]
    assert attendances.of(*PLACE, ["c-2", "c-3"]) == [OTHER]
    assert attendances.of(PLACE[0], "e-2") == []


def test_the_last_import_counts_in_place_of_what_was_told(attendances):
    attendances.tell(*PLACE, [JOINED, LEFT, OTHER], NOW)
    attendances.put(*PLACE, [Stay("c-1", NOW, NOW + MINUTE), Stay("c-1", NOW, NOW + MINUTE)], NOW)
    assert [mark.kind for mark in attendances.of(*PLACE)] == ["joined", "joined", "left", "left"]
    attendances.put(*PLACE, [Stay("c-3", NOW, None)], NOW)
    assert attendances.of(*PLACE) == [Mark(NOW, "joined", "c-3", "0")]
    assert attendances.of(*PLACE, ["c-1", "c-2"]) == [], "nobody whom the import lacks was there"
    assert attendances.tell(*PLACE, [OTHER], NOW) == set()
    attendances.put(*PLACE, [], NOW)
    assert attendances.of(*PLACE, ["c-2"]) == [OTHER]


def test_what_is_kept_of_an_event_is_erased_whole(attendances):
    attendances.tell(*PLACE, [JOINED, LEFT], NOW)
    attendances.tell(*PLACE, [OTHER], NOW + MINUTE)
    attendances.put(*PLACE, [Stay("c-3", NOW, None)], NOW)
    attendances.tell(PLACE[0], "e-2", [JOINED], NOW)
    assert attendances.events() == {PLACE: NOW + MINUTE, (PLACE[0], "e-2"): NOW}
    assert [attendances.erase(*PLACE) for _ in range(2)] == [4, 0]
    assert attendances.events().keys() == {(PLACE[0], "e-2")}
