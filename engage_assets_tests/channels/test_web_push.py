"""Notifications to a push service on this machine, which checks the signature and reads the content as a browser."""

import json
from collections.abc import Iterator

import pytest
from py_vapid import Vapid02
from py_vapid.jwt import decode

from engage_assets.channels.web_push import LONGEST, Vapid, WebPushSender, read_subscription, topic
from engage_assets.domain.errors import EngageError
from engage_assets.domain.sends import Letter, TransientRefusal
from engage_assets_tests.channels.push_services import PushService, a_push_service

NOW = 1_800_000_000.0
SEND = "a" * 32


@pytest.fixture
def service() -> Iterator[PushService]:
    with a_push_service() as said:
        yield said


@pytest.fixture
def vapid() -> Vapid:
    key = Vapid02()
    key.generate_keys()
    return Vapid(key, "mailto:push@shop.example")


def a_letter(service: PushService, content: bytes = b'{"title": "t"}', send_id: str = SEND) -> Letter:
    return Letter(send_id, "p:push:2026-03-02:x", "", service.subscription, content)


def push(service, vapid, **more):
    line = WebPushSender(vapid, seconds=lambda: NOW).open()
    try:
        return line.hand_over(a_letter(service, **more))
    finally:
        line.close()


def test_a_browser_can_read_it_and_the_service_can_check_who_sends(service, vapid):
    answer = push(service, vapid, content="{“title”: 明日}".encode())
    headers, body = service.requests[0]
    assert answer.state == "sent"
    assert service.read(body).decode() == "{“title”: 明日}"
    assert (headers["TTL"], headers["Urgency"], headers["Content-Encoding"]) == ("14400", "normal", "aes128gcm")
    scheme, _, parameters = headers["Authorization"].partition(" ")
    token, key = (one.partition("=")[2] for one in parameters.split(","))
    assert (scheme, key) == ("vapid", vapid.public_key)
    claims = decode(token, key)  # raises where the signature is wrong
    assert claims == {"aud": service.url, "exp": int(NOW) + 12 * 3600, "sub": "mailto:push@shop.example"}


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        (201, "sent", None),
        (404, "failed", "PUSH_GONE"),
        (410, "failed", "PUSH_GONE"),
        (403, "failed", "TRANSPORT_REFUSED"),
        (301, "failed", "TRANSPORT_REFUSED"),
    ],
)
def test_what_an_answer_means(service, vapid, status, state, reason):
    service.status = status
    answer = push(service, vapid)
    assert (answer.state, answer.reason) == (state, reason)
    assert len(service.requests) == 1


@pytest.mark.parametrize(("status", "is_rate_limit"), [(429, True), (503, False)])
def test_what_may_be_tried_again(service, vapid, status, is_rate_limit):
    service.status = status
    with pytest.raises(TransientRefusal) as refusal:
        push(service, vapid)
    assert refusal.value.is_rate_limit == is_rate_limit
    assert "canary" not in str(refusal.value)


def test_a_service_that_is_not_there_took_nothing(service, vapid):
    service.url = "http://127.0.0.1:9"
    with pytest.raises(TransientRefusal, match="CONNECT"):
        push(service, vapid)


def test_a_send_has_one_topic_so_that_a_repeated_try_replaces_the_first(service, vapid):
    push(service, vapid)
    push(service, vapid)
    push(service, vapid, send_id="b" * 32)
    topics = [headers["Topic"] for headers, _ in service.requests]
    assert topics == [topic(SEND), topic(SEND), topic("b" * 32)]
    assert len(set(topics)) == 2
    assert all(len(one) <= 32 for one in topics)


def test_too_much_is_not_sent(service, vapid):
    assert push(service, vapid, content=b"x" * LONGEST).state == "sent"
    assert len(service.requests[0][1]) <= 4096
    assert push(service, vapid, content=b"x" * (LONGEST + 1)).reason == "MESSAGE_INVALID"


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example/x",
        "https://10.0.0.1/x",
        "http://169.254.169.254/latest",
        "https://localhost/x",
        "https://user@push.example/x",
        "file:///etc/passwd",
        "https://[::1]/x",
    ],
)
def test_addresses_that_are_no_push_service(service, endpoint):
    said = json.loads(service.subscription) | {"endpoint": endpoint}
    assert read_subscription(json.dumps(said)) is None
    assert read_subscription(json.dumps(said | {"endpoint": "https://push.example/x"})) is not None


@pytest.mark.parametrize("text", ["", "{}", "null", '{"endpoint": "https://p.example", "keys": {}}', "nonsense"])
def test_what_is_no_subscription_is_gone(vapid, text):
    line = WebPushSender(vapid).open()
    assert line.hand_over(Letter(SEND, "c", "", text, b"x")).reason == "PUSH_GONE"


def test_settings_that_are_none():
    with pytest.raises(EngageError, match="ENGAGE_VAPID_KEY is no private key"):
        Vapid.read("bm9uZQ", "mailto:a@shop.example")
    with pytest.raises(EngageError, match="ENGAGE_VAPID_CONTACT"):
        Vapid.read("x", "shop.example")
