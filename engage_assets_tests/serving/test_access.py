"""Who may ask, how often and how much; what every answer carries; what logs and measures never hold."""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from engage_assets.domain.errors import EngageError
from engage_assets.domain.responses import LATENCY_BUCKETS
from engage_assets.serving.access import BANNERS, METRICS, READ, REMEMBERED_SECONDS, SCOPES, VOICE, WRITE, make_key
from engage_assets.serving.app import create_app
from engage_assets.serving.limits import Buckets
from engage_assets.serving.observe import Measures
from engage_assets_tests.builders import a_program
from engage_assets_tests.serving.clients import Client, a_key
from engage_assets_tests.serving.fakes import NOW, FakeContacts, FakeStore, FixedClock, a_row, some_services
from engage_assets_tests.serving.gatherings import event_program, send_of

CUSTOMER = "/v1/customers/c-1/candidates"
ONE = "/v1/customers/c-1/programs/product-reviews/candidates/DE/product/p-1"
BANNER = "b" * 32
NEEDS = {
    ("GET", CUSTOMER): READ,
    ("GET", "/v1/programs/product-reviews/channels/email/candidates"): READ,
    ("POST", "/v1/candidates/query"): READ,
    ("GET", "/v1/programs/product-reviews/registrations"): READ,
    ("GET", "/v1/programs/product-reviews/customers/c-1/subjects/p-1/explanation"): READ,
    ("POST", f"{ONE}/consumed"): WRITE,
    ("DELETE", ONE): WRITE,
    ("POST", "/v1/customers/c-1/programs/product-reviews/candidates/refresh"): WRITE,
    ("POST", "/v1/voice/next-prompt"): VOICE,
    ("POST", "/v1/voice/answer"): VOICE,
    ("POST", "/v1/voice/links"): VOICE,
    ("GET", "/v1/programs/event-invitations/banners?customerId=c-1"): BANNERS,
    ("POST", f"/v1/programs/event-invitations/banners/{BANNER}/displayed"): BANNERS,
    ("POST", f"/v1/programs/event-invitations/banners/{BANNER}/clicked"): BANNERS,
    ("GET", "/metrics"): METRICS,
}
"""Every route that needs a key, and the scope."""
BODIES = {
    "query": b'{"customers": ["c-1"]}',
    "next-prompt": b'{"customer": "c-1", "sessionId": "s-1"}',
    "answer": b'{"customer": "c-1", "promptId": "%s", "answer": "pardon", "locale": "en"}' % (b"0" * 32),
    "links": b'{"customer": "c-1"}',
}
"""A body that each of them takes, by the end of its path."""


class Seconds:
    """A clock of seconds that a test sets."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def a_client(tmp_path, *keys, seconds=None, **changes):
    contacts = FakeContacts(send_of("c-1", "e-1", send_id=BANNER, channel="in-app"), keys=keys)
    programs = {one.program_id: one for one in (a_program(), event_program())}
    services = some_services(tmp_path, **({"contacts": contacts, "programs": programs} | changes))
    return Client(create_app(services, seconds or Seconds())), services


@pytest.mark.parametrize(("method", "path"), NEEDS)
def test_each_route_needs_a_key_with_its_scope(tmp_path, method, path):
    scope = NEEDS[method, path]
    (right, show), (wrong, show_wrong) = a_key([scope]), a_key(SCOPES - {scope})
    client, services = a_client(tmp_path, right, wrong)
    nothing = client.send(method, path)
    assert (nothing.status_code, nothing.headers["www-authenticate"]) == (401, 'Bearer realm="engage"')
    refused = client.send(method, path, headers=show_wrong)
    assert refused.status_code == 403
    assert f'scope="{scope}"' in refused.headers["www-authenticate"]
    assert services.store.rows, "nothing was deleted"
    body = BODIES.get(path.rpartition("/")[2], b"")
    assert client.send(method, path, headers=show, content=body).is_success


def test_every_route_of_the_api_is_in_the_table_above(tmp_path):
    client, _ = a_client(tmp_path)
    paths = client.app.openapi()["paths"]
    keyed = [(path, method) for path, methods in paths.items() for method, one in methods.items() if "security" in one]
    assert len(keyed) == len(NEEDS)
    signed = ("/v1/events", "/v1/voice/alexa", "/v1/programs/{program}/attendance")
    api = {path for path in paths if path.startswith("/v1") and not path.startswith(signed)}
    assert {path for path, _ in keyed} == api | {"/metrics"}


def test_a_malformed_body_without_a_key_is_401(tmp_path):
    client, _ = a_client(tmp_path)
    assert (
        client.post("/v1/candidates/query", content=b"{", headers={"Content-Type": "application/json"}).status_code
        == 401
    )


def test_an_unknown_key_is_answered_like_a_wrong_secret(tmp_path):
    key, show = a_key()
    client, _ = a_client(tmp_path, key)
    text = show["Authorization"]
    wrong_secret = text[:-1] + ("A" if text[-1] != "A" else "B")
    unknown_id = text.replace(key.key_id, "0" * 12)
    answers = [client.get(CUSTOMER, headers={"Authorization": one}) for one in (wrong_secret, unknown_id)]
    assert [one.status_code for one in answers] == [401, 401]
    assert answers[0].content == answers[1].content
    assert answers[0].headers == answers[1].headers


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ek_", "Bearer ek__", "Bearer x", "Basic {0}", "Bearer {0}x", "{0}"]
)
def test_what_is_no_key_opens_nothing(tmp_path, header):
    key, show = a_key()
    client, _ = a_client(tmp_path, key)
    text = header.format(show["Authorization"].removeprefix("Bearer "))
    assert client.get(CUSTOMER, headers={"Authorization": text}).status_code == 401


def test_a_revocation_acts_within_five_seconds(tmp_path):
    key, show = a_key()
    seconds = Seconds()
    client, services = a_client(tmp_path, key, seconds=seconds)
    assert [client.get(CUSTOMER, headers=show).status_code for _ in range(3)] == [200] * 3
    assert services.contacts.asked == 1, "a key is remembered for a moment"
    services.contacts.keys[key.key_id] = replace(key, revoked_at=NOW)
    seconds.now += REMEMBERED_SECONDS
    assert REMEMBERED_SECONDS <= 5
    assert client.get(CUSTOMER, headers=show).status_code == 401


def test_keys_that_cannot_be_looked_up_open_nothing(tmp_path):
    key, show = a_key()
    client, services = a_client(tmp_path, key)
    services.contacts.is_down = True
    answer = client.get(CUSTOMER, headers=show)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_a_key_may_ask_so_often_a_minute_and_others_go_on(tmp_path):
    (busy, show_busy), (other, show_other) = a_key(per_minute=2), a_key()
    seconds = Seconds()
    client, _ = a_client(tmp_path, busy, other, seconds=seconds)
    asked = [client.get(CUSTOMER, headers=show_busy) for _ in range(3)]
    assert [one.status_code for one in asked] == [200, 200, 429]
    assert asked[2].headers["retry-after"] == "31"
    assert client.get(CUSTOMER, headers=show_other).status_code == 200
    seconds.now += 31
    assert [client.get(CUSTOMER, headers=show_busy).status_code for _ in range(2)] == [200, 429]


def test_buckets_hold_a_minute_at_most():
    seconds = Seconds()
    buckets = Buckets(seconds)
    buckets.take("k", 60)
    seconds.now += 3600
    assert sum(buckets.take("k", 60) == 0 for _ in range(200)) == 60
    assert buckets.take("none", 0) == 60


def test_a_key_is_stored_as_a_hash_and_made_of_256_random_bits():
    given = []
    key, text = make_key("shop", [READ], NOW, random_bytes=lambda size: given.append(size) or b"\xfb" * size)
    assert given == [6, 32]
    assert text == "ek_fbfbfbfbfbfb_-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s"
    assert key.key_id == "fb" * 6
    assert text.split("_", 2)[2] not in repr(key)
    with pytest.raises(EngageError, match="candidates:read"):
        make_key("shop", ["candidates:raed"], NOW)


def test_a_large_body_is_413_with_and_without_its_length(tmp_path):
    key, show = a_key()
    client, services = a_client(tmp_path, key)
    most = services.limits.body_bytes

    def in_chunks(size):
        async def chunks():
            for start in range(0, size, 1000):
                yield b" " * min(1000, size - start)

        return chunks()

    for size, status in ((most + 1, 413), (most, 422)):
        for content in (b" " * size, in_chunks(size)):
            answer = client.post("/v1/candidates/query", content=content, headers=show)
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/v1/candidates/query", content=b" " * (most + 1), headers=show | form).status_code == 413


class BrokenStore(FakeStore):
    def of_customer(self, customer_id, program_id, now, **_):
        raise RuntimeError(f"cannot read {customer_id}")


def test_every_answer_has_security_headers_and_errors_tell_nothing(tmp_path, caplog):
    key, show = a_key()
    client, _ = a_client(tmp_path, key, store=BrokenStore(a_row()))
    with caplog.at_level(logging.INFO):
        found = {
            200: client.get("/healthz"),
            401: client.get(CUSTOMER),
            404: client.get("/nothing/here"),
            405: client.send("PATCH", "/healthz"),
            413: client.post("/v1/candidates/query", content=b" " * 10**6, headers=show),
            500: client.get(f"{CUSTOMER}?program=product-reviews", headers=show),
        }
    for status, answer in found.items():
        assert answer.status_code == status
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cache-control"] == "no-store"
    assert found[500].json()["detail"] == "the service failed; the log names the place"
    written = [record.getMessage() for record in caplog.records if record.name.startswith("engage_assets")]
    assert any("RuntimeError" in line and "test_access.py" in line for line in written), "the log names class and place"
    assert any('"route":"/v1/customers/{customer}/candidates","status":500' in line for line in written)
    secret = show["Authorization"].split("_", 2)[2]
    assert not any(part in line for line in written for part in ("c-1", "program=", secret, "nothing/here"))


def test_minutes_are_handed_to_the_ledger_and_the_present_one_again(tmp_path):
    contacts, clock = FakeContacts(), FixedClock(NOW)
    measures = Measures(clock, "web-1")
    for status, seconds in ((200, 0.001), (200, 0.0011), (503, 7.0)):
        measures.add("GET", "/v1/x", status, seconds)
    measures.add("GET", "/healthz", 200, 0.001)
    asyncio.run(measures.flush(contacts))
    measures.add("GET", "/v1/x", 200, 0.001)
    clock.time = NOW + timedelta(minutes=1)
    measures.add("GET", "/v1/x", 200, 0.2)
    asyncio.run(measures.flush(contacts))
    first, second = contacts.minutes[NOW, "web-1"], contacts.minutes[clock.time, "web-1"]
    assert (first.requests, first.errors) == (4, 1)
    assert {bound: number for bound, number in first.buckets.items() if number} == {"0.001": 2, "0.002": 1, "inf": 1}
    assert list(first.buckets) == [*(str(bound) for bound in LATENCY_BUCKETS), "inf"]
    assert second.requests == 1
    contacts.minutes.clear()
    asyncio.run(measures.flush(contacts))
    assert list(contacts.minutes) == [(clock.time, "web-1")], "what is over is forgotten once it is kept"


def test_idle_minutes_are_reported_too_but_not_those_that_a_clock_jumped_over():
    contacts, clock = FakeContacts(), FixedClock(NOW)
    measures = Measures(clock, "web-1")
    for minute in (0, 1, 3, 5_000):
        clock.time = NOW + timedelta(minutes=minute, seconds=30)
        asyncio.run(measures.flush(contacts))
    assert [start for start, _ in sorted(contacts.minutes)] == [
        NOW + timedelta(minutes=at) for at in (0, 1, 2, 3, 5_000)
    ]
    assert not any(row.requests for row in contacts.minutes.values())


def test_minutes_wait_while_the_ledger_is_down():
    class Down(FakeContacts):
        def measured(self, minutes):
            raise OSError("no route to the database")

    clock = FixedClock(NOW)
    measures = Measures(clock, "web-1")
    measures.add("GET", "/v1/x", 200, 0.001)
    asyncio.run(measures.flush(Down()))
    clock.time += timedelta(minutes=5)
    contacts = FakeContacts()
    asyncio.run(measures.flush(contacts))
    assert contacts.minutes[NOW, "web-1"].requests == 1


def test_it_is_ready_once_the_store_is_read_and_the_ledger_answers(tmp_path):
    key, show = a_key([METRICS])
    client, services = a_client(tmp_path, key)
    cold = client.get("/readyz")
    assert (client.get("/healthz").status_code, cold.status_code) == (200, 503)
    assert "engage_ready 0.0" in client.get("/metrics", headers=show).text

    async def live():
        async with client.app.router.lifespan_context(client.app):
            for _ in range(1000):
                if (await client._send("GET", "/readyz")).is_success:
                    break
            services.contacts.is_down = True
            down = await client._send("GET", "/readyz")
            services.contacts.is_down = False
            await client._send("GET", "/v1/x")
            return down

    assert asyncio.run(live()).status_code == 503
    assert services.store.is_warm
    assert [minute.requests for minute in services.contacts.minutes.values()] == [1], "flushed at the end"
    text = client.get("/metrics", headers=show).text
    assert 'engage_requests_total{method="GET",route="/readyz",status="503"}' in text
    assert 'engage_request_seconds_bucket{le="+Inf",route="/readyz"}' in text
    assert "engage_ready 1.0" in text
