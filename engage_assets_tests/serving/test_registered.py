"""GetRegisteredCandidates reads registrations, which outlive candidates; and the store learns of every change."""

from datetime import datetime, timedelta

import pytest

from engage_assets.dispatch.relay import relay
from engage_assets.domain.registrations import Register, Withdraw
from engage_assets.events.openings import seats_of
from engage_assets.ledger.outbox import SqlOutbox
from engage_assets.serving.app import create_app
from engage_assets.stores.sqlite import SqliteCandidateStore
from engage_assets_tests.builders import a_candidate, candidates
from engage_assets_tests.serving.clients import Client, a_key
from engage_assets_tests.serving.fakes import a_row, key_of, some_services
from engage_assets_tests.serving.gatherings import NOW, START, a_gathering, a_ledger, an_event, know_the_source

PATH = "/v1/programs/event-invitations/registrations"


@pytest.fixture
def gathering(tmp_path, monkeypatch):
    know_the_source(monkeypatch)
    with a_ledger() as database:
        yield a_gathering(tmp_path, database, {"time_zone": "Asia/Tokyo"})


def test_registrations_by_status_and_day_of_the_event(gathering):
    gathering.take("c-1", "c-2", "c-3")
    key, show = a_key()
    gathering.services.contacts.keys[key.key_id] = key
    client = Client(create_app(gathering.services), show)

    def customers(**asked):
        return [one["customerId"] for one in client.get(PATH, params=asked).json()["items"]]

    assert customers() == ["c-1", "c-2"]
    assert customers(status=["registered", "wait_listed"]) == ["c-1", "c-2", "c-3"]
    # The event starts at 02:00 in Tokyo: the day after the UTC one.
    assert customers(eventDate="2026-12-10") == ["c-1", "c-2"]
    assert customers(eventDate="2026-12-09") == []
    first = client.get(PATH, params={"limit": 1}).json()
    assert (first["totalCount"], first["isComplete"]) == (1, False)
    assert first["items"][0] == {
        "customerId": "c-1",
        "program": "event-invitations",
        "marketplace": "DE",
        "subjectType": "event",
        "subjectId": gathering.event_id,
        "eventAt": "2026-12-09T17:00:00Z",
        "status": "registered",
        "registeredAt": "2026-11-20T12:00:00Z",
        "updatedAt": "2026-11-20T12:00:00Z",
        "channel": None,
        "sendId": None,
    }
    assert client.get(PATH, params={"status": "active"}).status_code == 422


def test_a_service_without_events_registers_nobody(tmp_path):
    key, show = a_key()
    services = some_services(tmp_path)
    services.contacts.keys[key.key_id] = key
    answer = Client(create_app(services), show).get("/v1/programs/product-reviews/registrations")
    assert (answer.status_code, answer.json()["items"]) == (200, [])


def test_the_store_follows_every_change_even_of_one_instant(gathering, tmp_path):
    """All within one declared instant, in two rounds: in each the last change of a person stands in the store."""
    program = gathering.services.programs["event-invitations"]
    about = {"program": "event-invitations", "subject_type": "event", "subject_id": gathering.event_id}
    rows = [a_row(customer_id=f"c-{number}", **about) for number in range(1, 5)]
    store = SqliteCandidateStore(tmp_path / "candidates.db")
    frame = candidates(*({name: row[name] for name in a_candidate() if name in row} for row in rows))
    store.put(program, rows[0]["partition_date"], [frame], rows[0]["created_at"])
    outbox = SqlOutbox(gathering.events.registrations._database)
    event = an_event(gathering.event_id)
    seats = seats_of(program, event, frozenset())
    one, two, three, four = (Register(seats, f"c-{number}", "DE") for number in range(1, 5))
    gathering.events.registrations.take([one, two, three, Withdraw(seats, "c-1"), four, Withdraw(seats, "c-4")], NOW)
    gathering.events.registrations.take([one, Withdraw(seats, "c-2")], NOW)
    entries = outbox.waiting(["candidate_status"], 100)
    for customer in ("c-1", "c-2", "c-3", "c-4"):
        at = [
            datetime.fromisoformat(said["at"])
            for said in (e.payload for e in entries)
            if said["customer_id"] == customer
        ]
        assert at == sorted(set(at))
        assert max(at) - NOW < timedelta(milliseconds=1)
    relay(outbox, store, NOW)
    expected = {"c-1": "registered", "c-2": "cancelled", "c-3": "registered", "c-4": "cancelled"}
    keys = [key_of(row) for row in rows]
    assert {key.customer_id: status for key, status in store.statuses(keys, NOW).items()} == expected

    came = {"c-1": "no_show", "c-3": "attended", "c-4": "attended"}
    gathering.events.registrations.attend("event-invitations", gathering.event_id, came, START)
    gathering.events.registrations.attend("event-invitations", gathering.event_id, {"c-1": "attended"}, START)
    relay(outbox, store, START)
    assert set(store.statuses(keys, NOW).values()) == {"attended", "cancelled"}
    assert gathering.status("c-4") == "cancelled"
