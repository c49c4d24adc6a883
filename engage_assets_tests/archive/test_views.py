import re
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from engage_assets.archive.views import MACROS, views
from engage_assets_tests.archive.changes import AT, DEMAND, EVENT, ITEMS, NOTIFICATION, change
from engage_assets_tests.archive.mirrored import a_mirror, a_root, put

NAMES = {
    "archive_files",
    "deleted_audit",
    "deleted_but_readable",
    "demand",
    "demand_current",
    "event",
    "event_history",
    "notification",
    "notification_lag",
    "sale",
}


def opened(segments):
    """A connection that has the views."""
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA mirror")
    for signature, text in MACROS.items():
        connection.execute(f"CREATE MACRO {signature} AS {text}")
    for name, text in views(segments).items():
        connection.execute(f"CREATE VIEW {name} AS {text}")
    return connection


@pytest.fixture
def ask(tmp_path):
    """Archive some changes, each in a file of its own, and ask a question."""
    root, mirror = a_root(tmp_path), a_mirror(tmp_path)

    def archive_and_ask(query, *changes):
        for number, one in enumerate(changes):
            put(root, one, first=str(number))
        mirror.sync(root)
        with opened(mirror.segments()) as connection:
            return connection.sql(query).fetchall()

    return archive_and_ask


def later(seconds, micros=0):
    return AT + timedelta(seconds=seconds, microseconds=micros)


def number(change, sequence):
    """The same change with a sequence number of the stream."""
    return change | {"dynamodb": change["dynamodb"] | {"SequenceNumber": sequence}}


def version(name, seconds, sequence, sale_name, **of):
    item = DEMAND | {"saleName": sale_name} | of
    return number(change(item, name, f"{sequence}{sale_name}", later(seconds)), sequence)


CURRENT = "SELECT fanId, saleName, isDeleted FROM demand_current ORDER BY ALL"


def test_current_is_the_latest_by_time(ask):
    found = ask(
        CURRENT, version("INSERT", 0, "9", "old"), version("MODIFY", 5, "8", "new"), version("MODIFY", 3, "7", "mid")
    )
    assert found == [("fan-1", "new", False)]


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("9", "10"),
        ("099", "100"),
        (
            "49590338271490256608559692538361571095921575989136588898",
            "49590338271490256608559692538361571095921575989136588899",
        ),
        (
            "9959033827149025660855969253836157109592157598913658889",
            "49590338271490256608559692538361571095921575989136588898",
        ),
    ],
)
def test_at_the_same_time_the_larger_sequence_number_wins(ask, smaller, larger):
    found = ask(CURRENT, version("MODIFY", 0, larger, "larger"), version("INSERT", 0, smaller, "smaller"))
    assert found == [("fan-1", "larger", False)]


def test_current_has_the_deleted_and_one_row_for_each_reference(ask):
    found = ask(
        CURRENT,
        version("INSERT", 0, "1", "a"),
        version("REMOVE", 1, "2", "a"),
        version("INSERT", 0, "3", "b", fanId="fan-2"),
        version("INSERT", 0, "3", "b", fanId="fan-2"),  # a full tie is one row all the same
    )
    assert found == [("fan-1", "a", True), ("fan-2", "b", False)]


def test_deleted_audit(ask):
    found = ask(
        "SELECT referenceId, requested, deleted, isRedacted, changeId FROM deleted_audit",
        change(event_id="new"),
        change(name="REMOVE", event_id="gone", at=later(60)),
        change(NOTIFICATION, "REMOVE", event_id="another-type"),
    )
    requested = datetime.fromisoformat("2026-11-20T04:30:00.000001")
    assert found == [("event-1_sale-1_fan-1", requested, later(60).replace(tzinfo=None), True, "gone")]


def test_deleted_but_readable_names_versions_that_a_deletion_left(ask):
    found = ask(
        "SELECT type, referenceId, changeTime FROM deleted_but_readable ORDER BY ALL",
        change(event_id="1"),
        change(name="REMOVE", event_id="2", at=later(60)),
        change(event_id="3", at=later(120)),  # asked again: a living record
        change(NOTIFICATION, event_id="4"),
        change(NOTIFICATION, "REMOVE", event_id="5", at=later(1)),
        change(DEMAND | {"fanId": "fan-2"}, event_id="6"),
    )
    naive = AT.replace(tzinfo=None)
    assert found == [
        ("demand", "event-1_sale-1_fan-1", naive),
        ("notification", "event-1_sale-1_fan-1", naive),
    ]


def test_notification_lag_has_fractions_and_every_version(ask):
    date = {"requested": "2026-11-20T09:00:00.000001Z", "triggered": "2026-11-20T09:00:30Z"}
    found = ask(
        "SELECT lag_seconds, triggered_lag_seconds, isDeleted FROM notification_lag ORDER BY ALL",
        change(DEMAND | {"date": date}, event_id="1"),
        change(DEMAND | {"date": date | {"notified": "2026-11-20T09:00:45.5Z"}}, "MODIFY", event_id="2"),
        change(DEMAND | {"date": date | {"notified": "2026-11-20T09:00:45.5Z"}}, "REMOVE", event_id="3"),
    )
    assert found == [(45.499999, 15.5, False), (45.499999, 15.5, True)]


def test_event_history(ask):
    found = ask(
        "SELECT version, name, previousName, isRenamed, until IS NULL FROM event_history ORDER BY version",
        change(EVENT, event_id="1"),
        change(EVENT | {"name": "Open Air II"}, "MODIFY", event_id="2", at=later(10)),
        change(EVENT | {"name": "Open Air II"}, "MODIFY", event_id="3", at=later(20)),
    )
    assert found == [
        (1, "Open Air", None, False, False),
        (2, "Open Air II", "Open Air", True, False),
        (3, "Open Air II", "Open Air II", False, True),
    ]


BY_EVENT = """
SELECT eventid, COUNT(*) as demand_count FROM demand WHERE partition_date >= '2025-01-01' AND isdeleted = false
GROUP BY eventid ORDER BY demand_count DESC LIMIT 10"""
SURGE = "SELECT COUNT(*) FROM demand WHERE eventid='event-1' AND partition_date='2026-11-20'"
DELETED = """
SELECT fanid, eventid, date.requested, date.deleted FROM demand WHERE isdeleted = true AND
partition_date >= '2024-10-01' AND partition_date < '2025-01-01'"""
LAG = """
SELECT AVG(UNIX_TIMESTAMP(date.notified) - UNIX_TIMESTAMP(date.requested)) as avg_lag_seconds FROM demand
WHERE date.notified IS NOT NULL AND partition_date >= '2025-01-01'"""


@pytest.mark.parametrize(
    ("query", "rows"), [(BY_EVENT, [("event-1", 1)]), (SURGE, [(1,)]), (DELETED, []), (LAG, [(None,)])]
)
def test_queries_as_analysts_write_them_elsewhere(ask, query, rows):
    assert ask(query, *(change(item, event_id=str(n)) for n, item in enumerate(ITEMS))) == rows


def test_without_a_record_there_are_the_same_columns(tmp_path):
    root, mirror = a_root(tmp_path), a_mirror(tmp_path)
    put(root, *(change(item, event_id=str(n)) for n, item in enumerate(ITEMS)))
    mirror.sync(root)
    with opened({}) as empty, opened(mirror.segments()) as full:
        for name in views({}):
            described = [one.sql(f"DESCRIBE {name}").fetchall() for one in (empty, full)]
            assert described[0] == described[1], name
            assert empty.sql(f"SELECT count(*) FROM {name}").fetchall() == [(0,)]
    assert {name for name in views({}) if "." not in name} == NAMES


def test_archive_files(ask):
    found = ask("SELECT type, partition_date::text, records FROM archive_files", change(event_id="a"))
    assert found == [("demand", "2026-11-20", 1)]


def test_names_of_folders_are_quoted():
    (text,) = re.findall(r"\[.*\]", views({"sale": [Path("/a'b/sale.parquet")]})["mirror.sale"])
    assert text == "['/a''b/sale.parquet']"
