"""What only the SQLite store promises: plans, schema versions, one file for many threads, kept connections."""

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date, timedelta

import polars as pl
import pytest

from engage_assets.domain.channel_specs import CHANNEL_TYPES
from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import CandidateKey, StatusChange
from engage_assets.domain.tables import CANDIDATES, SCORES, VERDICT_COLUMNS
from engage_assets.stores import queries
from engage_assets.stores import sqlite_tables as tables
from engage_assets.stores.columns import GIVEN, STORED, lanes_of, listed
from engage_assets.stores.sqlite import SqliteCandidateStore
from engage_assets_tests.builders import a_candidate, a_program, candidates, instant

NOW = instant("2026-11-20 02:45")
DAY = date(2026, 11, 19)
PLACES = [
    None,
    {
        "score": 0.8,
        "event_at": NOW,
        "subject_id": "p",
        "customer_id": "c",
        "marketplace": "DE",
        "subject_type": "product",
    },
    {"score": 0.8, "event_at": None, "subject_id": "p", "customer_id": "c", "marketplace": "DE", "subject_type": "p"},
]
VERSION_1 = """
    CREATE TABLE candidates (customer_id TEXT NOT NULL, program TEXT NOT NULL, marketplace TEXT NOT NULL,
        subject_type TEXT NOT NULL, subject_id TEXT NOT NULL, record_id TEXT NOT NULL, event_at INTEGER, time_zone TEXT,
        locale TEXT, connector_id TEXT, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
        email_eligible INTEGER, in_app_eligible INTEGER, push_eligible INTEGER, voice_eligible INTEGER,
        probability REAL, score REAL, band TEXT, model_version TEXT, partition_date TEXT NOT NULL, status TEXT NOT NULL,
        version INTEGER NOT NULL, updated_at INTEGER NOT NULL,
        PRIMARY KEY (customer_id, program, marketplace, subject_type, subject_id)) WITHOUT ROWID;
    CREATE INDEX candidates_by_email_eligible ON candidates
        (program, score DESC, event_at DESC, subject_id, customer_id) WHERE email_eligible = 1 AND status = 'active';
    CREATE INDEX candidates_by_in_app_eligible ON candidates
        (program, score DESC, event_at DESC, subject_id, customer_id) WHERE in_app_eligible = 1 AND status = 'active';
    CREATE INDEX candidates_by_push_eligible ON candidates
        (program, score DESC, event_at DESC, subject_id, customer_id) WHERE push_eligible = 1 AND status = 'active';
    CREATE INDEX candidates_by_voice_eligible ON candidates
        (program, score DESC, event_at DESC, subject_id, customer_id) WHERE voice_eligible = 1 AND status = 'active';
    CREATE INDEX candidates_by_partition ON candidates (program, partition_date);
    CREATE INDEX candidates_by_expiry ON candidates (expires_at);
    PRAGMA user_version = 1;
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "candidates.db"
    SqliteCandidateStore(path).delete_expired(NOW)
    return path


@pytest.fixture
def plan(path):
    """What SQLite would do for a statement, step by step."""

    def steps(statement):
        with closing(sqlite3.connect(path)) as connection:
            names = ("program", "min_score", "now", "limit", "begin", "end", "partition", "customer_id", "marketplace")
            values = dict.fromkeys((*names, "subject_type", "subject_id", "score", "event_at"), 0)
            return [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + statement, values)]

    return steps


@pytest.mark.parametrize("channel", CHANNEL_TYPES)
@pytest.mark.parametrize("exclude", [(), ("delivered",), ("active",)])
@pytest.mark.parametrize("place", PLACES, ids=["first page", "after", "after undated"])
def test_pages_are_read_off_one_index_without_sorting(plan, channel, exclude, place):
    for part in queries.ranges(place):
        steps = plan(queries.of_lanes(queries.SQLITE, tuple(lanes_of(channel, exclude)), part))

        searches = [step for step in steps if step not in ("MERGE (UNION ALL)", "LEFT", "RIGHT")]
        begin = "SEARCH candidates USING INDEX candidates_by_score (program=? AND lane=? AND score"
        assert len(searches) == (8 if exclude else 16)
        assert all(step.startswith(begin) for step in searches), searches
        (search,) = set(searches)
        last = {
            "IS NULL": "event_at=?",
            "event_at <": "event_at<?",
            "> (": "(subject_id,customer_id,marketplace,subject_type)>(",
        }
        assert all(bound in search for word, bound in last.items() if word in part.condition), search


def test_other_questions_are_searched_by_index(plan):
    key = "SEARCH candidates USING PRIMARY KEY (customer_id=?"
    by_status = queries.of_statuses(queries.SQLITE, ("cancelled", "registered"), on_a_day=True)

    assert plan(queries.OF_PARTITION) == [
        "SEARCH candidates USING INDEX candidates_by_partition (program=? AND partition_date=?)"
    ]
    assert plan(queries.DELETE_EXPIRED) == [
        "SEARCH candidates USING COVERING INDEX candidates_by_expiry (expires_at<?)"
    ]
    assert plan(queries.OF_CUSTOMER[False, None])[0] == f"{key})"
    assert plan(queries.OF_CUSTOMER[True, "email"])[0] == f"{key} AND program=?)"
    assert plan(queries.GET)[0].startswith(f"{key} AND program=? AND marketplace=?")
    status = "candidates_by_status (program=? AND status=? AND event_at>? AND event_at<?)"
    search = f"SEARCH candidates USING INDEX {status}"
    assert plan(by_status) == ["MERGE (UNION ALL)", "LEFT", search, "RIGHT", search]


def test_the_stored_columns_are_those_of_scored_candidates():
    domain = {column.name: column.kind for column in (*CANDIDATES.columns, *VERDICT_COLUMNS, *SCORES)}

    assert {name: domain.get(name) for name in GIVEN} == GIVEN
    decides_only = {"is_test", "email_known", "push_known", "voice_allowed", "is_late", "reason", "quota_left"}
    assert domain.keys() - GIVEN.keys() == decides_only


def test_a_batch_leaves_its_rows_in_the_file_and_a_short_log(path, tmp_path):
    store, sizes = SqliteCandidateStore(path), []
    nobody = store.of_customer("c-1", None, NOW)  # keeps its connection open, and with it the log
    for round_ in range(4):
        rows = [a_candidate(customer_id=f"c-{n}", score=(n + round_) % 7 / 10) for n in range(300)]
        store.put(a_program(), DAY + timedelta(days=round_), [candidates(*rows)], NOW)
        sizes.append(path.with_name(f"{path.name}-wal").stat().st_size)

    shutil.copyfile(path, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT count(*), min(partition_date) FROM candidates").fetchone() == (300, "2026-11-22")
    assert nobody == []
    assert sizes[-1] < 2 * sizes[0]


def test_a_file_of_a_later_schema_is_left_alone(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(EngageError, match=r"candidates\.db: candidate store of schema 99"):
        SqliteCandidateStore(path).of_customer("c-1", None, NOW)


@pytest.mark.parametrize("first_use", ["read", "write"])
def test_a_file_of_the_first_schema_is_brought_to_this_one(tmp_path, first_use):
    new, old = (SqliteCandidateStore(tmp_path / name) for name in ("new.db", "old.db"))
    rows = [a_candidate(customer_id=f"c-{n}", score=n / 10) for n in range(3)]
    new.put(a_program(), DAY, [candidates(*rows)], NOW)
    with closing(sqlite3.connect(old.path)) as connection:
        connection.executescript("PRAGMA journal_mode = WAL;" + VERSION_1)
        connection.execute("ATTACH ? AS new", [str(new.path)])
        connection.execute(f"INSERT INTO main.candidates SELECT {listed(STORED)} FROM new.candidates")
        connection.commit()

    if first_use == "write":
        assert old.put(a_program(), DAY, [candidates(*rows)], NOW).unchanged == 3
    key = CandidateKey("c-1", "product-reviews", "DE", "product", "p-1")

    assert old.page("product-reviews", "email", 0.0, 10, NOW) == new.page("product-reviews", "email", 0.0, 10, NOW)
    assert old.advance([StatusChange(key, "consumed", NOW)]) == 1
    with closing(sqlite3.connect(old.path)) as connection:
        indexes = connection.execute(
            "SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE INDEX%' ORDER BY 1"
        ).fetchall()
        assert indexes == [(f"candidates_by_{name}",) for name in ("expiry", "partition", "score", "status")]
        assert connection.execute("PRAGMA user_version").fetchone() == (tables.SCHEMA_VERSION,)


def test_threads_that_meet_at_a_new_file_all_write(tmp_path):
    store = SqliteCandidateStore(tmp_path / "candidates.db")

    def write(number):
        frame = candidates(a_candidate(customer_id=f"c-{number}"))
        return store.put(a_program(), date(2026, 11, 12 + number), [frame], NOW).inserted

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(write, range(8))) == [1] * 8
    assert {store.of_partition("product-reviews", date(2026, 11, 12 + number)).height for number in range(8)} == {1}


def test_a_kept_connection_sees_each_commit_and_a_restored_file(tmp_path):
    store, other = (SqliteCandidateStore(tmp_path / name) for name in ("candidates.db", "backup.db"))
    assert store.of_customer("c-1", None, NOW) == []
    store.put(a_program(), DAY, [candidates(a_candidate())], NOW)
    assert len(store.of_customer("c-1", None, NOW)) == 1
    other.put(a_program(), DAY, [candidates(a_candidate(score=0.1))], NOW)
    with closing(sqlite3.connect(other.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for suffix in ("-wal", "-shm"):
        store.path.with_name(store.path.name + suffix).unlink(missing_ok=True)

    other.path.replace(store.path)

    assert store.of_customer("c-1", None, NOW)[0]["score"] == 0.1


def test_readers_cannot_write(path):
    store = SqliteCandidateStore(path)

    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store._ask("DELETE FROM candidates RETURNING *", {})


def test_warming_reads_the_whole_file(path):
    store = SqliteCandidateStore(path)
    store.put(a_program(), DAY, [candidates(*(a_candidate(customer_id=f"c-{n}") for n in range(500)))], NOW)

    assert store.warm() >= path.stat().st_size > 100_000


def test_a_batch_that_changes_every_row_sets_only_what_differs(path):
    store = SqliteCandidateStore(path)
    rows = [a_candidate(), a_candidate(customer_id="c-2"), a_candidate(customer_id="c-3")]
    store.put(a_program(), DAY, [candidates(*rows)], NOW)
    rows = [rows[0] | {"score": 0.1}, rows[1] | {"band": None}, rows[2]]

    counts = store.put(a_program(), DAY, [candidates(*rows)], NOW + timedelta(hours=1))

    found = [store.of_customer(f"c-{n}", None, NOW)[0] for n in (1, 2, 3)]
    assert (counts.updated, counts.unchanged) == (2, 1)
    assert [(row["score"], row["band"], row["version"]) for row in found] == [
        (0.1, "high", 2),
        (0.8, None, 2),
        (0.8, "high", 1),
    ]


def test_a_large_batch_builds_the_score_index_anew(path):
    store = SqliteCandidateStore(path)
    frame = candidates(a_candidate()).select(pl.all().repeat_by(10_000).explode())
    frame = frame.with_columns(customer_id=pl.format("c-{}", pl.int_range(10_000)), score=pl.int_range(10_000) / 10_000)

    for given in (frame, frame.with_columns(score=1 - pl.col("score"))):
        store.put(a_program(), DAY, [given], NOW)
        best = given.sort("score", descending=True)["customer_id"].head(5).to_list()
        assert [row[0] for row in store.page("product-reviews", "email", 0.0, 5, NOW)[0]] == best
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
