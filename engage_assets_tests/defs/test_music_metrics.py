"""What the nightly figures of a program with playlists are made of: the lake's playlists and the warehouse's tables."""

from datetime import timedelta

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.batch import Batch
from engage_assets.defs.report_assets import own_given
from engage_assets.outcomes.music_figures import OWN
from engage_assets_tests.builders import a_program
from engage_assets_tests.defs.test_playlists import DAY, Station

NIGHT = DAY + timedelta(days=8)


def figures(station):
    batch = Batch(station.program, DAY, {}, Warehouse(station.home.warehouse))
    found = OWN.measure(own_given(station.lake, batch, NIGHT))
    return {one.metric: one for one in found if one.dimension == "all"}


def test_playlists_are_counted_once_they_are_made(tmp_path):
    station = Station(tmp_path)
    assert figures(station)["playlists"].note == "the partition's playlists are not made"
    assert station.make(DAY).success
    found = figures(station)
    tracks = station.lake.rows((station.program.key, "playlists"), DAY.isoformat())
    assert (found["playlists"].value, found["playlist_tracks"].value) == (1, tracks)
    assert found["playlist_changes"].value == station.lake.rows(
        (station.program.key, "playlist_changes"), DAY.isoformat()
    )
    assert found["artist_satisfaction"].note == "the warehouse has no table streaming.artist_ratings"


def test_a_program_of_another_source_reads_nothing_for_it(tmp_path):
    station = Station(tmp_path)
    batch = Batch(a_program(), DAY, {}, Warehouse(station.home.warehouse))
    given = own_given(station.lake, batch, NIGHT)
    assert (dict(given.tables), dict(given.made)) == ({}, {})
