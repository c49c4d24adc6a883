import hashlib
import re
from base64 import b64encode
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from jinja2 import Environment, FileSystemLoader

from engage_assets.domain.errors import EngageError
from engage_assets.domain.responses import Preferences
from engage_assets.serving import words
from engage_assets.serving.services import Limits
from engage_assets_tests.builders import a_program
from engage_assets_tests.serving.fakes import (
    NOW,
    SEND_ID,
    FakeContacts,
    a_marketplace,
    a_send,
    a_token,
    some_services,
)
from engage_assets_tests.serving.visits import a_photo, a_visitor

ANSWER = a_token("answer")
CHOICE = a_token("preferences")
REVIEW = f"/review/{ANSWER}"
THANKS = f"/thanks/{ANSWER}"
PREFERENCES = f"/preferences/{CHOICE}"
UNSUBSCRIBE = f"/unsubscribe/{CHOICE}"
PAGES = [REVIEW, THANKS, PREFERENCES, UNSUBSCRIBE]
NAMES = ["review", "thanks", "preferences", "unsubscribe"]
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
HOSTILE = """</textarea><script>alert("1")</script>'&{{ 7 * 7 }}"""
A_PART = b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n'
QUESTIONS = {
    "en": "How was your Kettle?",
    "de": "Wie zufrieden sind Sie mit „Kettle“?",
    "fr": "Qu’avez-vous pensé de « Kettle » ?",
    "ja": "「Kettle」はいかがでしたか？",
    "pt": "O que você achou de “Kettle”?",
}


def a_service(tmp_path, *sends, **changes):
    services = some_services(tmp_path / "photos", contacts=FakeContacts(*(sends or [a_send()])), **changes)
    return services, a_visitor(services)


def files(services):
    return sorted(path.name for path in services.photos.iterdir()) if services.photos.exists() else []


def photos(*contents, kind="image/jpeg"):
    return [("photos", (f"{number}.jpg", content, kind)) for number, content in enumerate(contents)]


def said(answer):
    """The page as a reader sees it."""
    without_style = re.sub(r"<(style|title)\b.*?</\1>", "", answer.text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", without_style))


class Tags(HTMLParser):
    """Start tags of a page, and the text of its fields."""

    def __init__(self, answer):
        super().__init__()
        self.found = []
        self.feed(answer.text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_a_review_is_kept_once_and_thanked_for(tmp_path):
    services, visitor = a_service(tmp_path)
    first = visitor.post(
        REVIEW, data={"rating": "4", "text": " Boils\r\nfast.\x00 "}, files=photos(a_photo(), a_photo("PNG"))
    )
    assert (first.status_code, first.headers["location"]) == (303, f"..{THANKS}")
    again = visitor.post(REVIEW, data={"rating": "1"}, files=photos(a_photo()))
    assert (again.status_code, again.headers["location"]) == (303, f"..{THANKS}")
    (kept,) = services.contacts.responses
    assert (kept.customer_id, kept.subject_id, kept.send_id) == ("c-1", "p-1", SEND_ID)
    assert (kept.rating, kept.text, kept.at) == (4, "Boils\nfast.", NOW)
    assert sorted(kept.photos) == files(services)
    assert all(re.fullmatch(r"[0-9a-f]{64}\.jpg", name) for name in kept.photos)
    assert "Vielen Dank für Ihre Bewertung!" in said(visitor.get(THANKS))
    assert "Ihre Bewertung liegt uns schon vor" in said(visitor.get(REVIEW))


def test_a_rating_alone_will_do(tmp_path):
    services, visitor = a_service(tmp_path)
    empty = [("photos", ("", b"", "application/octet-stream"))]  # what a browser sends for no file
    assert visitor.post(REVIEW, data={"rating": "5", "text": " \r\n"}, files=empty).status_code == 303
    assert (services.contacts.responses[0].text, services.contacts.responses[0].photos) == (None, ())


@pytest.mark.parametrize(
    ("data", "sent", "faults"),
    [
        ({}, (), ["Bitte wählen Sie einen bis fünf Sterne."]),
        ({"rating": "6"}, (), ["Bitte wählen Sie einen bis fünf Sterne."]),
        ({"rating": "²"}, (), ["Bitte wählen Sie einen bis fünf Sterne."]),
        ({"rating": "3", "text": "é" * 5001}, (), ["Höchstens 5.000 Zeichen"]),
        ({"rating": "3"}, [a_photo()] * 4, ["höchstens 3 Fotos"]),
        ({"rating": "3"}, [a_photo(), b"MZ"], ["Foto 2 können wir nicht lesen."]),
        ({"rating": "3"}, [a_photo() + b"0" * 5 * 2**20], ["Foto 1 ist größer als 5 MB."]),
        ({}, [a_photo()], ["einen bis fünf Sterne", "Bitte wählen Sie Ihre Fotos noch einmal aus."]),
    ],
)
def test_what_is_wrong_stands_beside_the_field_and_what_was_typed_stays(tmp_path, data, sent, faults):
    services, visitor = a_service(tmp_path)
    typed = {"text": "Boils <fast>\nand loud"} | data
    answer = visitor.post(REVIEW, data=typed, files=photos(*sent) or {"x": b""})
    assert answer.status_code == 422
    assert typed["text"].replace("<", "&lt;").replace(">", "&gt;") in answer.text
    assert all(said(answer).count(fault) == 2 for fault in faults)  # in the summary and beside the field
    checked = [tag["value"] for _, tag in Tags(answer).found if tag.get("type") == "radio" and "checked" in tag]
    assert checked == ([typed["rating"]] if typed.get("rating") == "3" else [])
    assert (services.contacts.responses, files(services)) == ([], [])


def test_five_thousand_characters_fit_however_lines_end(tmp_path):
    services, visitor = a_service(tmp_path)
    assert visitor.post(REVIEW, data={"rating": "3", "text": "é\r\n" * 2500}).status_code == 303
    assert len(services.contacts.responses[0].text) == 4999


@pytest.mark.parametrize("is_broken", [False, True])
def test_photos_of_a_review_that_is_not_kept_are_removed(tmp_path, monkeypatch, is_broken):
    services, visitor = a_service(tmp_path)

    def respond(review, now):
        assert files(services) == list(review.photos)
        if is_broken:
            raise EngageError("the ledger does not answer")
        return "unchanged"

    monkeypatch.setattr(services.contacts, "respond", respond)
    if is_broken:
        with pytest.raises(EngageError):
            visitor.post(REVIEW, data={"rating": "2"}, files=photos(a_photo()))
    else:
        assert visitor.post(REVIEW, data={"rating": "2"}, files=photos(a_photo())).headers["location"] == f"..{THANKS}"
    assert files(services) == []


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("multipart/form-data; boundary=b", b"--b\r\nbroken", 422),
        ("multipart/form-data", b"x", 422),
        ("multipart/form-data; boundary=b; charset=undefined", A_PART + b"x\r\n--b--\r\n", 422),
        ("multipart/form-data; boundary=b; charset=unicode_escape", A_PART + b"\\ud800\r\n--b--\r\n", 422),
        ("application/x-www-form-urlencoded", b"rating=%FF&text=" + b"x" * 80_000, 422),
        ("application/x-www-form-urlencoded", b"&" * 50 + b"rating=5", 303),
        ("application/json", b'{"rating": 5}', 422),
        ("multipart/form-data; boundary=b", b"x" * (31 * 2**20), 413),
    ],
)  # fmt: skip
def test_bodies_that_no_browser_sends(tmp_path, kind, body, status):
    services, visitor = a_service(tmp_path)
    answer = visitor.post(REVIEW, content=body, headers={"content-type": kind})
    assert answer.status_code == status
    assert len(services.contacts.responses) == (status == 303)


@pytest.mark.parametrize(("language", "question"), QUESTIONS.items())
def test_pages_speak_the_languages_that_messages_do(tmp_path, language, question):
    _, visitor = a_service(tmp_path, a_send(locale=f"{language}-XX"))
    answer = visitor.get(REVIEW)
    assert f'<html lang="{language}">' in answer.text
    assert question in said(answer)
    assert "The Shop Deutschland" in said(answer)


@pytest.mark.parametrize(
    ("locales", "language"),
    [(("de-AT", "en-US"), "de"), ((None, "ja-JP"), "ja"), (("nl-NL", "fr_FR"), "fr"), (("nl-NL", None), "en")],
)
def test_whoever_has_none_of_our_languages_gets_the_marketplaces(locales, language):
    assert words.language_of(*locales) == language


def test_all_languages_have_the_same_words_as_the_messages_language():
    environment = Environment(loader=FileSystemLoader(words._TEMPLATES), autoescape=True)
    exported = {
        language: {name for name in vars(environment.get_template(f"words/{language}.j2").module) if name[0] != "_"}
        for language in words.THOUSANDS
    }
    assert len(exported["en"]) > 40
    assert all(names == exported["en"] for names in exported.values())
    for language in words.THOUSANDS:
        module = environment.get_template(f"words/{language}.j2").module
        assert len(module.stars) == 5
        assert set(module.stop_channel) == {"email", "in-app", "push", "voice"}
        limits = words.in_words(Limits(), language)
        assert limits["text_length"] in module.text_hint(limits)
        assert "3" in module.photo_too_large(limits, 3)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_pages_load_nothing_foreign_and_say_so(tmp_path, page):
    _, visitor = a_service(tmp_path)
    if page == THANKS:
        visitor.post(REVIEW, data={"rating": "5"})
    answer = visitor.get(page)
    style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)[1]
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert not re.search(r"https?:|<script|<link|<img|@import|url\(| style=| src=", answer.text)


def test_names_and_texts_stay_texts(tmp_path):
    market = a_marketplace(name=HOSTILE, senderName=HOSTILE, postalAddress=HOSTILE)
    program = a_program(programName=HOSTILE)
    _, visitor = a_service(
        tmp_path, a_send(subject_name=HOSTILE), marketplaces={"DE": market}, programs={"product-reviews": program}
    )
    for answer in [
        *(visitor.get(page) for page in PAGES),
        visitor.post(REVIEW, data={"text": HOSTILE}),
        visitor.post(REVIEW, data={"text": HOSTILE, "rating": "1"}),
        visitor.get(THANKS),
    ]:
        assert "<script" not in answer.text
        assert "49" not in answer.text
        assert [tag for tag, _ in Tags(answer).found].count("textarea") <= 1


def test_without_product_marketplace_and_program_the_pages_still_stand(tmp_path):
    _, visitor = a_service(tmp_path, a_send(subject_name=" ", locale=None), marketplaces={}, programs={})
    assert "How was your recent purchase?" in said(visitor.get(REVIEW))
    assert "product-reviews" in said(visitor.get(PREFERENCES))


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_hundred_visits_change_nothing(tmp_path, page):
    wanted = Preferences(programs=frozenset({"product-reviews"}))
    services, visitor = a_service(tmp_path)
    services.contacts.wanted["c-1"] = wanted
    for number in range(100):
        answer = visitor.send("HEAD" if number % 2 else "GET", page, params={"everything": "stop", **ONE_CLICK})
        assert answer.status_code in {200, 303}
    assert services.contacts.wanted == {"c-1": wanted}
    assert (services.contacts.responses, services.contacts.interactions) == ([], {})


def test_preferences_are_shown_and_change_both_ways(tmp_path):
    services, visitor = a_service(tmp_path)
    elsewhere = Preferences(programs=frozenset({"other"}), channels=frozenset({"push"}))
    services.contacts.wanted["c-1"] = elsewhere

    def choose(*names):
        answer = visitor.post(PREFERENCES, data=dict.fromkeys(names, "stop"))
        assert (answer.status_code, answer.headers["location"]) == (303, f"..{PREFERENCES}?saved=yes")
        shown = visitor.get(answer.headers["location"].removeprefix(".."))
        assert "Gespeichert." in said(shown)
        return [tag["name"] for _, tag in Tags(shown).found if tag.get("type") == "checkbox" and "checked" in tag]

    assert choose("program", "channel", "everything") == ["program", "channel", "everything"]
    assert services.contacts.wanted["c-1"] == Preferences(
        everything=True, programs=frozenset({"other", "product-reviews"}), channels=frozenset({"push", "email"})
    )
    assert choose("channel") == ["channel"]
    assert choose() == []
    assert services.contacts.wanted["c-1"] == elsewhere


def test_the_button_unsubscribes_from_everything_and_leaves_the_other_choices(tmp_path):
    services, visitor = a_service(tmp_path)
    services.contacts.wanted["c-1"] = Preferences(channels=frozenset({"push"}))
    assert "Abmelden?" in said(visitor.get(UNSUBSCRIBE))
    answer = visitor.post(UNSUBSCRIBE)
    assert (answer.status_code, answer.headers["location"]) == (303, f"..{UNSUBSCRIBE}")
    assert "Sie sind abgemeldet" in said(visitor.get(UNSUBSCRIBE))
    assert services.contacts.wanted["c-1"] == Preferences(everything=True, channels=frozenset({"push"}))


@pytest.mark.parametrize("posted", [{"data": ONE_CLICK}, {"files": {"List-Unsubscribe": (None, "One-Click")}}])
def test_one_click_is_taken_from_anywhere_and_answered_alike_for_any_token(tmp_path, posted):
    services, visitor = a_service(tmp_path)
    foreign = {"Origin": "https://mail.example", "Sec-Fetch-Site": "cross-site"}
    answers = [
        visitor.post(f"/unsubscribe/{token}", headers=foreign, **posted)
        for token in (CHOICE, ANSWER, "x", a_token("preferences", "f" * 32))
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "Received.")}
    assert services.contacts.wanted == {"c-1": Preferences(everything=True)}


@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": "http://service.example"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://service.example"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "http://service.example.evil.example"}, False),
    ],
)
@pytest.mark.parametrize("page", [REVIEW, PREFERENCES, UNSUBSCRIBE], ids=["review", "preferences", "unsubscribe"])
def test_other_sites_post_nothing(tmp_path, page, headers, is_taken):
    services, visitor = a_service(tmp_path)
    answer = visitor.post(page, data={"rating": "5", "everything": "stop"}, headers=headers)
    assert answer.status_code == (303 if is_taken else 403)
    assert (bool(services.contacts.responses) or bool(services.contacts.wanted)) == is_taken


def test_links_that_are_not_good_get_one_and_the_same_page(tmp_path):
    services, visitor = a_service(tmp_path)
    late = NOW - timedelta(seconds=1)
    bad = [
        *(f"/{page}/{CHOICE}" for page in ("review", "thanks")),
        *(f"/{page}/{ANSWER}" for page in ("preferences", "unsubscribe")),
        f"/review/{a_token('answer', expires_at=late)}",
        f"/review/{a_token('answer', 'f' * 32)}",
        f"/review/{ANSWER[:-2]}AA",
        f"/review/{ANSWER}=",
        "/unsubscribe/x",
    ]
    answers = [visitor.send(method, path) for path in bad for method in ("GET", "POST") if "thanks" not in path]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, visitor.get("/thanks/x").text)}
    assert '<html lang="en">' in answers[0].text
    assert not re.search("expire|old|invalid|alter", said(answers[0]))
    assert services.contacts.wanted == {}
