"""What every candidate store keeps. A new implementation is one more entry of IMPLEMENTATIONS."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import CandidateStore, StoreCounts
from engage_assets.stores.sqlite import SqliteCandidateStore
from engage_assets_tests.builders import a_candidate, a_program, candidates, instant

PROGRAM = a_program()
DAY = date(2026, 11, 19)
NOW = instant("2026-11-20 02:45")


@dataclass(frozen=True)
class Implementation:
    """A store, and a way to let a candidate's status be what a person's answer would make it."""

    store: CandidateStore
    set_status: Callable[[str, str], None]


def sqlite(folder: Path) -> Implementation:
    path = folder / "new" / "candidates.db"

    def set_status(customer_id: str, status: str) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE candidates SET status = ? WHERE customer_id = ?", (status, customer_id))

    return Implementation(SqliteCandidateStore(path), set_status)


IMPLEMENTATIONS = {"sqlite": sqlite}


@pytest.fixture(params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest, tmp_path: Path) -> Implementation:
    return IMPLEMENTATIONS[request.param](tmp_path)


@pytest.fixture
def store(implementation: Implementation) -> CandidateStore:
    return implementation.store


def put(store: CandidateStore, *rows: dict[str, object], day: date = DAY, now=NOW) -> StoreCounts:
    return store.put(PROGRAM, day, [candidates(*rows)], now)


def only(store: CandidateStore, customer_id: str = "c-1") -> dict[str, object]:
    (row,) = store.of_customer(customer_id, None, NOW)
    return row


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


def test_the_same_rows_again_change_nothing(store):
    rows = [a_candidate(), a_candidate(customer_id="c-2", event_at=None, score=None, band=None)]
    put(store, *rows)
    before = only(store)

    assert put(store, *reversed(rows), now=NOW + timedelta(hours=1)) == StoreCounts(unchanged=2)
    assert only(store) == before


def test_a_changed_row_rises_in_version_and_keeps_status_and_creation(implementation):
    put(implementation.store, a_candidate())
    implementation.set_status("c-1", "delivered")
    later = NOW + timedelta(days=1)
    newer = a_candidate(score=0.9, created_at=instant("2026-11-21 02:00"), expires_at=instant("2026-12-21 02:00"))

    assert put(implementation.store, newer, day=DAY + timedelta(days=1), now=later) == StoreCounts(updated=1)

    row = only(implementation.store)
    assert (row["version"], row["score"], row["updated_at"]) == (2, 0.9, later)
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


def test_top_is_live_active_eligible_and_in_a_total_order(implementation):
    store = implementation.store
    newest, older = instant("2026-11-19 20:00"), instant("2026-11-19 08:00")
    put(
        store,
        a_candidate(customer_id="b", subject_id="p", score=0.8, event_at=newest),
        a_candidate(customer_id="a", subject_id="q", score=0.8, event_at=newest),
        a_candidate(customer_id="a", subject_id="p", score=0.8, event_at=newest),
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
    implementation.set_status("answered", "consumed")

    top = store.top("product-reviews", "email", 0.7, 100, NOW + timedelta(seconds=1))

    assert [(row["customer_id"], row["subject_id"]) for row in top] == [
        ("best", "p-1"),
        ("a", "p"),
        ("b", "p"),
        ("a", "q"),
        ("older", "p-1"),
        ("undated", "p-1"),
        ("least", "p-1"),
    ]
    assert store.top("product-reviews", "email", 0.7, 3, NOW + timedelta(seconds=1)) == top[:3]
    assert store.top("other-reviews", "email", 0.0, 3, NOW) == []


@pytest.mark.parametrize("channel", ["email", "in-app", "push", "voice"])
def test_each_channel_has_its_own_flag(store, channel):
    flags = dict.fromkeys(["email_eligible", "in_app_eligible", "push_eligible", "voice_eligible"], False)
    put(store, *(a_candidate(customer_id=flag, **(flags | {flag: True})) for flag in flags))

    (row,) = store.top("product-reviews", channel, 0.0, 10, NOW)

    assert row["customer_id"] == channel.replace("-", "_") + "_eligible"


def test_an_unknown_channel_is_named(store):
    with pytest.raises(EngageError, match="'in_app': one of email, in-app"):
        store.top("product-reviews", "in_app", 0.0, 10, NOW)


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


@pytest.mark.parametrize("make", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS.keys())
@settings(max_examples=40, deadline=None)
@given(puts=st.lists(st.tuples(st.integers(0, 2), _rows), max_size=4))
def test_any_series_of_puts_is_counted_as_a_dictionary_would(make, puts):
    kept: dict[tuple[str, str], tuple[int, float | None, int]] = {}
    with TemporaryDirectory() as folder:
        store = make(Path(folder)).store
        for day, rows in puts:
            counts = dict.fromkeys(["inserted", "updated", "unchanged", "kept_newer", "expired", "removed"], 0)
            for row in rows:
                key = (row["customer_id"], row["subject_id"])
                old = kept.get(key)
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
                    kept[key] = (day, row["score"], old[2] + 1 if old else 1)
            live = {(row["customer_id"], row["subject_id"]) for row in rows if row["expires_at"] > NOW}
            for key in [key for key, old in kept.items() if old[0] == day and key not in live]:
                counts["removed"] += 1
                del kept[key]
            frames = [candidates(*rows[:2]), candidates(*rows[2:])]
            assert store.put(PROGRAM, DAY + timedelta(days=day), frames, NOW) == StoreCounts(**counts)
        found = [row for customer in "abc" for row in store.of_customer(customer, "product-reviews", NOW)]
    assert {
        (row["customer_id"], row["subject_id"]): ((row["partition_date"] - DAY).days, row["score"], row["version"])
        for row in found
    } == kept


def test_a_rebuilt_partition_leaves_no_item_behind_unless_something_came_of_it(implementation: Implementation) -> None:
    store = implementation.store
    rows = [a_candidate(customer_id=customer) for customer in ("kept", "gone", "delivered", "other day")]
    put(store, *rows[:3])
    put(store, rows[3], day=DAY - timedelta(days=1))
    implementation.set_status("delivered", "delivered")

    counts = put(store, rows[0])

    assert (counts.unchanged, counts.removed) == (1, 1)
    assert store.of_partition(PROGRAM.program_id, DAY)["customer_id"].to_list() == ["delivered", "kept"]
    assert store.of_partition(PROGRAM.program_id, DAY - timedelta(days=1)).height == 1
