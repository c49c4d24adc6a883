import json
import random
from datetime import UTC

import pytest

from engage_assets.domain.signatures import sign
from engage_assets.serving.webhooks import is_signed
from engage_assets_tests.builders import instant
from engage_assets_tests.serving.fakes import NOW, SEND_ID, FakeContacts, a_send, some_services
from engage_assets_tests.serving.visits import a_visitor

SECRETS = {"generic": b"g" * 32, "ses": b"s" * 32}
OTHER = "f" * 32
SECONDS = int(NOW.replace(tzinfo=UTC).timestamp())
CANARY = "ada@example.invalid"


def a_service(tmp_path, *others, **changes):
    services = some_services(tmp_path, contacts=FakeContacts(a_send(), *others), **changes)
    return services, a_visitor(services)


def post(client, form, body, **header):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signed = f"t={SECONDS},v1={sign(raw, SECONDS, SECRETS.get(form, b''))}"
    return client.post(f"/v1/events/{form}", content=raw, headers={"X-Engage-Signature": signed} | header)


def an_event(**changes):
    return {"id": "e-1", "sendId": SEND_ID, "type": "delivered", "at": "2026-11-20T10:00:00Z"} | changes


def an_ses_event(kind="Bounce", message_id=f"<{SEND_ID}@de.shop.example>", **detail):
    bounce = {"bounceType": "Permanent", "bounceSubType": "General", "feedbackId": "0100-f"} if kind == "Bounce" else {}
    key = kind.lower()
    return {
        "eventType": kind,
        key: {"timestamp": "2026-11-20T10:00:01.250Z", f"{key}Recipients": [{"emailAddress": CANARY}]}
        | bounce
        | detail,
        "mail": {
            "timestamp": "2026-11-20T10:00:00.000Z",
            "messageId": "0100018d-ses",
            "destination": [CANARY],
            "headers": [{"name": "To", "value": CANARY}, {"name": "Message-ID", "value": message_id}],
            "commonHeaders": {"messageId": message_id, "to": [CANARY], "subject": "canary"},
        },
    }


def kept(services):
    found = services.contacts.interactions.values()
    return [(one.kind, one.source, one.at, one.is_permanent) for one in found]


def test_a_batch_is_counted_and_a_bad_entry_is_named_without_its_content(tmp_path):
    services, client = a_service(tmp_path)
    answer = post(
        client,
        "generic",
        {
            "events": [
                an_event(),
                an_event(),
                an_event(id="e-2", type="bounce", permanent=True, at="2026-11-20T12:00:00+02:00"),
                an_event(id="e-3", sendId=OTHER),
                an_event(type=CANARY),
                an_event(sendId=CANARY),
                an_event(at=CANARY),
                an_event(type="bounce"),
                CANARY,
            ]
        },
    )
    assert answer.json() == {
        "accepted": 2,
        "known": 1,
        "unknown": 1,
        "malformed": [
            {"index": 4, "reason": "type: one of delivered, bounce, complaint is needed"},
            {"index": 5, "reason": "sendId: a send's id is needed, 32 hex digits"},
            {"index": 6, "reason": "at: an ISO instant is needed"},
            {"index": 7, "reason": "permanent: true or false is needed for a bounce"},
            {"index": 8, "reason": "an object is needed"},
        ],
    }
    at = instant("2026-11-20 10:00")
    assert kept(services) == [("delivered", "generic", at, None), ("bounce", "generic", at, True)]


def test_events_five_times_and_shuffled_are_kept_once(tmp_path):
    services, client = a_service(tmp_path)
    events = [an_event(id=f"e-{number}", type=kind) for number, kind in enumerate(["delivered", "complaint"] * 20)]
    many = events * 5
    random.Random(5).shuffle(many)
    answers = [post(client, "generic", {"events": many[start : start + 25]}).json() for start in range(0, 200, 25)]
    assert sum(answer["accepted"] for answer in answers) == 40
    assert sum(answer["known"] for answer in answers) == 160
    assert len(kept(services)) == 40


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda event: event,
        lambda event: [event],
        lambda event: {"Type": "Notification", "MessageId": "sns-1", "Message": json.dumps(event)},
        lambda event: {"version": "0", "detail-type": "Email Bounced", "source": "aws.ses", "detail": event},
    ],
    ids=["bare", "list", "sns", "eventbridge"],
)
def test_events_of_ses_are_read_in_every_wrapping_and_counted_once(tmp_path, wrapped):
    services, client = a_service(tmp_path)
    for _ in range(2):
        assert post(client, "ses", wrapped(an_ses_event())).status_code == 200
    assert kept(services) == [("bounce", "ses", instant("2026-11-20 10:00:01.250"), True)]


def test_what_events_of_ses_mean(tmp_path):
    services, client = a_service(tmp_path)
    old = an_ses_event("Complaint", feedbackId="f-2")
    old["notificationType"] = old.pop("eventType")
    del old["mail"]["commonHeaders"]
    batch = [
        an_ses_event("Delivery", smtpResponse="250 ok"),
        an_ses_event(bounceType="Transient"),
        an_ses_event(bounceType="Undetermined", feedbackId="f-1"),
        old,
        an_ses_event("Open"),
        an_ses_event("Complaint", complaintFeedbackType="not-spam"),
        an_ses_event(message_id="<someone@else.example>"),
        an_ses_event(message_id=f"<{OTHER}@de.shop.example>"),
        {"Type": "SubscriptionConfirmation", "Message": "You have chosen", "SubscribeURL": "https://evil.example"},
        {"Type": "Notification", "Message": "{"},
    ]
    answer = post(client, "ses", batch)
    assert [(kind, permanent) for kind, _, _, permanent in kept(services)] == [
        ("delivered", None),
        ("bounce", False),
        ("bounce", False),
        ("complaint", None),
    ]
    assert (answer.json()["accepted"], answer.json()["unknown"]) == (4, 1)
    assert [one["index"] for one in answer.json()["malformed"]] == [4, 5, 6, 8, 9]
    assert CANARY not in answer.text + repr(services.contacts.interactions)


def test_only_what_is_signed_lately_with_the_forms_secret_is_taken(tmp_path):
    services, client = a_service(tmp_path)
    raw = json.dumps({"events": [an_event()]}).encode()
    good = sign(raw, SECONDS, SECRETS["generic"])

    def status(signature, body=raw):
        return client.post("/v1/events/generic", content=body, headers={"X-Engage-Signature": signature}).status_code

    refused = [
        "",
        good,
        f"v1={good}",
        f"t={SECONDS}",
        f"t={SECONDS},v1=",
        f"t={SECONDS},v1={good.upper()}",
        f"t={SECONDS + 1},v1={good}",
        f"t={SECONDS},t={SECONDS},v1={good}",
        f"t=²,v1={good}".encode(),
        f"t={'9' * 400},v1={good}",
        f"t={SECONDS},v1={sign(raw, SECONDS, SECRETS['ses'])}",
        *(f"t={then},v1={sign(raw, then, SECRETS['generic'])}" for then in (SECONDS - 301, SECONDS + 301)),
    ]
    assert {status(signature) for signature in refused} == {401}
    assert status(f"t={SECONDS},v1={good}", raw + b" ") == 401
    assert kept(services) == []
    then = SECONDS - 299
    assert status(f"t={then},v1={'0' * 64},v1={sign(raw, then, SECRETS['generic'])}") == 200


def test_every_changed_bit_of_a_signature_is_seen():
    good = bytes.fromhex(sign(b"{}", 1000, b"secret"))
    for bit in range(256):
        changed = (int.from_bytes(good) ^ 1 << bit).to_bytes(32).hex()
        assert not is_signed(b"{}", f"t=1000,v1={changed}", b"secret", 1000.0)
    assert is_signed(b"{}", f"t=1000, v1={good.hex()}", b"secret", 1000.0)


@pytest.mark.parametrize(
    ("form", "body", "status"),
    [
        ("generic", b"", 400),
        ("generic", b"{", 400),
        ("generic", b"[" * 20_000, 400),
        ("generic", b'{"events": [NaN]}', 400),
        ("generic", {"events": {}}, 400),
        ("generic", [], 400),
        ("generic", {"events": []}, 200),
        ("generic", {"events": [None, 1, [], {"type": []}, an_event(id="x" * 999)]}, 200),
        ("generic", {"events": [an_event(at=at) for at in ("0001-01-01T00:00+14:00", "2026-11-20T12:06Z")]}, 200),
        ("ses", {"eventType": ["Bounce"]}, 200),
        ("ses", {"eventType": "Bounce", "mail": []}, 200),
        ("ses", 7, 200),
        ("generic", b" " * 70_000, 413),
        ("other", {"events": []}, 404),
    ],
)  # fmt: skip
def test_bodies_that_are_none(tmp_path, form, body, status):
    services, client = a_service(tmp_path)
    assert post(client, form, body).status_code == status
    assert kept(services) == []


def test_a_form_without_a_secret_is_not_there(tmp_path):
    _, client = a_service(tmp_path, webhook_secrets={"ses": SECRETS["ses"], "generic": b""})
    assert post(client, "generic", {"events": []}).status_code == 404
