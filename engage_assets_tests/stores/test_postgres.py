"""What only the PostgreSQL store promises: plans, its schema at first use, and that it finds back to its server."""

import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import psycopg
import pytest

from engage_assets.domain.errors import EngageError
from engage_assets.stores import queries
from engage_assets.stores.columns import lanes_of
from engage_assets.stores.opening import open_store
from engage_assets.stores.postgres_session import translated
from engage_assets.stores.postgres_tables import ASK_INDEXES
from engage_assets_tests.builders import a_candidate, a_program, candidates, instant

NOW = instant("2026-11-20 02:45")
DAY = date(2026, 11, 19)


@pytest.fixture
def url(postgres_url):
    return postgres_url()


@pytest.fixture
def sql(url):
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


def test_pages_and_stream_are_read_off_one_index_without_sorting(url, sql):
    rows = [a_candidate(customer_id=f"c-{n}", score=n / 5000, push_eligible=n % 3 == 0) for n in range(5000)]
    open_store(url).put(a_program(), DAY, [candidates(*rows)], NOW)
    sql.execute(ASK_INDEXES)
    place = {
        "score": 0.8,
        "event_at": NOW,
        "subject_id": "p",
        "customer_id": "c",
        "marketplace": "DE",
        "subject_type": "p",
    }
    values = {"program": "product-reviews", "min_score": 0.1, "now": NOW, "limit": 50} | place

    for part in (*queries.ranges(None), *queries.ranges(place), *queries.ranges(place | {"event_at": None})):
        statement = queries.of_lanes(queries.POSTGRES, tuple(lanes_of("email")), part)
        plan = "\n".join(row[0] for row in sql.execute(b"EXPLAIN " + translated(statement), values))
        assert plan.count("Index Scan using candidates_by_score") == 16, plan
        assert "Merge Append" in plan
        assert "Sort  (" not in plan


def test_threads_that_meet_at_an_empty_database_all_write(url):
    store = open_store(url)

    def write(number):
        frame = candidates(a_candidate(customer_id=f"c-{number}"))
        return store.put(a_program(), date(2026, 11, 12 + number), [frame], NOW).inserted

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(write, range(8))) == [1] * 8
    assert {store.of_partition("product-reviews", date(2026, 11, 12 + number)).height for number in range(8)} == {1}


def test_another_schema_is_left_alone(url, sql):
    open_store(url).delete_expired(NOW)
    sql.execute("UPDATE candidates_schema SET version = 99")

    with pytest.raises(EngageError, match="candidate store of schema 99"):
        open_store(url).delete_expired(NOW)


def test_a_lost_connection_is_opened_again(url, sql):
    store = open_store(url)
    store.put(a_program(), DAY, [candidates(a_candidate())], NOW)

    def cut():
        sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    cut()
    assert len(store.of_customer("c-1", None, NOW)) == 1
    cut()
    assert store.suppress(["c-1"], NOW, program=None, channel=None) == 1


def test_the_password_is_shown_to_no_one():
    store = open_store("postgresql://engage:s3cret@127.0.0.1:1/none")

    with pytest.raises(EngageError, match="is the database up, and the URL right") as caught:
        store.delete_expired(NOW)
    assert "s3cret" not in str(caught.value) + repr(store)
    for broken in ("postgresql://engage:s3cret@host:port/none", "postgresql://engage:s3cret@[host/none"):
        with pytest.raises(EngageError, match="candidate store: ") as caught:
            open_store(broken).delete_expired(NOW)
        assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_warming_counts_table_and_indexes(url):
    store = open_store(url)
    store.put(a_program(), DAY, [candidates(a_candidate())], NOW)

    assert store.warm() > 0
