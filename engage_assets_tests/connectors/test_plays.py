"""Plays as the documented query reads them: Redshift's SQL, new tracks of the batch's date, days out of instants."""

import hashlib
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from engage_assets.connectors.duckdb import DuckDBConnector
from engage_assets.connectors.records import canonical
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.domain.music import TRACK_PLAYS
from engage_assets_tests.builders import instant, rows_of
from engage_assets_tests.connectors.shops import Shop
from engage_assets_tests.filters.listening import MUSIC

DAY = date(2026, 11, 19)
NOON = instant("2026-11-19 12:00")


def a_play(**changes: Any) -> dict[str, Any]:
    row = {
        "listener_id": "l-1",
        "track_id": "t-1",
        "played_at": NOON,
        "play_count": 1,
        "completion_rate": 0.95,
        "track_release_date": DAY,
        "engagement_score": 0.6,
        "genre": "folk",
        "artist_id": "a-1",
        "device_id": "phone",
        "arrived_at": instant("2026-11-19 20:00"),
    }
    return row | changes


def read(shop: Shop, *plays: dict[str, Any], day: date = DAY, **types: pl.DataType) -> pl.DataFrame:
    """The records of a day; `types`: columns that lie there as something else."""
    frame = rows_of(TRACK_PLAYS, *plays).with_columns(pl.col(name).cast(to) for name, to in types.items())
    shop.put(frame, "track_plays", "streaming")
    batches = DuckDBConnector(Warehouse(shop.root)).read(MUSIC, day)
    return pl.concat([pl.DataFrame(pl.from_arrow(batch)) for batch in batches])


def test_the_record_has_every_declared_column_and_is_named_by_its_hash(shop):
    found = read(shop, a_play()).row(0, named=True)
    name = hashlib.sha256(canonical(a_play())).hexdigest()
    assert found == {"record_id": name, **a_play(), "is_late": False}


@pytest.mark.parametrize(
    ("released", "is_read"),
    [(DAY - timedelta(days=7), False), (DAY - timedelta(days=6), True), (DAY + timedelta(days=1), True), (None, False)],
)
def test_new_tracks_are_those_of_the_week_before_the_batch(shop, released, is_read):
    assert read(shop, a_play(track_release_date=released)).height == is_read


def test_a_rebuilt_old_day_sees_the_tracks_that_were_new_then(shop):
    long_ago = DAY - timedelta(days=400)
    old = a_play(track_release_date=long_ago, played_at=NOON - timedelta(days=400), arrived_at=None)
    plays = [a_play(), old, old | {"track_release_date": DAY}]
    assert read(shop, *plays)["track_release_date"].to_list() == [DAY]
    assert read(shop, *plays, day=long_ago)["track_release_date"].sort().to_list() == [long_ago, DAY]


@pytest.mark.parametrize(("completion", "is_read"), [(0.95, True), (0.949999, False), (1.0, True), (None, False)])
def test_a_full_play_is_one_of_95_percent(shop, completion, is_read):
    assert read(shop, a_play(completion_rate=completion)).height == is_read


@pytest.mark.parametrize(
    ("played", "arrived", "read_on"),
    [
        ("2026-11-19 00:00", "2026-11-19 20:00", DAY),
        ("2026-11-19 23:59:59.999999", "2026-11-20 02:00", DAY),
        ("2026-11-19 23:59:59.999999", "2026-11-20 02:00:00.000001", DAY + timedelta(days=1)),
        ("2026-11-19 12:00", None, DAY),
        (None, "2026-11-20 01:00", DAY),
        (None, None, None),
        ("1999-01-01 00:00", "2026-11-20 01:00", DAY),
        ("2026-11-16 12:00", "2026-11-19 20:00", None),
    ],
)
def test_the_day_is_that_of_the_instant_and_late_rows_have_theirs(shop, played, arrived, read_on):
    play = a_play(played_at=played and instant(played), arrived_at=arrived and instant(arrived))
    days = [DAY + timedelta(days=ahead) for ahead in range(-2, 3)]
    assert [day for day in days if read(shop, play, day=day).height] == ([read_on] if read_on else [])


def test_instants_that_cannot_be_read_are_kept_for_the_contract(shop):
    frame = rows_of(TRACK_PLAYS, a_play()).with_columns(played_at=pl.lit("yesterday"))
    shop.put(frame, "track_plays", "streaming")
    (_, found) = DuckDBConnector(Warehouse(shop.root)).read(MUSIC, DAY)
    assert found.to_pylist()[0]["played_at"] == instant("0001-01-01 00:00")


def test_repeats_are_numbered_and_rows_that_differ_in_anything_are_not(shop):
    plays = [a_play(), a_play(), a_play(device_id="tv"), a_play(genre='"odd"'), a_play(genre='"odd"'), a_play()]
    names = read(shop, *plays)["record_id"].to_list()
    hashes = {hashlib.sha256(canonical(play)).hexdigest() for play in plays}
    assert len(hashes) == 3
    assert {name.split("#")[0] for name in names} == hashes
    usual, odd = (hashlib.sha256(canonical(plays[place])).hexdigest() for place in (0, 3))
    assert sorted(names) == sorted([*hashes, f"{usual}#2", f"{usual}#3", f"{odd}#2"])


def test_the_names_do_not_depend_on_how_the_columns_are_stored(shop):
    usual = read(shop, a_play(), a_play(listener_id="l-2"))
    others = read(
        shop, a_play(), a_play(listener_id="l-2"), played_at=pl.Datetime("ms"), track_release_date=pl.String()
    )
    assert others.equals(usual)


def test_a_table_without_the_optional_columns_is_read(shop):
    bare = rows_of(TRACK_PLAYS, a_play()).drop("genre", "device_id", "artist_id", "engagement_score")
    shop.put(bare, "track_plays", "streaming")
    (_, found) = DuckDBConnector(Warehouse(shop.root)).read(MUSIC, DAY)
    row = found.to_pylist()[0]
    assert [row[name] for name in ("listener_id", "genre", "engagement_score")] == ["l-1", None, None]
