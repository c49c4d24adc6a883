"""Versions of events: known when, invited for by which batch, and how one is added."""

from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.domain.errors import EngageError
from engage_assets.domain.events import EVENTS, Event
from engage_assets.events.catalogue import Catalogue, batch_of, change_between, frame_of, invited_by
from engage_assets.events.writing import append

at = datetime.fromisoformat
LEAD = (7, 13)
MONDAY = date(2026, 3, 2)


KNOWN, START = at("2026-01-01"), at("2026-03-10 09:00")


def an_event(event_id="e-1", *, known_at=KNOWN, starts_at=START, **more) -> Event:
    values = {"name": "n", "topics": ("t",), "time_zone": "Europe/Berlin", "duration_minutes": 60} | more
    return Event(event_id=event_id, known_at=known_at, starts_at=starts_at, **values)


def test_the_latest_version_known_at_the_instant_counts():
    moved = an_event(known_at=at("2026-02-01"), starts_at=at("2026-03-11 09:00"))
    catalogue = Catalogue.of(frame_of([moved, an_event()]))
    assert catalogue.known(at("2026-01-31"))["e-1"] == an_event()
    assert catalogue.known(at("2026-02-01"))["e-1"] == moved
    assert catalogue.known(at("2025-12-31")) == {}
    assert catalogue.history("e-1", at("2026-03-01")) == [an_event(), moved]


def test_versions_known_at_once_are_ordered_whatever_the_rows():
    one, other = an_event(name="a"), an_event(name="b")
    for rows in ([one, other], [other, one]):
        assert Catalogue.of(frame_of(rows)).known(at("2026-03-01"))["e-1"].name == "b"


@pytest.mark.parametrize(
    ("starts_at", "zone", "is_invited"),
    [
        (at("2026-03-08 23:00"), "Europe/London", False),  # day 6
        (at("2026-03-08 23:00"), "Europe/Berlin", True),  # midnight there: day 7
        (at("2026-03-15 22:59"), "Europe/Berlin", True),  # day 13
        (at("2026-03-15 23:00"), "Europe/Berlin", False),  # day 14
        (at("2026-03-15 14:00"), "Australia/Sydney", False),
    ],
)
def test_days_are_counted_in_the_events_zone(starts_at, zone, is_invited):
    event = an_event(starts_at=starts_at, time_zone=zone)
    assert (invited_by({"e-1": event}, MONDAY, LEAD) == [event]) == is_invited
    assert (batch_of(event, LEAD) == MONDAY) == is_invited


@given(st.datetimes(at("2024-01-01"), at("2028-01-01")), st.sampled_from(["Asia/Tokyo", "America/New_York"]))
def test_each_event_has_exactly_one_batch(starts_at, zone):
    event = an_event(starts_at=starts_at.replace(microsecond=0), time_zone=zone)
    monday = batch_of(event, LEAD)
    assert monday.weekday() == 0
    around = [monday + timedelta(weeks=weeks) for weeks in (-1, 0, 1)]
    assert [bool(invited_by({"e-1": event}, day, LEAD)) for day in around] == [False, True, False]


def test_what_registrants_must_be_told():
    event = an_event()
    assert change_between(event, an_event(name="other")) is None
    assert change_between(event, an_event(starts_at=at("2026-03-11 09:00"))) == "moved"
    assert change_between(event, an_event(duration_minutes=90)) == "moved"
    assert change_between(event, an_event(status="cancelled")) == "cancelled"
    assert change_between(an_event(status="cancelled"), event) == "revived"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"time_zone": "Mars/Base"}, "time_zone 'Mars/Base' is no IANA zone"),
        ({"duration_minutes": 0}, "duration_minutes 0 must lie between"),
        ({"capacity": -1}, "capacity -1 must not be negative"),
        ({"name": " "}, "name is missing"),
        ({"status": "maybe"}, "status 'maybe'"),
    ],
)
def test_bad_rows_are_set_aside_with_their_reason(values, said, tmp_path):
    catalogue = Catalogue.of(frame_of([an_event("e-0"), an_event(**values)]))
    assert [one.event_id for one in catalogue.versions] == ["e-0"]
    assert (catalogue.set_aside[0].row, catalogue.set_aside[0].event_id) == (1, "e-1")
    assert said in catalogue.set_aside[0].reason
    with pytest.raises(EngageError, match="event e-1"):
        append(tmp_path, an_event(**values))


def test_the_deadline_is_a_local_time_of_the_event():
    event = an_event(starts_at=at("2026-03-29 12:00"))  # 14:00 in Berlin, the day on which clocks go forward
    assert event.deadline(1) == at("2026-03-28 13:00")
    assert event.deadline(0) == event.starts_at


def test_added_versions_stand_beside_a_catalogue_of_one_file(tmp_path):
    folder = tmp_path / "events"
    folder.mkdir()
    frame_of([an_event()]).write_parquet(folder / "events.parquet")
    moved = an_event(known_at=at("2026-02-01"), starts_at=at("2026-03-11 09:00"))
    assert append(tmp_path, moved) == append(tmp_path, moved)
    append(tmp_path, an_event("e-2", known_at=at("2026-02-02")))
    rows = Warehouse(tmp_path).scan(EVENTS, "any", required=True)
    assert isinstance(rows, pl.LazyFrame)
    found = Catalogue.of(rows.collect())
    assert [one.event_id for one in found.versions] == ["e-1", "e-1", "e-2"]
    assert found.known(at("2026-03-01"))["e-1"] == moved


def test_a_catalogue_of_csv_files_is_left_alone(tmp_path):
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "events.csv").write_text("event_id\n")
    with pytest.raises(EngageError, match=r"events\.csv holds the event catalogue"):
        append(tmp_path, an_event())
