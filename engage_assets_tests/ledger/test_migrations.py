"""A ledger of an earlier version becomes one of this version, once, with everything that it holds."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from engage_assets.ledger.database import Database, lock, migrate
from engage_assets.ledger.engines import WRITES, open_engine
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.tables import SCHEMA_VERSION, gate, metadata
from engage_assets_tests.builders import instant
from engage_assets_tests.postgres import PostgresServer

PROGRAM = "product-reviews"
CAMPAIGN = f"{PROGRAM}:email:2026-11-19:DE"
SLOT = instant("2026-11-20 09:00")
NOW = instant("2026-11-20 02:40")
SECOND = timedelta(seconds=1)

# By send: its states with the seconds after NOW at which they began, and the last one's reason. Some began at once.
LIVES = {
    "a" * 32: ([("planned", 0)], None),
    "b" * 32: ([("planned", 0), ("claimed", 0), ("handed_over", 0), ("sent", 0)], None),
    "c" * 32: ([("planned", 0), ("claimed", 1), ("handed_over", 2), ("failed", 3)], "mailbox full"),
    "d" * 32: ([("planned", 0), ("claimed", 1), ("handed_over", 1), ("in_doubt", 9)], "lost"),
    "e" * 32: ([("planned", 0), ("claimed", 1), ("handed_over", 2)], None),
    "f" * 32: ([("planned", 0), ("claimed", 1)], None),
    "0" * 32: ([("planned", 0), ("skipped", 0)], "OPTED_OUT"),
}


@pytest.fixture(scope="module")
def postgres_urls(postgres_server: PostgresServer) -> list[str]:
    """Two databases that these tests share; they go with the server."""
    return [postgres_server.url(postgres_server.create()) for _ in range(2)]


@pytest.fixture(params=["sqlite", "postgresql"])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """The URLs of two empty databases."""
    if request.param == "sqlite":
        return [f"sqlite:///{tmp_path}/{number}.db" for number in range(2)]
    found = request.getfixturevalue("postgres_urls")
    for url in found:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return found


@pytest.fixture
def old_url(urls: list[str]) -> str:
    """The first database, of version 1 and with some rows. Such databases bear no mark of Alembic."""
    url = urls[0]
    engine = open_engine(url, Random(1))
    with engine.connect().execution_options(**WRITES) as connection, connection.begin():
        migrate(connection, 0, "0001")
        connection.execute(text("DROP TABLE alembic_version"))
        for number, (send_id, (states, reason)) in enumerate(LIVES.items()):
            last, seconds = states[-1]
            send = {"send_id": send_id, "customer": f"c-{number}", "slot": SLOT, "state": last, "now": NOW}
            connection.execute(
                text(
                    "INSERT INTO sends VALUES (:send_id, 'product-reviews', :campaign, :customer, 'p-1', 'email',"
                    " :slot, 'product-reviews', :asks, :state, :now, :began)"
                ),
                {**send, "campaign": CAMPAIGN, "asks": True, "began": NOW + seconds * SECOND},
            )
            for state, after in states:
                why = reason if state == last else None
                values = {"send_id": send_id, "state": state, "at": NOW + after * SECOND, "reason": why}
                connection.execute(text("INSERT INTO send_states VALUES (:send_id, :state, :at, :reason)"), values)
        connection.execute(
            text("INSERT INTO opt_outs (customer_id, at, program) VALUES ('c-9', :at, 'product-reviews')"), {"at": NOW}
        )
        connection.execute(
            text("INSERT INTO batches VALUES ('product-reviews', :day, 12.5, 500, :at)"),
            {"day": date(2026, 11, 19), "at": NOW},
        )
        connection.execute(text("INSERT INTO cuts VALUES (:until)"), {"until": NOW - SECOND})
    engine.dispose()
    return url


def differences(url: str) -> list:
    """What Alembic would change to make the database what the code says."""
    database = Database(url)
    with database.reading() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
    database.close()
    return found


def described(url: str) -> dict:
    """Columns, keys and indexes of each table, sorted by name."""
    database = Database(url)
    with database.reading() as connection:
        there = inspect(connection)
        found = {
            table: [
                sorted(str(column) for column in there.get_columns(table)),
                there.get_pk_constraint(table)["constrained_columns"],
                sorted(_index(one) for one in there.get_indexes(table)),
                sorted(str(one["column_names"]) for one in there.get_unique_constraints(table)),
                there.get_table_comment(table) if connection.dialect.supports_comments else None,
            ]
            for table in sorted(there.get_table_names())
        }
    database.close()
    return found


def _index(found: Any) -> str:
    where = [str(condition) for name, condition in found["dialect_options"].items() if name.endswith("_where")]
    return f"{found['name']} {found['column_names']} {bool(found['unique'])} {where}"


def test_a_migrated_database_keeps_its_log(old_url):
    ledger = SqlLedger(old_url)

    log = ledger.send_events(None, NOW + 10 * SECOND)

    expected = [
        (send_id, state, NOW + after * SECOND, reason if state == states[-1][0] else None)
        for send_id, (states, reason) in LIVES.items()
        for state, after in states
    ]
    assert sorted(log.select("send_id", "state", "at", "reason").rows()) == sorted(expected)
    assert log.select("program", "campaign_id", "slot_at").unique().rows() == [(PROGRAM, CAMPAIGN, SLOT)]
    assert ledger.opt_outs(NOW).rows() == [("c-9", NOW, PROGRAM, None, None)]
    assert ledger.batch(PROGRAM, date(2026, 11, 19)) == (12.5, 500)
    assert ledger.in_doubt().select("send_id", "reason").rows() == [("d" * 32, "lost")]
    ledger.close()


def test_a_migrated_database_goes_on(old_url):
    """What version 1 left claimed is freed, what it left handed over is in doubt; both may be moved on."""
    ledger = SqlLedger(old_url)

    assert ledger.recover(PROGRAM, NOW + 3 * SECOND) == (1, ["e" * 32])
    assert ledger.claim(sorted(LIVES), SLOT).won == ["a" * 32, "f" * 32]
    ledger.move(["a" * 32, "f" * 32], "handed_over", SLOT)
    ledger.move(["a" * 32, "f" * 32, "e" * 32, "d" * 32], "sent", SLOT)

    assert ledger.states(CAMPAIGN) == {"sent": 5, "failed": 1, "skipped": 1}
    with ledger.database.reading() as connection:
        places = set(connection.execute(text("SELECT marketplace, subject_type, priority FROM sends")).all())
        steps = connection.execute(text("SELECT send_id, step, state FROM send_states ORDER BY send_id, step")).all()
    assert places == {("DE", "product", 100)}
    assert [row.state for row in steps if row.send_id == "b" * 32] == ["planned", "claimed", "handed_over", "sent"]
    assert [row.step for row in steps if row.send_id == "f" * 32] == list(range(6))
    ledger.close()


def test_answers_of_version_2_are_their_first_versions(urls):
    engine = open_engine(urls[0], Random(1))
    with engine.connect().execution_options(**WRITES) as connection, connection.begin():
        migrate(connection, 0, "0002")
        connection.execute(
            text(
                "INSERT INTO sends (send_id, program, campaign_id, customer_id, subject_id, channel, slot_at,"
                " cap_scope, is_solicitation, state, planned_at, updated_at)"
                " VALUES ('s', 'p', 'c', 'c-1', 'p-1', 'push', :at, 'p', :asks, 'sent', :at, :at)"
            ),
            {"at": NOW, "asks": True},
        )
        for key, send, body in (("r-1", "s", "Fine."), ("r-2", None, None)):
            connection.execute(
                text(
                    "INSERT INTO responses VALUES (:key, 'p', 'c-1', 'DE', 'product', 'p-1', :send, 4, :body,"
                    " :photos, :at, :received)"
                ),
                {"key": key, "send": send, "body": body, "photos": "[]", "at": NOW, "received": NOW + SECOND},
            )
    engine.dispose()

    ledger = SqlLedger(urls[0])
    log = ledger.responses(None, NOW + 10 * SECOND)

    names = (
        "response_id",
        "version",
        "channel",
        "rating",
        "is_positive",
        "has_text",
        "at",
        "changed_at",
        "received_at",
    )
    times = (NOW, NOW, NOW + SECOND)
    assert log.select(names).rows() == [
        ("r-1", 1, "push", 4, None, True, *times),
        ("r-2", 1, None, 4, None, False, *times),
    ]
    assert log["tags"].to_list() == [[], []]
    with ledger.database.reading() as connection:
        kept = dict(connection.execute(text("SELECT response_id, body FROM responses")).tuples().all())
    assert kept == {"r-1": "Fine.", "r-2": None}
    ledger.close()


def test_a_migrated_schema_is_that_of_a_new_database(old_url, urls):
    assert differences(old_url) == differences(urls[1]) == []
    assert described(old_url) == described(urls[1])


def test_threads_that_meet_at_an_old_database_migrate_it_once(old_url):
    start = threading.Barrier(4)

    def open_it(_: int) -> int:
        ledger = SqlLedger(old_url)
        start.wait()
        height = ledger.send_events(None, NOW + 10 * SECOND).height
        ledger.close()
        return height

    with ThreadPoolExecutor(4) as pool:
        heights = set(pool.map(open_it, range(4)))

    assert heights == {sum(len(states) for states, _ in LIVES.values())}
    database = Database(old_url)
    with database.reading() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [
            f"{SCHEMA_VERSION:04}"
        ]
        assert connection.execute(gate.select()).all() == [(1, SCHEMA_VERSION)]
    database.close()


def test_threads_may_make_different_databases_at_once(urls):
    start = threading.Barrier(2)

    def make(url: str) -> str:
        database = Database(url)
        start.wait()
        with database.reading() as connection:
            version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        database.close()
        return version

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(make, urls)) == [f"{SCHEMA_VERSION:04}"] * 2


def test_a_migration_waits_for_a_writer_of_the_old_version(old_url):
    """The writer holds the gate and then changes a send, as every writer of version 1 does."""
    engine = open_engine(old_url, Random(1))
    with ThreadPoolExecutor(1) as pool:
        with engine.connect().execution_options(**WRITES) as writer, writer.begin():
            lock(writer, gate, "ROW SHARE")
            writer.execute(gate.select().with_for_update(read=True))
            migration = pool.submit(differences, old_url)
            with pytest.raises(TimeoutError):
                migration.result(timeout=0.5)
            writer.execute(text("UPDATE sends SET state = state"))
        assert migration.result(timeout=10) == []
    engine.dispose()
