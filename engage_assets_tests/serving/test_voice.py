"""Asking by voice through the service: over the fake, and end to end over the real store and ledger."""

import asyncio
import json
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.prompts import SqlPrompts
from engage_assets.serving.app import create_app
from engage_assets.serving.services import AlexaSkill
from engage_assets.voice.alexa_signature import TOLERANCE_SECONDS, Verifier
from engage_assets.voice.links import SignedLinks
from engage_assets_tests.builders import PRODUCT_REVIEWS, a_program
from engage_assets_tests.contracts.sends import a_send as a_mail
from engage_assets_tests.contracts.sends import hand_over
from engage_assets_tests.serving.clients import Client, a_key
from engage_assets_tests.serving.fake_prompts import FakePrompts
from engage_assets_tests.serving.fakes import (
    NOW,
    FakeContacts,
    FakeStore,
    a_marketplace,
    a_row,
    a_signer,
    some_services,
)
from engage_assets_tests.voice.authority import URL, Authority, Pages, sign

NEXT, ANSWER, ALEXA, LINKS = (f"/v1/voice/{name}" for name in ("next-prompt", "answer", "alexa", "links"))
MINUTE = timedelta(minutes=1)
SKILL = "amzn1.ask.skill.1"
CANARY = "canary-9d1f"
VOICE = {
    "channelId": "speaker",
    "type": "voice",
    "config": {
        "prompt": "Did you enjoy {productName}?",
        "responseOptions": ["yes", "no"],
        "prompts": {"de": "Gefiel dir {productName}?"},
    },
}
OURS = Authority()


def speaking(**changes: Any) -> dict[str, Any]:
    """The programs of a service: one that asks by voice, one that does not."""
    channels = [*PRODUCT_REVIEWS["channels"], VOICE | changes.pop("voice", {})]
    return {
        "product-reviews": a_program(channels=channels, **changes),
        "silent-reviews": a_program(programId="silent-reviews"),
    }


def a_service(photos, *rows: dict[str, Any], **changes: Any):
    """A client with all scopes, and its service."""
    key, show = a_key()
    store = FakeStore(*(rows or (a_row(voice_eligible=True),)))
    pages = Pages(**{URL: OURS.chain()})
    skill = AlexaSkill(frozenset({SKILL}), Verifier(pages, [OURS.root]), SignedLinks(a_signer()))
    parts = {
        "programs": speaking(),
        "marketplaces": {"DE": a_marketplace()},
        "store": store,
        "writer": store,
        "contacts": FakeContacts(keys=[key]),
        "prompts": FakePrompts(),
        "subject_name": lambda _, subject: {"p-1": "Kettle", "p-2": "Lamp"}.get(subject),
        "alexa": skill,
    }
    services = some_services(photos, **(parts | changes))
    return Client(create_app(services), show), services


@pytest.fixture
def serve(tmp_path):
    return lambda *rows, **changes: a_service(tmp_path, *rows, **changes)


def asked(client: Client, **changes: Any) -> dict[str, Any]:
    """What a next-prompt request gives."""
    found = client.post(NEXT, json={"customer": "c-1", "sessionId": "s-1"} | changes)
    assert found.status_code == 200, found.text
    return found.json()


def answered(client: Client, prompt_id: str, answer: str, **changes: Any) -> httpx.Response:
    return client.post(ANSWER, json={"promptId": prompt_id, "customer": "c-1", "answer": answer} | changes)


# --- JSON -----------------------------------------------------------------------------------------


def test_a_listener_is_asked_in_his_language_and_his_answer_understood(serve):
    client, services = serve()

    prompt = asked(client, subject="p-1")["prompt"]
    assert (prompt["text"], prompt["locale"], prompt["subjectName"]) == ("Gefiel dir Kettle?", "de-DE", "Kettle")
    assert (prompt["issuedAt"], prompt["expiresAt"]) == ("2026-11-20T12:00:00Z", "2026-11-20T12:30:00Z")
    assert asked(client, subject="p-1")["prompt"] == prompt

    said = [answered(client, prompt["promptId"], words).json() for words in ("Wie bitte?", "Jo!", "ja", "Nö")]
    assert [(one["result"], one["answer"]) for one in said] == [
        ("not_understood", None),
        ("recorded", "yes"),
        ("recorded", "yes"),
        ("recorded", "no"),
    ]
    assert said[0]["text"] == "Wie bitte, war das ein Ja oder ein Nein?"
    assert asked(client, subject="p-1") == {"asOf": "2026-11-20T12:00:00Z", "prompt": None, "reason": "SESSION_ASKED"}
    assert services.prompts.find(prompt["promptId"]).answer is False


@pytest.mark.parametrize(
    ("row", "query", "reason"),
    [
        ({}, {}, None),
        ({"voice_eligible": False}, {}, "NO_CANDIDATE"),
        ({"status": "delivered"}, {}, "NO_CANDIDATE"),
        ({"status": "consumed"}, {}, "NO_CANDIDATE"),
        ({"expires_at": NOW}, {}, "NO_CANDIDATE"),
        ({}, {"customer": "c-2"}, "NO_CANDIDATE"),
        ({}, {"subject": "p-9"}, "NO_CANDIDATE"),
        ({}, {"subject": "p-1", "program": "product-reviews"}, None),
        ({"program": "silent-reviews"}, {}, "NO_CANDIDATE"),
        ({"subject_id": "p-9"}, {}, "NAME_UNKNOWN"),
        ({"subject_id": "p-9"}, {"subject": "p-9", "subjectName": "Mug"}, None),
    ],
)
def test_only_an_active_candidate_who_allows_voice_is_asked(serve, row, query, reason):
    client, _ = serve(a_row(**({"voice_eligible": True} | row)))

    found = asked(client, **query)

    assert (found["reason"], found["prompt"] is None) == (reason, reason is not None)


@pytest.mark.parametrize(
    ("changes", "zone", "reason"),
    [
        ({"quietHours": {"from": "21:00", "to": "09:00"}}, "Europe/Berlin", None),
        ({"quietHours": {"from": "21:00", "to": "09:00"}}, "Asia/Tokyo", "QUIET_HOURS"),
        ({"quietHours": {"from": "13:00", "to": "14:00"}}, None, "QUIET_HOURS"),
        ({"voice": {"shadow": True}}, None, "SHADOW"),
        ({"voice": {"enabled": False}}, None, "NO_CANDIDATE"),
        ({"enabled": False}, None, "NO_CANDIDATE"),
    ],
)
def test_the_programs_own_rules_hold(serve, changes, zone, reason):
    client, _ = serve(a_row(voice_eligible=True, time_zone=zone), programs=speaking(**changes))

    assert asked(client)["reason"] == reason


def test_without_a_subject_the_best_candidate_is_asked_about(serve):
    rows = [a_row(voice_eligible=True, subject_id=f"p-{n}", score=n / 10) for n in (1, 2)]
    client, _ = serve(*rows)

    assert asked(client)["prompt"]["subjectId"] == "p-2"
    assert asked(client, sessionId="s-2", subject="p-1", locale="en-GB")["prompt"]["text"] == "Did you enjoy Kettle?"


def test_a_session_gets_its_prompt_again_after_its_candidate_was_delivered(serve):
    client, services = serve()
    prompt = asked(client)["prompt"]
    services.store.rows.clear()
    settled = services.prompts.settled

    assert asked(client)["prompt"] == prompt
    assert services.prompts.settled == settled + 1 == 2
    assert asked(client, subject="p-2")["reason"] == "SESSION_ASKED"
    services.clock.time = NOW + 30 * MINUTE
    assert asked(client)["reason"] == "SESSION_ASKED"


def test_faults_are_told(serve):
    client, services = serve()
    key = asked(client)["prompt"]["promptId"]

    assert answered(client, key, "yes", customer="c-2").status_code == 404
    assert answered(client, "f" * 32, "yes").status_code == 404
    assert answered(client, "no-id", "yes").status_code == 422
    assert client.post(NEXT, json={"customer": "c-1"}).status_code == 422
    assert client.post(NEXT, json={"customer": "c-1", "sessionId": "s", "program": "silent-reviews"}).status_code == 404
    services.prompts.is_down = True
    assert answered(client, key, "yes").status_code == 503
    services.prompts.is_down = False
    services.clock.time = NOW + 30 * MINUTE
    assert answered(client, key, "yes").status_code == 410
    assert answered(client, key, "pardon").json()["result"] == "not_understood"
    _, show = a_key({"candidates:read"})
    assert client.post(NEXT, json={}, headers=show).status_code == 401
    assert serve(prompts=None)[0].post(NEXT, json={"customer": "c", "sessionId": "s"}).status_code == 404


@pytest.mark.parametrize(
    ("words", "status"),
    [("<script>alert(1)</script>", 200), ("🎸" * 200, 200), ("x" * 10_001, 422), ("x" * 10_000_000, 413)],
)
def test_strange_answers_have_an_outcome_and_are_not_recorded(serve, words, status):
    client, services = serve()
    key = asked(client)["prompt"]["promptId"]

    found = answered(client, key, words)

    assert found.status_code == status
    assert words[:50] not in found.text
    assert services.prompts.find(key).answer is None


def test_requests_at_once_share_a_round_and_a_fault_stays_alone(serve):
    rows = [a_row(voice_eligible=True, customer_id=f"c-{n}") for n in range(40)]
    client, services = serve(*rows)

    async def all_at_once() -> list[httpx.Response]:
        transport = httpx.ASGITransport(client.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service.example") as http:
            bodies = [{"customer": f"c-{n}", "sessionId": "s"} for n in range(40)]
            return await asyncio.gather(*(http.post(NEXT, json=body, headers=client.headers) for body in bodies))

    found = asyncio.run(all_at_once())

    assert {one.json()["prompt"]["text"] for one in found} == {"Gefiel dir Kettle?"}
    assert len({one.json()["prompt"]["promptId"] for one in found}) == 40
    assert sum(services.prompts.rounds) == 40


def test_a_round_that_fails_is_taken_one_by_one(serve):
    rows = [a_row(voice_eligible=True, customer_id=f"c-{n}") for n in range(20)]

    class OneFails(FakePrompts):
        def take(self, acts, now):
            if any(act.customer_id == "c-7" for act in acts):
                raise ValueError(CANARY)
            return super().take(acts, now)

    client, _ = serve(*rows, prompts=OneFails())

    async def all_at_once() -> list[int]:
        transport = httpx.ASGITransport(client.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service.example") as http:
            bodies = [{"customer": f"c-{n}", "sessionId": "s"} for n in range(20)]
            found = await asyncio.gather(*(http.post(NEXT, json=body, headers=client.headers) for body in bodies))
        return [one.status_code for one in found]

    assert asyncio.run(all_at_once()) == [503 if n == 7 else 200 for n in range(20)]


# --- end to end -----------------------------------------------------------------------------------


@pytest.fixture
def whole(serve, tmp_path):
    """A client of a service over a real ledger, and that ledger."""
    ledger = SqlLedger(f"sqlite:///{tmp_path}/ledger.db")
    rows = [a_row(voice_eligible=True, subject_id=f"p-{n}", score=n / 10) for n in (1, 2)]
    client, services = serve(*rows, prompts=SqlPrompts(ledger.database))
    yield client, services, ledger
    ledger.close()


def test_who_is_asked_by_mail_is_not_asked_by_voice_and_an_answer_is_kept(whole):
    client, _, ledger = whole
    hand_over(ledger, a_mail(subject_id="p-2", slot_at=NOW), now=NOW, then="sent")

    assert asked(client, subject="p-2")["reason"] == "ALREADY_ASKED"
    prompt = asked(client)["prompt"]
    assert prompt["subjectId"] == "p-1"
    assert answered(client, prompt["promptId"], "ja").json()["answer"] == "yes"
    log = ledger.responses(None, NOW)
    assert log.select("subject_id", "is_positive", "channel", "send_id").rows() == [
        ("p-1", True, "speaker", prompt["promptId"])
    ]
    events = ledger.send_events(None, NOW).filter(channel="speaker")
    assert events["campaign_id"].unique().to_list() == ["product-reviews:speaker:2026-11-19:DE"]
    assert events["state"].to_list() == ["planned", "claimed", "handed_over", "sent"]


def test_the_cap_holds_over_sessions_and_mail(serve, tmp_path):
    chain = [dict(one) for one in PRODUCT_REVIEWS["filterChain"]]
    chain[-1] = {**chain[-1], "parameters": {"maxRequestsPerWeek": 2}}
    ledger = SqlLedger(f"sqlite:///{tmp_path}/ledger.db")
    hand_over(ledger, a_mail(subject_id="p-9", slot_at=NOW - MINUTE), now=NOW - MINUTE, then="sent")
    rows = [a_row(voice_eligible=True, subject_id=f"p-{n}") for n in (1, 2)]
    client, _ = serve(*rows, prompts=SqlPrompts(ledger.database), programs=speaking(filterChain=chain))

    assert asked(client, subject="p-1")["prompt"]
    assert asked(client, subject="p-2", sessionId="s-2")["reason"] == "FREQUENCY_CAP"
    ledger.close()


def test_neither_answers_nor_tokens_are_logged(whole, caplog):
    client, services, _ = whole
    caplog.set_level(logging.DEBUG)
    key = asked(client)["prompt"]["promptId"]

    answered(client, key, CANARY)
    answered(client, CANARY, "yes")
    heard = talk(client, services, {"type": "IntentRequest", "intent": said(CANARY)}, token=CANARY, prompt_id=key)

    assert heard.status_code == 200
    assert CANARY not in caplog.text
    assert "/v1/voice/answer" in caplog.text


# --- Alexa ----------------------------------------------------------------------------------------


def said(words: str) -> dict[str, Any]:
    """A skill's own intent with an answer in the person's words."""
    return {"name": "AnswerIntent", "slots": {"answer": {"name": "answer", "value": words}}}


def envelope(services, request: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A request as Alexa sends it."""
    token, _ = SignedLinks(services.signer).token("c-1", NOW)
    token = changes.get("token", token)
    who = {"application": {"applicationId": changes.get("skill", SKILL)}, "user": {"userId": "amzn1.1"}}
    if token:
        who["user"]["accessToken"] = token
    attributes = {"promptId": changes["prompt_id"]} if "prompt_id" in changes else {}
    return {
        "version": "1.0",
        "session": {"new": True, "sessionId": changes.get("session", "s-1"), "attributes": attributes, **who},
        "context": {
            "System": {**who, "device": {"deviceId": "d"}},
            "AudioPlayer": {"token": changes.get("played", "")},
        },
        "request": {
            "requestId": "amzn1.echo-api.request.1",
            "timestamp": "2026-11-20T12:00:00Z",
            "locale": "de-DE",
            **request,
        },
    }


def talk(client: Client, services, request: dict[str, Any], **changes: Any) -> httpx.Response:
    """Send a signed request; `signed` replaces the body that is signed, `headers` add to it."""
    body = json.dumps(envelope(services, request, **changes)).encode()
    headers = {"Signature-256": sign(changes.get("signed", body)), "SignatureCertChainUrl": URL}
    return Client(client.app).post(ALEXA, content=body, headers=headers | changes.get("headers", {}))


LAUNCH = {"type": "LaunchRequest"}


def intent(name: str) -> dict[str, Any]:
    return {"type": "IntentRequest", "intent": {"name": name, "confirmationStatus": "NONE"}}


def test_a_conversation_with_alexa(serve):
    client, services = serve()

    opened = talk(client, services, LAUNCH, played="p-1").json()
    key = opened["sessionAttributes"]["promptId"]
    question = {"type": "PlainText", "text": "Gefiel dir Kettle?"}
    assert opened["version"] == "1.0"
    assert opened["response"] == {
        "outputSpeech": question,
        "shouldEndSession": False,
        "reprompt": {"outputSpeech": question},
    }
    unclear = talk(client, services, {"type": "IntentRequest", "intent": said("hm?")}, prompt_id=key).json()
    assert unclear["sessionAttributes"] == {"promptId": key}
    assert unclear["response"]["shouldEndSession"] is False
    assert services.prompts.find(key).answer is None

    thanks = talk(client, services, intent("AMAZON.NoIntent"), prompt_id=key).json()["response"]
    assert (thanks["outputSpeech"]["text"], thanks["shouldEndSession"]) == ("Danke, das habe ich notiert.", True)
    assert services.prompts.find(key).answer is False
    talk(client, services, {"type": "IntentRequest", "intent": said("doch, ja klar")}, prompt_id=key)
    assert services.prompts.find(key).answer is False
    talk(client, services, {"type": "IntentRequest", "intent": said("Ja, klar!")}, prompt_id=key)
    assert services.prompts.find(key).answer is True
    assert services.alexa.verifier._certificates.fetched == 1


@pytest.mark.parametrize(
    ("request_", "more", "text", "ends"),
    [
        (LAUNCH, {"played": "p-9"}, "Ich habe im Moment keine Frage an dich.", True),
        (LAUNCH, {"session": ""}, "Ich habe im Moment keine Frage an dich.", True),
        (intent("AMAZON.YesIntent"), {}, "Ich habe im Moment keine Frage an dich.", True),
        (intent("AMAZON.YesIntent"), {"prompt_id": "f" * 32}, "Ich habe im Moment keine Frage an dich.", True),
        (intent("AMAZON.StopIntent"), {}, "Auf Wiederhören.", True),
        (intent("AMAZON.HelpIntent"), {"prompt_id": "f" * 32}, "Nach einem Titel", False),
        (intent("AskIntent"), {"played": "p-1"}, "Gefiel dir Kettle?", False),
        (intent("AMAZON.FallbackIntent"), {"prompt_id": "f" * 32}, "Wie bitte", False),
        (LAUNCH, {"token": None}, "verknüpfe bitte dein Konto", True),
        (LAUNCH, {"token": "stale"}, "verknüpfe bitte dein Konto", True),
    ],
)
def test_what_alexa_says(serve, request_, more, text, ends):
    client, services = serve()

    heard = talk(client, services, request_, **more).json()["response"]

    assert text in heard["outputSpeech"]["text"]
    assert heard["shouldEndSession"] is ends
    assert heard.get("card") == ({"type": "LinkAccount"} if "token" in more else None)


def test_an_expired_prompt_is_told_and_another_listeners_is_not_answered(serve):
    client, services = serve()
    key = talk(client, services, LAUNCH).json()["sessionAttributes"]["promptId"]
    other, _ = SignedLinks(services.signer).token("c-2", NOW)

    heard = talk(client, services, intent("AMAZON.YesIntent"), prompt_id=key, token=other).json()
    assert "keine Frage" in heard["response"]["outputSpeech"]["text"]
    session = next(iter(services.prompts.by_session))
    services.prompts.by_session[session] = replace(services.prompts.by_session[session], expires_at=NOW)
    heard = talk(client, services, intent("AMAZON.YesIntent"), prompt_id=key).json()
    assert "abgelaufen" in heard["response"]["outputSpeech"]["text"]
    assert services.prompts.find(key).answer is None


@pytest.mark.parametrize("kind", ["SessionEndedRequest", "AudioPlayer.PlaybackFinished", "System.ExceptionEncountered"])
def test_nothing_is_said_to_the_end_of_a_session(serve, kind):
    client, services = serve()

    assert talk(client, services, {"type": kind, "reason": "USER_INITIATED"}).json() == {
        "version": "1.0",
        "response": {},
    }
    assert not services.prompts.by_session


@pytest.mark.parametrize(
    ("more", "status", "rule"),
    [
        ({"signed": b"{}"}, 400, "Signature-256"),
        ({"headers": {"Signature-256": ""}}, 400, "missing"),
        ({"headers": {"SignatureCertChainUrl": ""}}, 400, "missing"),
        ({"headers": {"SignatureCertChainUrl": URL.replace("s3", "s4")}}, 400, "host"),
        ({"headers": {"SignatureCertChainUrl": URL.replace("12", "13")}}, 400, "cannot be fetched"),
        ({"skill": "amzn1.ask.skill.2"}, 400, "another skill"),
        ({"skill": ""}, 400, "another skill"),
    ],
)
def test_who_cannot_prove_to_be_alexa_is_refused(serve, more, status, rule):
    client, services = serve()

    found = talk(client, services, LAUNCH, **more)

    assert (found.status_code, rule in found.json()["detail"]) == (status, True)
    assert not services.prompts.by_session


@pytest.mark.parametrize(
    ("seconds", "status"),
    [(TOLERANCE_SECONDS, 200), (TOLERANCE_SECONDS + 1, 400), (-TOLERANCE_SECONDS, 200), (-TOLERANCE_SECONDS - 1, 400)],
)
def test_a_request_is_good_for_150_seconds(serve, seconds, status):
    client, services = serve()
    at = (NOW - timedelta(seconds=seconds)).isoformat() + "Z"

    assert talk(client, services, {**LAUNCH, "timestamp": at}).status_code == status


def test_a_signed_body_that_is_no_request_is_told(serve):
    client, _ = serve()
    for body in (
        b"{}",
        b"[]",
        b"nothing",
        json.dumps({"version": "1.0", "request": {"type": "LaunchRequest"}}).encode(),
    ):
        headers = {"Signature-256": sign(body), "SignatureCertChainUrl": URL}
        assert Client(client.app).post(ALEXA, content=body, headers=headers).status_code == 422
    assert Client(serve(alexa=None)[0].app).post(ALEXA, content=b"{}").status_code == 404


def test_the_shops_server_gets_the_token_that_alexa_sends(serve):
    client, services = serve()

    link = client.post(LINKS, json={"customer": "c-1"}).json()

    assert link["expiresAt"] == "2026-11-21T12:00:00Z"
    heard = talk(client, services, LAUNCH, token=link["accessToken"], played="p-1").json()
    assert heard["response"]["outputSpeech"]["text"] == "Gefiel dir Kettle?"
