"""The survey page: one answer of each person who came, when it is open, and what is said otherwise."""

import html
import logging
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from engage_assets.domain.notices import SURVEY_OPEN
from engage_assets.serving import words
from engage_assets_tests.serving.fakes import a_send, a_token
from engage_assets_tests.serving.gatherings import MINUTE, START, a_gathering, a_ledger, know_the_source
from engage_assets_tests.serving.visits import a_visitor

CANARY = "canary-the-coffee-was-cold"
END = START + timedelta(minutes=90)


@pytest.fixture(scope="module")
def database():
    with a_ledger() as database:
        yield database


@pytest.fixture
def gathering(tmp_path, database, monkeypatch):
    """An event that is over: the first came, the second did not, nobody knows of the third, the last stood in line."""
    know_the_source(monkeypatch)
    gathering = a_gathering(tmp_path, database, {"capacity": 3})
    gathering.take("c-1", "c-2", "c-3", "c-4")
    gathering.services.clock.time = END
    gathering.attend(c_1="attended", c_2="no_show")
    return gathering


def said(answer):
    """The page as a reader sees it."""
    without_style = re.sub(r"<(style|title)\b.*?</\1>", "", answer.text, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", without_style)))


def answer_of(gathering, customer="c-1"):
    return gathering.events.surveys.of("event-invitations", gathering.event_id, customer)


def test_who_came_answers_once_and_is_thanked(gathering):
    token, visitor = gathering.invite("c-1"), a_visitor(gathering.services)
    page = visitor.get(f"/survey/{token}")
    assert (page.status_code, visitor.send("HEAD", f"/survey/{token}").status_code) == (200, 200)
    assert "How was Kubernetes in practice?" in said(page)
    assert "Up to 2,000 characters." in said(page)

    for rating, text in (("4", f" {CANARY}\r\nbut\x00 "), ("1", "another")):
        posted = visitor.post(f"/survey/{token}", data={"rating": rating, "text": text})
        assert (posted.status_code, posted.headers["location"]) == (303, f"../survey/{token}")
    kept = answer_of(gathering)
    assert (kept.rating, kept.text, kept.at) == (4, f"{CANARY}\nbut", END)
    assert kept.send_id == list(gathering.services.contacts.sends)[-1]
    thanks = said(visitor.get(f"/survey/{token}"))
    assert "Thank you for your answer!" in thanks
    assert "4 stars: very good" in thanks
    assert CANARY not in thanks


@pytest.mark.parametrize(
    ("customer", "after_end", "heading"),
    [
        ("c-1", -MINUTE, "It is too early for this survey"),
        ("c-1", timedelta(0), "How was Kubernetes in practice?"),
        ("c-1", SURVEY_OPEN - MINUTE, "How was Kubernetes in practice?"),
        ("c-1", SURVEY_OPEN, "This survey has closed"),
        ("c-2", timedelta(0), "This survey is for those who attended"),
        ("c-3", timedelta(0), "We do not know yet who was there"),
        ("c-4", timedelta(0), "This survey is for those who attended"),
        ("stranger", timedelta(0), "This survey is for those who attended"),
    ],
)
def test_when_and_for_whom_it_is_open(gathering, customer, after_end, heading):
    token, visitor = gathering.invite(customer), a_visitor(gathering.services)
    gathering.services.clock.time = END + after_end
    assert heading in said(visitor.get(f"/survey/{token}"))
    posted = visitor.post(f"/survey/{token}", data={"rating": "5"})
    assert posted.status_code == 303
    assert (answer_of(gathering, customer) is not None) == heading.startswith("How was")


def test_an_answer_stays_thanked_and_a_moved_or_cancelled_event_counts_as_it_stands(gathering):
    visitor = a_visitor(gathering.services)
    visitor.post(f"/survey/{gathering.invite('c-1')}", data={"rating": "5"})
    gathering.services.clock.time = END + SURVEY_OPEN * 2
    assert "Thank you" in said(visitor.get(f"/survey/{gathering.invite('c-1')}"))
    gathering.services.clock.time = END + MINUTE
    gathering.version(duration_minutes=180)
    assert "too early" in said(visitor.get(f"/survey/{gathering.invite('c-3')}"))
    gathering.version(known_at=END + 2 * MINUTE, status="cancelled")
    gathering.services.clock.time = END + 2 * MINUTE
    assert "does not take place" in said(visitor.get(f"/survey/{gathering.invite('c-3')}"))
    assert "not listed any more" in said(visitor.get(f"/survey/{gathering.invite('c-1', subject_id='other')}"))


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"rating": "5", "text": "é" * 2_000}, 303, ""),
        ({"rating": "5", "text": "👨‍👩‍👧‍👦" * 2_001}, 422, "has 2001 characters; at most 2,000 fit"),
        ({"rating": "5", "text": "z" + "\u0301" * 30_000}, 303, ""),
        ({"rating": "6", "text": "kept"}, 422, "choose one to five stars"),
        ({}, 422, "choose one to five stars"),
        ({"rating": "5", "text": "x" * 2**18}, 413, "too much to send at once"),
    ],
)
def test_what_is_not_as_usual(gathering, body, status, word):
    token, visitor = gathering.invite("c-1"), a_visitor(gathering.services)
    files = {name: (None, value) for name, value in body.items()} or {"x": (None, "")}
    answer = visitor.post(f"/survey/{token}", files=files)
    assert answer.status_code == status
    assert (answer_of(gathering) is None) == (status != 303)
    assert word in said(answer)
    if body.get("text") == "kept":
        assert "kept</textarea>" in answer.text


def test_a_survey_leads_here_and_other_links_lead_on(gathering):
    visitor = a_visitor(gathering.services)
    token = gathering.invite("c-1", kind="survey", is_solicitation=False)
    (send,) = gathering.services.contacts.sends.values()
    for kind, page in (("survey", "survey"), ("reminder", "registration"), (None, "registration")):
        gathering.services.contacts.sends[send.send_id] = replace(send, kind=kind)
        clicked = visitor.get(f"/c/{a_token('click', send.send_id)}", headers={"User-Agent": "Mozilla/5.0"})
        assert clicked.headers["location"].split("/")[1] == page
    assert "This event is over" in said(visitor.get(f"/registration/{token}"))
    gathering.services.contacts.sends["f" * 32] = a_send(send_id="f" * 32)
    for answer in (visitor.get, visitor.post):
        led = answer(f"/survey/{a_token('answer', 'f' * 32)}")
        assert (led.status_code, led.headers["location"].split("/")[1]) == (303, "review")


def test_markup_is_text_and_only_our_page_posts(gathering):
    token, visitor = gathering.invite("c-1"), a_visitor(gathering.services)
    markup = """</textarea><script>alert("1")</script>{{ 7 * 7 }}"""
    shown = visitor.post(f"/survey/{token}", data={"rating": "0", "text": markup})
    assert markup in html.unescape(shown.text)
    assert "<script" not in shown.text
    refused = visitor.post(f"/survey/{token}", data={"rating": "5"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert (refused.status_code, answer_of(gathering)) == (403, None)
    for bad in (a_token("preferences"), a_token("answer", "f" * 32), token[:-1] + ("A" if token[-1] != "A" else "B")):
        for answer in (visitor.get(f"/survey/{bad}"), visitor.post(f"/survey/{bad}", data={"rating": "5"})):
            assert (answer.status_code, answer.text) == (404, words.lost().body.decode())


@pytest.mark.parametrize("language", ["en", "de", "fr", "ja", "pt"])
def test_every_state_is_said_in_every_language(gathering, language):
    visitor, clock = a_visitor(gathering.services), gathering.services.clock

    def see(customer):
        return visitor.get(f"/survey/{gathering.invite(customer, locale=f'{language}-XX')}")

    pages = [see(customer) for customer in ("c-1", "c-2", "c-3")]
    faulty = visitor.post(f"/survey/{gathering.invite('c-1', locale=language)}", data={"text": "x" * 2_001})
    clock.time = END - MINUTE
    pages.append(see("c-1"))
    clock.time = END + SURVEY_OPEN
    pages.append(see("c-1"))
    clock.time = END
    visitor.post(f"/survey/{gathering.invite('c-1')}", data={"rating": "5"})
    pages.append(see("c-1"))
    assert all(f'<html lang="{language}">' in page.text for page in [*pages, faulty])
    assert len({re.search(r"<h1>(.*?)</h1>", page.text)[1] for page in pages}) == 6
    assert "2001" in said(faulty)


def test_what_was_written_is_nowhere_else(gathering, caplog):
    token, visitor = gathering.invite("c-1"), a_visitor(gathering.services)
    with caplog.at_level(logging.DEBUG):
        visitor.post(f"/survey/{token}", data={"rating": "9", "text": CANARY})
        visitor.post(f"/survey/{token}", data={"rating": "5", "text": CANARY})
    assert answer_of(gathering).text == CANARY
    assert CANARY not in caplog.text + repr(answer_of(gathering))


def test_without_surveys_there_is_no_such_page(gathering):
    token = gathering.invite("c-1")
    no_surveys = replace(gathering.services, events=replace(gathering.events, surveys=None))
    for services in (no_surveys, replace(gathering.services, events=None)):
        visitor = a_visitor(services)
        for answer in (visitor.get(f"/survey/{token}"), visitor.post(f"/survey/{token}", data={"rating": "5"})):
            assert answer.status_code == 404
