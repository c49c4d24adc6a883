"""What every candidate store keeps, as it is written and as it is read. The same tests for each database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from itertools import count, product
from random import Random
from threading import Barrier
from typing import Any

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import CandidateKey, StatusChange, StoreCounts
from engage_assets.domain.statuses import RANK, may_follow
from engage_assets.stores.cursors import PLACE
from engage_assets.stores.opening import Store, open_store
from engage_assets_tests.builders import a_candidate, a_program, candidates, instant

PROGRAM = a_program()
DAY = date(2026, 11, 19)
NOW = instant("2026-11-20 02:45")


TIES = PLACE[2:]
EMAIL = ("product-reviews", "email")
_numbers = count()


@pytest.fixture(scope="module")
def database(postgres_server) -> str:
    return postgres_server.url(postgres_server.create())


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path) -> Store:
    """An empty store; that of PostgreSQL in a database that the module's tests share: making one takes longer."""
    if request.param == "sqlite":
        return open_store(tmp_path / "new" / "candidates.db")
    url = request.getfixturevalue("database")
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return open_store(url)


def put(store: Store, *rows: dict[str, object], day: date = DAY, now=NOW) -> StoreCounts:
    return store.put(PROGRAM, day, [candidates(*rows)], now)


def only(store: Store, customer_id: str = "c-1") -> dict[str, object]:
    (row,) = store.of_customer(customer_id, None, NOW)
    return row


def key(customer_id: str = "c-1", **changes: str) -> CandidateKey:
    named = {"program": "product-reviews", "marketplace": "DE", "subject_type": "product", "subject_id": "p-1"}
    return CandidateKey(customer_id, **(named | changes))


def advance(store: Store, status: str, *customer_ids: str, at=NOW) -> int:
    return store.advance([StatusChange(key(customer_id), status, at) for customer_id in customer_ids or ("c-1",)])


def named(store: Store, rows: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Rows of a page by column."""
    return [dict(zip(store.columns, row, strict=True)) for row in rows]


def page(store: Store, min_score: float = 0.0, limit: int = 100, now=NOW, **more) -> list[str]:
    """Customers on a page of e-mail."""
    return [row["customer_id"] for row in named(store, store.page(*EMAIL, min_score, limit, now, **more)[0])]


def test_a_candidate_comes_back_as_it_was_given(store):
    given_row = a_candidate(event_at=instant("2026-11-19 14:30:00.000001"), time_zone=None)

    assert put(store, given_row) == StoreCounts(inserted=1)

    left_out = {"is_test", "email_known", "push_known", "voice_allowed", "is_late", "reason", "quota_left"}
    assert only(store) == {name: value for name, value in given_row.items() if name not in left_out} | {
        "program": "product-reviews",
        "partition_date": DAY,
        "status": "active",
        "version": 1,
        "updated_at": NOW,
    }


def test_awkward_texts_come_back_as_they_were_given(store):
    texts = ["", " ", "\\N", "\\.", 'a "b", c', "a\nb\r\n", "\t", "NULL", "é😀", "%s %(a)s"]
    rows = [a_candidate(subject_id=text, record_id=text, band=text, time_zone=None) for text in texts]

    assert put(store, *rows) == StoreCounts(inserted=len(texts))
    assert put(store, *rows) == StoreCounts(unchanged=len(texts))

    found = store.of_customer("c-1", None, NOW)
    assert [(row["subject_id"], row["record_id"], row["band"], row["time_zone"]) for row in found] == [
        (text, text, text, None) for text in sorted(texts)
    ]
    assert store.get(key(subject_id="%s %(a)s"), NOW) is not None


def test_the_same_rows_again_change_nothing(store):
    rows = [a_candidate(), a_candidate(customer_id="c-2", event_at=None, score=None, band=None)]
    put(store, *rows)
    before = only(store)

    assert put(store, *reversed(rows), now=NOW + timedelta(hours=1)) == StoreCounts(unchanged=2)
    assert only(store) == before


def test_a_changed_row_rises_in_version_and_keeps_status_and_creation(store):
    put(store, a_candidate())
    advance(store, "delivered")
    later = NOW + timedelta(days=1)
    newer = a_candidate(score=0.9, created_at=instant("2026-11-21 02:00"), expires_at=instant("2026-12-21 02:00"))

    assert put(store, newer, day=DAY + timedelta(days=1), now=later) == StoreCounts(updated=1)

    row = only(store)
    assert (row["version"], row["score"], row["updated_at"]) == (3, 0.9, later)
    assert (row["status"], row["created_at"]) == ("delivered", instant("2026-11-20 02:00"))
    assert (row["partition_date"], row["expires_at"]) == (date(2026, 11, 20), instant("2026-12-21 02:00"))


def test_an_older_partition_overwrites_nothing(store):
    put(store, a_candidate(score=0.9), day=DAY)

    counts = put(store, a_candidate(score=0.1), a_candidate(customer_id="c-2"), day=DAY - timedelta(days=1))

    assert counts == StoreCounts(inserted=1, kept_newer=1)
    assert (only(store)["score"], only(store)["version"]) == (0.9, 1)


def test_an_expired_row_is_neither_inserted_nor_updated(store):
    put(store, a_candidate(score=0.9), day=DAY - timedelta(days=1))
    at_once = {"expires_at": NOW}

    counts = put(store, a_candidate(score=0.1, **at_once), a_candidate(customer_id="c-2", **at_once))

    assert counts == StoreCounts(expired=2)
    assert only(store)["score"] == 0.9
    assert store.of_customer("c-2", None, NOW - timedelta(days=1)) == []


def test_all_rows_of_a_put_or_none(store):
    def breaks_off() -> Iterator[pl.DataFrame]:
        yield candidates(a_candidate())
        raise RuntimeError("the batch broke off")

    with pytest.raises(RuntimeError, match="broke off"):
        store.put(PROGRAM, DAY, breaks_off(), NOW)

    assert store.of_customer("c-1", None, NOW) == []


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([candidates(a_candidate()), candidates(a_candidate(score=0.1))], "1 of 2 rows repeat"),
        ([candidates(a_candidate(subject_id=None))], "subject_id"),
        ([candidates(a_candidate(expires_at=None))], "expires_at"),
        ([candidates(a_candidate()).drop("score", "band")], "lack band, score"),
    ],
)
def test_a_broken_partition_is_refused_whole(store, frames, message):
    with pytest.raises(EngageError, match=message):
        store.put(PROGRAM, DAY, frames, NOW)

    assert store.of_partition("product-reviews", DAY).is_empty()


def test_a_customer_has_live_candidates_best_first(store):
    put(
        store,
        a_candidate(subject_id="low", score=0.2),
        a_candidate(subject_id="unscored", score=None),
        a_candidate(subject_id="high", score=0.9),
        a_candidate(subject_id="gone", expires_at=NOW + timedelta(seconds=1)),
        a_candidate(customer_id="c-2"),
    )
    other = a_program(programId="other-reviews")
    store.put(other, DAY, [candidates(a_candidate(subject_id="other", score=0.5))], NOW)
    soon = NOW + timedelta(seconds=1)

    assert [row["subject_id"] for row in store.of_customer("c-1", None, soon)] == ["high", "other", "low", "unscored"]
    assert [row["subject_id"] for row in store.of_customer("c-1", "other-reviews", soon)] == ["other"]
    assert store.of_customer("nobody", None, soon) == []


def test_a_customers_candidates_by_channel_and_limit(store):
    rows = [a_candidate(subject_id=f"p-{score}", score=score, in_app_eligible=score > 0.2) for score in (0.1, 0.3, 0.5)]
    put(store, *rows)
    advance(store, "consumed")

    def subjects(**more):
        return [row["subject_id"] for row in store.of_customer("c-1", "product-reviews", NOW, **more)]

    assert subjects() == ["p-0.5", "p-0.3", "p-0.1"]
    assert subjects(channel="in-app") == ["p-0.5", "p-0.3"]
    assert subjects(channel="in-app", limit=1) == ["p-0.5"]


def test_a_page_is_live_served_eligible_and_in_a_total_order(store):
    newest, older = instant("2026-11-19 20:00"), instant("2026-11-19 08:00")
    put(
        store,
        a_candidate(customer_id="b", subject_id="p", score=0.8, event_at=newest),
        a_candidate(customer_id="a", subject_id="q", score=0.8, event_at=newest),
        a_candidate(customer_id="a", subject_id="p", score=0.8, event_at=newest),
        a_candidate(customer_id="Z", subject_id="p", score=0.8, event_at=newest),
        a_candidate(customer_id="older", score=0.8, event_at=older),
        a_candidate(customer_id="undated", score=0.8, event_at=None),
        a_candidate(customer_id="best", score=0.9, event_at=older),
        a_candidate(customer_id="least", score=0.7),
        a_candidate(customer_id="below", score=0.699999),
        a_candidate(customer_id="unscored", score=None),
        a_candidate(customer_id="unreachable", score=1.0, email_eligible=False),
        a_candidate(customer_id="unknown", score=1.0, email_eligible=None),
        a_candidate(customer_id="answered", score=1.0),
        a_candidate(customer_id="gone", score=1.0, expires_at=NOW + timedelta(seconds=1)),
    )
    advance(store, "consumed", "answered")
    advance(store, "delivered", "older", "least")
    soon = NOW + timedelta(seconds=1)

    rows, following = store.page(*EMAIL, 0.7, 100, soon)

    assert following is None
    assert [(row["customer_id"], row["subject_id"]) for row in named(store, rows)] == [
        ("best", "p-1"),
        ("Z", "p"),
        ("a", "p"),
        ("b", "p"),
        ("a", "q"),
        ("older", "p-1"),
        ("undated", "p-1"),
        ("least", "p-1"),
    ]
    assert page(store, 0.7, now=soon, limit=3) == ["best", "Z", "a"]
    assert page(store, 0.7, now=soon, exclude=frozenset({"delivered"})) == ["best", "Z", "a", "b", "a", "undated"]
    assert page(store, 0.7, now=soon, exclude=frozenset({"active"})) == ["older", "least"]
    assert page(store, 0.7, now=soon, exclude=frozenset({"active", "delivered"})) == []
    assert store.page("other-reviews", "email", 0.0, 3, NOW) == ([], None)


def walk(store: Store, limit: int, exclude: frozenset[str]) -> list[tuple[Any, ...]]:
    """All rows of a channel, page after page."""
    rows, cursor = store.page(*EMAIL, 0.5, limit, NOW, exclude=exclude)
    while cursor:
        assert len(rows) % limit == 0
        more, cursor = store.page(*EMAIL, 0.5, limit, NOW, exclude=exclude, after=cursor)
        assert more
        rows += more
    return rows


@pytest.mark.parametrize("exclude", [frozenset(), frozenset({"delivered"})])
def test_pages_and_stream_give_each_row_once_in_order(store, exclude):
    events = [None, instant("2026-11-18 08:00"), instant("2026-11-19 08:00")]
    groups = product([0.3, 0.5, 0.9], events)
    rows = [
        a_candidate(
            score=score,
            event_at=event,
            subject_id=f"{subject}-{group}",
            customer_id=customer,
            marketplace=market,
            push_eligible=customer == "a",
        )
        for group, (score, event) in enumerate(groups)
        for subject, customer, market in product("pq", "aB", ["DE", "FR"])
    ]
    Random(7).shuffle(rows)
    put(store, *rows)
    read = [row for row in rows if row["subject_id"].startswith("q")]
    for row in read:
        place = {name: row[name] for name in ("customer_id", "subject_id", "marketplace")}
        store.advance([StatusChange(key(**place), "delivered", NOW)])

    (streamed,) = store.stream(*EMAIL, 0.5, 1000, NOW, exclude=exclude)

    def place(row):
        undated = instant("1970-01-02")
        return (-row["score"], undated - (row["event_at"] or undated), *map(row.get, TIES))

    served = sorted((row for row in rows if row["score"] >= 0.5 and not (exclude and row in read)), key=place)
    assert len(served) == (24 if exclude else 48)
    for limit in (1, 5, 24, 1000):
        walked = walk(store, limit, exclude)
        assert [place(row) for row in named(store, walked)] == [place(row) for row in served]
        assert walked == streamed.rows()
    assert streamed.schema == store.columns


def test_a_cursor_below_the_score_that_is_asked_for_ends(store):
    put(store, *(a_candidate(customer_id=customer, score=0.3) for customer in "abc"))
    _, cursor = store.page(*EMAIL, 0.0, 2, NOW)

    assert page(store, after=cursor) == ["c"]
    assert page(store, 0.6, after=cursor) == []
    assert page(store, limit=0) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "W10",  # []
        "WzAuNSxudWxsLCJwIiwiYyIsIkRFIiwicHJvZHVjdCJd=",  # padded
        "WzAuNSwgbnVsbCwicCIsImMiLCJERSIsInByb2R1Y3QiXQ",  # a blank
        "W05hTixudWxsLCJwIiwiYyIsIkRFIiwicHJvZHVjdCJd",  # NaN
        "WzAuNSwxMDAwMDAwMDAwMDAwMDAwMDAwMDAwLCJwIiwiYyIsIkRFIiwicHJvZHVjdCJd",  # an instant far beyond
        "WzAuNSxudWxsLCJwXHUwMDAwIiwiYyIsIkRFIiwicHJvZHVjdCJd",  # NUL
        "WzAuNSxudWxsLCJwXHVkODAwIiwiYyIsIkRFIiwicHJvZHVjdCJd",  # half a surrogate pair
        "WzAuNSxudWxsLDEsImMiLCJERSIsInByb2R1Y3QiXQ",  # a number for a subject
        "ÿ",
        "[" * 5000,
    ],
)
def test_another_text_is_no_cursor(store, text):
    with pytest.raises(EngageError, match="no page of ours"):
        store.page(*EMAIL, 0.0, 10, NOW, after=text)


def test_a_stream_is_one_snapshot_that_threads_may_take_turns_at(store):
    frame = candidates(*(a_candidate(customer_id=f"c-{n}") for n in range(7_500)))
    store.put(PROGRAM, DAY, [frame], NOW)
    stream = store.stream(*EMAIL, 0.0, 7_200, NOW)
    first = next(stream)
    put(store, a_candidate(customer_id="0"), day=DAY + timedelta(days=1))
    store.suppress(["c-4"], NOW, program=None, channel=None)

    with ThreadPoolExecutor(1) as other_thread:
        rest = other_thread.submit(list, stream).result()

    rows = pl.concat([first, *rest])
    assert len(first) < 7_200 == len(rows) == rows["customer_id"].n_unique()
    assert set(rows["customer_id"]) <= set(frame["customer_id"])
    left_early = store.stream(*EMAIL, 0.0, 7_200, NOW)
    next(left_early)
    left_early.close()


def test_a_version_lasts_until_a_change(store):
    changes = [
        lambda: put(store, a_candidate()),
        lambda: advance(store, "delivered"),
        lambda: store.suppress(["c-1"], NOW, program=None, channel=None),
    ]
    store.page(*EMAIL, 0.0, 10, NOW)
    for change in changes:
        before = store.version()
        assert store.version() == before
        change()
        assert store.version() is None or store.version() != before


@pytest.mark.parametrize("channel", ["email", "in-app", "push", "voice"])
def test_each_channel_has_its_own_flag(store, channel):
    flags = dict.fromkeys(["email_eligible", "in_app_eligible", "push_eligible", "voice_eligible"], False)
    put(store, *(a_candidate(customer_id=flag, **(flags | {flag: True})) for flag in flags))

    (row,), _ = store.page("product-reviews", channel, 0.0, 10, NOW)

    assert row[0] == channel.replace("-", "_") + "_eligible"


def test_an_unknown_channel_or_status_is_named(store):
    for ask in (
        lambda: store.page("product-reviews", "in_app", 0.0, 10, NOW),
        lambda: store.stream("product-reviews", "in_app", 0.0, 10, NOW),
        lambda: store.of_customer("c-1", None, NOW, channel="in_app"),
        lambda: store.suppress(["c-1"], NOW, program=None, channel="in_app"),
    ):
        with pytest.raises(EngageError, match="'in_app': one of email, in-app"):
            ask()
    for ask in (
        lambda: store.with_status("product-reviews", frozenset({"lost"}), None, 10, NOW),
        lambda: advance(store, "lost"),
    ):
        with pytest.raises(EngageError, match="'lost': one of active, delivered"):
            ask()


def test_candidates_in_some_statuses_on_a_day(store):
    days = {
        "eve": "2026-11-30 23:59:59.999999",
        "first": "2026-12-01",
        "last": "2026-12-01 23:59:59",
        "next": "2026-12-02",
    }
    put(store, *(a_candidate(customer_id=name, event_at=instant(at)) for name, at in days.items()))
    put(store, a_candidate(customer_id="undated", event_at=None), day=DAY - timedelta(days=1))
    advance(store, "registered", *days, "undated")
    advance(store, "cancelled", "last", at=NOW + timedelta(minutes=1))

    def found(*statuses, on=None, limit=10):
        rows = store.with_status("product-reviews", frozenset(statuses), on, limit, NOW)
        return [row["customer_id"] for row in rows]

    assert found("registered") == ["next", "first", "eve", "undated"]
    assert found("registered", "cancelled") == ["next", "last", "first", "eve", "undated"]
    assert found("registered", "cancelled", "active", on=date(2026, 12, 1)) == ["last", "first"]
    assert found("registered", limit=1) == ["next"]
    assert found("attended") == found() == []
    put(store, a_candidate(customer_id="waiting"), day=DAY + timedelta(days=1))
    assert found("active", "cancelled") == ["last", "waiting"]


def test_nothing_expired_is_served(store):
    ends = {"past": NOW - timedelta(microseconds=1), "at once": NOW, "soon": NOW + timedelta(microseconds=1)}
    put(
        store, *(a_candidate(customer_id=name, expires_at=end) for name, end in ends.items()), now=instant("2026-11-01")
    )
    (expired,) = store.stream(*EMAIL, 0.0, 10, NOW)

    assert page(store) == expired["customer_id"].to_list() == ["soon"]
    assert [name for name in ends if store.of_customer(name, None, NOW)] == ["soon"]
    assert [name for name in ends if store.get(key(name), NOW)] == ["soon"]
    assert store.statuses([key(name) for name in (*ends, "nobody")], NOW) == {key("soon"): "active"}
    assert store.statuses([], NOW) == {}
    advance(store, "registered", *ends)
    rows = store.with_status("product-reviews", frozenset({"registered", "active"}), None, 10, NOW)
    assert [row["customer_id"] for row in rows] == ["soon"]
    assert {one.customer_id for one in store.expired(NOW, 10)} == {"past", "at once"}
    assert store.delete_expired(NOW) == 2
    assert store.expired(NOW, 10) == []


def test_a_single_candidate_is_got_and_deleted(store):
    put(store, a_candidate(), a_candidate(subject_id="p-2"))

    assert store.get(key(), NOW) == store.of_customer("c-1", None, NOW)[0]
    for other in ("customer_id", "program", "marketplace", "subject_type", "subject_id"):
        assert store.get(CandidateKey(**(vars(key()) | {other: "other"})), NOW) is None
    assert (store.delete(key()), store.delete(key())) == (True, False)
    assert only(store)["subject_id"] == "p-2"


def test_a_status_is_set_once_and_never_back(store):
    put(store, a_candidate(), a_candidate(customer_id="c-2"))
    later = NOW + timedelta(minutes=5)

    assert advance(store, "consumed", "c-1", "nobody", at=later) == 1
    assert advance(store, "consumed", at=later + timedelta(minutes=1)) == 0
    assert advance(store, "delivered", "c-1", "c-2", at=later + timedelta(minutes=2)) == 1
    assert store.advance([]) == 0

    row, other = only(store), only(store, "c-2")
    assert (row["status"], row["version"], row["updated_at"]) == ("consumed", 2, later)
    assert (other["status"], other["version"]) == ("delivered", 2)


def test_a_registration_is_cancelled_and_made_again_by_the_later_instant_alone(store):
    put(store, a_candidate())
    minutes = [NOW + timedelta(minutes=minute) for minute in range(4)]
    registered, cancelled, again = (
        StatusChange(key(), status, at)
        for status, at in zip(["registered", "cancelled", "registered"], minutes, strict=False)
    )
    store.advance([registered])
    put(store, a_candidate(score=0.9), now=minutes[3])

    assert [store.advance([change]) for change in (cancelled, registered, again, cancelled, registered)] == [
        1,
        0,
        1,
        0,
        0,
    ]
    assert (only(store)["status"], only(store)["updated_at"]) == ("registered", minutes[3])


def test_opting_out_removes_what_waits(store):
    other = a_program(programId="other-reviews")
    rows = [a_candidate(), a_candidate(subject_id="answered"), a_candidate(customer_id="c-2")]
    for program in (PROGRAM, other):
        store.put(program, DAY, [candidates(*rows)], NOW)
    store.advance([StatusChange(key(subject_id="answered"), "registered", NOW), StatusChange(key(), "delivered", NOW)])

    assert store.suppress(["c-1", "nobody"], NOW, program="product-reviews", channel=None) == 1
    kept = {(row["program"], row["subject_id"]) for row in store.of_customer("c-1", None, NOW)}
    assert kept == {("product-reviews", "answered"), ("other-reviews", "answered"), ("other-reviews", "p-1")}
    assert store.suppress(["c-1", "c-2"], NOW, program=None, channel=None) == 4
    assert [row["subject_id"] for row in store.of_customer("c-1", None, NOW)] == ["answered"]
    assert store.of_customer("c-2", None, NOW) == []


def test_opting_out_of_a_channel_takes_its_eligibility(store):
    put(store, a_candidate(), a_candidate(customer_id="c-2"), a_candidate(customer_id="c-3", email_eligible=None))
    later = NOW + timedelta(minutes=1)

    assert store.suppress(["c-1", "c-3"], later, program=None, channel="email") == 1
    assert store.suppress(["c-1", "c-3"], later, program=None, channel="email") == 0

    row = only(store)
    assert (row["email_eligible"], row["status"], row["version"], row["updated_at"]) == (False, "active", 2, later)
    assert page(store) == ["c-2"]
    assert only(store, "c-3")["email_eligible"] is None


def test_writers_that_meet_lose_nothing(store):
    customers = [f"c-{n}" for n in range(40)]
    frame = candidates(*(a_candidate(customer_id=customer) for customer in customers))
    store.put(PROGRAM, DAY, [frame], NOW)
    start = Barrier(6)

    def change(status):
        start.wait()
        mixed = Random(status).sample(customers, len(customers))
        return sum(advance(store, status, *mixed[n::4]) for n in range(4))

    def rescore(score):
        start.wait()
        for n in range(3):
            store.put(PROGRAM, DAY, [frame.with_columns(score=score + pl.lit(n / 8))], NOW)

    with ThreadPoolExecutor(6) as pool:
        changed = pool.map(change, ["delivered", "consumed", "suppressed", "delivered"])
        rescored = pool.map(rescore, [0.125, 0.5])
        assert sum(changed) >= 40
        list(rescored)
        versions = {
            (row["status"], row["score"]) for customer in customers for row in store.of_customer(customer, None, NOW)
        }
    assert len(versions) == 1
    assert versions <= {("suppressed", 0.375), ("suppressed", 0.75)}


def test_a_partition_lists_the_rows_that_it_wrote_last(store):
    put(store, a_candidate(customer_id="b"), a_candidate(customer_id="a", score=None), a_candidate(customer_id="c"))
    put(store, a_candidate(customer_id="c"), day=DAY + timedelta(days=1))

    of_day = store.of_partition("product-reviews", DAY)

    assert of_day.rows() == [("a", "DE", "p-1", None), ("b", "DE", "p-1", 0.8)]
    assert of_day.schema == {
        "customer_id": pl.String(),
        "marketplace": pl.String(),
        "subject_id": pl.String(),
        "score": pl.Float64(),
    }


def test_deleting_takes_what_has_expired(store):
    put(store, a_candidate(), a_candidate(customer_id="c-2", expires_at=instant("2026-12-25 02:00")))
    end = instant("2026-12-20 02:00")

    assert store.delete_expired(end - timedelta(microseconds=1)) == 0
    assert store.delete_expired(end) == 1
    assert store.of_customer("c-1", None, NOW) == []
    assert only(store, "c-2")["version"] == 1


_rows = st.lists(
    st.builds(
        a_candidate,
        customer_id=st.sampled_from(["a", "b", "c"]),
        subject_id=st.sampled_from(["p", "q"]),
        score=st.sampled_from([0.1, 0.2, None]),
        expires_at=st.sampled_from([NOW, NOW + timedelta(days=30)]),
    ),
    unique_by=lambda row: (row["customer_id"], row["subject_id"]),
)


_properties = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@_properties
@given(puts=st.lists(st.tuples(st.integers(0, 2), _rows), max_size=4))
def test_any_series_of_puts_is_counted_as_a_dictionary_would(store, puts):
    program = a_program(programId=f"program-{next(_numbers)}")
    kept: dict[tuple[str, str], tuple[int, float | None, int]] = {}
    for day, rows in puts:
        counts = dict.fromkeys(["inserted", "updated", "unchanged", "kept_newer", "expired", "removed"], 0)
        for row in rows:
            place = (row["customer_id"], row["subject_id"])
            old = kept.get(place)
            if row["expires_at"] <= NOW:
                outcome = "expired"
            elif old is None:
                outcome = "inserted"
            elif old[0] > day:
                outcome = "kept_newer"
            else:
                outcome = "unchanged" if old[:2] == (day, row["score"]) else "updated"
            counts[outcome] += 1
            if outcome in ("inserted", "updated"):
                kept[place] = (day, row["score"], old[2] + 1 if old else 1)
        live = {(row["customer_id"], row["subject_id"]) for row in rows if row["expires_at"] > NOW}
        for place in [place for place, old in kept.items() if old[0] == day and place not in live]:
            counts["removed"] += 1
            del kept[place]
        frames = [candidates(*rows[:2]), candidates(*rows[2:])]
        assert store.put(program, DAY + timedelta(days=day), frames, NOW) == StoreCounts(**counts)
    found = [row for customer in "abc" for row in store.of_customer(customer, program.program_id, NOW)]
    assert {
        (row["customer_id"], row["subject_id"]): ((row["partition_date"] - DAY).days, row["score"], row["version"])
        for row in found
    } == kept


_changes = st.lists(st.tuples(st.sampled_from(list(RANK)), st.integers(0, 5)), max_size=6)


@_properties
@given(changes=_changes, order=st.randoms(use_true_random=False))
def test_any_changes_in_any_order_and_repeated_never_move_a_status_back(store, changes, order):
    one, other = f"one-{next(_numbers)}", f"other-{next(_numbers)}"
    put(store, a_candidate(customer_id=one), a_candidate(customer_id=other), day=DAY + timedelta(days=next(_numbers)))

    def as_changes(customer_id):
        return [StatusChange(key(customer_id), status, NOW + timedelta(minutes=minute)) for status, minute in changes]

    together = as_changes(one)
    store.advance(together)
    once = only(store, one)
    order.shuffle(together)
    assert store.advance(together) == 0
    assert only(store, one) == once

    singly = as_changes(other) * 2
    order.shuffle(singly)
    before = "active"
    for change in singly:
        changed = store.advance([change])
        after = only(store, other)["status"]
        assert may_follow(before, after) if changed else after == before
        assert store.advance([change]) == 0
        before = after


def test_a_rebuilt_partition_leaves_no_item_behind_unless_something_came_of_it(store: Store) -> None:
    rows = [a_candidate(customer_id=customer) for customer in ("kept", "gone", "delivered", "other day")]
    put(store, *rows[:3])
    put(store, rows[3], day=DAY - timedelta(days=1))
    advance(store, "delivered", "delivered")

    counts = put(store, rows[0])

    assert (counts.unchanged, counts.removed) == (1, 1)
    assert store.of_partition(PROGRAM.program_id, DAY)["customer_id"].to_list() == ["delivered", "kept"]
    assert store.of_partition(PROGRAM.program_id, DAY - timedelta(days=1)).height == 1
