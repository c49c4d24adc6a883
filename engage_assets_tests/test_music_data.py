"""Real music: Last.fm's listeners and a catalogue of Spotify's, where they lie beside the project."""

import importlib
import os
import re
import runpy
import sys
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from engage_assets.domain.errors import WarehouseError
from engage_assets_tests.defs.homes import PROGRAMS, Light

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("MUSIC_DATA") or ROOT.parent / "shared" / "data")
LASTFM, SPOTIFY = DATA / "hetrec_lastfm_2k", DATA / "spotify_2023_tracks"
DAY = date(2023, 7, 13)

pytestmark = pytest.mark.shared_data
needs_lastfm = pytest.mark.skipif(not LASTFM.is_dir(), reason=f"needs {LASTFM}: docs/lastfm/README.md; or MUSIC_DATA")
needs_spotify = pytest.mark.skipif(
    not SPOTIFY.is_dir(), reason=f"needs {SPOTIFY}: docs/spotify/README.md; or MUSIC_DATA"
)


@pytest.fixture
def spotify():
    return runpy.run_path(str(ROOT / "docs/spotify/map_spotify.py"))


@needs_spotify
def test_the_catalogue_keeps_the_contract_of_tracks(spotify, tmp_path, capsys):
    spotify["main"](SPOTIFY, tmp_path / "warehouse", DAY)
    said = capsys.readouterr().out
    assert "952 tracks written <- 953 rows read, set aside: 1 streams is no number" in said
    launcher = Light({"ENGAGE_HOME": str(tmp_path), "ENGAGE_PROGRAMS": str(PROGRAMS)})
    tracks = launcher.parts["warehouse"].scan(spotify["TRACKS"], "streaming", required=True).collect()
    assert tracks["track_id"].n_unique() == tracks.height == 952
    assert tracks["release_date"].null_count() == 0
    assert tracks["release_date"].min().year == 1930


@needs_spotify
def test_the_programs_window_lets_the_new_releases_through(spotify, tmp_path):
    """One play of each track on the day: the program's own query takes the new ones, old releases never enter."""
    spotify["main"](SPOTIFY, tmp_path / "warehouse")
    tracks = pl.read_parquet(tmp_path / "warehouse/streaming/tracks.parquet")
    tracks.select(
        "track_id",
        "artist_id",
        listener_id=pl.lit("l-1"),
        played_at=pl.lit(datetime(2023, 7, 13, 12)).cast(pl.Datetime("us")),  # noqa: DTZ001 - UTC, as all instants
        play_count=pl.lit(1),
        completion_rate=pl.lit(1.0),
        engagement_score=pl.lit(1.0),
        genre=pl.lit(None, pl.String),
        track_release_date="release_date",
        arrived_at=pl.lit(None, pl.Datetime("us")),
    ).write_parquet(tmp_path / "warehouse/streaming/track_plays.parquet")
    launcher = Light({"ENGAGE_HOME": str(tmp_path), "ENGAGE_PROGRAMS": str(PROGRAMS)})
    records = pl.concat(
        pl.from_arrow(part) for part in launcher.parts["connector"].read(launcher.program("music-feedback"), DAY)
    )
    new = spotify["new_on"](tracks, DAY)
    assert sorted(records["track_id"]) == sorted(new["track_id"])
    assert 0 < new.height < 20


@needs_spotify
def test_a_broken_catalogue_is_named(spotify, tmp_path):
    with pytest.raises(WarehouseError, match=r"spotify-2023\.parquet is not there"):
        spotify["read_source"](tmp_path)
    pl.DataFrame({"track_name": ["x"]}).write_parquet(tmp_path / "spotify-2023.parquet")
    with pytest.raises(WarehouseError, match=r"column artist\(s\)_name is missing"):
        spotify["read_source"](tmp_path)


@pytest.fixture
def lastfm(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "lastfm"))
    yield importlib.import_module("train_lastfm")
    for name in ("train_lastfm", "map_lastfm"):
        sys.modules.pop(name, None)


@needs_lastfm
def test_listeners_and_artists_keep_the_contract(lastfm, tmp_path, capsys):
    lastfm.map_lastfm.main(LASTFM, tmp_path / "warehouse")
    assert "tags set aside: 5 dated before 2002" in capsys.readouterr().out
    launcher = Light({"ENGAGE_HOME": str(tmp_path), "ENGAGE_PROGRAMS": str(PROGRAMS)})
    rows = {
        table.name: launcher.parts["warehouse"].scan(table, "streaming", required=True).collect().height
        for table in (lastfm.map_lastfm.TRACK_PLAYS, lastfm.map_lastfm.TRACKS, lastfm.map_lastfm.FEEDBACK)
    }
    assert rows["track_plays"] == 92_834
    assert rows["tracks"] == 17_632


@needs_lastfm
def test_what_is_held_out_is_neither_known_nor_learned(lastfm):
    source = lastfm.map_lastfm.read_source(LASTFM)
    parted = lastfm.map_lastfm.plays(source).with_columns(part=lastfm.share_of("listener_id", "track_id"))
    known, held_out = parted.filter(pl.col("part") < 0.8), parted.filter(pl.col("part") >= 0.8)
    common = known.group_by("track_id").len().filter(pl.col("len") >= lastfm.FEWEST).select("track_id")
    keys = {"left_on": ["customer_id", "subject_id"], "right_on": ["listener_id", "track_id"]}
    examples = lastfm.examples_of(known, common)
    assert examples.filter("label").join(held_out, how="semi", **keys).is_empty()
    judged = lastfm.judged_pairs(known, held_out, common, 5)
    assert judged.join(known, how="semi", **keys).is_empty()
    assert judged.filter("label").join(held_out, how="anti", **keys).is_empty()


@needs_lastfm
@pytest.mark.soak
def test_the_affinity_model_gives_the_figures_of_its_page(lastfm):
    found = lastfm.main(LASTFM)
    page = (ROOT / "docs/lastfm/README.md").read_text(encoding="utf-8")
    for name in ("documented", "company", "popularity", "nearest neighbours"):
        (line,) = re.findall(rf"^\| {name} .*$", page, re.MULTILINE)
        assert [float(number) for number in re.findall(r"\d\.\d+", line)] == pytest.approx(
            list(found[name].values()), abs=0.005
        ), name
    assert found["documented"]["auc"] > found["popularity"]["auc"]
