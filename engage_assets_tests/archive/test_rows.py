"""What the worker takes from an image, adds and makes unreadable, type by type."""

from datetime import datetime, timedelta

import pytest

from engage_assets_tests.archive.changes import (
    AT,
    DEMAND,
    EVENT,
    ITEMS,
    NOTIFICATION,
    SALE,
    Raw,
    change,
    refusal,
    row,
)


def micros(text):
    return (datetime.fromisoformat(text) - datetime.fromisoformat("1970-01-01T00:00:00Z")) // timedelta(microseconds=1)


CHANGED = AT.isoformat()


def test_a_demand():
    kind, day, values = row(change(DEMAND))
    assert (kind, day) == ("demand", "2026-11-20")  # the UTC date of a request late in the evening of the 19th
    assert values["requestedDateTime"] == micros("2026-11-20T04:30:00Z")
    assert values["date"]["requested"] == micros("2026-11-20T04:30:00.000001Z")
    assert values["isDeleted"] is False
    assert values["system"] == {"id": "17", "databaseId": "db2", "memberId": "99"}
    assert values["reference"] == {"id": "event-1_sale-1_fan-1", "timestamp": micros("2026-11-20T05:00:00Z")}
    assert values["lineage"] == {
        "stream": "changes",
        "shard": "shard-1",
        "sequenceNumber": "1",
        "eventId": "change-1",
        "eventName": "INSERT",
        "changeTime": micros(CHANGED),
    }


@pytest.mark.parametrize(
    ("item", "day", "reference", "time"),
    [
        (NOTIFICATION, "2026-11-20", "event-1_sale-1_fan-1", "2026-11-20T08:30:00Z"),
        ({**NOTIFICATION, "date": {"created": "2026-11-18T08:00:00Z"}}, "2026-11-18", "event-1_sale-1_fan-1", CHANGED),
        (EVENT, "2027-06-01", "event-1", CHANGED),
        ({**EVENT, "date": {"firstSeen": "2026-10-01T00:00:00Z"}}, "2026-10-01", "event-1", CHANGED),
        ({**EVENT, "date": {"updated": "2026-11-01T00:00:00Z"}}, "2027-06-01", "event-1", "2026-11-01T00:00:00Z"),
        ({"type": "event", "id": "event-2"}, "2026-11-20", "event-2", CHANGED),
        (SALE, "2027-01-10", "event-1_sale-1", "2027-01-10T10:00:00Z"),
    ],
)
def test_partition_and_reference(item, day, reference, time):
    _, found, values = row(change(item))
    assert found == day
    assert values["reference"] == {"id": reference, "timestamp": micros(time)}


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item["type"])
def test_a_removal_marks_the_row_and_takes_what_is_personal(item):
    _, day, values = row(change(item, "REMOVE"))
    _, of_the_living, before = row(change(item))
    assert day == of_the_living
    assert values["isDeleted"] is True
    assert values["date"]["deleted"] == micros(CHANGED)
    assert values["reference"]["timestamp"] == micros(CHANGED) or item is DEMAND
    for name in ("phoneNumber", "email", "messageBody"):
        expected = "[redacted]" if name in item else before.get(name)
        assert values.get(name) == expected


def test_the_latest_time_of_a_demand_counts_even_after_its_removal():
    item = {**DEMAND, "date": {**DEMAND["date"], "notified": "2027-01-01T00:00:00Z"}}
    assert row(change(item, "REMOVE"))[2]["reference"]["timestamp"] == micros("2027-01-01T00:00:00Z")


def test_a_stated_deletion_is_kept_until_a_removal_states_its_own():
    item = {**NOTIFICATION, "date": {**NOTIFICATION["date"], "deleted": "2026-11-20T08:45:00Z"}}
    kept = row(change(item, "MODIFY"))[2]
    assert kept["date"]["deleted"] == kept["reference"]["timestamp"] == micros("2026-11-20T08:45:00Z")
    assert kept["isDeleted"] is False
    assert row(change(item, "REMOVE"))[2]["date"]["deleted"] == micros(CHANGED)


@pytest.mark.parametrize(
    ("user", "parts"),
    [
        ("a-b-c.d", ("a-b", "c", "d")),
        ("a.b-c.d", ("a.b", "c", "d")),
        ("a-b", None),
        ("-b.c", None),
        ("a-b.", None),
        ("", None),
    ],
)
def test_parts_of_a_system_user(user, parts):
    found = row(change({**DEMAND, "systemUserId": user}))[2]["system"]
    assert found == (dict(zip(("id", "databaseId", "memberId"), parts, strict=True)) if parts else None)


def test_what_no_table_names_is_dropped_and_null_is_absent():
    _, _, values = row(change({**EVENT, "seats": Raw(N="9"), "name": None, "url": ""}))
    assert "seats" not in values
    assert values["name"] is None
    assert values["url"] == ""
    assert values["venues"] == [{"id": "venue-1", "name": "Am See", "type": None, "url": None, "locale": None}]


def test_types_of_a_sale_are_a_list_or_a_set():
    assert row(change(SALE))[2]["saleTypes"] == ["presale", "public"]
    assert row(change({**SALE, "saleTypes": Raw(SS=["presale"])}))[2]["saleTypes"] == ["presale"]


def demand_date(**times):
    return {**DEMAND, "date": {**DEMAND["date"], **times}}


@pytest.mark.parametrize(
    ("item", "kind", "words"),
    [
        ({**DEMAND, "type": "wish"}, "unknown-type", "not one of demand, notification, event, sale"),
        ({"fanId": "fan-1"}, "unknown-type", "missing"),
        ({**DEMAND, "fanId": None}, "missing-field", "fanId: missing"),
        ({name: value for name, value in DEMAND.items() if name != "saleId"}, "missing-field", "saleId: missing"),
        (demand_date(requested=None), "missing-field", "date.requested: missing"),
        ({**DEMAND, "fanId": Raw(N="1")}, "wrong-type", "fanId: expected S, found N"),
        ({**DEMAND, "fanId": Raw(S=1)}, "wrong-type", "fanId: expected S, found no such value"),
        ({**DEMAND, "fanId": Raw(S="a", N="1")}, "wrong-type", "fanId: expected S"),
        ({**DEMAND, "email": True}, "wrong-type", "email: expected S, found BOOL"),
        ({**DEMAND, "date": "today"}, "wrong-type", "date: expected M, found S"),
        ({**EVENT, "isSuppressed": "no"}, "wrong-type", "isSuppressed: expected BOOL, found S"),
        ({**EVENT, "venues": "one"}, "wrong-type", "venues: expected L, found S"),
        ({**EVENT, "venues": ["one"]}, "wrong-type", "venues[]: expected M, found S"),
        ({**EVENT, "venues": [None]}, "wrong-type", "venues[]: NULL in a list"),
        ({**SALE, "saleTypes": Raw(NS=["1"])}, "wrong-type", "saleTypes: expected L or SS, found NS"),
        (demand_date(requested="2026-11-20T09:00:00"), "impossible-date", "date.requested: not an ISO 8601 time"),
        (demand_date(requested="2026-11-20"), "impossible-date", "with a zone"),
        (demand_date(requested=""), "impossible-date", "with a zone"),
        (demand_date(notified="2026-02-30T09:00:00Z"), "impossible-date", "date.notified: not an ISO 8601 time"),
        (demand_date(notified="2026-11-20 09:00:00Z"), "impossible-date", "no T"),
        (demand_date(notified="1999-12-31T23:59:59.999999Z"), "impossible-date", "before 2000"),
        (demand_date(notified="2036-11-20T09:00:00.123001Z"), "impossible-date", "more than 10 years"),
        (demand_date(notified="0001-01-01T00:00:00+23:59"), "impossible-date", "date.notified"),
        ({**DEMAND, "artistName": "ß" * (200 * 1024 + 1)}, "oversize", "artistName: a text of more than"),
    ],
)
def test_a_bad_item_is_refused_by_field(item, kind, words):
    found, message = refusal(change(item))
    assert found == kind
    assert words in message


def test_limits_themselves_are_within():
    item = demand_date(notified="2036-11-20T09:00:00.123Z", triggered="2000-01-01T00:00:00Z")
    assert row(change({**item, "artistName": "ß" * (200 * 1024)}))


def test_ten_years_after_a_leap_day_is_the_28th():
    leap = datetime.fromisoformat("2028-02-29T12:00:00+00:00")
    item = {**SALE, "saleStartDateTime": "2038-02-28T12:00:00Z"}
    assert row(change(item, at=leap))
    assert refusal(change({**SALE, "saleStartDateTime": "2038-02-28T12:00:00.001Z"}, at=leap))[0] == "impossible-date"
