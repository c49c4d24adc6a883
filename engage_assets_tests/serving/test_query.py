"""What the query API gives, and what its writes do: over the fake and over the SQLite store."""

import asyncio
import io
import json
import threading
from dataclasses import replace
from typing import Any

import orjson
import polars as pl
import pytest
from starlette.requests import ClientDisconnect

from engage_assets.domain.ports import StatusChange
from engage_assets.domain.responses import Preferences, Response
from engage_assets.serving import answers, channels
from engage_assets.serving.app import create_app
from engage_assets.stores.sqlite import SqliteCandidateStore
from engage_assets_tests.builders import a_candidate, a_program, candidates
from engage_assets_tests.serving.clients import Client, a_key
from engage_assets_tests.serving.fakes import NOW, FakeContacts, FakeStore, a_row, key_of, some_services

BOTH = {
    "product-reviews": a_program(
        channels=[
            {"channelId": "mail", "type": "email", "minScore": 0.3, "config": {"templateId": "t", "sendTime": "10:00"}},
            {
                "channelId": "shop",
                "type": "in-app",
                "minScore": 0.0,
                "config": {"bannerType": "top", "displayDuration": 7, "placement": "home"},
            },
        ]
    ),
    "other-reviews": a_program(programId="other-reviews"),
    "resting-reviews": a_program(programId="resting-reviews", enabled=False),
}
CHANNEL = "/v1/programs/product-reviews/channels/mail/candidates"
CUSTOMER = "/v1/customers/c-1/candidates"
ONE = "/v1/customers/c-1/programs/product-reviews/candidates/DE/product/p-1"
REFRESH = "/v1/customers/c-1/programs/product-reviews/candidates/refresh"


def sqlite(tmp_path, rows):
    """The rows in a real store, brought there as batches and the relay bring them."""
    store = SqliteCandidateStore(tmp_path / "candidates.db")
    for program in {row["program"] for row in rows}:
        given = [row for row in rows if row["program"] == program]
        frame = candidates(*({name: row[name] for name in a_candidate() if name in row} for row in given))
        store.put(BOTH[program], given[0]["partition_date"], [frame], given[0]["created_at"])
    store.advance([StatusChange(key_of(row), row["status"], NOW) for row in rows if row["status"] != "active"])
    return store


@pytest.fixture(params=["fake", "sqlite"])
def serve(request, tmp_path):
    """`serve(*rows, **changes)`: a client with all scopes of a service over these rows, and the service."""

    def served(*rows: dict[str, Any], **changes: Any) -> tuple[Client, Any]:
        key, show = a_key()
        store: Any = FakeStore(*rows) if request.param == "fake" else sqlite(tmp_path, rows)
        parts = {"programs": BOTH, "store": store, "writer": store, "contacts": FakeContacts(keys=[key])}
        services = some_services(tmp_path, **(parts | changes))
        return Client(create_app(services), show), services

    return served


def subjects(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["subjectId"] for one in answer.json()["items"]]


def some(number: int, **changes: Any) -> list[dict[str, Any]]:
    """Rows of different customers and subjects, best first."""
    return [
        a_row(customer_id=f"c-{n}", subject_id=f"p-{n:05}", score=round(1 - n / 1e5, 6), **changes)
        for n in range(number)
    ]


def test_a_channel_gives_its_best_first_from_its_own_lowest_score(serve):
    rows = [
        a_row(subject_id="low", score=0.29),
        a_row(subject_id="least", score=0.3),
        a_row(subject_id="best", score=0.9),
        a_row(subject_id="by-app", email_eligible=False),
        a_row(subject_id="over", status="consumed"),
        a_row(subject_id="sent", score=0.7, status="delivered"),
        a_row(subject_id="other", program="other-reviews"),
    ]
    client, _ = serve(*rows)
    assert subjects(client.get(CHANNEL)) == ["best", "sent", "least"]
    assert subjects(client.get(CHANNEL, params={"minScore": 0.5, "exclude": ["delivered", "registered"]})) == ["best"]
    assert subjects(client.get(CHANNEL.replace("mail", "email"), params={"limit": 1})) == ["best"]
    assert subjects(client.get(CHANNEL.replace("mail", "shop"), params={"limit": 2})) == ["best", "by-app"]


def test_pages_follow_each_other_and_hold_a_thousand_at_most(serve):
    client, _ = serve(*some(1_203))
    found, cursor, lengths = [], None, []
    while True:
        answer = client.get(CHANNEL, params={"limit": 100_000} | ({"cursor": cursor} if cursor else {}))
        lengths.append(len(subjects(answer)))
        found += subjects(answer)
        cursor = answer.json()["nextCursor"]
        if cursor is None:
            break
    assert lengths == [1_000, 203]
    assert found == [row["subject_id"] for row in some(1_203)]
    strange = client.get(CHANNEL, params={"cursor": "made-up-by-c-1"})
    assert strange.status_code == 400
    assert "made-up" not in strange.text


def test_streams_hold_the_rows_of_the_pages(serve):
    client, _ = serve(*some(1_203))
    items = client.get(CHANNEL, params={"limit": 1_000}).json()["items"]
    lines = client.get(CHANNEL, params={"limit": 1_000}, headers={"Accept": "application/x-ndjson"})
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in lines.content.splitlines()] == items
    stream = client.get(CHANNEL, params={"limit": 1_100}, headers={"Accept": "application/vnd.apache.arrow.stream"})
    frame = pl.read_ipc_stream(io.BytesIO(stream.content))
    assert frame.height == 1_100
    assert frame.schema["eventAt"] == pl.Datetime("us", "UTC")
    assert json.loads(orjson.dumps(frame.head(1_000).to_dicts(), option=orjson.OPT_UTC_Z)) == items


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json;q=0.9", "application/json"),
        ("text/html, application/x-ndjson", "application/x-ndjson"),
        ("text/csv", None),
    ],
)
def test_the_first_media_type_on_offer_is_given(serve, accept, given):
    client, _ = serve(a_row())
    answer = client.get(CHANNEL, headers={"Accept": accept})
    assert answer.status_code == (200 if given else 406)
    assert not given or answer.headers["content-type"] == given


def test_an_empty_stream_is_whole(serve):
    client, _ = serve()
    stream = client.get(CHANNEL, headers={"Accept": "application/vnd.apache.arrow.stream"})
    frame = pl.read_ipc_stream(io.BytesIO(stream.content))
    assert (frame.height, "customerId" in frame.columns) == (0, True)
    assert client.get(CHANNEL, headers={"Accept": "application/x-ndjson"}).content == b""


def test_a_stream_reads_on_only_as_it_is_taken():
    taken = []

    def frames():
        for number in range(100):
            taken.append(number)
            yield pl.DataFrame({"customer_id": [f"c-{number}-{place}" for place in range(1_000)]})

    for encode in (answers.lines, answers.arrow):
        taken.clear()
        chunks = encode({"customer_id": pl.String()}, frames())
        next(chunks)
        assert len(taken) == 1
        chunks.close()


@pytest.mark.parametrize("encode", [answers.lines, answers.arrow])
def test_a_stream_that_is_left_or_not_taken_lets_the_store_go(encode, monkeypatch):
    monkeypatch.setattr(answers, "STREAM_SECONDS", 0.05)
    ended = []

    def rows():
        try:
            while True:
                yield pl.DataFrame({"customer_id": ["c-1"] * 5_000})
        finally:
            ended.append("rows")

    async def never():
        await asyncio.Event().wait()

    async def leaves(message):
        if message["type"] == "http.response.body":
            raise ConnectionResetError

    async def takes_nothing(message):
        await never()

    for send, outcome in ((leaves, ClientDisconnect), (takes_nothing, TimeoutError)):
        ended.clear()
        stream = answers.Stream(encode({"customer_id": pl.String()}, rows()), "x/y", lambda: ended.append("stream"))
        with pytest.raises(outcome):
            asyncio.run(stream({"type": "http", "asgi": {"spec_version": "2.4"}}, never, send))
        assert ended[-1] == "stream"
        assert "rows" in ended or send is takes_nothing, "nothing had been read yet"


def test_so_many_streams_at_once_and_their_places_are_given_back(serve, monkeypatch):
    monkeypatch.setattr(channels, "STREAMS", 1)
    client, _ = serve(a_row())
    assert [client.get(CHANNEL, headers={"Accept": "application/x-ndjson"}).status_code for _ in range(3)] == [200] * 3
    monkeypatch.setattr(channels, "STREAMS", 0)
    full = client.get(CHANNEL, headers={"Accept": "application/x-ndjson"})
    assert (full.status_code, full.headers["retry-after"]) == (503, "5")


def test_a_customer_gets_what_the_channel_takes(serve):
    rows = [
        a_row(subject_id="best", score=0.9),
        a_row(subject_id="sent", status="delivered"),
        a_row(subject_id="no-mail", score=0.7, email_eligible=False),
        a_row(subject_id="over", status="consumed"),
        a_row(subject_id="other", score=0.6, program="other-reviews"),
        a_row(subject_id="rest", program="resting-reviews"),
        a_row(subject_id="old", expires_at=NOW),
        a_row(subject_id="theirs", customer_id="c-2"),
    ]
    client, _ = serve(*rows)
    every = client.get(CUSTOMER)
    assert subjects(every) == ["best", "sent", "no-mail", "other"]
    assert (every.json()["totalCount"], every.json()["filteredCount"]) == (6, 2)
    assert subjects(client.get(CUSTOMER, params={"channel": "email"})) == ["best", "other"]
    assert subjects(client.get(CUSTOMER, params={"channel": "shop"})) == ["best", "sent", "no-mail", "other"]
    assert subjects(client.get(CUSTOMER, params={"channel": "mail", "program": "product-reviews"})) == ["best"]
    assert subjects(client.get(CUSTOMER, params={"limit": 1})) == ["best"]
    assert subjects(client.get("/v1/customers/nobody/candidates")) == []


def test_scores_are_left_out_on_request(serve):
    client, _ = serve(a_row())
    whole = client.get(CUSTOMER).json()["items"][0]
    bare = client.get(CUSTOMER, params={"includeScores": False}).json()["items"][0]
    assert whole.keys() - bare.keys() == {"probability", "score", "band", "modelVersion"}


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        (Preferences(), ["p-1", "p-2", "p-3"]),
        (Preferences(everything=True), []),
        (Preferences(programs=frozenset({"product-reviews"})), ["p-3"]),
        (Preferences(channels=frozenset({"email"})), ["p-1"]),
        (Preferences(channels=frozenset({"email", "in-app"})), []),
    ],
)
def test_a_refreshed_query_leaves_out_what_is_no_longer_wanted(serve, wanted, left):
    rows = [
        a_row(),
        a_row(subject_id="p-2", score=0.7, in_app_eligible=False),
        a_row(subject_id="p-3", score=0.6, program="other-reviews", in_app_eligible=False),
        a_row(subject_id="p-4", score=0.5),
    ]
    client, services = serve(*rows)
    services.contacts.wanted["c-1"] = wanted
    services.contacts.responses.append(Response("product-reviews", "c-1", "DE", "product", "p-4", 5, NOW))
    before = client.get(CUSTOMER)
    after = client.get(CUSTOMER, params={"refreshEligibility": True})
    assert (len(subjects(before)), before.json()["eligibilityRefreshed"]) == (4, False)
    assert (subjects(after), after.json()["eligibilityRefreshed"]) == (left, True)
    assert after.json()["filteredCount"] == 4 - len(left)


def test_a_check_that_cannot_be_made_gives_nobody_on_a_guess(serve):
    class Down(FakeContacts):
        def preferences(self, customer_id):
            raise OSError("no route to the database")

    key, show = a_key()
    client, _ = serve(a_row(), contacts=Down(keys=[key]))
    answer = client.get(CUSTOMER, params={"refreshEligibility": True}, headers=show)
    assert subjects(answer) == []
    assert (answer.json()["degraded"], answer.json()["eligibilityRefreshed"]) == (True, False)
    assert subjects(client.get(CUSTOMER, headers=show)) == ["p-1"]


def test_a_batch_gives_each_customer_what_the_single_query_gives(serve):
    rows = [a_row(customer_id=f"c-{n % 20}", subject_id=f"p-{n}", score=n / 100) for n in range(100)]
    client, _ = serve(*rows)
    asked = ["c-3", "nobody", *(f"c-{n}" for n in range(20))]
    body = {"customers": asked, "channel": "mail", "limit": 3, "includeScores": False}
    results = client.post("/v1/candidates/query", json=body).json()["results"]
    assert [one["customerId"] for one in results] == list(dict.fromkeys(asked))
    for one in results:
        single = client.get(
            f"/v1/customers/{one['customerId']}/candidates",
            params={"channel": "mail", "limit": 3, "includeScores": False},
        )
        assert one == single.json()
        assert {item["customerId"] for item in one["items"]} <= {one["customerId"]}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"customers": []},
        {"customers": ["a\u0000"]},
        {"customers": ["c"], "secret": "c-1"},
        {"customers": ["c"] * 1001},
    ],
)
def test_a_batch_of_another_form_is_refused_without_repeating_it(serve, body):
    client, _ = serve(a_row())
    answer = client.post("/v1/candidates/query", json=body)
    assert answer.status_code == 422
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/v1/programs/nope/channels/mail/candidates", ["other-reviews", "product-reviews", "resting-reviews"]),
        ("/v1/programs/product-reviews/channels/fax/candidates", ["mail", "shop"]),
        ("/v1/programs/nope/registrations", ["other-reviews", "product-reviews", "resting-reviews"]),
        (f"{CUSTOMER}?program=nope", ["other-reviews", "product-reviews", "resting-reviews"]),
        (f"{CUSTOMER}?channel=fax", ["email", "mail", "shop"]),
        (f"{CUSTOMER}?channel=shop&program=other-reviews", ["email"]),
    ],
)
def test_an_unknown_name_is_404_with_those_that_are_known(serve, path, known):
    client, _ = serve(a_row())
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["known"] == known


def test_a_program_that_rests_gives_nothing(serve):
    client, _ = serve(a_row(program="resting-reviews"))
    resting = client.get("/v1/programs/resting-reviews/channels/email/candidates")
    assert (subjects(resting), resting.json()["nextCursor"]) == ([], None)
    lines = client.get(
        "/v1/programs/resting-reviews/channels/email/candidates", headers={"Accept": "application/x-ndjson"}
    )
    assert lines.content == b""


def test_consumed_is_written_once_and_is_served_no_more(serve):
    client, services = serve(a_row())
    marked = [client.post(f"{ONE}/consumed", params={"channel": "shop"}).json() for _ in range(2)]
    assert [(one["status"], one["changed"]) for one in marked] == [("consumed", True), ("consumed", False)]
    row = services.store.get(key_of(a_row()), NOW)
    assert (row["status"], row["version"]) == ("consumed", 2)
    assert subjects(client.get(CUSTOMER)) == []
    assert client.post(f"{ONE}x/consumed").status_code == 404


def test_what_has_ended_otherwise_cannot_become_consumed(serve):
    client, services = serve(a_row(status="attended"))
    answer = client.post(f"{ONE}/consumed")
    assert (answer.status_code, "attended" in answer.json()["detail"]) == (409, True)
    assert services.store.get(key_of(a_row()), NOW)["status"] == "attended"


def test_a_delete_is_no_fault_when_there_is_nothing(serve):
    client, services = serve(a_row(), a_row(subject_id="p/2"))
    assert [client.delete(ONE).status_code for _ in range(2)] == [204, 204]
    assert services.store.get(key_of(a_row()), NOW) is None
    assert subjects(client.get(CUSTOMER)) == ["p/2"]
    assert client.delete(ONE.replace("p-1", "p%2F2")).status_code == 204
    assert subjects(client.get(CUSTOMER)) == []


def test_a_refresh_writes_down_what_the_ledger_says(serve):
    rows = [a_row(), a_row(subject_id="p-2", score=0.7), a_row(subject_id="p-3", program="other-reviews", score=0.6)]
    client, services = serve(*rows)
    services.contacts.responses.append(Response("product-reviews", "c-1", "DE", "product", "p-1", 5, NOW))
    services.contacts.wanted["c-1"] = Preferences(channels=frozenset({"email"}))
    done = [client.post(REFRESH) for _ in range(2)]
    assert [subjects(one) for one in done] == [["p-2"], ["p-2"]]
    assert [(one.json()["checkedCount"], one.json()["removedCount"]) for one in done] == [(2, 1), (1, 0)]
    assert services.store.get(key_of(rows[0]), NOW)["status"] == "consumed"
    assert not services.store.get(key_of(rows[1]), NOW)["email_eligible"]
    services.contacts.wanted["c-1"] = Preferences(everything=True)
    assert subjects(client.post(REFRESH)) == []
    assert subjects(client.get(CUSTOMER)) == ["p-3"], "the refresh is of one program"


def test_a_write_says_so_when_the_database_does_not_answer(tmp_path):
    class Locked(FakeStore):
        def advance(self, changes):
            raise OSError("database is locked")

    key, show = a_key()
    store = Locked(a_row())
    services = replace(some_services(tmp_path), store=store, writer=store, contacts=FakeContacts(keys=[key]))
    answer = Client(create_app(services), show).post(f"{ONE}/consumed")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "locked" not in answer.text


def test_a_remote_store_is_asked_in_threads_and_its_silence_is_503(tmp_path):
    class Silent(FakeStore):
        def of_customer(self, *_, **__):
            assert threading.current_thread() is not threading.main_thread()
            raise TimeoutError("10.0.0.7 does not answer")

    key, show = a_key()
    store = Silent(a_row())
    services = replace(some_services(tmp_path), store=store, contacts=FakeContacts(keys=[key]), store_is_remote=True)
    client = Client(create_app(services), show)
    assert subjects(client.get("/v1/programs/product-reviews/channels/email/candidates")) == ["p-1"]
    assert client.get(CHANNEL.replace("mail", "email"), params={"cursor": "x"}).status_code == 400
    assert client.get(CUSTOMER).status_code == 503
