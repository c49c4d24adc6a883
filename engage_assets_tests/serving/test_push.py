"""Reminders on a device: subscribing from the registration page, and the whole way of a notification and back."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from py_vapid import Vapid02

from engage_assets.channels.links import Links
from engage_assets.channels.push import notification
from engage_assets.channels.web_push import Vapid, WebPushSender
from engage_assets.domain.channel_specs import PushChannel
from engage_assets.domain.sends import Letter
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.serving import words
from engage_assets.serving.app import create_app
from engage_assets.serving.services import PushServices
from engage_assets_tests.channels.push_services import a_push_service
from engage_assets_tests.contracts.sends import hand_over
from engage_assets_tests.serving.app_banners import PROGRAM, a_banner_of, an_app_service
from engage_assets_tests.serving.clients import Client
from engage_assets_tests.serving.fakes import a_token
from engage_assets_tests.serving.gatherings import NOW, START, a_ledger, know_the_source

HOUR = timedelta(hours=1)
FAR = START + timedelta(days=90)
PHONE = {"User-Agent": "Mozilla/5.0 (Linux; Android 15) Chrome/140"}


@pytest.fixture(scope="module")
def database():
    with a_ledger() as database:
        yield database


@pytest.fixture
def app(tmp_path, database, monkeypatch):
    know_the_source(monkeypatch)
    return an_app_service(tmp_path, database, "BPublicKey")


@pytest.fixture
def push_service():
    with a_push_service() as said:
        yield said


def invited(app, database, customer):
    """Somebody whose invitation went out: the send and a link of its."""
    send = a_banner_of(app, customer, NOW, channel="email", campaign_id=f"{PROGRAM}:email:2026-11-16:DE:{customer}")
    hand_over(SqlLedger(database), send, now=NOW, then="sent")
    return send, a_token("answer", send.send_id)


def visitor(app, **headers):
    return Client(create_app(app.services), PHONE | headers)


def kept(app, customer):
    return app.services.push.subscriptions.of([customer]).get(customer, [])


def test_the_whole_way_of_a_reminder_and_back(app, database, push_service):
    send, link = invited(app, database, "c-way")
    browser = visitor(app)
    assert browser.post(f"/push/subscriptions/{link}", content=push_service.subscription).status_code == 204
    (address,) = kept(app, "c-way")
    program = app.services.programs[PROGRAM]
    channel = next(one for one in program.channels if isinstance(one, PushChannel))
    reminder = replace(send, channel="push", campaign_id=f"{PROGRAM}:push:2026-12-08:DE", is_solicitation=False)
    reminder = replace(reminder, kind="reminder", slot_at=NOW + HOUR)
    event = app.events.facts.versions(app.event_id, NOW)[-1]
    content = notification(
        channel.config, subject_type="event", name=event.name, starts_at=event.starts_at, time_zone="Asia/Tokyo",
        language="en", tag=app.event_id,
        links=Links("http://service.example", app.services.signer).of_push(reminder.send_id, NOW, "registration"),
    )  # fmt: skip
    SqlLedger(database).plan([reminder], NOW)
    vapid = Vapid02()
    vapid.generate_keys()
    line = WebPushSender(Vapid(vapid, "mailto:push@shop.example")).open()
    letter = Letter(reminder.send_id, reminder.campaign_id, "", address, content)
    assert line.hand_over(letter).state == "sent"
    shown = json.loads(push_service.read(push_service.requests[0][1]))["notification"]
    assert (shown["title"], shown["body"]) == ("Kubernetes in practice Tomorrow!", "Join us at 02:00")

    for _ in range(2):
        for place in (
            f"{shown['data']['opens']}/displayed",
            f"{shown['data']['opens']}/open",
            f"{shown['data']['clicks']}/click",
        ):
            assert browser.post(place.removeprefix("http://service.example")).status_code == 204
    found = SqlLedger(database).interactions(None, FAR).filter(send_id=reminder.send_id)
    assert sorted(found["kind"]) == ["click", "displayed", "open"]
    assert found["machine_rule"].null_count() == 3
    page = browser.get(shown["navigate"].removeprefix("http://service.example"))
    assert page.headers["location"].startswith("../registration/")
    calendar = shown["actions"][0]["navigate"].removeprefix("http://service.example")
    assert browser.get(calendar).status_code == 303, "who has no seat is led to the page"

    push_service.status = 410
    assert line.hand_over(letter).reason == "PUSH_GONE"
    app.services.push.subscriptions.gone(address, NOW)
    assert kept(app, "c-way") == []
    line.close()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"[]", 422),
        (b'"text"', 422),
        (b"[" * 3000, 422),
        (b'{"endpoint": "https://push.example/x", "keys": {}}', 422),
        (b"x" * 5000, 413),
    ],
)
def test_what_is_no_subscription_is_not_kept(app, database, body, status):
    _, link = invited(app, database, "c-none")
    assert visitor(app).post(f"/push/subscriptions/{link}", content=body).status_code == status
    assert kept(app, "c-none") == []


def test_only_our_own_pages_and_the_links_person_subscribe_and_only_he_forgets(app, database, push_service):
    _, mine = invited(app, database, "c-mine")
    _, other = invited(app, database, "c-other")
    said = push_service.subscription
    foreign = visitor(app, **{"Sec-Fetch-Site": "cross-site"})
    assert foreign.post(f"/push/subscriptions/{mine}", content=said).status_code == 403
    browser = visitor(app)
    assert browser.post("/push/subscriptions/none", content=said).status_code == 404
    assert browser.post(f"/push/subscriptions/{mine}", content=said).status_code == 204
    assert browser.post(f"/push/subscriptions/{other}/gone", content=said).status_code == 204
    assert len(kept(app, "c-mine")) == 1, "of another person's device nothing is forgotten"
    assert browser.post(f"/push/subscriptions/{mine}/gone", content=said).status_code == 204
    assert kept(app, "c-mine") == []
    long_tail = json.dumps(json.loads(said) | {"secret": "canary"})
    assert browser.post(f"/push/subscriptions/{mine}", content=long_tail).status_code == 204
    assert "canary-device" in kept(app, "c-mine")[0]
    assert '"secret"' not in kept(app, "c-mine")[0]


def test_beacons_need_the_token_of_their_purpose_and_know_programs(app, database):
    send, _ = invited(app, database, "c-beacon")
    opens, clicks = a_token("open", send.send_id), a_token("click", send.send_id)
    browser = visitor(app)
    forged = opens[:-1] + ("B" if opens.endswith("A") else "A")
    for place in (f"{opens}/click", f"{clicks}/open", f"{clicks}/displayed", "none/open", f"{forged}/open"):
        assert browser.post(f"/push/beacons/{place}").status_code == 404
    assert browser.post(f"/push/beacons/{opens}/delivered").status_code == 422
    scanner = visitor(app, **{"User-Agent": "curl/8"})
    assert scanner.post(f"/push/beacons/{opens}/open").status_code == 204
    found = SqlLedger(database).interactions(None, FAR).filter(send_id=send.send_id)
    assert found.select("kind", "machine_rule").rows() == [("open", "listed_agent")]


def test_the_page_offers_a_reminder_only_where_it_can_keep_the_word(app, database):
    _, link = invited(app, database, "c-page")
    browser = visitor(app)
    assert "remind.js" not in browser.get(f"/registration/{link}").text, "nobody is registered yet"
    browser.post(f"/registration/{link}", data={"act": "register"})
    page = browser.get(f"/registration/{link}")
    assert 'data-key="BPublicKey"' in page.text
    assert page.headers["content-security-policy"] == words.SCRIPTED["Content-Security-Policy"]
    assert "'unsafe-" not in page.headers["content-security-policy"]
    without = replace(app.services, push=PushServices(app.services.push.subscriptions))
    plain = Client(create_app(without)).get(f"/registration/{link}")
    assert "remind.js" not in plain.text
    assert plain.headers["content-security-policy"] == words.HEADERS["Content-Security-Policy"]
    app.services.clock.time = START + timedelta(hours=1)
    assert "remind.js" not in browser.get(f"/registration/{link}").text, "nothing to be reminded of"


@pytest.mark.parametrize("name", ["worker.js", "remind.js"])
def test_scripts_are_served_as_such(app, name):
    answer = visitor(app).get(f"/push/{name}")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.text.startswith('"use strict";')
