"""Daily atoms, monthly roll-ups, quality; and that the order of building changes no byte."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engage_assets.summaries.atoms import DAILY, MONTHLY, is_month_final, last_of, parts
from engage_assets_tests.summaries.events import SERVICES, random_world
from engage_assets_tests.summaries.raw_logs import write_raw_logs
from engage_assets_tests.summaries.silver_world import BEFORE, DAY, NEXT, log, made, rows, shop, write_logs

DAYS, MANY = 4, 90
TWO = (DAY, DAY + timedelta(days=2))
"""The first and the last date on which things happen."""


def at(text):
    return datetime.fromisoformat(f"{DAY} {text}")


def test_session_day(tmp_path):
    made(
        tmp_path,
        *(log("view", "12:00", sessionId="s", userKey="b"), log("start", "13:01", sessionId="s", userKey="a")),
        *(
            log("start", "13:02", sessionId="s"),
            log("cart", "14:00", sessionId="s", userKey="a"),
            log(" ", "11:00", sessionId="s"),
        ),
        *(log("purchase", "12:00", sessionId="t"), log("view", "12:00")),
    )
    session, other = rows(shop(tmp_path), "session_day")
    assert session == {
        "service": "theshop-brand",
        "session_id": "s",
        "date": DAY,
        "first_time": at("11:00"),
        "last_time": at("14:00"),
        "start_time": at("13:01"),
        "start_hour": 13,
        "first_hour": 11,
        "has_session_start": True,
        "events": 5,
        "event_types": ["commerce.cart.add", "commerce.product.view", "commerce.session.start"],
        "event_type_count": 3,
        "has_view": True,
        "has_cart": True,
        "has_purchase": False,
        "users": ["a", "b"],
        "cart_users": ["a"],
        "user_count": 2,
        "cart_adds": 1,
    }
    assert (other["session_id"], other["has_session_start"], other["start_time"]) == ("t", False, at("12:00"))
    assert (other["users"], other["cart_users"], other["has_purchase"]) == ([], [], True)


def test_user_day(tmp_path):
    made(
        tmp_path,
        *(log("view", "12:00", sessionId="s", userKey="u"), log("cart", "12:01", sessionId="t", userKey="u")),
        *(log("purchase", "12:02", userKey="u"), log("view", "12:03"), log("x", "12:04", sessionId="s")),
    )
    nobody, user = rows(shop(tmp_path), "user_day")
    assert (nobody["user_id"], nobody["events"], nobody["sessions"]) == (None, 2, 1)
    assert (user["user_id"], user["events"], user["sessions"]) == ("u", 3, 2)
    assert (user["product_views"], user["cart_adds"], user["purchases"]) == (1, 1, 1)
    assert (user["first_time"], user["last_time"]) == (at("12:00"), at("12:02"))


def test_purchase_ledger_keeps_the_first_of_an_order_in_a_total_order(tmp_path):
    def bought(order, time, record_id, **more):
        return log("purchase", time, record_id, orderId=order, **more)

    made(
        tmp_path,
        *(bought("o1", "12:01", "later"), bought("o1", "12:00", "first", totalAmount="5")),
        *(bought("o2", "12:02", "session", sessionId="s"), bought("o2", "12:02", "no session")),
        *(bought("o3", "12:03", "dear", totalAmount="10"), bought("o3", "12:03", "least", totalAmount="9")),
        *(bought("o4", "12:04", "b", paymentMethod="card"), bought("o4", "12:04", "a", paymentMethod="card")),
        *(bought(None, "12:05", "x"), bought(" ", "12:05", "y", totalAmount="?")),
    )
    ledger = rows(shop(tmp_path), "purchase_ledger")
    assert [row["event_id"] for row in ledger] == ["first", "no session", "least", "a", "x", "y"]
    assert (ledger[0]["amount"], ledger[0]["date"], ledger[0]["order_id"]) == (Decimal("5.00"), DAY, "o1")
    assert [row["is_amount_invalid"] for row in ledger[-2:]] == [False, True]


def test_quality(tmp_path):
    write_logs(
        tmp_path,
        [
            *(
                log("cart", f"12:0{n}", f"r{n}", quantity=text, salePrice="1", userKey="u")
                for n, text in enumerate(["1", "x", "2"])
            ),
            *(log("purchase", "13:00", orderId="o"), log("search", "13:01", query="a", sessionId="s")),
            log("click", "13:02", sessionId="s"),
        ],
    )
    days = shop(tmp_path)
    write_logs(
        tmp_path, [log("cart", "12:00", "r0", quantity="1", salePrice="1", userKey="u"), log("view", "12:09")], NEXT
    )
    days.build(DAY)
    found = {
        (row["measure"], row["name"]): (row["events"], row["found"], row["share"]) for row in rows(days, "quality")
    }
    assert found["coverage", "cart_add.quantity"] == (3, 2, 2 / 3)
    assert found["coverage", "cart_add.user_id"] == (3, 3, 1.0)
    assert found["coverage", "purchase.amount"] == (1, 0, 0.0)
    assert found["invalid", "quantity"] == (3, 1, 1 / 3)
    assert found["invalid", "amount"] == (0, 0, None)
    assert found["duplicates", "all"] == (8, 1, 1 / 8)
    assert found["late", "1"] == (7, 1, 1 / 7)
    missing = {name: row[1] for (measure, name), row in found.items() if measure == "missing"}
    assert missing == {"session_start": 1, "total_amount": 1, "payment_method": 1, "result_click_term": 1}


def test_nothing_is_missing_on_a_day_without_events(tmp_path):
    write_logs(tmp_path, [log("view", f"{BEFORE} 12:00")])
    days = shop(tmp_path)
    days.build(DAY)
    assert [row["found"] for row in rows(days, "quality") if row["measure"] == "missing"] == [0, 0, 0, 0]
    assert [rows(days, name) for name in DAILY] == [[], [], []]


def relation(days, name, day):
    return duckdb.sql(f"FROM ({days.rollup_views(day)[name]}) ORDER BY ALL").fetchall()


def test_roll_ups_say_what_the_days_say_and_nothing_later(tmp_path):
    september, october = date(2025, 9, 1), date(2025, 10, 1)
    write_logs(
        tmp_path,
        [
            *(
                log("view", "2025-09-10 12:00", userKey="a", sessionId="s1"),
                log("view", "2025-09-30 23:50", userKey="b", sessionId="s2"),
            ),
            *(log("purchase", "2025-09-12 12:00", orderId="o1"), log("purchase", "2025-10-02 12:00", orderId="o1")),
            *(
                log("view", "2025-10-01 00:10", userKey="b", sessionId="s2"),
                log("view", "2025-10-02 12:00", userKey="c", sessionId="s3"),
            ),
            log("start", "2025-10-09 12:00", userKey="a", sessionId="s4"),
        ],
    )
    days = shop(tmp_path)
    for text in ("09-10", "09-12", "09-30", "10-01", "10-02", "10-09"):
        days.build(date.fromisoformat(f"2025-{text}"))
    ninth, before = date(2025, 10, 9), date(2025, 10, 1)
    seen = relation(days, "user_first_seen", ninth), relation(days, "order_first_seen", ninth)
    totals = relation(days, "month_total", ninth)
    assert [row[1:] for row in seen[0]] == [
        ("a", date(2025, 9, 10)),
        ("b", date(2025, 9, 30)),
        ("c", date(2025, 10, 2)),
    ]
    assert [row[1:] for row in seen[1]] == [("o1", date(2025, 9, 12))]
    assert [row[1:] for row in totals] == [
        (september, 2, 2, 3, date(2025, 9, 10), date(2025, 9, 30), 3),
        (october, 3, 2, 4, date(2025, 10, 1), date(2025, 10, 9), 3),
    ]
    as_of_before = relation(days, "month_total", before), relation(days, "user_first_seen", before)

    assert days.roll_up(date(2025, 10, 4)) == []
    assert days.roll_up(ninth) == [september]
    assert days.roll_up(ninth) == []
    assert (relation(days, "user_first_seen", ninth), relation(days, "order_first_seen", ninth)) == seen
    assert relation(days, "month_total", ninth) == totals
    assert days.parts(ninth).months == (september,)
    assert (relation(days, "month_total", before), relation(days, "user_first_seen", before)) == as_of_before
    assert [row[1] for row in as_of_before[1]] == ["a", "b"]

    # A day that is built afterwards is not left out.
    days.build(date(2025, 9, 29))
    assert days.parts(ninth).months == ()
    assert days.roll_up(ninth) == [september]

    # Days that are removed are still told by the roll-up, which is not made anew of the rest.
    for name in DAILY:
        for text in ("09-10", "09-12"):
            days.path(name, date.fromisoformat(f"2025-{text}")).unlink()
    days.build(date(2025, 9, 30))
    assert days.roll_up(ninth) == []
    assert relation(days, "user_first_seen", ninth) == seen[0]


def test_a_month_is_final_when_its_sessions_and_late_events_are():
    february = date(2024, 2, 1)
    assert last_of(february) == date(2024, 2, 29)
    assert [is_month_final(february, date(2024, 3, day)) for day in (4, 5)] == [False, True]
    days = [february + timedelta(days=number) for number in range(40)]
    assert parts(date(2024, 3, 4), [february], days).days[0] == february
    later = parts(date(2024, 3, 5), [february], days)
    assert (later.months, later.days[0], later.session_days[0]) == ((february,), date(2024, 3, 1), date(2024, 2, 27))
    assert later.days[-1] == date(2024, 3, 5)


def test_days_built_in_any_order_have_the_same_bytes(tmp_path):
    _require_same_bytes(tmp_path, 7, (2, 0, 3, 1))


@pytest.mark.soak
@settings(max_examples=5)
@given(seed=st.integers(0, 10**6), shuffled=st.permutations(range(DAYS)))
def test_days_built_in_random_orders_have_the_same_bytes(seed, shuffled):
    records = _records(seed, 150, TWO)
    assume(_has_late_ones(records))  # few worlds have none, and then there is nothing to see
    assume(min(record["arrival"] for record in records) <= DAY)  # else the first day is refused: logs begin later
    with TemporaryDirectory() as folder:
        _require_same_bytes(Path(folder), seed, shuffled)


@pytest.mark.soak
def test_ninety_days_built_in_a_random_order_have_the_same_bytes(tmp_path):
    """With events that are late, and roll-ups of the months in between."""
    order = list(range(MANY))
    Random(90).shuffle(order)
    _require_same_bytes(tmp_path, 90, order, [DAY + timedelta(days=number) for number in range(MANY - 2)], events=900)


def _records(seed, events, on):
    return [record for record in random_world(seed, events, list(on)) if record["service"] == SERVICES[0]]


def _has_late_ones(records):
    return any(record["arrival"] > date.fromisoformat(record["timestamp"][:10]) for record in records)


def _require_same_bytes(folder, seed, shuffled, on=TWO, events=150):
    records = _records(seed, events, on)
    assert _has_late_ones(records)
    found = []
    for name, order in (("in order", range(len(shuffled))), ("shuffled", shuffled)):
        write_raw_logs(folder / name / "logs", records)
        as_they_come = name == "in order" and len(shuffled) < MANY  # else it takes minutes
        found.append(_built(folder / name, order, step_by_step=as_they_come))
    assert found[0] == found[1]


def _built(root, order, *, step_by_step):
    """Bytes of all files after building days in an order; step by step: each at once, and again when late ones come."""
    days = shop(root, "Asia/Seoul")
    for number in order:
        day = DAY + timedelta(days=number)
        if step_by_step:
            days.build(day, until=day)
            for late in days.reopened(day, until=day):
                days.build(late, until=day)
        else:
            days.build(day)
    for number in sorted(order) if step_by_step else ():
        days.build(DAY + timedelta(days=number))
    days.roll_up(last := DAY + timedelta(days=max(order)))
    found = {
        (name, number): days.path(name, DAY + timedelta(days=number)).read_bytes()
        for name in ("events", "quality", *DAILY)
        for number in order
    }
    months = [month.isoformat()[:7] for month in days.months()]
    assert len(months) == sum(is_month_final(month, last) for month in {one.replace(day=1) for one in days.days()})
    return found | {(name, month): days.path(name, month).read_bytes() for name in MONTHLY for month in months}
