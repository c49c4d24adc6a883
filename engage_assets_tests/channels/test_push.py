"""Notifications: what they say where, and how they are small enough for every push service."""

import json
from datetime import timedelta

import pytest

from engage_assets.channels.links import LONGEST_BASE, Links
from engage_assets.channels.push import CALENDAR, language_of, notification
from engage_assets.channels.web_push import LONGEST
from engage_assets.domain.channel_specs import LONGEST_BODY, LONGEST_TITLE, PushConfig
from engage_assets.domain.tokens import Signer
from engage_assets_tests.builders import instant

CONFIG = PushConfig.model_validate(
    {
        "reminderDaysBefore": 1,
        "title": "{eventName} Tomorrow!",
        "body": "Join us at {eventTime}",
        "texts": {"de": {"title": "Morgen: {eventName}", "body": "Wir sehen uns um {eventTime} Uhr {unknown}"}},
    }
)
STARTS = instant("2026-12-09 17:00")
SEND = "a" * 32
SIGNER = Signer({1: b"k" * 32}, 1)


def said(**changes):
    links = Links("https://shop.example", SIGNER).of_push(SEND, STARTS, "registration")
    given = {
        "subject_type": "event", "name": "Kubernetes", "starts_at": STARTS, "time_zone": "Europe/Berlin",
        "language": "en", "tag": "e-1", "links": links,
    }  # fmt: skip
    return json.loads(notification(CONFIG, **(given | changes)))


def test_title_and_body_in_the_persons_language_and_on_his_clock():
    told = said()["notification"]
    assert (told["title"], told["body"], told["lang"]) == ("Kubernetes Tomorrow!", "Join us at 18:00", "en")
    told = said(language="de", time_zone="Asia/Tokyo")["notification"]
    assert (told["title"], told["body"]) == ("Morgen: Kubernetes", "Wir sehen uns um 02:00 Uhr {unknown}")
    told = said(language="fr", name=" {eventTime}\n")["notification"]
    assert (told["title"], told["lang"]) == ("{eventTime} Tomorrow!", "fr"), "what was filled in is no place"
    assert told["actions"][0]["title"] == "Ajouter au calendrier"


def test_where_it_leads_is_signed_each_for_its_purpose():
    told, now = said(), STARTS + timedelta(days=1)
    assert (told["web_push"], told["mutable"]) == (8030, True)
    body = told["notification"]
    (action,) = body["actions"]
    page, calendar = body["navigate"].split("/"), action["navigate"].split("/")
    assert page[:4] == ["https:", "", "shop.example", "c"]
    assert SIGNER.read(page[-1], "click", now)
    assert calendar[3::2] == ["registration", "event.ics"]
    assert SIGNER.read(calendar[4], "answer", now)
    opens, clicks = (body["data"][name].rpartition("/")[2] for name in ("opens", "clicks"))
    assert SIGNER.read(opens, "open", now).send_id == SIGNER.read(clicks, "click", now).send_id == SEND
    assert said(links=None).keys() == {"notification"}


def test_the_longest_names_and_addresses_fit():
    links = Links("https://" + "h" * (LONGEST_BASE - 8), SIGNER).of_push(SEND, STARTS, "registration")
    wide = PushConfig.model_validate(
        {
            "reminderDaysBefore": 1,
            "title": "{eventName}".rjust(LONGEST_TITLE, "日"),
            "body": "{eventName}".rjust(LONGEST_BODY, "本"),
        }
    )
    made = notification(
        wide, subject_type="event", name="名" * 500, starts_at=STARTS, time_zone="UTC", language="ja", tag="e" * 200,
        links=links,
    )  # fmt: skip
    assert len(made) <= LONGEST
    assert json.loads(made)["notification"]["title"].endswith("…")


@pytest.mark.parametrize(
    ("locales", "language"), [(("de-AT", "fr"), "de"), (("xx", "pt_BR"), "pt"), ((None, ""), "en")]
)
def test_language(locales, language):
    assert language_of(*locales) == language
    assert language in CALENDAR
