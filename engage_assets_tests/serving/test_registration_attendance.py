"""Joins and leaves that an event platform tells: signed, shuffled, repeated, at once or at the end."""

import json
import logging
import random
from dataclasses import replace
from datetime import UTC, timedelta

import polars as pl
import pytest
from fastapi import FastAPI

from engage_assets.domain.attendance import KEPT_MARKS, Stay
from engage_assets.domain.signatures import sign
from engage_assets.serving.app import create_app
from engage_assets.serving.registration_attendance import attendance_router
from engage_assets_tests.serving.clients import Client
from engage_assets_tests.serving.gatherings import MINUTE, START, a_gathering, a_ledger, know_the_source

SECRET = b"a" * 32
CANARY = "canary@people.example"
END = START + timedelta(minutes=90)


@pytest.fixture(scope="module")
def database():
    with a_ledger() as database:
        yield database


@pytest.fixture
def gathering(tmp_path, database, monkeypatch):
    """An event with two seats and one in line, at its end; the second has an address."""
    know_the_source(monkeypatch)
    gathering = a_gathering(tmp_path, database)
    gathering.take("c-1", "c-2", "c-3")
    addresses = [f" {CANARY.upper()}", "two@x.example", "two@x.example"]
    people = {"customer_id": ["c-2", "c-8", "c-9"], "marketplace": "DE", "email": addresses}
    pl.DataFrame(people).write_parquet(gathering.warehouse / "crm" / "customers.parquet")
    gathering.services.clock.time = END
    gathering.services = replace(gathering.services, webhook_secrets={"attendance": SECRET})
    return gathering


def post(gathering, entries, *, event=None, secret=SECRET, program="event-invitations", body=None):
    raw = body if body is not None else json.dumps({"eventId": event or gathering.event_id, "entries": entries})
    seconds = int(gathering.services.clock.now().replace(tzinfo=UTC).timestamp())
    signed = {"X-Engage-Signature": f"t={seconds},v1={sign(raw.encode(), seconds, secret)}"}
    app = FastAPI()
    app.include_router(attendance_router(gathering.services))
    return Client(app).post(f"/v1/programs/{program}/attendance", content=raw.encode(), headers=signed)


def an_entry(customer="c-1", joined=None, left=None, **more):
    who = {"customerId": customer} if "@" not in customer else {"email": customer}
    times = {"joinedAt": joined, "leftAt": left}
    given = {key: f"{(START + minute * MINUTE).isoformat()}Z" for key, minute in times.items() if minute is not None}
    return who | given | more


def counts(answer):
    assert answer.status_code == 200, answer.text
    return {name: value for name, value in answer.json().items() if value}


def standing(gathering, customer="c-1"):
    found = gathering.events.registrations.of_customer("event-invitations", gathering.event_id, customer)
    return found.status, found.watch_minutes


def test_as_they_come_somebody_is_there_and_minutes_grow(gathering):
    clock = gathering.services.clock
    clock.time = START - 10 * MINUTE
    assert counts(post(gathering, [an_entry(joined=-10)])) == {"accepted": 1}
    assert standing(gathering) == ("registered", None), "not during the event yet"
    clock.time = START + 20 * MINUTE
    assert counts(post(gathering, [an_entry(left=20)])) == {"accepted": 1, "changed": 1}
    assert standing(gathering) == ("attended", 20)
    clock.time = START + 40 * MINUTE
    assert counts(post(gathering, [an_entry(joined=30)])) == {"accepted": 1, "changed": 1}
    assert standing(gathering) == ("attended", 30), "still there: up to now"
    clock.time = END + MINUTE
    assert counts(post(gathering, [an_entry(left=91)])) == {"accepted": 1, "changed": 1}
    assert standing(gathering) == ("attended", 80)


def test_at_the_end_shuffled_and_repeated_it_is_the_same(gathering):
    entries = [
        an_entry(joined=0, left=30),
        an_entry(joined=20, left=50, session="phone"),
        an_entry(joined=20, left=50, session="phone"),
        an_entry(CANARY, joined=80),
        an_entry("c-3", joined=0, left=90),
        an_entry("stranger", joined=0, left=90),
        an_entry("two@x.example", joined=0, left=90),
    ]
    random.Random(3).shuffle(entries)
    assert counts(post(gathering, entries)) == {"accepted": 4, "known": 1, "unknown": 2, "changed": 2}
    random.Random(4).shuffle(entries)
    assert counts(post(gathering, entries)) == {"known": 5, "unknown": 2}
    assert [standing(gathering, one) for one in ("c-1", "c-2", "c-3")] == [
        ("attended", 50), ("attended", 10), ("wait_listed", None),
    ]  # fmt: skip


def test_an_import_stands_and_who_came_never_becomes_one_who_did_not(gathering):
    post(gathering, [an_entry(joined=0, left=30)])
    place = ("event-invitations", gathering.event_id)
    gathering.events.attendances.put(*place, [Stay("c-1", START, START + 60 * MINUTE)], END)
    assert counts(post(gathering, [an_entry(joined=50, left=80)])) == {"accepted": 1, "changed": 1}
    assert standing(gathering) == ("attended", 60)
    gathering.services.clock.time = END + timedelta(days=3)
    assert counts(post(gathering, [an_entry("c-2", joined=0, left=0)])) == {"accepted": 1}
    assert standing(gathering, "c-2") == ("registered", None), "no-shows are found by the job alone"


def test_malformed_entries_are_named_without_their_content(gathering, caplog):
    entries = [
        CANARY,
        an_entry(),
        an_entry(joined=10, left=0),
        an_entry() | {"joinedAt": CANARY},
        an_entry(joined=10_000),
        {"email": 7, "joinedAt": "2026-12-09T17:00:00Z"},
        an_entry("x" * 200, joined=0),
        an_entry(joined=0),
    ]
    with caplog.at_level(logging.DEBUG):
        answer = post(gathering, entries)
    assert answer.json()["accepted"] == 1
    assert answer.json()["malformed"] == [
        {"index": 0, "reason": "an object is needed"},
        {"index": 1, "reason": "joinedAt or leftAt is needed"},
        {"index": 2, "reason": "leftAt: lies before joinedAt"},
        {"index": 3, "reason": "joinedAt: an ISO instant is needed"},
        {"index": 4, "reason": "joinedAt: lies in the future, or before 2000"},
        {"index": 5, "reason": "email: text is needed, at most 320 characters"},
        {"index": 6, "reason": "customerId: text is needed, at most 180 characters"},
    ]
    assert CANARY not in answer.text + caplog.text


def test_what_is_not_signed_or_not_there_is_refused(gathering):
    entries = [an_entry(joined=0)]
    assert post(gathering, entries, secret=b"b" * 32).status_code == 401
    assert post(gathering, entries, event="other").status_code == 404
    assert post(gathering, entries, program="product-reviews").status_code == 404
    for body in ("", "{", "[]", '{"eventId": "e", "entries": {}}', '{"eventId": 1, "entries": []}'):
        assert post(gathering, [], body=body).status_code == 400
    assert post(gathering, [], body=" " * 70_000).status_code == 413
    services = gathering.services
    for without in ({"webhook_secrets": {}}, {"events": None}, {"events": replace(gathering.events, attendances=None)}):
        gathering.services = replace(services, **without)
        assert post(gathering, entries).status_code == 404
    gathering.services = services
    assert standing(gathering) == ("registered", None)
    service = Client(create_app(services))
    assert service.post("/v1/events/attendance", content=b"{}").status_code == 404
    assert service.post("/v1/programs/event-invitations/attendance", content=b"{}").status_code == 401


def test_once_joins_and_leaves_are_erased_none_are_taken(gathering):
    gathering.services.clock.time = END + KEPT_MARKS - MINUTE
    assert post(gathering, [an_entry(joined=0, left=30)]).json()["accepted"] == 1
    gathering.services.clock.time = END + KEPT_MARKS
    assert post(gathering, [an_entry(joined=0, left=40)]).status_code == 409
