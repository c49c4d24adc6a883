"""What only the SQLite store promises: plans, schema versions, and one file for many threads."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date

import pytest

from engage_assets.domain.channel_specs import CHANNEL_TYPES
from engage_assets.domain.errors import EngageError
from engage_assets.domain.tables import CANDIDATES, SCORES, VERDICT_COLUMNS
from engage_assets.stores import sqlite_tables as tables
from engage_assets.stores.sqlite import SqliteCandidateStore
from engage_assets_tests.builders import a_candidate, a_program, candidates, instant

NOW = instant("2026-11-20 02:45")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "candidates.db"
    SqliteCandidateStore(path).delete_expired(NOW)
    return path


def plan(path, statement, values):
    with closing(sqlite3.connect(path)) as connection:
        return [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + statement, values)]


@pytest.mark.parametrize("channel", CHANNEL_TYPES)
def test_the_top_of_a_channel_is_read_off_its_index_without_sorting(path, channel):
    values = {"program": "product-reviews", "min_score": 0.7, "now": 0, "limit": 50_000}

    (step,) = plan(path, tables.TOP[channel], values)

    assert step == f"SEARCH candidates USING INDEX candidates_by_{tables.flag_of(channel)} (program=? AND score>?)"


@pytest.mark.parametrize(
    ("statement", "values", "step"),
    [
        (
            tables.OF_PARTITION,
            ("product-reviews", "2026-11-19"),
            "SEARCH candidates USING INDEX candidates_by_partition (program=? AND partition_date=?)",
        ),
        (tables.DELETE_EXPIRED, (0,), "SEARCH candidates USING COVERING INDEX candidates_by_expiry (expires_at<?)"),
    ],
)
def test_partition_and_expiry_are_searched_by_index(path, statement, values, step):
    assert plan(path, statement, values) == [step]


def test_a_customer_is_searched_by_primary_key(path):
    values = {"customer": "c-1", "program": None, "now": 0}

    assert plan(path, tables.OF_CUSTOMER, values)[0] == "SEARCH candidates USING PRIMARY KEY (customer_id=?)"


def test_the_stored_columns_are_those_of_scored_candidates():
    domain = {column.name: column.kind for column in (*CANDIDATES.columns, *VERDICT_COLUMNS, *SCORES)}

    assert {name: domain.get(name) for name in tables.GIVEN} == tables.GIVEN
    decides_only = {"is_test", "email_known", "push_known", "voice_allowed", "is_late", "reason", "quota_left"}
    assert domain.keys() - tables.GIVEN.keys() == decides_only


def test_a_file_of_another_schema_is_left_alone(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(EngageError, match=r"candidates\.db: candidate store of schema 99"):
        SqliteCandidateStore(path).of_customer("c-1", None, NOW)


def test_threads_that_meet_at_a_new_file_all_write(tmp_path):
    store = SqliteCandidateStore(tmp_path / "candidates.db")

    def write(number):
        frame = candidates(a_candidate(customer_id=f"c-{number}"))
        return store.put(a_program(), date(2026, 11, 12 + number), [frame], NOW).inserted

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(write, range(8))) == [1] * 8
    assert {store.of_partition("product-reviews", date(2026, 11, 12 + number)).height for number in range(8)} == {1}
