"""What the ledger asks of SQLite: durable commits, cuts that wait, first use by many."""

import json
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from engage_assets.domain.errors import EngageError
from engage_assets.domain.sends import Send
from engage_assets.ledger.database import Database
from engage_assets.ledger.engines import as_list
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.outbox import RELAYED, SqlOutbox
from engage_assets.ledger.tables import SCHEMA_VERSION, gate, sends
from engage_assets_tests.builders import instant

NOW = instant("2026-11-20 02:40")


def a_send(customer: str) -> Send:
    return Send("product-reviews", "campaign", customer, "p-1", "email", NOW, "product-reviews")


@pytest.fixture
def ledger(tmp_path):
    ledger = SqlLedger(f"sqlite:///{tmp_path}/ledger.db")
    yield ledger
    ledger.close()


def test_commits_are_durable_and_readers_are_not_in_the_way(ledger):
    with ledger.database.reading() as connection:
        pragmas = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]

    assert pragmas == ["wal", 2]


@pytest.mark.parametrize("keys", [[], ["c-1"], ["c-1", 'a"b\\', "ü\n\x1f\u2028", "\U0001f600"]])
def test_a_list_of_keys_is_json(keys):
    assert as_list(keys) == json.dumps(keys)


def test_a_cut_waits_for_the_writer_who_came_first(ledger, tmp_path):
    ledger.plan([a_send("c-1")], NOW)
    send_id = a_send("c-1").send_id
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as writer, ThreadPoolExecutor() as pool:
        writer.execute("BEGIN IMMEDIATE")
        cut = pool.submit(ledger.send_events, None, NOW)
        with pytest.raises(TimeoutError):
            cut.result(timeout=0.1)
        writer.execute("INSERT INTO send_states VALUES (?, 1, 'claimed', ?, NULL)", (send_id, f"{NOW}.000000"))
        writer.execute("COMMIT")

        assert cut.result(timeout=10)["state"].to_list() == ["planned", "claimed"]


def test_threads_that_meet_at_a_new_file_share_it(tmp_path):
    def plan(number):
        ledger = SqlLedger(f"sqlite:///{tmp_path}/ledger.db")
        planned = ledger.plan([a_send("everybody"), a_send(f"c-{number}")], NOW)
        ledger.close()
        return planned

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(plan, range(8))) == 9


def test_a_write_that_fails_leaves_nothing(ledger):
    def break_off():
        with ledger.database.writing() as connection:
            connection.execute(gate.update().values(schema_version=99))
            raise RuntimeError("the writer broke off")

    with pytest.raises(RuntimeError, match="broke off"):
        break_off()

    assert ledger.plan([a_send("c-1")], NOW) == 1
    with ledger.database.reading() as connection:
        assert connection.execute(gate.select()).all() == [(1, SCHEMA_VERSION)]
        assert connection.execute(sends.select()).one().state == "planned"


def test_a_ledger_of_another_schema_is_left_alone(ledger, tmp_path):
    ledger.plan([a_send("c-1")], NOW)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        connection.execute("UPDATE gate SET schema_version = 99")

    with pytest.raises(EngageError, match=r"ledger\.db: ledger of schema 99"):
        SqlLedger(ledger.url).first_event_at()


def test_an_unknown_database_is_refused():
    with pytest.raises(EngageError, match=r"mysql://me:\*\*\*@here/ledger: the database must be one of sqlite"):
        SqlLedger("mysql://me:secret@here/ledger").first_event_at()


def test_a_log_that_is_carried_over_begins_anew(ledger, tmp_path):
    log = tmp_path / "ledger.db-wal"
    ledger.plan([a_send(f"c-{number}") for number in range(500)], NOW)
    ledger.database.carry_over()
    before = log.stat().st_size

    ledger.plan([a_send("c-x")], NOW)

    assert before == log.stat().st_size > 100_000
    with ledger.database.reading() as reader:
        assert len(reader.execute(sends.select()).all()) == 501
        ledger.plan([a_send("c-y")], NOW)
        ledger.database.carry_over()
    assert ledger.states("campaign") == {"planned": 502}


def test_a_log_is_carried_over_whole_beside_a_writer(ledger, tmp_path):
    def write_on():
        for number in range(200):
            ledger.plan([a_send(f"c-{number}")], NOW)

    with ThreadPoolExecutor() as pool:
        writer = pool.submit(write_on)
        while not writer.done():
            ledger.database.carry_over()
        writer.result()
    ledger.database.carry_over()

    shutil.copyfile(tmp_path / "ledger.db", tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT count(*) FROM sends").fetchone() == (200,)
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_an_outbox_that_is_carried_may_lose_marks_alone_and_empties_the_log(ledger, monkeypatch):
    carried = []
    database = Database(ledger.url, **RELAYED)
    monkeypatch.setattr(database, "carry_over", lambda: carried.append(1))
    outbox = SqlOutbox(database)
    with database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1

    for _ in range(5):
        outbox.done(range(100), NOW)
    database.close()

    assert len(carried) == 2
