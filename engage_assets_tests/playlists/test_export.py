"""Files of playlists: what they hold, how they are called, and that old ones go."""

import json
from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.domain.playlist_tables import PLAYLISTS
from engage_assets.playlists.export import file_name, write_playlists


def listed(genre: str, *tracks: str) -> pl.DataFrame:
    rows = [
        {
            "playlist_id": f"US:{genre}", "version": "v", "place": place, "marketplace": "US", "genre": genre,
            "track_id": track, "artist_id": "a", "release_date": date(2026, 11, 20), "track_score": 0.5, "answers": 9,
            "ups": 5,
        }
        for place, track in enumerate(tracks, 1)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=PLAYLISTS.schema)


NAMES = pl.DataFrame(
    {"track_id": ["t 1", "t/2"], "name": ["Blue\n#EXTINF:-1,Red", None], "artist_name": ["Æther", "B"]}
)


def test_a_playlist_is_two_files_of_the_same_bytes_each_time(tmp_path):
    written = write_playlists(tmp_path, listed("indie", "t 1", "t/2", "t-3"), NAMES, "2026-11-20")
    before = {path.name: path.read_bytes() for path in written}

    assert sorted(before) == ["US-indie.json", "US-indie.m3u8"]
    assert before["US-indie.m3u8"].decode().splitlines() == [
        "#EXTM3U",
        "#PLAYLIST:US:indie",
        "#VERSION:v of 2026-11-20",
        "#EXTINF:-1,Æther - Blue #EXTINF:-1,Red",
        "track:t%201",
        "#EXTINF:-1,B",
        "track:t%2F2",
        "#EXTINF:-1,t-3",
        "track:t-3",
    ]
    document = json.loads(before["US-indie.json"])
    assert [entry["place"] for entry in document["tracks"]] == [1, 2, 3]
    assert document["tracks"][0]["name"] == "Blue\n#EXTINF:-1,Red"
    again = write_playlists(tmp_path, listed("indie", "t 1", "t/2", "t-3"), NAMES.reverse(), "2026-11-20")
    assert {path.name: path.read_bytes() for path in again} == before


def test_files_of_a_playlist_that_is_gone_go(tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    write_playlists(tmp_path, pl.concat([listed("indie", "t 1"), listed("R&B / Soul", "t 1")]), NAMES, "2026-11-20")
    assert len(list(tmp_path.iterdir())) == 5
    write_playlists(tmp_path, listed("indie", "t 1"), NAMES, "2026-11-20")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["US-indie.json", "US-indie.m3u8", "notes.txt"]


@pytest.mark.parametrize(
    ("genre", "begins"), [("../../etc", "US-etc-"), ("", "US-"), ("Ümläut/ポップ", "US-Umlaut-"), ("x" * 300, "US-xxx")]
)
def test_awkward_genres_have_safe_names(genre, begins):
    name = file_name("US", genre)
    assert name.startswith(begins)
    assert len(name) < 80
    assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-")


@given(st.lists(st.text(max_size=12), unique=True, max_size=8))
def test_no_two_genres_share_a_file(genres):
    assert len({file_name("US", genre).lower() for genre in genres}) == len(genres)
