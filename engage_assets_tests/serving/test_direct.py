"""What is served past the framework is served as the framework would."""

import asyncio

import pytest
from fastapi import Request, Response

from engage_assets.serving import app as application
from engage_assets.serving.app import create_app
from engage_assets.serving.direct import Direct, Directly
from engage_assets_tests.serving.clients import Client, a_key
from engage_assets_tests.serving.fake_prompts import FakePrompts
from engage_assets_tests.serving.fakes import FakeContacts, FakeStore, a_marketplace, a_row, some_services
from engage_assets_tests.serving.test_voice import ANSWER, NEXT, speaking

ASK = {"customer": "c-1", "sessionId": "s-1"}
SAY = {"promptId": "0" * 32, "customer": "c-1", "answer": "yes"}


@pytest.fixture
def ways(tmp_path, monkeypatch):
    """The same service twice, the second without direct routes; a key of each scope."""
    voice, other = a_key({"voice"}, per_minute=3), a_key({"metrics:read"})

    def a_client() -> Client:
        store = FakeStore(a_row(voice_eligible=True))
        parts = {"programs": speaking(), "marketplaces": {"DE": a_marketplace()}, "store": store, "writer": store}
        names = {"subject_name": lambda _program, _subject: "Kettle", "prompts": FakePrompts()}
        contacts = FakeContacts(keys=[voice[0], other[0]])
        return Client(create_app(some_services(tmp_path, contacts=contacts, **parts, **names), lambda: 1000.0))

    direct = a_client()
    for name in ("direct_routes", "direct_registration"):
        monkeypatch.setattr(application, name, lambda *_: {})
    return direct, a_client(), voice[1], other[1]


@pytest.mark.parametrize(
    ("path", "body", "statuses"),
    [
        (NEXT, ASK, [200, 200, 200, 429]),
        (NEXT, {**ASK, "program": "none"}, [404, 404, 404, 429]),
        (NEXT, {**ASK, "sessionId": 1}, [422, 422, 422, 429]),
        (ANSWER, SAY, [404, 404, 404, 429]),
        (ANSWER, {**SAY, "answer": "pardon", "locale": "en"}, [200, 200, 200, 429]),
        (ANSWER, {**SAY, "answer": "x" * 70_000}, [413, 413, 413, 413]),
    ],
)
def test_both_ways_give_the_same_answers(ways, path, body, statuses):
    direct, plain, key, _ = ways

    found = [[client.post(path, json=body, headers=key) for _ in statuses] for client in (direct, plain)]

    assert [one.status_code for one in found[0]] == statuses
    for one, other in zip(*found, strict=True):
        assert (one.status_code, one.content, one.headers) == (other.status_code, other.content, other.headers)


@pytest.mark.parametrize("path", [NEXT, ANSWER])
@pytest.mark.parametrize(("method", "status"), [("GET", 405), ("PUT", 405), ("HEAD", 405), ("POST", 403)])
def test_other_methods_and_other_keys_are_refused_alike(ways, path, method, status):
    direct, plain, _, key = ways

    one, other = (client.send(method, path, headers=key) for client in (direct, plain))

    assert one.status_code == status
    assert (one.status_code, one.content, one.headers) == (other.status_code, other.content, other.headers)


def test_requests_are_counted_under_the_same_names(ways):
    lines = []
    for client in ways[:2]:
        client.post(NEXT, json=ASK, headers=ways[2])
        client.post(ANSWER, json=SAY, headers=ways[2])
        text = client.get("/metrics", headers=ways[3]).text.splitlines()
        lines.append([line for line in text if "/v1/voice" in line and "requests" in line])

    assert lines[0] == lines[1]
    assert len([line for line in lines[0] if not line.startswith("#")]) >= 2


@pytest.mark.parametrize("path", ["/registration/no-token", "/registration/", "/registration", "/registration/a/b"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_page_is_posted_to_alike(ways, path, method):
    direct, plain, *_ = ways

    one, other = (client.send(method, path) for client in (direct, plain))

    assert (one.status_code, one.content, one.headers) == (other.status_code, other.content, other.headers)


@pytest.mark.parametrize(
    ("method", "path", "seen"),
    [
        ("POST", "/page/token", "direct"),
        ("POST", "/page/", "application"),
        ("POST", "/page/token/more", "application"),
        ("POST", "/page", "application"),
        ("POST", "/whole", "direct"),
        ("POST", "/whole/more", "application"),
        ("GET", "/page/token", "application"),
    ],
)
def test_a_route_may_end_in_one_name(method, path, seen):
    found = []

    async def handle(_: Request) -> Response:
        found.append("direct")
        return Response()

    async def application(*_: object) -> None:
        found.append("application")

    async def send(_: object) -> None:
        pass

    routes = {"/page/": Direct("/page/{token}", handle), "/whole": Direct("/whole", handle)}
    asyncio.run(Directly(application, routes)({"type": "http", "method": method, "path": path}, None, send))

    assert found == [seen]
