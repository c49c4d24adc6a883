"""What raw files may look like, and that nothing of them is lost silently."""

import json
from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from engage_assets.domain.errors import EngageError
from engage_assets.summaries.raw_logs import raw_files
from engage_assets_tests.summaries.silver_world import (
    BEFORE,
    DAY,
    NEXT,
    SHOP,
    column,
    log,
    rows,
    shop,
    silver,
    write_lines,
    write_logs,
)


def set_aside(days, arrival=DAY):
    return [tuple(row.values()) for row in rows(days, "set_aside", arrival)]


def test_lines_that_are_no_records_are_named_and_counted(tmp_path):
    good = json.dumps(log("view"))
    bad = [
        '{"timestamp": "2025',
        "[1]",
        "",
        '"text"',
        b"\xff\xfe",
        '{"timestamp": "soon"}',
        '{"body": "x"}',
        good + " x",
    ]
    write_lines(tmp_path, DAY, [good, *bad, json.dumps(log("cart", "12:01"))])
    days = shop(tmp_path)
    assert column(silver(days), "kind") == ["product_view", "cart_add"]
    assert [(line, reason.split(" at ")[0]) for _, line, reason, _ in set_aside(days)] == [
        (2, "malformed: Unterminated string starting"),
        (3, "malformed: not a JSON object"),
        (5, "malformed: not a JSON object"),
        (6, "malformed: not UTF-8"),
        (7, "no_time"),
        (8, "no_time: no timestamp"),
        (9, "malformed: Extra data"),
    ]
    assert {file for file, *_ in set_aside(days)} == {f"{DAY}.ndjson"}
    found = {row["name"]: row for row in rows(days, "quality") if row["measure"] == "set_aside"}
    assert {name: (row["found"], row["events"]) for name, row in found.items()} == {
        "malformed": (5, 9),
        "no_time": (2, 9),
    }


def test_a_file_without_any_readable_record_is_set_aside_whole(tmp_path):
    write_logs(tmp_path, [log("view", f"{BEFORE} 12:00")])
    write_lines(tmp_path, DAY, ["not JSON"] * 3)
    days = shop(tmp_path)
    assert silver(days) == []
    found = [row for row in rows(days, "quality") if row["measure"] == "set_aside"]
    assert [(row["name"], row["events"], row["found"], row["share"]) for row in found] == [("malformed", 3, 3, 1.0)]


def test_the_word_of_an_export_among_texts_is_text(tmp_path):
    texts = ["a", "resourceLogs", '{"resourceLogs": []}']
    write_logs(tmp_path, [log("search", f"12:0{n}", query=text) for n, text in enumerate(texts)])
    days = shop(tmp_path)
    assert column(silver(days), "search_term") == ["a", "resourcelogs", '{"resourcelogs": []}']
    assert set_aside(days) == []


def test_exports_and_records_in_one_file_are_both_read(tmp_path):
    lines = [json.dumps(otlp(otlp_record())), json.dumps(log("view", "13:00", "r2")), '{"resourceSpans": []}']
    write_lines(tmp_path, DAY, lines)
    days = shop(tmp_path)
    assert column(silver(days), "event_id") == ["r1", "r2"]
    assert set_aside(days) == [(f"{DAY}.ndjson", 3, "malformed: no resourceLogs", 1)]
    write_lines(tmp_path, DAY, reversed(lines[:2]))
    assert column(silver(days), "event_id") == ["r2"]
    assert set_aside(days) == [(f"{DAY}.ndjson", 2, "malformed: an OTLP export among records", 1)]


def test_a_lone_surrogate_is_set_aside_and_stops_nothing(tmp_path):
    odd = log("view", "12:01", "r2", color="\ud83d")
    write_lines(tmp_path, DAY, [json.dumps(log("view", record_id="r0")), json.dumps(odd)])
    fine, wrong = otlp_record(timeUnixNano="1761998400000000000"), otlp_record(body={"stringValue": "\udc00"})
    write_lines(tmp_path, NEXT, [json.dumps(otlp(fine, wrong))])
    days = shop(tmp_path)
    assert column(silver(days), "event_id") == ["r0"]
    assert set_aside(days) == [(f"{DAY}.ndjson", 2, "malformed: lone surrogate", 1)]
    assert column(silver(days, NEXT), "event_id") == ["r1"]
    assert set_aside(days, NEXT) == [(f"{NEXT}.ndjson", 1, "malformed: lone surrogate", 1)]


@pytest.mark.parametrize("first_id", ["r1", None])
def test_attributes_that_are_no_object_are_malformed(tmp_path, first_id):
    plain = [log("view", f"12:0{n}", first_id and f"{first_id}-{n}") for n in range(3)]
    odd = [{**log("view", "13:00", f"odd{n}"), "attributes": value} for n, value in enumerate(("text", [1], 7, True))]
    none = [{**log("view", f"14:0{n}", f"none{n}"), "attributes": value} for n, value in enumerate((None, {}))]
    write_logs(tmp_path, [*plain, *odd, *none])
    days = shop(tmp_path)
    assert len(silver(days)) == 5
    words = ("text", "a list", "a number", "a truth value")
    assert [(line, reason) for _, line, reason, _ in set_aside(days)] == [
        (line, f"malformed: attributes are {what}, not an object") for line, what in enumerate(words, 4)
    ]


def test_attributes_of_a_parquet_file_that_are_no_object_are_malformed(tmp_path):
    folder = tmp_path / "logs" / SHOP / str(DAY)
    folder.mkdir(parents=True)
    for number, attributes in enumerate(
        ("[{'key': 'userKey', 'value': 'u'}]", "'nope'", "NULL", "MAP {'userKey': 'u'}")
    ):
        query = f"SELECT '2025-10-31T12:00:00Z' AS timestamp, 'x' AS body, {attributes} AS attributes"
        duckdb.sql(query).write_parquet(str(folder / f"{number}.parquet"))
    days = shop(tmp_path)
    assert column(silver(days), "user_id") == [None, "u"]
    reason = "malformed: attributes are no object"
    assert set_aside(days) == [("0.parquet", None, reason, 1), ("1.parquet", None, reason, 1)]


def test_a_home_may_have_letters_of_patterns_in_its_name(tmp_path):
    for name in ("h*[1]?", "hx11", "hx1a"):
        folder = tmp_path / name
        write_logs(folder, [log("view", "12:00", name)])
        write_logs(folder, [log("view", f"{NEXT} 12:00", name)])
        (folder / "logs" / SHOP / f"{DAY}").mkdir()
        duckdb.sql("SELECT '2025-10-31T12:00:00Z' AS timestamp, 'x' AS body").write_parquet(
            str(Path(folder, "logs", SHOP, f"{DAY}", "a.parquet"))
        )
    days = shop(tmp_path / "h*[1]?")
    assert len(silver(days)) == 2
    assert "h*[1]?" in column(silver(days), "event_id")


def test_reasons_do_not_quote_the_line(tmp_path):
    write_lines(tmp_path, DAY, ['{"body": canary-secret', json.dumps(log("view"))])
    days = shop(tmp_path)
    days.build(DAY)
    assert "canary" not in str(set_aside(days))


def test_events_too_late_too_early_or_of_another_service_are_counted(tmp_path):
    write_logs(
        tmp_path,
        [
            *(log("view", f"{DAY + timedelta(days=shift)} 12:00", f"r{shift}") for shift in (-3, -2, 0, 1, 2)),
            {**log("view", "12:01"), "resource": {"service.name": "other"}},
            {**log("view", "12:02", "none"), "resource": {}},
        ],
        arrival=DAY,
    )
    days = shop(tmp_path)
    assert column(silver(days), "event_id") == ["r0", "none"]
    assert column(silver(days, DAY - timedelta(days=2)), "event_id") == ["r-2"]
    assert column(silver(days, NEXT), "event_id") == ["r1"]
    counted = [(reason, records) for *_, reason, records in set_aside(days)]
    assert counted == [("other_service", 1), ("too_early", 1), ("too_late", 1)]


def otlp(*records):
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": SHOP}}]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": list(records)}]}]}


def otlp_record(**changed):
    values = {
        "userKey": {"stringValue": "u1"},
        "quantity": {"intValue": "2"},
        "salePrice": {"doubleValue": 12900.5},
        "source": {"boolValue": True},
        "category": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": "1"}]}},
        "seller": {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}},
        "sellerNm": {},
        "log.record.uid": {"stringValue": "r1"},
    }
    return {
        "timeUnixNano": "1761912000123456789",
        "body": {"stringValue": "commerce.cart.add"},
        "attributes": [{"key": key, "value": value} for key, value in values.items()],
        **changed,
    }


def test_otlp_exports_are_read(tmp_path):
    later = otlp_record(timeUnixNano="0", observedTimeUnixNano=1761912060000000000, attributes=[], body=None)
    lines = [json.dumps(otlp(otlp_record())), "{", json.dumps(otlp({**later, "eventName": "client.routing"}))]
    write_lines(tmp_path, DAY, lines)
    days = shop(tmp_path)
    first, second = silver(days)
    assert (first["event_id"], first["user_id"], first["kind"]) == ("r1", "u1", "cart_add")
    assert (first["quantity"], str(first["price"]), first["source"]) == (2, "12900.50", "true")
    assert (first["category"], first["seller"]) == ('["a","1"]', None)
    assert str(first["event_time"]) == "2025-10-31 12:00:00.123456"
    assert (second["kind"], second["business_hour"], second["user_id"]) == ("page_change", 12, None)
    ((file, line, reason, records),) = set_aside(days)
    assert (file, line, records) == (f"{DAY}.ndjson", 2, 1)
    assert reason.startswith("malformed: Expecting property name")


def test_an_export_over_many_lines_is_read(tmp_path):
    path = write_lines(tmp_path, DAY, [json.dumps(otlp(otlp_record()), indent=2)])
    path.rename(path.with_suffix(".json"))
    assert column(silver(shop(tmp_path)), "event_id") == ["r1"]


def test_parquet_in_every_form_is_read(tmp_path):
    folder = tmp_path / "logs" / SHOP / str(DAY)
    folder.mkdir(parents=True)
    objects = [
        ("MAP {'userKey': 'u1', 'quantity': '2', 'none': NULL}", "MAP {'service.name': 'theshop-brand'}"),
        ("{'userKey': 'u2', 'quantity': 2}", "{'service.name': 'theshop-brand', 'host': 'h'}"),
        ("""'{"userKey": "u3", "quantity": "2"}'""", """'{"service.name": "theshop-brand"}'"""),
    ]
    timestamps = ["TIMESTAMPTZ '2025-10-31 21:00:00+09:00'", "1761912000000000000", "'2025-10-31T12:00:00Z'"]
    for number, ((attributes, resource), timestamp) in enumerate(zip(objects, timestamps, strict=True)):
        fields = f"{timestamp} AS timestamp, 'commerce.cart.add' AS body, {attributes} AS attributes"
        duckdb.sql(f"SELECT {fields}, {resource} AS resource").write_parquet(str(folder / f"{number}.parquet"))
    events = silver(shop(tmp_path))
    assert sorted(column(events, "user_id")) == ["u1", "u2", "u3"]
    assert {(event["quantity"], event["kind"], event["business_hour"]) for event in events} == {(2, "cart_add", 12)}
    assert all(event["event_id"].startswith("#") for event in events)


def test_a_folder_may_hold_several_files_and_a_strange_one_is_an_error(tmp_path):
    folder = tmp_path / "logs" / SHOP / str(DAY)
    folder.mkdir(parents=True)
    for name, record_id in (("b.ndjson", "r2"), ("a.ndjson", "r1")):
        (folder / name).write_text(json.dumps(log("view", record_id=record_id)) + "\n", encoding="utf-8")
    (folder / "_SUCCESS").touch()
    write_logs(tmp_path, [log("view", record_id="r3")])
    assert column(silver(shop(tmp_path)), "event_id") == ["r1", "r2", "r3"]
    (folder / "part.csv").touch()
    with pytest.raises(EngageError, match=r"part.csv: a log file ends in .ndjson, .json, .parquet"):
        raw_files(tmp_path / "logs", SHOP, DAY)


@pytest.mark.parametrize("name", [f"{DAY}.ndjson.gz", f"{DAY}.csv", f"{DAY}.tmp", f"{DAY}-2.ndjson"])
def test_a_strange_file_beside_the_days_is_an_error(tmp_path, name):
    write_logs(tmp_path, [log("view")])
    (tmp_path / "logs" / SHOP / name).touch()
    with pytest.raises(EngageError, match=rf"{name}: .*{DAY}.ndjson"):
        raw_files(tmp_path / "logs", SHOP, DAY)
    assert raw_files(tmp_path / "logs", SHOP, NEXT) == []


def test_ids_may_be_missing_in_the_midst_of_a_file_and_an_attribute_may_stand_twice(tmp_path):
    plain = [json.dumps(log("view", f"12:{n // 60:02}:{n % 60:02}", f"r{n}")) for n in range(200)]
    twice = '{"timestamp": "2025-10-31T13:00:00Z", "body": "x", "attributes": {"a": "%s", "a": "2"}}'
    write_lines(tmp_path, DAY, [*plain, json.dumps(log("cart", "13:01")), twice % 1, twice % 3, twice % 1])
    days = shop(tmp_path)
    built = days.build(DAY)
    assert (built.events, built.duplicates) == (203, 1)


def test_arrivals_are_read_once_and_again_when_they_change(tmp_path):
    write_logs(tmp_path, [log("view", record_id="r1")])
    days = shop(tmp_path)
    days.build(DAY)
    arrivals = days.path("arrivals", DAY)
    made = arrivals.stat().st_mtime_ns
    days.build(DAY)
    assert arrivals.stat().st_mtime_ns == made
    write_logs(tmp_path, [log("view", record_id="r1"), log("view", record_id="r2")])
    assert column(silver(days), "event_id") == ["r1", "r2"]
    (tmp_path / "logs" / SHOP / f"{DAY}.ndjson").unlink()
    assert column(silver(days), "event_id") == ["r1", "r2"]
    assert pl.read_parquet(days.path("set_aside", DAY)).is_empty()
