"""Each rule of silver on a few records."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import md5

import polars as pl
import pytest

from engage_assets.domain.errors import EngageError
from engage_assets.summaries import silver as silver_module
from engage_assets.summaries.silver import arrival_days, days_of_arrival, final_arrival, offsets
from engage_assets.summaries.silver_engine import bounded
from engage_assets.summaries.silver_order import Cells, pieces
from engage_assets_tests.summaries.naive_spec import WHITE
from engage_assets_tests.summaries.silver_world import (
    BEFORE,
    DAY,
    NEXT,
    column,
    log,
    made,
    shop,
    silver,
    write_logs,
)

SEOUL = "Asia/Seoul"
utc = datetime.fromisoformat


def test_an_event_is_typed_and_named(tmp_path):
    bought = log(
        "commerce.checkout.purchase", "12:00:00.123456", "r1", userId="u1", totalAmount="12900.5", orderId="o1"
    )
    (event,) = made(tmp_path, {**bought, "attributes": {**bought["attributes"], "session.id": "s1"}})
    assert event["service"] == "theshop-brand"
    assert (event["event_id"], event["kind"], event["event"]) == ("r1", "purchase", "commerce.checkout.purchase")
    assert (event["business_date"], event["business_hour"]) == (DAY, 12)
    assert event["event_time"] == datetime.fromisoformat("2025-10-31 12:00:00.123456")
    assert (event["user_id"], event["session_id"], event["order_id"]) == ("u1", "s1", "o1")
    assert event["amount"] == Decimal("12900.50")
    assert event["payment_method"] is None
    assert (event["invalid_values"], event["is_amount_invalid"]) == (0, False)


def test_the_first_filled_alias_counts(tmp_path):
    cases = [
        ({"userKey": "a", "userId": "b"}, "a"),
        ({"userKey": " ", "userId": "b", "user.id": "c"}, "b"),
        ({"userKey": None, "user.id": "c"}, "c"),
        ({"userid": "d"}, None),
        ({}, None),
    ]
    events = made(tmp_path, *(log("view", f"12:0{n}", **attributes) for n, (attributes, _) in enumerate(cases)))
    assert column(events, "user_id") == [user for _, user in cases]


def test_names_of_a_file_replace_the_documented_ones(tmp_path):
    write_logs(tmp_path, [log("장바구니 담기", uid="u1", userKey="u2"), log("cart", "13:00")])
    days = shop(tmp_path, events={"cartAdd": ["장바구니 담기"]}, attributes={"user": ["uid"]})
    assert [(event["kind"], event["user_id"]) for event in silver(days)] == [("cart_add", "u1"), (None, None)]


def test_white_space_of_all_kinds_is_trimmed(tmp_path):
    records = [log("view", f"12:00:{n:02}", userKey=f"{space}u{space}1{space}") for n, space in enumerate(WHITE)]
    assert column(made(tmp_path, *records), "user_id") == [f"u{space}1" for space in WHITE]


def test_a_name_is_shown_as_logged_and_trimmed(tmp_path):
    events = made(tmp_path, log(" client.routing\u3000", "12:00"), log("App.Error", "12:01"), log(" ", "12:02"))
    assert column(events, "event") == ["client.routing", "App.Error", None]
    assert column(events, "kind") == ["page_change", None, None]


def test_quantity(tmp_path):
    good = {"1": 1, " 3\u3000": 3, "0007": 7, "9999": 9999}
    bad = ["0", "10000", "-1", "+1", "2.5", "1e3", "0x10", "NaN", "1_000", "1,000", "１", "inf"]
    cases = {**good, **dict.fromkeys(bad)}
    events = made(tmp_path, *(log("cart", f"12:{n:02}", quantity=text, price="1") for n, text in enumerate(cases)))
    found = dict(zip(cases, ((event["quantity"], event["invalid_values"]) for event in events), strict=True))
    assert found == {text: (value, int(value is None)) for text, value in cases.items()}


def test_money(tmp_path):
    good = {"0": "0", "12900.5": "12900.50", "999999999999.99": "999999999999.99", "007": "7"}
    bad = ["0.005", "1234567890123", "-5", "5.", ".5", "12,300", "NaN", "undefined", "٣"]
    cases = {**good, **dict.fromkeys(bad)}
    events = made(
        tmp_path,
        *(log("cart", f"12:{n:02}", price=text) for n, text in enumerate(cases)),
        *(log("purchase", f"13:{n:02}", totalAmount=text) for n, text in enumerate(cases)),
    )
    expected = [None if value is None else Decimal(value) for value in cases.values()]
    assert column(events[: len(cases)], "price") == column(events[len(cases) :], "amount") == expected
    assert column(events[: len(cases)], "invalid_values") == [int(value is None) for value in expected]
    assert column(events[len(cases) :], "is_amount_invalid") == [value is None for value in expected]


def test_an_invalid_price_does_not_give_way_to_another_and_two_invalid_values_count_twice(tmp_path):
    events = made(
        tmp_path, log("cart", "12:00", salePrice="x", price="5"), log("cart", "12:01", price="y", quantity="z")
    )
    assert [(event["price"], event["invalid_values"]) for event in events] == [(None, 1), (None, 2)]


def test_results_that_are_absent_are_not_zero(tmp_path):
    events = made(
        tmp_path, *(log("search", f"12:0{n}", resultCount=text) for n, text in enumerate(["0", None, "many"]))
    )
    assert [(event["result_count"], event["invalid_values"]) for event in events] == [(0, 0), (None, 0), (None, 1)]


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC", {DAY: [3, 14, 15, 18], NEXT: []}),
        (SEOUL, {DAY: [12, 23], NEXT: [0, 3]}),
        ("America/New_York", {DAY: [10, 11, 14], NEXT: []}),
        ("Asia/Kathmandu", {DAY: [9, 20, 20, 23], NEXT: []}),
    ],
)
def test_the_service_has_its_own_days_and_hours(tmp_path, zone, expected):
    write_logs(tmp_path, [log("view", at) for at in ("03:59:59", "14:59:59.999999", "15:00", "18:14:59")])
    days = shop(tmp_path, zone)
    assert {day: column(silver(days, day), "business_hour") for day in expected} == expected


def test_hours_when_the_clock_goes_back(tmp_path):
    day = date(2025, 11, 2)
    write_logs(tmp_path, [log("view", f"{day} 0{hour}:30") for hour in range(4, 9)])
    assert column(silver(shop(tmp_path, "America/New_York"), day), "business_hour") == [0, 1, 1, 2, 3]
    change = datetime.fromisoformat("2025-11-02 06:00")
    assert offsets(day, "America/New_York") == [(change, -4 * 3600), (change + timedelta(hours=23), -5 * 3600)]


def test_timestamps(tmp_path):
    written = [
        *("2025-10-31T12:00:00.123456Z", "2025-10-31T21:00:00.123456789+09:00", "2025-10-31 12:00:00.123456"),
        *("1761912000123456789", 1761912000123456789),
    ]
    records = [{**log("view", record_id=f"r{n}"), "timestamp": timestamp} for n, timestamp in enumerate(written)]
    write_logs(tmp_path, records, arrival=DAY)
    instant = datetime.fromisoformat("2025-10-31 12:00:00.123456")
    assert column(silver(shop(tmp_path)), "event_time") == [instant] * len(written)


@pytest.mark.parametrize(
    "odd", ["2025-10-31T12:00:00 Z", "2025-10-31", "2025-10-31T12:00:00Asia/SeoulZ", "12:00Z", "Z"]
)
def test_odd_timestamps_are_read_one_way_whatever_they_end_in(odd):
    with bounded() as connection:
        slow = "TRY_CAST($text AS TIMESTAMPTZ) AT TIME ZONE 'UTC'"
        query = f"SELECT as_instant($text) IS NOT DISTINCT FROM {slow}"
        assert connection.execute(query, {"text": odd}).fetchone() == (True,)


def test_of_two_contents_under_one_record_id_the_first_stays(tmp_path):
    events = made(
        tmp_path,
        *(log("view", "12:01", "r1", userKey="later"), log("view", "12:00", " r1 ", userKey="first")),
        *(log("cart", "13:00", "r2", userKey="b"), log("cart", "13:00", "r2", userKey="a"), log("cart", "13:00", "r3")),
    )
    assert [(event["event_id"], event["user_id"]) for event in events] == [("r1", "first"), ("r2", "a"), ("r3", None)]


def test_the_first_content_may_lie_on_the_day_before(tmp_path):
    write_logs(tmp_path, [log("view", f"{BEFORE} 23:59", "r1"), log("view", "00:01", "r1"), log("view", "00:02", "r2")])
    days = shop(tmp_path)
    assert column(silver(days, DAY), "event_id") == ["r2"]
    assert column(silver(days, BEFORE), "event_id") == ["r1"]


def test_a_record_id_two_days_later_is_a_copy(tmp_path):
    for shift, at in enumerate(("00:00", "12:00", "23:59")):
        write_logs(tmp_path, [log("view", f"{DAY + timedelta(days=2 * shift)} {at}", "r1")])
    days = shop(tmp_path)
    found = {shift: column(silver(days, DAY + timedelta(days=shift)), "event_id") for shift in (4, 2, 0)}
    assert found == {0: ["r1"], 2: [], 4: []}


def test_without_record_id_equal_records_are_one_whatever_the_order_of_attributes(tmp_path):
    record = log("view", userKey="u", color="red")
    turned = {**record, "attributes": dict(reversed(record["attributes"].items()))}
    other = {**record, "attributes": {**record["attributes"], "color": "blue"}}
    write_logs(tmp_path, [record, turned, other, {**record, "record_id": " "}])
    write_logs(tmp_path, [record], arrival=NEXT)
    days = shop(tmp_path)
    assert days.build(DAY).duplicates == 3
    micros = str(int(datetime.fromisoformat(record["timestamp"]).timestamp()) * 1_000_000)
    fields = [micros, "commerce.product.view", "color\x1fred", "userKey\x1fu", "\x1d", "service.name\x1ftheshop-brand"]
    known = "#" + md5("\x1e".join(fields).encode(), usedforsecurity=False).hexdigest()
    ids = column(silver(days), "event_id")
    assert len(ids) == 2
    assert known in ids


def test_a_search_term_has_one_spelling(tmp_path):
    write = [" 비타민 C ", "비타민\u3000\t c", "VITAMIN  D", " "]
    events = made(tmp_path, *(log("search", f"12:0{n}", query=text) for n, text in enumerate(write)))
    assert column(events, "search_term") == ["비타민 c", "비타민 c", "vitamin d", None]


def test_a_click_takes_the_last_term_of_its_session_within_half_an_hour(tmp_path):
    events = made(
        tmp_path,
        *(log("search", "12:00", sessionId="s", query="A"), log("search", "12:05", sessionId="s", query="B")),
        *(log("search", "12:06", sessionId="other", query="C"), log("search", "12:07", sessionId="s")),
        *(log("click", "12:04:59", sessionId="s"), log("click", "12:05", sessionId="s")),
        *(log("click", "12:35", sessionId="s"), log("click", "12:35:00.000001", sessionId="s")),
        *(
            log("click", "12:20", sessionId="s", query="Own"),
            log("click", "12:21"),
            log("click", "11:00", sessionId="s"),
        ),
    )
    clicks = [event for event in events if event["kind"] == "result_click"]
    terms = [(str(event["event_time"])[11:], event["search_term"], event["is_term_attributed"]) for event in clicks]
    assert terms == [
        ("11:00:00", None, False),
        ("12:04:59", "a", True),
        ("12:05:00", "a", True),
        ("12:20:00", "own", False),
        ("12:21:00", None, False),
        ("12:35:00", "b", True),
        ("12:35:00.000001", None, False),
    ]


def test_searches_of_one_instant_give_the_greatest_term(tmp_path):
    searches = [log("search", "12:00", sessionId="s", query=term) for term in ("가", "b", "나", "a")]
    events = made(tmp_path, *searches, log("click", "12:01", sessionId="s"))
    assert events[-1]["search_term"] == "나"


@pytest.mark.parametrize(("zone", "midnight"), [("UTC", "00:00"), (SEOUL, f"{BEFORE} 15:00")])
def test_a_click_after_midnight_knows_the_search_before_it(tmp_path, zone, midnight):
    at = datetime.fromisoformat(midnight if "-" in midnight else f"{DAY} {midnight}")
    search = log("search", str(at - timedelta(minutes=10)), sessionId="s", query="A")
    page = log("page", str(at - timedelta(hours=10)), sessionId="s", path="/a")
    click = log("click", str(at + timedelta(minutes=20)), sessionId="s")
    change = log("page", str(at + timedelta(minutes=20)), sessionId="s", path="/b")
    write_logs(tmp_path, [search, click, page, change])
    click, change = sorted(silver(shop(tmp_path, zone)), key=lambda event: event["kind"], reverse=True)
    assert click["search_term"] == "a"
    assert (change["from_path"], change["to_path"]) == ("/a", "/b")


def test_paths_are_templated(tmp_path):
    cases = {
        "/p/123": "/p/{id}",
        "/1/2/3/": "/{id}/{id}/{id}/",
        "/p/12a/007": "/p/12a/{id}",
        "/o/550E8400-e29b-41d4-a716-446655440000/x?id=7#top": "/o/{id}/x",
        "https://shop.example:8080/p/7?q=/1/2": "https://shop.example:8080/p/{id}",
        "https://123/456": "https://123/{id}",
        "//cdn/5": "//cdn/{id}",
        "12/x": "{id}/x",
        " /cart ": "/cart",
        "/검색#5": "/검색",
        "/p/٣": "/p/٣",
        "/": "/",
        "#only": None,
        "?q=1": None,
    }
    events = made(tmp_path, *(log("page", f"12:{n:02}", fromPath=path, toPath="/to") for n, path in enumerate(cases)))
    assert dict(zip(cases, column(events, "from_path"), strict=True)) == cases
    assert set(column(events, "to_path")) == {"/to"}


def test_a_page_change_with_a_path_only_comes_from_the_page_before(tmp_path):
    events = made(
        tmp_path,
        *(log("page", "12:00", sessionId="s", path="/a/1"), log("page", "12:01", sessionId="s", path="/b")),
        *(log("commerce.page.view", "12:02", sessionId="s", fromPath="/x", toPath="/c"),),
        *(log("page", "12:03", sessionId="s", path="/d"), log("page", "12:03", sessionId="s", path="/e")),
        *(log("page", "12:04", sessionId="s", toPath="/f"), log("page", "12:05", sessionId="s", path="#none")),
        *(log("page", "12:06", sessionId="s", path="/g"), log("page", "12:07", path="/h")),
        log("button", "12:08", sessionId="s", path="/i", page="/j"),
    )
    moves = [(event["from_path"], event["to_path"]) for event in events]
    assert sorted(moves[3:5]) == [("/c", "/d"), ("/c", "/e")]
    assert moves[:3] == [(None, "/a/{id}"), ("/a/{id}", "/b"), ("/x", "/c")]
    assert moves[5:] == [(None, "/f"), ("/f", None), ("/f", "/g"), (None, "/h"), (None, None)]


def test_a_page_is_remembered_for_a_day(tmp_path):
    page = log("page", f"{BEFORE} 12:00", sessionId="s", path="/a")
    events = made(
        tmp_path,
        page,
        log("page", "12:00", sessionId="s", path="/b"),
        log("page", "12:00:01", sessionId="t", path="/c"),
    )
    assert column(events, "from_path") == ["/a", None]


def test_events_lie_by_kind_then_time(tmp_path):
    write_logs(tmp_path, [log(name, at) for name in ("view", "x", "cart") for at in ("12:02", "12:01")])
    days = shop(tmp_path)
    days.build(DAY)
    frame = pl.read_parquet(days.path("events", DAY))
    assert frame["kind"].to_list() == [None, None, "cart_add", "cart_add", "product_view", "product_view"]
    assert frame.equals(frame.sort("kind", "event_time", "event_id", nulls_last=False))


def test_a_day_in_many_pieces_has_the_same_bytes(tmp_path, monkeypatch):
    names = ("view", "x", "cart", " ")
    write_logs(tmp_path, [log(name, f"{hour:02}:{hour}", f"{name}{hour}") for name in names for hour in range(10, 20)])
    days = shop(tmp_path)
    days.build(DAY)
    whole = days.path("events", DAY).read_bytes()
    cells = Cells([("", utc("2025-10-31 10:00")), ("", utc("2025-10-31 11:00")), ("x", DAY)], [3, 3, 9], 10.0)
    assert pieces(cells, 60) == [(cells.cells[0], cells.cells[1]), (cells.cells[2], cells.cells[2])]
    assert len(pieces(cells, 1)) == 3
    for limit in (1, 3_000):
        monkeypatch.setattr(silver_module, "pieces", lambda cells, limit=limit: pieces(cells, limit))
        days.build(DAY)
        assert days.path("events", DAY).read_bytes() == whole


def test_late_events_reopen_their_day(tmp_path):
    write_logs(tmp_path, [log("view", "12:00", "r1")])
    days = shop(tmp_path)
    days.build(DAY, until=DAY)
    write_logs(tmp_path, [log("view", "12:01", "r2"), log("view", "12:00", "r1")], arrival=DAY + timedelta(days=2))
    write_logs(tmp_path, [log("view", "12:02", "r3")], arrival=DAY + timedelta(days=3))
    assert days.build(DAY, until=DAY).events == 1
    assert days.reopened(DAY + timedelta(days=2), until=DAY + timedelta(days=2)) == [DAY]
    events = silver(days)
    assert [(event["event_id"], event["days_late"]) for event in events] == [("r1", 0), ("r2", 2)]


def test_a_day_without_any_log_is_an_error_and_one_without_events_is_empty(tmp_path):
    days = shop(tmp_path)
    with pytest.raises(EngageError, match=r"no logs of theshop-brand can hold an event of .* or before: put"):
        days.build(DAY)
    write_logs(tmp_path, [log("view")])
    assert days.build(NEXT).events == 0
    # A gap in the logs.
    assert days.build(DAY + timedelta(days=30)).events == 0
    assert set(pl.read_parquet_schema(days.path("events", NEXT))) >= {"event_id", "kind", "search_term"}


def test_arrival_days():
    assert final_arrival(DAY, "UTC") == DAY + timedelta(days=2)
    assert final_arrival(DAY, SEOUL) == DAY + timedelta(days=2)
    assert final_arrival(DAY, "America/New_York") == DAY + timedelta(days=3)
    for zone in ("UTC", SEOUL, "America/New_York", "Pacific/Kiritimati"):
        # What an arrival can change is what reads it.
        assert all(DAY in days_of_arrival(arrival, zone) for arrival in arrival_days(DAY, zone))
    assert arrival_days(DAY, "UTC")[0] == DAY - timedelta(days=2)
