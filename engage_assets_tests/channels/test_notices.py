"""Mails to single people about an event: five languages, every kind, and nothing that others' words can break."""

from datetime import datetime
from html import unescape
from itertools import product

import pytest

from engage_assets.channels.editions import languages, template_ids
from engage_assets.channels.links import untracked
from engage_assets.channels.message import Letterpress
from engage_assets.channels.notices import Told, write
from engage_assets.domain.notices import KINDS
from engage_assets_tests.channels.letters import MARKETPLACE
from engage_assets_tests.channels.test_email import Page

TEMPLATE, NAME = "event-notice-v1", "Kubernetes in practice"
START = datetime.fromisoformat("2026-12-09 17:00")
LANGUAGES = ("de", "en", "fr", "ja", "pt")
CASES = [
    (kind, has_seat) for kind, has_seat in product(KINDS, (True, False)) if has_seat or kind in ("moved", "wait_listed")
]


def told(kind="confirmation", **changes) -> Told:
    values = {"name": NAME, "starts_at": START, "zone": "Asia/Kolkata", "has_seat": True} | changes
    return Told(kind=kind, **values)


def parts(mail, name="Ada <Lovelace>") -> tuple[str, str]:
    """Text and HTML as they go out."""
    about = {"customer_id": "c-1", "send_id": "0" * 32, "marketplace": "DE", "subject_type": "event", "subject_id": "e"}
    press = Letterpress({"DE": MARKETPLACE})
    return press.parts({**mail.row(), **about}, name=name, links=untracked("https://shop.example"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("kind", "has_seat"), CASES)
def test_each_says_what_it_is_in_each_language(kind, has_seat, language):
    mail = write(TEMPLATE, told(kind, has_seat=has_seat), f"{language}-XX", MARKETPLACE)
    text, html = parts(mail)
    assert mail.language == language
    assert NAME in mail.subject
    assert NAME in text
    assert "https://shop.example/review/preview" in text
    assert ("22:30" in text) == (kind != "survey")  # on the person's clock
    assert "%%" not in text + html
    shown = Page(html)
    assert "Ada <Lovelace>" in unescape(html)
    assert "<Lovelace>" not in html
    assert shown.lang == language


def test_every_kind_has_words_of_its_own():
    for language in LANGUAGES:
        subjects = [write(TEMPLATE, told(kind), language, MARKETPLACE).subject for kind in KINDS]
        subjects.append(write(TEMPLATE, told("moved", is_revived=True), language, MARKETPLACE).subject)
        assert len(set(subjects)) == len(KINDS) + 1


@pytest.mark.parametrize(
    ("kind", "has_seat", "link", "is_shown"),
    [
        ("confirmation", True, "https://meet.example/a", True),
        ("reminder", True, "https://meet.example/a", True),
        ("moved", False, "https://meet.example/a", False),
        ("called_off", True, "https://meet.example/a", False),
        ("survey", True, "https://meet.example/a", False),
        ("confirmation", True, "javascript:alert(1)", False),
        ("confirmation", True, None, False),
    ],
)
def test_the_place_is_for_those_with_a_seat(kind, has_seat, link, is_shown):
    text, html = parts(write(TEMPLATE, told(kind, has_seat=has_seat, join_link=link), "en", MARKETPLACE))
    assert [bool(link and link in part) for part in (text, html)] == [is_shown] * 2


def test_a_name_is_one_line_and_no_markup_or_field():
    name = "R&D <b>\n%%pixel_url%% " + "very " * 30 + "long"
    mail = write(TEMPLATE, told(name=name), "en", MARKETPLACE)
    text, html = parts(mail)
    assert "\n" not in mail.subject
    assert mail.subject.endswith("…")
    assert "R&D <b> %pixel_url%" in text
    assert "R&amp;D &lt;b&gt;" in html


def test_templates_of_notices_and_of_campaigns_are_two_kinds():
    assert template_ids("notice") == (TEMPLATE,)
    assert TEMPLATE not in template_ids("message")
    assert languages(TEMPLATE) == set(LANGUAGES)
