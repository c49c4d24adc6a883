"""The contract of plays: which rule refuses, and what the subjects' table adds."""

from datetime import date
from typing import Any

import narwhals as nw
import polars as pl
import pytest

from engage_assets.candidates.contract import check_contract
from engage_assets.candidates.duplicates import refuse_duplicates
from engage_assets.domain.music import SOURCE, TRACKS
from engage_assets.domain.tables import CUSTOMERS, frame_schema
from engage_assets_tests.builders import a_customer, instant, rows_of
from engage_assets_tests.candidates.checking import MARKETPLACES
from engage_assets_tests.filters.listening import MUSIC

DAY = date(2026, 11, 19)
PLACES = {**MARKETPLACES, "IN": MARKETPLACES["US"]}
PLAY = {
    "record_id": "r-1",
    "listener_id": "c-1",
    "track_id": "t-1",
    "played_at": instant("2026-11-19 21:00"),
    "play_count": 1,
    "completion_rate": 0.95,
    "track_release_date": date(2026, 11, 13),
    "engagement_score": 0.6,
    "genre": "folk",
    "artist_id": "a-1",
    "device_id": "phone",
    "arrived_at": None,
    "is_late": False,
}


def checked(*plays: dict[str, Any], tracks: pl.DataFrame | None = None) -> pl.DataFrame:
    frame = pl.DataFrame([PLAY | play for play in plays], schema=frame_schema(SOURCE.raw_columns))
    found = check_contract(
        nw.from_native(frame.lazy()),
        nw.from_native(rows_of(CUSTOMERS, a_customer()).lazy()),
        source=SOURCE,
        program=MUSIC,
        marketplaces=PLACES,
        partition=DAY,
        subjects=None if tracks is None else nw.from_native(tracks.lazy()),
    )
    return refuse_duplicates(found).to_native().collect().sort("record_id")


def a_track(**stated: Any) -> dict[str, Any]:
    return {"track_id": "t-1", "genre": "indie rock", "artist_id": "a-9", **stated}


@pytest.mark.parametrize(
    ("play", "reason"),
    [
        ({}, None),
        ({"listener_id": None}, "KEY_MISSING"),
        ({"track_id": " "}, "KEY_MISSING"),
        ({"played_at": None}, "DATE_INVALID"),
        ({"played_at": instant("1999-12-31 23:59:59.999999")}, "DATE_INVALID"),
        ({"played_at": instant("2000-01-01 00:00")}, None),
        ({"played_at": instant("2026-11-20 02:00")}, None),
        ({"played_at": instant("2026-11-20 02:00:00.000001")}, "DATE_INVALID"),
        ({"played_at": instant("0001-01-01 00:00")}, "DATE_INVALID"),
        ({"track_release_date": date(2026, 11, 20)}, None),  # the batch's date
        ({"track_release_date": date(2026, 11, 21)}, "DATE_INVALID"),
        ({"track_release_date": None}, "DATE_INVALID"),
        ({"play_count": 0}, "VALUE_INVALID"),
        ({"play_count": None}, "VALUE_INVALID"),
        ({"completion_rate": 1.0}, None),
        ({"completion_rate": 1.000001}, "VALUE_INVALID"),
        ({"engagement_score": 0.0}, None),
        ({"engagement_score": -0.1}, "VALUE_INVALID"),
        ({"engagement_score": 1.1}, "VALUE_INVALID"),
        ({"engagement_score": None}, None),
        ({"listener_id": "c-9"}, "UNKNOWN_CUSTOMER"),
        ({"played_at": None, "play_count": 0}, "DATE_INVALID"),
        ({"track_release_date": date(2027, 1, 1), "play_count": 0}, "DATE_INVALID"),
    ],
)
def test_rules(play, reason):
    assert checked(play)["reason"].to_list() == [reason]


def test_a_candidate_has_its_context_from_the_customers():
    row = checked({}).row(0, named=True)
    expected = {"customer_id": "c-1", "subject_type": "track", "subject_id": "t-1", "marketplace": "DE"}
    expected |= {"time_zone": "Europe/Vienna", "locale": "de-AT", "event_at": PLAY["played_at"]}
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("tracks", "play", "described"),
    [
        (None, {}, ("folk", "a-1")),
        ([], {}, ("folk", "a-1")),
        ([a_track()], {}, ("indie rock", "a-9")),
        ([a_track(genre=None)], {}, ("folk", "a-9")),
        ([a_track(genre=" ")], {}, ("folk", "a-9")),
        ([a_track(artist_id=None)], {"artist_id": None}, ("indie rock", "unknown")),
        ([a_track(track_id="t-2")], {"genre": None}, ("unknown", "a-1")),
        ([a_track(), a_track()], {}, ("indie rock", "a-9")),
        ([a_track(), a_track(genre="pop")], {}, ("folk", "a-1")),  # it contradicts itself
    ],
)
def test_the_tracks_describe_and_then_the_record(tracks, play, described):
    table = None if tracks is None else pl.DataFrame(tracks, schema=TRACKS.schema)
    row = checked(play, tracks=table).row(0, named=True)
    assert (row["genre"], row["artist_id"]) == described


def test_a_table_of_tracks_may_lack_what_it_could_describe():
    bare = pl.DataFrame({"track_id": ["t-1"], "name": ["Song"]})
    assert checked({}, tracks=bare)["genre"].to_list() == ["folk"]


def test_the_latest_play_of_a_track_wins_and_other_devices_repeat_it():
    later = instant("2026-11-19 22:00")
    found = checked(
        {"record_id": "r-3", "device_id": "tv"},
        {"record_id": "r-1", "played_at": later, "device_id": "car"},
        {"record_id": "r-2", "played_at": later},
        {"record_id": "r-4", "track_id": "t-2"},
        {"record_id": "r-9", "played_at": later, "play_count": 0},
    )
    assert dict(found.select("record_id", "reason").iter_rows()) == {
        "r-1": "DUPLICATE",
        "r-2": None,
        "r-3": "DUPLICATE",
        "r-4": None,
        "r-9": "VALUE_INVALID",
    }
