"""The page for feedback: what may be posted, what comes of it, and that an answer may be changed and counts once."""

import html
import logging
import re
from datetime import timedelta

import pytest

from engage_assets.domain.responses import Response
from engage_assets.serving import words
from engage_assets.serving.app import create_app
from engage_assets.serving.feedback_form import characters
from engage_assets_tests.builders import a_program
from engage_assets_tests.serving.clients import Client
from engage_assets_tests.serving.fakes import (
    NOW,
    SEND_ID,
    TAGS,
    TRACK_SEND_ID,
    FakeContacts,
    a_send,
    a_token,
    a_track_program,
    a_track_send,
    some_services,
)

ANSWER = a_token("answer", TRACK_SEND_ID)
FEEDBACK, THANKS = f"/feedback/{ANSWER}", f"/thanks/{ANSWER}"
FAMILY = "👨‍👩‍👧‍👦"
MARKUP = """</textarea><script>alert("1")</script>'&{{ 7 * 7 }}"""
QUESTIONS = {
    "en": "What did you think of “Midnight Rain” by Paper Lanterns?",
    "de": "Wie fanden Sie „Midnight Rain“ von Paper Lanterns?",
    "fr": "Qu’avez-vous pensé de « Midnight Rain » de Paper Lanterns ?",
    "ja": "Paper Lanternsの「Midnight Rain」はいかがでしたか？",
    "pt": "O que você achou de “Midnight Rain”, de Paper Lanterns?",
}


def a_service(tmp_path, *sends, **changes):
    """The whole service, knowing a program of each form."""
    programs = {program.program_id: program for program in (a_program(), a_track_program())}
    contacts = FakeContacts(*(sends or [a_track_send(locale="en-GB"), a_send()]))
    services = some_services(tmp_path, contacts=contacts, programs=programs, **changes)
    return services, Client(create_app(services), {})


def said(answer):
    """The page as a reader sees it."""
    without_style = re.sub(r"<(style|title)\b.*?</\1>", "", answer.text, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", without_style)))


def checked(answer):
    return re.findall(r'value="([^"]*)"[^>]* checked', html.unescape(answer.text))


def typed(answer):
    return html.unescape(re.search(r"<textarea[^>]*>\n(.*?)</textarea>", answer.text, re.DOTALL)[1])


def test_feedback_is_kept_thanked_for_shown_again_and_changed(tmp_path):
    services, visitor = a_service(tmp_path)
    assert checked(visitor.get(FEEDBACK)) == []
    first = {"thumb": "up", "comment": " On\r\nrepeat.\x00 ", "tags": ["R&B / Soul", "Indie Rock", "Polka"]}
    answer = visitor.post(FEEDBACK, data=first)
    assert (answer.status_code, answer.headers["location"]) == (303, f"..{THANKS}")
    (kept,) = services.contacts.responses
    assert kept == Response(
        program="music-feedback",
        customer_id="c-1",
        marketplace="DE",
        subject_type="track",
        subject_id="t-1",
        rating=None,
        at=NOW,
        send_id=TRACK_SEND_ID,
        text="On\nrepeat.",
        is_positive=True,
        tags=("Indie Rock", "R&B / Soul"),
        channel="email",
    )
    assert "You liked “Midnight Rain”." in said(visitor.get(THANKS))
    assert f'href="..{FEEDBACK}"' in visitor.get(THANKS).text

    again = visitor.get(FEEDBACK)
    assert "You said that you liked it." in said(again)
    assert (checked(again), typed(again)) == (["up", "Indie Rock", "R&B / Soul"], "On\nrepeat.")

    services.clock.time = NOW + timedelta(minutes=5)
    assert visitor.post(FEEDBACK, data={"thumb": "down"}).status_code == 303
    (kept,) = services.contacts.responses
    assert (kept.is_positive, kept.text, kept.tags, kept.at) == (False, None, (), services.clock.time)
    assert "“Midnight Rain” was not for you." in said(visitor.get(THANKS))
    assert "You said that it is not for you." in said(visitor.get(FEEDBACK))


def test_a_voice_answer_stands_on_the_page_and_may_be_changed_there(tmp_path):
    services, visitor = a_service(tmp_path)
    by_voice = Response("music-feedback", "c-1", "DE", "track", "t-1", None, NOW, is_positive=True, channel="voice")
    services.contacts.respond(by_voice, NOW)
    assert checked(visitor.get(FEEDBACK)) == ["up"]
    visitor.post(FEEDBACK, data={"thumb": "down"})
    assert [one.channel for one in services.contacts.responses] == ["email"]


@pytest.mark.parametrize(
    ("comment", "count", "is_kept"),
    [
        ("x" * 200, 200, True),
        ("x" * 201, 201, False),
        (FAMILY * 200, 200, True),
        (FAMILY * 201, 201, False),
        ("e\u0301" * 200, 200, True),
        ("🇩🇪" * 200, 200, True),
        ("각" * 200, 200, True),
        ("a\r\n" * 100, 199, True),  # line ends count as one character, the last one is no part of the comment
        ("z" + "\u0301" * 5_000, 1, False),  # one character to the eye, but no end of accents
    ],
)
def test_comments_are_counted_as_a_person_counts(tmp_path, comment, count, is_kept):
    services, visitor = a_service(tmp_path)
    answer = visitor.post(FEEDBACK, data={"thumb": "up", "comment": comment, "tags": TAGS[:1]})
    assert characters(comment.replace("\r\n", "\n").strip()) == count
    assert answer.status_code == (303 if is_kept else 422)
    assert len(services.contacts.responses) == is_kept
    if not is_kept:
        assert (checked(answer), typed(answer)) == (["up", "Indie Rock"], comment)
        fault = f"has {count} characters; at most 200 fit." if count > 1 else "is too long: at most 200 characters fit."
        assert said(answer).count(f"The comment {fault}") == 2


def test_markup_is_text(tmp_path):
    services, visitor = a_service(tmp_path, a_track_send(subject_name=MARKUP, subject_maker=MARKUP))
    visitor.post(FEEDBACK, data={"thumb": "up", "comment": MARKUP})
    assert services.contacts.responses[0].text == MARKUP
    pages = [visitor.get(FEEDBACK), visitor.get(THANKS), visitor.post(FEEDBACK, data={"comment": MARKUP})]
    for page in pages:
        assert "<script" not in page.text
        assert "49" not in said(page)
    assert [typed(page) for page in (pages[0], pages[2])] == [MARKUP] * 2


@pytest.mark.parametrize("thumb", ["", "sideways", "UP", "👍"])
def test_without_a_thumb_the_form_comes_again_with_what_was_typed(tmp_path, thumb):
    services, visitor = a_service(tmp_path)
    answer = visitor.post(FEEDBACK, data={"thumb": thumb, "comment": "Nice <b>", "tags": TAGS[1:]})
    assert (answer.status_code, typed(answer), checked(answer)) == (422, "Nice <b>", TAGS[1:])
    assert said(answer).count("Please choose “I liked it” or “Not for me”.") == 2
    assert services.contacts.responses == []


def test_control_characters_are_left_out(tmp_path):
    services, visitor = a_service(tmp_path)
    body = b"thumb=up&comment=%1Ba%00b%0Bd%7Fe%C2%85f%09%F0%9F%91%8D%0D%0Ag%20"
    answer = visitor.post(FEEDBACK, content=body, headers={"content-type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 303
    assert services.contacts.responses[0].text == "abdef\t👍\ng"


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=b", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("is_answered", [False, True])
def test_ten_megabytes_get_a_page_and_change_nothing(tmp_path, kind, is_answered):
    services, visitor = a_service(tmp_path)
    if is_answered:
        visitor.post(FEEDBACK, data={"thumb": "up", "comment": "Mine"})
    head = b'--b\r\nContent-Disposition: form-data; name="comment"\r\n\r\n' if "boundary" in kind else b"comment="
    answer = visitor.post(FEEDBACK, content=head + b"x" * 10 * 2**20, headers={"content-type": kind})
    assert (answer.status_code, answer.headers["content-type"]) == (413, "text/html; charset=utf-8")
    assert "That was too much to send at once." in said(answer)
    assert (checked(answer), typed(answer)) == ((["up"], "Mine") if is_answered else ([], ""))
    assert [one.text for one in services.contacts.responses] == ["Mine"] * is_answered


def test_a_body_that_is_no_form_gets_the_form_again(tmp_path):
    services, visitor = a_service(tmp_path)
    for kind, body in (("application/json", b'{"thumb": "up"}'), ("multipart/form-data; boundary=b", b"--b\r\nx")):
        assert visitor.post(FEEDBACK, content=body, headers={"content-type": kind}).status_code == 422
    assert services.contacts.responses == []


def test_a_link_answers_for_its_own_person_only(tmp_path):
    """Another listener's link shows that listener's page: nothing that is posted names who answers."""
    other = a_track_send(send_id="a" * 32, customer_id="c-2")
    services, visitor = a_service(tmp_path, a_track_send(), other)
    visitor.post(f"/feedback/{a_token('answer', 'a' * 32)}", data={"thumb": "up", "customer_id": "c-1", "send_id": "1"})
    assert [(one.customer_id, one.send_id) for one in services.contacts.responses] == [("c-2", "a" * 32)]
    assert checked(visitor.get(FEEDBACK)) == []


def test_links_that_are_not_good_get_the_one_page(tmp_path):
    services, visitor = a_service(tmp_path)
    late = NOW - timedelta(seconds=1)
    bad = [
        *(a_token(purpose, TRACK_SEND_ID) for purpose in ("click", "open", "preferences")),
        a_token("answer", TRACK_SEND_ID, late),
        a_token("answer", "f" * 32),
        ANSWER[:-1] + ("A" if ANSWER[-1] != "A" else "B"),
        "x",
    ]
    for token in bad:
        for answer in (visitor.get(f"/feedback/{token}"), visitor.post(f"/feedback/{token}", data={"thumb": "up"})):
            assert (answer.status_code, answer.text) == (404, words.lost().body.decode())
    assert services.contacts.responses == []


def test_each_form_leads_its_own_people(tmp_path):
    """The click leads to the form of the program's source; a link to another form leads on to it, and keeps nothing."""
    services, visitor = a_service(tmp_path)
    for send_id, form, other in ((SEND_ID, "review", "feedback"), (TRACK_SEND_ID, "feedback", "review")):
        clicked = visitor.get(f"/c/{a_token('click', send_id)}")
        assert clicked.headers["location"] == f"../{form}/{a_token('answer', send_id)}"
        token = a_token("answer", send_id)
        for answer in (
            visitor.get(f"/{other}/{token}"),
            visitor.post(f"/{other}/{token}", data={"thumb": "up", "rating": "5"}),
            visitor.get(f"/thanks/{token}"),
        ):
            assert (answer.status_code, answer.headers["location"]) == (303, f"../{form}/{token}")
    assert services.contacts.responses == []


def test_other_sites_post_no_feedback(tmp_path):
    services, visitor = a_service(tmp_path)
    answer = visitor.post(FEEDBACK, data={"thumb": "up"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, services.contacts.responses) == (403, [])


@pytest.mark.parametrize(("language", "question"), QUESTIONS.items())
def test_the_page_speaks_every_language(tmp_path, language, question):
    _, visitor = a_service(tmp_path, a_track_send(locale=f"{language}-XX"))
    shown = visitor.get(FEEDBACK)
    assert f'<html lang="{language}">' in shown.text
    assert question in said(shown)
    assert "200" in said(shown)
    visitor.post(FEEDBACK, data={"thumb": "up"})
    assert "Midnight Rain" in said(visitor.get(THANKS))


def test_what_is_not_known_is_not_asked_for(tmp_path):
    """No name, no artist, no tags: the page still stands. A tag that is offered no more stays with who picked it."""
    unnamed = a_track_send(subject_name=" ", subject_maker=None, locale="en")
    services, visitor = a_service(tmp_path, unnamed, marketplaces={})
    services.programs["music-feedback"] = a_track_program(feedback=None)
    assert "What did you think of the track you heard?" in said(visitor.get(FEEDBACK))
    assert "genre" not in said(visitor.get(FEEDBACK))
    old = Response("music-feedback", "c-1", "DE", "track", "t-1", None, NOW, is_positive=True, tags=("Polka",))
    services.contacts.respond(old, NOW)
    assert checked(visitor.get(FEEDBACK)) == ["up", "Polka"]


def test_a_comment_is_in_no_log(tmp_path, caplog):
    canary = "canary-7f3a"
    services, visitor = a_service(tmp_path)
    services.contacts.respond = lambda *_, **__: 1 / 0
    with caplog.at_level(logging.DEBUG):
        for data in ({"thumb": "up", "comment": canary}, {"thumb": "", "comment": canary}):
            visitor.post(FEEDBACK, data=data)
    assert "ZeroDivisionError" in caplog.text
    assert canary not in caplog.text
    assert canary not in repr(Response("p", "c", "DE", "track", "t", None, NOW, text=canary))
