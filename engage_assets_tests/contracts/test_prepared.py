"""Statements that the driver runs itself give and take what SQLAlchemy's would; connections that a thread keeps."""

import threading
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import bindparam, func, insert, null, select, union_all, update

from engage_assets.ledger import tables
from engage_assets.ledger.database import Database
from engage_assets.ledger.engines import among, as_list, insert_new_on
from engage_assets.ledger.log import planned_row
from engage_assets.ledger.prepared import Prepared
from engage_assets_tests.contracts.sends import NOW, SLOT, a_send

SENDS = tables.sends.c
STAMPS = {"state": "sent", "planned_at": NOW, "updated_at": SLOT + timedelta(microseconds=1), "step": 3}
NEW = Prepared(lambda _: insert(tables.sends))
ROWS = [
    planned_row(one) | STAMPS
    for one in (
        a_send("c-1", subject_name="Kettle's \U0001f3b8 50 %", locale="de-AT"),
        a_send("c-2", is_solicitation=False),
        replace(a_send("c-3"), priority=7),
    )
]


def of_customers(dialect):
    """All columns of some customers' sends; the state is a value of the statement itself."""
    states = (SENDS.state == "sent") & (SENDS.slot_at >= bindparam("since"))
    return select(*SENDS).where(among(dialect, SENDS.customer_id), states).order_by(SENDS.customer_id)


@pytest.mark.parametrize("count", [1, 3])
def test_rows_are_written_and_read_as_sqlalchemy_does(ledger, count):
    with ledger.database.writing() as connection:
        NEW.run(connection, ROWS[:count])
        NEW.run(connection, [])

    given = {"keys": as_list(["c-1", "c-2", "c-3", "c'4"]), "since": SLOT}
    with ledger.database.reading() as connection:
        theirs = [tuple(row) for row in connection.execute(of_customers(connection.dialect.name), given)]
        ours = Prepared(of_customers).rows(connection, given)

    assert ours == theirs
    assert [dict(zip(SENDS.keys(), row, strict=True)) for row in ours] == [
        row | {"lease_until": None} for row in ROWS[:count]
    ]
    assert [type(value) for value in ours[0]] == [type(value) for value in theirs[0]]


def test_unions_nulls_and_returned_rows_come_back(ledger):
    both = Prepared(lambda _: union_all(select(SENDS.send_id, SENDS.slot_at), select(null(), SENDS.updated_at)))
    changed = Prepared(
        lambda _: (
            update(tables.sends).where(SENDS.customer_id == bindparam("who")).values(step=9).returning(SENDS.slot_at)
        )
    )
    with ledger.database.writing() as connection:
        NEW.run(connection, ROWS[:1])
        assert changed.rows(connection, {"who": "c-1"}) == [(SLOT,)]
        assert changed.rows(connection, {"who": "c-9"}) == []
        found = both.rows(connection, {})

    assert sorted(found, key=str) == sorted([(ROWS[0]["send_id"], SLOT), (None, STAMPS["updated_at"])], key=str)


def test_each_row_gives_what_came_of_it(ledger):
    new = Prepared(lambda dialect: insert_new_on(dialect, tables.sends).returning(SENDS.send_id, SENDS.slot_at))

    with ledger.database.writing() as connection:
        first = new.rows_of_each(connection, ROWS[1:2])
        both = new.rows_of_each(connection, ROWS)
        none = new.rows_of_each(connection, ROWS), new.rows_of_each(connection, [])

    assert first == [(ROWS[1]["send_id"], SLOT)]
    assert both == [(row["send_id"], SLOT) for row in (ROWS[0], ROWS[2])]
    assert none == ([], [])


def test_many_rows_are_written_in_their_order(ledger):
    """The outbox is applied in the order of its keys, which the database counts."""
    new = Prepared(lambda _: insert(tables.outbox).inline())
    outbox = tables.outbox.c
    with ledger.database.writing() as connection:
        new.run(connection, [{"topic": "t", "payload": f'"\\ü{one}', "created_at": NOW} for one in range(300)])
        rows = connection.execute(select(outbox.payload, outbox.created_at).order_by(outbox.entry_id)).all()

    assert [tuple(row) for row in rows] == [(f'"\\ü{one}', NOW) for one in range(300)]


def test_a_transaction_at_once_is_whole_or_not_there(ledger):
    """What is told may fail later than the next statement, and no later than the end."""
    asked, database = Prepared(of_customers), ledger.database
    given = {"keys": as_list(["c-1", "c-2"]), "since": SLOT}

    with database.writing_at_once() as connection:
        before = asked.ask(connection, given)
        NEW.run(connection, ROWS[:1])
        after = asked.ask(connection, given)
        assert [len(after()), len(before())] == [1, 0]

    def fail(last, fault=None):
        with database.writing_at_once() as connection:
            NEW.run(connection, ROWS[1:])
            NEW.run(connection, last)
            if fault:
                raise fault

    with pytest.raises(Exception, match=r"(?i)unique"):
        fail(ROWS[1:2])
    with pytest.raises(ValueError, match="ours"):
        fail([], ValueError("ours"))
    with database.reading_often() as connection:
        assert len(asked.rows(connection, given)) == 1
    with database.writing_at_once() as connection:
        NEW.run(connection, ROWS[1:])

    assert ledger.states(ROWS[0]["campaign_id"]) == {"sent": 3}


@pytest.mark.parametrize("role", ["reading_often", "writing_at_once"])
def test_a_connection_that_broke_fails_once(postgres_ledger, role):
    """The server may end it at any time: the thread takes another."""
    database, given = Database(postgres_ledger.database.url), {"keys": as_list(["c-1"]), "since": SLOT}

    def found():
        with getattr(database, role)() as connection:
            Prepared(of_customers).rows(connection, given)
            return connection.connection.driver_connection.info.backend_pid

    with postgres_ledger.database.reading() as connection:
        connection.execute(select(func.pg_terminate_backend(found()))).all()
    with pytest.raises(psycopg.OperationalError):
        found()
    found()
    database.close()


def test_a_thread_that_reads_often_sees_what_was_written_since(ledger):
    for place in range(3):
        with ledger.database.writing_often() as connection:
            NEW.run(connection, ROWS[place : place + 1])
        with ledger.database.reading_often() as connection:
            assert (
                len(Prepared(of_customers).rows(connection, {"keys": as_list(["c-1", "c-2", "c-3"]), "since": SLOT}))
                == place + 1
            )


def test_threads_that_end_give_their_connections_back(sqlite_ledger):
    done = []

    def work():
        with sqlite_ledger.database.reading_often(), sqlite_ledger.database.writing_often():
            done.append(1)

    for _ in range(20):  # more than the engine would open at a time
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(10)

    assert len(done) == 20


def test_what_fails_leaves_nothing_and_the_connection_goes_on(ledger):
    database = ledger.database

    def write(*rows):
        with database.writing_often() as connection:
            NEW.run(connection, rows)
            NEW.run(connection, [rows[0]])

    with pytest.raises(Exception, match=r"(?i)unique"):
        write(*ROWS)
    with database.writing_often() as connection:
        NEW.run(connection, ROWS[:2])

    assert ledger.states(ROWS[0]["campaign_id"]) == {"sent": 2}


def test_a_database_that_was_closed_opens_again_in_every_thread(sqlite_ledger):
    database = sqlite_ledger.database
    opened, closed, found = threading.Event(), threading.Event(), []

    def write():
        for row in ROWS[:2]:
            with database.writing_often() as connection:
                found.append(connection)
                NEW.run(connection, [row])
            opened.set()
            closed.wait(5)

    thread = threading.Thread(target=write)
    thread.start()
    opened.wait(5)
    database.close()
    closed.set()
    thread.join(5)

    assert sqlite_ledger.states(ROWS[0]["campaign_id"]) == {"sent": 2}
    assert found[0].closed
    assert not found[1].closed
    with database.writing_often() as one:
        pass
    with database.writing_often() as other:
        assert one is other is not found[1]
