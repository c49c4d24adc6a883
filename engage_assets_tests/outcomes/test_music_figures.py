"""Figures of playlists and artists: which plays are compared, and what is said where they cannot be."""

from datetime import date, datetime, timedelta

import polars as pl
import pytest

from engage_assets.outcomes.music_artists import artist_figures
from engage_assets.outcomes.music_playlists import compare_listening, playlist_figures
from engage_assets_tests.builders import instant
from engage_assets_tests.filters.listening import MUSIC
from engage_assets_tests.outcomes.frames import on_duckdb, on_polars
from engage_assets_tests.outcomes.listening import (
    AFTER,
    MADE,
    TABLES,
    UPDATE,
    customers,
    given,
    playlists,
    plays,
    ratings,
)

LATER = instant("2026-12-31")


def compared(table, *, on=on_polars, who=None, listed=None, days=7, night=LATER):
    lives = customers(a="US", b="US", c="DE") if who is None else who
    frames = (table, lives, playlists("t-1") if listed is None else listed)
    found = compare_listening(*(on(frame) for frame in frames), update=UPDATE, days=days, night=night)
    return found.listeners, found.before, found.after


def figures(made_of):
    return {(one.metric, one.dimension, one.member): one for one in made_of}


def value(found, metric, dimension="all", member="all"):
    return found[metric, dimension, member].value


@pytest.mark.parametrize("on", [on_polars, on_duckdb])
def test_all_plays_of_who_played_a_playlists_track_on_either_side_are_compared(on):
    table = plays(
        ("a", "t-1", -3, 2), ("a", "t-9", 2, 5),  # also what is in no playlist
        ("b", "t-9", -1, 3), ("b", "t-1", 1, 4),
        ("c", "t-1", 1, 100),  # not in a playlist where c lives
        ("d", "t-1", 1, 100),  # nobody knows where
    )  # fmt: skip
    assert compared(table, on=on) == (2, 5, 9)


def test_the_days_are_whole_and_as_many_on_both_sides_and_the_day_of_the_update_is_neither():
    sides = {days: compared(plays(("a", "t-1", days))) for days in (-8, -7, -1, 0, 1, 7, 8)}
    nothing = (0, 0, 0)
    assert sides == {
        -8: nothing, -7: (1, 1, 0), -1: (1, 1, 0), 0: nothing, 1: (1, 0, 1), 7: (1, 0, 1), 8: nothing,
    }  # fmt: skip
    assert compared(plays(("a", "t-1", 7)), days=6) == nothing


def test_what_arrived_after_the_night_is_not_known_yet():
    table = plays(("a", "t-1", 1), ("a", "t-1", 2))
    night = datetime.combine(UPDATE + timedelta(days=3), datetime.min.time())
    arrivals = pl.Series([night, night + timedelta(microseconds=1)])
    assert compared(table.with_columns(arrived_at=arrivals), night=night) == (1, 0, 1)
    assert compared(table.drop("arrived_at"), night=night) == (1, 0, 2)


def test_a_customer_or_a_place_told_twice_counts_once():
    twice = pl.concat([customers(a="US"), customers(a="US")])
    assert compared(plays(("a", "t-1", 1)), who=twice, listed=playlists("t-1", "t-1")) == (1, 0, 1)


def test_the_improvement_is_plays_after_against_plays_before_of_the_same_listeners():
    found = figures(playlist_figures(given()))
    assert (value(found, "playlist_plays_before"), value(found, "playlist_plays_after")) == (
        round(10 / 14, 6), round(16 / 14, 6),
    )  # fmt: skip
    assert value(found, "playlist_improvement") == 0.6
    assert "no experiment" in found["playlist_improvement", "all", "all"].note


def test_playlists_and_their_changes_are_counted_and_close():
    found = figures(playlist_figures(given()))
    assert (value(found, "playlists"), value(found, "playlist_tracks"), value(found, "playlist_changes")) == (1, 2, 4)
    for dimension in ("change", "change_reason"):
        assert sum(one.value for key, one in found.items() if key[1] == dimension) == 4
    assert value(found, "playlist_changes", "change_reason", "moved/ROSE") == 2


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"as_of": AFTER - timedelta(days=1)}, "it can be measured from the night of 2026-11-28 on"),
        ({"tables": {"track_plays": TABLES["track_plays"]}}, "the warehouse has no table customers"),
        ({"made": {}}, "the partition's playlists are not made"),
        ({"program": MUSIC.model_copy(update={"playlists": None})}, "the program file has no section playlists"),
        (
            {"tables": TABLES | {"track_plays": plays(("l-1", "t-1", -6), ("l-1", "t-1", 1))}},
            "plays are needed from 2026-11-14 on; they are known from 2026-11-15 on",
        ),
        ({"made": MADE | {"playlists": playlists("t-7")}}, "these listeners played nothing before the update"),
    ],
    ids=["too early", "no customers", "not made", "no section", "plays too late", "nobody listens"],
)
def test_an_improvement_that_cannot_be_measured_says_why(changes, note):
    one = figures(playlist_figures(given(**changes)))["playlist_improvement", "all", "all"]
    assert one.value is None
    assert note in one.note


@pytest.mark.parametrize("on", [on_polars, on_duckdb])
def test_each_artists_latest_rating_up_to_the_night_counts(on):
    table = ratings(
        ("a-1", "2026-11-01 10:00", 1), ("a-1", "2026-11-02 10:00", 5), ("a-1", "2026-12-01 10:00", 1),
        ("a-2", "2026-11-02 10:00", 4), ("a-2", "2026-11-02 10:00", 3),
        ("a-3", "2026-11-02 10:00", 6), ("a-4", None, 5), ("a-5", "2026-11-02 10:00", 0),
    )  # fmt: skip
    found = figures(artist_figures(given(on=on, tables={"artist_ratings": table})))
    assert value(found, "artists_rating") == 2
    assert value(found, "artist_satisfaction") == (5 + 3) / 2


@pytest.mark.parametrize(
    ("tables", "note"),
    [
        ({}, "the warehouse has no table streaming.artist_ratings"),
        ({"artist_ratings": ratings()}, "no artist has rated yet"),
    ],
)
def test_satisfaction_that_nobody_gave_is_not_invented(tables, note):
    one = figures(artist_figures(given(date(2026, 11, 28), tables=tables)))["artist_satisfaction", "all", "all"]
    assert (one.value, one.note) == (None, note)
