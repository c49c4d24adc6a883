"""The registration page: seats, the line, changes of mind, deadlines, and what is kept apart."""

import html
import logging
import re
from dataclasses import replace
from datetime import datetime, timedelta

import icalendar
import polars as pl
import pytest

from engage_assets.domain.registrations import KEPT_DIETARY, Room
from engage_assets.ledger.outbox import SqlOutbox
from engage_assets.serving import words
from engage_assets_tests.serving.fakes import a_token
from engage_assets_tests.serving.gatherings import (
    MINUTE,
    NOW,
    START,
    a_gathering,
    a_ledger,
    know_the_source,
)
from engage_assets_tests.serving.visits import a_visitor

CANARY = "canary-no-peanuts"
DEADLINE = START - timedelta(days=1)


@pytest.fixture(scope="module")
def database():
    with a_ledger() as database:
        yield database


@pytest.fixture
def gathering(tmp_path, database, monkeypatch):
    know_the_source(monkeypatch)
    return a_gathering(tmp_path, database)


def said(answer):
    """The page as a reader sees it."""
    without_style = re.sub(r"<(style|title)\b.*?</\1>", "", answer.text, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", without_style)))


def typed(answer):
    return html.unescape(re.search(r"<textarea[^>]*>\n(.*?)</textarea>", answer.text, re.DOTALL)[1])


def post(visitor, token, act, **more):
    """Post, and go where the answer leads."""
    answer = visitor.post(f"/registration/{token}", data={"act": act, **more})
    assert answer.status_code == 303
    return visitor.get(answer.headers["location"].removeprefix(".."))


def test_a_person_registers_changes_preferences_and_cancels(gathering):
    token, visitor = gathering.invite("c-1"), a_visitor(gathering.services)
    first = visitor.get(f"/registration/{token}")
    assert first.status_code == 200
    for part in (
        "Join us: Kubernetes in practice",
        "Your time Thursday, 10 December 2026, 02:00 Asia/Tokyo",
        "Event’s time Wednesday, 9 December 2026, 18:00 Europe/Berlin",
        "1 hour 30 minutes",
        "Webinar",
        "Grace Hopper, Alan Kay",
        "English, German",
        "Register before Tuesday, 8 December 2026, 18:00 Europe/Berlin",
        "Your name Ada Canary-Lovelace",
    ):
        assert part in said(first)
    assert gathering.status("c-1") is None

    shown = post(visitor, token, "register", dietary=" Vegan\r\nplease\x00 ")
    assert "You are registered" in said(shown)
    assert typed(shown) == "Vegan\nplease"
    standing = gathering.events.registrations.of_customer("event-invitations", gathering.event_id, "c-1")
    assert (standing.channel, standing.registered_at, standing.sequence) == ("email", NOW, 0)
    saved = post(visitor, token, "preferences", dietary="Vegetarian")
    assert "Saved." in said(saved)
    assert typed(saved) == "Vegetarian"

    gone = post(visitor, token, "cancel")
    assert "You have cancelled" in said(gone)
    assert (gathering.status("c-1"), typed(gone)) == ("cancelled", "")
    assert gathering.events.dietary.of(standing) is None
    assert "You are registered" in said(post(visitor, token, "register"))


def test_the_line_moves_up_when_a_seat_is_given_back(gathering):
    visitor = a_visitor(gathering.services)
    gathering.take("c-7", "c-8", "c-9")
    token = gathering.invite("c-1")
    full = visitor.get(f"/registration/{token}")
    assert "Kubernetes in practice is full" in said(full)
    assert "Join the wait list" in said(full)
    assert "You are number 2 in line" in said(post(visitor, token, "register"))
    post(visitor, gathering.invite("c-7"), "cancel")
    assert "You are number 1 in line" in said(visitor.get(f"/registration/{token}"))
    post(visitor, gathering.invite("c-9"), "cancel")
    assert "You are registered" in said(visitor.get(f"/registration/{token}"))
    back = visitor.get(f"/registration/{gathering.invite('c-7')}")
    assert "Your seat has gone to others now, and the event is full." in said(back)


def test_free_seats_are_the_lines_first(gathering):
    assert [Room(*one).is_full for one in ((1, 1), (2, 1), (0, 0), (-1, 0), (None, 9))] == [
        True,
        False,
        True,
        True,
        False,
    ]
    gathering.take("c-7", "c-8", "c-9")
    gathering.version(capacity=3)
    visitor, token = a_visitor(gathering.services), gathering.invite("c-1")
    assert "is full" in said(visitor.get(f"/registration/{token}"))
    assert "You are number 1 in line" in said(post(visitor, token, "register"))
    assert gathering.status("c-9") == "registered"


def test_looking_changes_nothing(gathering):
    visitor, token = a_visitor(gathering.services), gathering.invite("c-1")
    for path in (f"/registration/{token}", f"/thanks/{token}", f"/registration/{token}/event.ics"):
        for method in ("GET", "HEAD"):
            assert visitor.send(method, path).status_code in (200, 303)
    assert gathering.status("c-1") is None
    refused = visitor.post(f"/registration/{token}", data={"act": "register"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert (refused.status_code, gathering.status("c-1")) == (403, None)


@pytest.mark.parametrize(
    ("now", "heading", "status"),
    [
        (DEADLINE - MINUTE, "Join us", "registered"),
        (DEADLINE, "Registration has closed", None),
        (START + timedelta(minutes=90), "This event is over", None),
    ],
)
def test_the_deadline_is_that_of_the_events_clock(gathering, now, heading, status):
    visitor, token = a_visitor(gathering.services), gathering.invite("c-1")
    gathering.services.clock.time = now
    assert heading in said(visitor.get(f"/registration/{token}"))
    post(visitor, token, "register")
    assert gathering.status("c-1") == status


def test_who_is_registered_may_cancel_until_the_start_and_eat_as_he_likes_until_then(gathering):
    visitor, token = a_visitor(gathering.services), gathering.invite("c-1")
    gathering.take("c-1", "c-7", "c-8")
    gathering.services.clock.time = DEADLINE
    assert "no seat has become free" in said(visitor.get(f"/registration/{gathering.invite('c-8')}"))
    assert "Saved." in said(post(visitor, token, "preferences", dietary="Fish"))
    gathering.services.clock.time = START
    post(visitor, token, "cancel")
    post(visitor, token, "preferences", dietary="Meat")
    assert gathering.status("c-1") == "registered"
    gathering.services.clock.time = START - MINUTE
    assert typed(visitor.get(f"/registration/{token}")) == "Fish"
    assert "registration has closed" in said(post(visitor, token, "cancel"))
    assert gathering.status("c-8") == "wait_listed"


def test_a_moved_a_larger_and_a_cancelled_event(gathering):
    visitor, token = a_visitor(gathering.services), gathering.invite("c-1", locale="de-DE")
    gathering.take("c-7", "c-8")
    gathering.version(capacity=3, starts_at=START + timedelta(days=1))
    shown = said(visitor.get(f"/registration/{token}"))
    assert "Seien Sie dabei: Kubernetes in practice" in shown
    assert "Donnerstag, 10. Dezember 2026, 18:00 Uhr" in shown
    post(visitor, token, "register")
    assert gathering.status("c-1") == "registered"
    gathering.version(known_at=NOW + MINUTE, status="cancelled")
    gathering.services.clock.time = NOW + MINUTE
    for customer in ("c-1", "c-2"):
        link = gathering.invite(customer, locale="fr-FR")
        assert "Kubernetes in practice n’aura pas lieu" in said(post(visitor, link, "register"))
    assert gathering.status("c-2") is None


def test_a_seat_that_another_system_gave_is_a_seat(gathering):
    past = {"customer_id": ["c-1", "c-7", "c-7", "c-8"], "event_id": [gathering.event_id] * 4}
    at = [None, NOW, NOW - MINUTE, NOW + MINUTE]
    folder = gathering.warehouse / "events"
    pl.DataFrame(past | {"registered_at": at}).write_parquet(folder / "past_registrations.parquet")
    assert gathering.events.facts.elsewhere(gathering.event_id, NOW) == {"c-1", "c-7"}
    visitor, token = a_visitor(gathering.services), gathering.invite("c-1")
    assert "You are registered already" in said(post(visitor, token, "register"))
    assert gathering.status("c-1") is None
    post(visitor, gathering.invite("c-9"), "register")
    assert gathering.status("c-9") == "wait_listed"


def test_the_calendar_file_follows_event_and_registration(gathering):
    visitor, token = a_visitor(gathering.services), gathering.invite("c-1")
    path = f"/registration/{token}/event.ics"
    answer = visitor.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"../../registration/{token}")
    post(visitor, token, "register")
    first = visitor.get(path)
    assert first.headers["content-type"] == 'text/calendar; charset="utf-8"; method=PUBLISH; component=VEVENT'
    assert first.content == visitor.get(path).content
    gathering.version(starts_at=START + timedelta(hours=1))
    entries = [icalendar.Calendar.from_ical(one.content).events[0] for one in (first, visitor.get(path))]
    assert [entry["SEQUENCE"] for entry in entries] == [0, 1]
    assert entries[0]["UID"] == entries[1]["UID"]
    assert [entry.start.replace(tzinfo=None).hour for entry in entries] == [18, 19]
    assert entries[0]["LOCATION"] == "https://meet.example/k8s"
    assert "c-1" not in first.text
    assert "Ada" not in first.text
    post(visitor, token, "cancel")
    assert visitor.get(path).status_code == 303


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"act": "register", "dietary": "é" * 200}, 303, ""),
        ({"act": "register", "dietary": "👨‍👩‍👧‍👦" * 201}, 422, "have 201 characters; at most 200 fit"),
        ({"act": "register", "dietary": "z" + "\u0301" * 5_000}, 422, "are too long: at most 200"),
        ({"act": "promote", "dietary": "x"}, 422, "did not reach us in full"),
        ({}, 422, "did not reach us in full"),
        ({"act": "register", "dietary": "x" * 2**17}, 413, "too much to send at once"),
    ],
)
def test_what_is_not_as_usual(gathering, body, status, word):
    visitor, token = a_visitor(gathering.services), gathering.invite("c-1")
    answer = visitor.post(f"/registration/{token}", data=body)
    assert answer.status_code == status
    assert gathering.status("c-1") == ("registered" if status == 303 else None)
    if status == 422 and "dietary" in body:
        assert typed(answer) == body["dietary"]
    assert word in said(answer)


def test_markup_is_text_and_links_are_of_one_person(gathering):
    visitor, token = a_visitor(gathering.services), gathering.invite("c-1")
    other = gathering.invite("c-2")
    markup = """</textarea><script>alert("1")</script>'&{{ 7 * 7 }}"""
    shown = post(visitor, token, "register", dietary=markup, customer_id="c-2")
    assert typed(shown) == markup
    assert "<script" not in shown.text
    assert markup not in html.unescape(visitor.get(f"/registration/{other}").text)
    assert gathering.status("c-2") is None
    for bad in (a_token("preferences"), a_token("answer", "f" * 32), token[:-1] + ("A" if token[-1] != "A" else "B")):
        for answer in (
            visitor.get(f"/registration/{bad}"),
            visitor.post(f"/registration/{bad}", data={"act": "cancel"}),
        ):
            assert (answer.status_code, answer.text) == (404, words.lost().body.decode())


@pytest.mark.parametrize("language", ["en", "de", "fr", "ja", "pt"])
def test_every_state_is_said_in_every_language(gathering, language):
    visitor, clock = a_visitor(gathering.services), gathering.services.clock
    token = gathering.invite("c-1", locale=f"{language}-XX")
    pages = [visitor.get(f"/registration/{token}")]
    gathering.take("c-7", "c-8", "c-9")
    pages += [visitor.get(f"/registration/{token}"), post(visitor, token, "register", dietary="x")]
    pages += [post(visitor, token, "cancel"), visitor.post(f"/registration/{token}", data={"act": "x"})]
    pages += [visitor.get(f"/registration/{gathering.invite('c-7', locale=language)}")]
    clock.time = DEADLINE
    pages += [visitor.get(f"/registration/{gathering.invite(one, locale=language)}") for one in ("c-1", "c-6", "c-9")]
    clock.time = START + timedelta(hours=2)
    pages += [visitor.get(f"/registration/{token}")]
    gathering.version(status="cancelled")
    pages += [visitor.get(f"/registration/{token}")]
    clock.time = datetime.fromisoformat("2026-10-01")
    pages += [visitor.get(f"/registration/{token}")]
    headings = [re.search(r"<h1>(.*?)</h1>", page.text)[1] for page in pages]
    assert all(f'<html lang="{language}">' in page.text for page in pages)
    # Cancelled: when open and when closed and full; the form again says what it said before.
    assert len(set(headings)) == 9, headings


def test_what_a_person_eats_and_is_called_is_nowhere_else(gathering, database, caplog):
    visitor, token = a_visitor(gathering.services), gathering.invite("c-1")
    with caplog.at_level(logging.DEBUG):
        post(visitor, token, "register", dietary=CANARY)
        visitor.post(f"/registration/{token}", data={"act": "preferences", "dietary": CANARY * 20})
    entries = SqlOutbox(database).waiting(["candidate_status", "notice", "response"], 10_000)
    log = gathering.events.registrations.changes(None, datetime.fromisoformat("2030-01-01"))
    for text in (caplog.text, str(entries), str(log.rows())):
        assert CANARY not in text
        assert "Canary-Lovelace" not in text
    assert "Canary" not in repr(gathering.events.facts.person("c-1"))
    assert gathering.events.dietary.events()["event-invitations", gathering.event_id] == (
        START + timedelta(minutes=90) + KEPT_DIETARY
    )


def test_links_of_other_forms_lead_to_their_own(gathering):
    """Their bodies are read before it is known whose they are."""
    token, visitor = gathering.invite("c-1"), a_visitor(replace(gathering.services, programs={}))
    for body in ({"act": "register"}, {"act": "preferences"}, {"act": "no such"}):
        answer = visitor.post(f"/registration/{token}", data=body)
        assert (answer.status_code, answer.headers["location"]) == (303, f"../review/{token}")
    assert gathering.status("c-1") is None


def test_without_events_there_is_no_such_page(gathering):
    token, visitor = gathering.invite("c-1"), a_visitor(replace(gathering.services, events=None))
    for answer in (
        visitor.get(f"/registration/{token}"),
        visitor.post(f"/registration/{token}", data={"act": "cancel"}),
    ):
        assert answer.status_code == 404
