"""What is known of people when they register: nothing that came later."""

from datetime import datetime, timedelta

import polars as pl

from engage_assets.domain.events import PAST_REGISTRATIONS, REGISTRATIONS_LOG
from engage_assets.events.attending import ELSEWHERE, settled, standing, with_features

START = datetime.fromisoformat("2026-12-02 17:00")
DAY = timedelta(days=1)
SEATS = ["customer_id", "event_id", "channel", "waited"]


def log(*rows: tuple) -> pl.LazyFrame:
    """REGISTRATIONS_LOG: customer, event, then (status, days before START, channel)."""
    made = [
        {
            "customer_id": who, "event_id": event, "sequence": place, "status": status, "at": START - days * DAY,
            "channel": channel, "marketplace": "DE",
        }
        for who, event, *states in rows
        for place, (status, days, channel) in enumerate(states)
    ]  # fmt: skip
    return pl.LazyFrame(made, schema=REGISTRATIONS_LOG.schema)


def elsewhere(*rows: tuple) -> pl.LazyFrame:
    made = [
        {"customer_id": who, "event_id": event, "registered_at": START - days * DAY, "attended": came}
        for who, event, days, came in rows
    ]
    return pl.LazyFrame(made, schema=PAST_REGISTRATIONS.schema)


def ends(**starts: datetime) -> pl.DataFrame:
    rows = [(event, at, at + timedelta(hours=1)) for event, at in starts.items()]
    schema = {"event_id": pl.String, "starts_at": pl.Datetime("us"), "ends_at": pl.Datetime("us")}
    return pl.DataFrame(rows, schema=schema, orient="row")


def versions(*rows: tuple) -> pl.DataFrame:
    schema = {
        "event_id": pl.String, "known_at": pl.Datetime("us"), "starts_at": pl.Datetime("us"), "time_zone": pl.String,
        "duration_minutes": pl.Int64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def zones(**lives: str) -> pl.DataFrame:
    schema = {"customer_id": pl.String, "time_zone": pl.String}
    return pl.DataFrame(list(lives.items()), schema=schema, orient="row")


def test_who_has_a_seat_at_an_instant():
    changes = log(
        ("a", "e", ("registered", 5, "email")),
        ("b", "e", ("wait_listed", 5, None), ("registered", 3, None)),
        ("c", "e", ("registered", 5, "email"), ("cancelled", 2, "email"), ("registered", 1, "in-app")),
    )
    then = standing(changes, START - 2 * DAY).sort("customer_id").collect()
    assert then.select(SEATS).rows() == [("a", "e", "email", False), ("b", "e", "direct", True)]
    now = standing(changes, START).filter(customer_id="c").collect()
    assert now.select("registered_at", "channel").row(0) == (START - DAY, "in-app")


def test_it_is_known_who_came_a_day_after_the_end():
    events, changes = ends(e=START), log(("a", "e", ("registered", 5, "email"), ("attended", -1, "email")))
    past = elsewhere(("a", "e", 9, False), ("b", "e", 9, True), ("c", "e", 9, None), ("d", "gone", 9, True))
    until = START + timedelta(hours=25)
    found = settled(changes, past, events, until).sort("customer_id").collect()
    assert found.select("customer_id", "channel", "came").rows() == [("a", "email", True), ("b", ELSEWHERE, True)]
    assert settled(changes, past, events, until - timedelta(microseconds=1)).collect().is_empty()


def test_a_customers_past_counts_as_it_was_known_when_he_registered():
    old, late = START - 30 * DAY, START - 4 * DAY
    history = settled(
        log(), elsewhere(("a", "old", 40, True), ("a", "late", 20, False)), ends(old=old, late=late), START
    )
    known = versions(("e", START - 90 * DAY, START, "Europe/Berlin", 60))
    for days, came, said in ((2, 2 / 4, 2), (5, 2 / 3, 1), (29, 1 / 2, 0)):
        rows = standing(log(("a", "e", ("registered", days, "email"))), START).collect()
        found = with_features(rows, history, known, zones()).row(0, named=True)
        assert (round(found["came_before"], 3), round(2.718281828 ** found["known_before"] - 1)) == (
            round(came, 3),
            said,
        )


def test_the_event_counts_as_it_was_known_then_on_the_customers_clock():
    known = versions(
        ("e", START - 9 * DAY, START, "Europe/Berlin", 60),
        ("e", START - 3 * DAY, START + 3 * DAY, "Europe/Berlin", 90),
    )
    rows = standing(
        log(*((who, "e", ("registered", days, None)) for who, days in (("a", 5), ("b", 2), ("early", 20)))), START
    ).collect()
    nothing = settled(log(), None, ends(), START)
    found = with_features(rows, nothing, known, zones(b="America/Los_Angeles"))
    by = {row["customer_id"]: row for row in found.iter_rows(named=True)}
    assert (by["a"]["lead_days"], by["a"]["part_of_day"], by["a"]["duration_minutes"]) == (5, "evening", 60)
    assert (by["b"]["lead_days"], by["b"]["part_of_day"], by["b"]["is_weekend"]) == (5, "morning", 1)
    assert by["early"]["lead_days"] == 20, "before the first version that one counts"
