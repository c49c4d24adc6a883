from collections import Counter
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from engage_assets.domain.errors import EngageError
from engage_assets.domain.music import TABLES
from engage_assets.domain.reasons import REASONS
from engage_assets.domain.tables import POLARS_TYPES
from engage_assets.sample.music_catalogue import draw_tracks
from engage_assets.sample.music_listeners import draw_listeners
from engage_assets.sample.music_listens import draw_listens
from engage_assets.sample.music_oddities import FRESH_ODDITIES, PLAY_ODDITIES, UNREAD
from engage_assets.sample.music_oddities import REASONS as OURS
from engage_assets.sample.music_vocabulary import GENRES
from engage_assets.sample.music_world import draw_everyone, generate_music
from engage_assets.sample.people import draw_people
from engage_assets.sample.world import WorldSummary
from engage_assets_tests.sample import music_rules, rules
from engage_assets_tests.sample.worlds import (
    FIRST_DAY,
    MUSIC_MARKETPLACES,
    SMALL,
    both_worlds,
    partitions,
    small_world,
    tables,
)

EXACT = {code for stage in ("contract", "duplicate", "trust") for code in REASONS[stage]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, WorldSummary, WorldSummary]:
    warehouse = tmp_path_factory.mktemp("warehouse")
    return warehouse, *both_worlds(warehouse)


@pytest.fixture(scope="module")
def world(made: tuple[Path, WorldSummary, WorldSummary]) -> dict[str, pl.DataFrame]:
    return tables(made[0])


def files(warehouse: Path) -> dict[str, bytes]:
    return {str(path.relative_to(warehouse)): path.read_bytes() for path in warehouse.rglob("*") if path.is_file()}


def test_same_seed_same_bytes(made, tmp_path):
    both_worlds(tmp_path)
    assert files(tmp_path) == files(made[0])
    both_worlds(tmp_path, seed=8)
    mine, theirs = files(made[0]), files(tmp_path)
    assert [name for name in mine if mine[name] == theirs[name]] == []


def test_tables_have_the_declared_columns(world):
    for table in TABLES:
        expected = {column.name: POLARS_TYPES[column.kind] for column in table.columns}
        if table.name == "track_plays":
            expected["played_at"] = pl.String()
        assert dict(world[table.name].schema) == expected


def test_every_oddity_of_a_record_is_there_in_every_week():
    everyone, who = draw_everyone(7, draw_people(7, 400), MUSIC_MARKETPLACES)
    start, end = FIRST_DAY - timedelta(days=14), FIRST_DAY + timedelta(days=14)
    listeners, tracks = draw_listeners(7, everyone), draw_tracks(7, 90, start, end)
    listens = draw_listens(7, listeners, who.select("customer_id", "time_zone"), tracks, start, FIRST_DAY, end)
    week = (pl.col("day") - pl.lit(FIRST_DAY)).dt.total_days() // 7
    kinds = {number: set(part["kind"]) for (number,), part in listens.group_by(week.alias("week"))}
    assert kinds.keys() == {-2, -1, 0, 1}
    for present in kinds.values():
        assert (FRESH_ODDITIES | PLAY_ODDITIES).keys() - present == set()
    assert OURS.keys() - set(listens["kind"]) == set()


def test_oddities_lead_to_the_documented_reasons(made, world):
    """What the summary says of each partition is what the documented rules find in the tables, to the record."""
    for partition in partitions()[::3]:
        found = {code: n for code, n in music_rules.reasons(world, partition).items() if code in EXACT}
        told = {code: n for code, n in made[2].refusals(partition).items() if code in EXACT}
        assert told == found, partition
    everywhere = Counter(code for day in partitions() for code in made[2].refusals(day))
    assert everywhere.keys() == {reason for reason in OURS.values() if reason}


def test_reviews_stay_exact_beside_music(made, world):
    """The customers are the same people, and what becomes known of them later comes after both programs' records."""
    for partition in partitions()[::3]:
        found = {code: n for code, n in rules.reasons(world, partition).items() if code in EXACT}
        assert {code: n for code, n in made[1].refusals(partition).items() if code in EXACT} == found, partition


def test_the_shop_is_the_one_without_music(made, world, tmp_path):
    small_world(tmp_path)
    for name, frame in tables(tmp_path).items():
        if name not in ("customer_trust", "opt_outs"):
            assert world[name].head(frame.height).equals(frame), name


def test_rows_that_no_batch_reads_are_the_ones_named(made, world):
    days = [FIRST_DAY + timedelta(days=day) for day in range(-14, 17)]
    fresh = world["track_plays"].filter(pl.col("completion_rate") >= 0.95)
    recent = fresh.filter(
        pl.col("track_release_date").is_null() | (pl.col("track_release_date") > FIRST_DAY - timedelta(days=24))
    )
    read = [sum(music_rules.is_record_of(row, day) for day in days) for row in recent.iter_rows(named=True)]
    told = made[2].oddities_by_day
    assert max(read) == 1
    assert told.filter(pl.col("read_in").is_null())["kind"].is_in(sorted(UNREAD)).all()
    assert told.filter(kind="late")["read_in"].max() > FIRST_DAY + timedelta(days=13)


def test_bots_are_found_and_near_bots_are_not(world):
    found = music_rules.bots(world, rules.batch_instant(FIRST_DAY + timedelta(days=5)))
    assert len(found) == 6
    devices = world["plays"].group_by("listener_id").agg(pl.col("device_id").n_unique())
    assert devices.filter(pl.col("device_id") >= 3).height == 4, "a third device alone makes no bot"


def test_taste_shows_in_what_is_liked(world):
    """Who said yes to a genre most of the time says so again: an affinity is there to be learned."""
    given = world["feedback"].join(world["tracks"], on="track_id").sort("given_at", nulls_last=False)
    pairs = given.group_by("listener_id", "genre", maintain_order=True).agg(
        pl.col("thumbs_up").first().alias("first"), pl.col("thumbs_up").last().alias("last"), pl.len()
    )
    again = pairs.filter(pl.col("len") > 1).group_by("first").agg(pl.col("last").mean(), pl.len()).sort("first")
    assert 0.45 < given["thumbs_up"].mean() < 0.8
    assert again["last"][1] - again["last"][0] > 0.1


def test_people_of_india_listen_and_do_not_buy(world):
    abroad = world["customers"].filter(marketplace="IN")
    assert abroad.height > 20
    assert world["deliveries"].join(abroad, on="customer_id", how="semi").is_empty()
    assert world["track_plays"].join(abroad, left_on="listener_id", right_on="customer_id", how="semi").height > 50
    assert set(world["tracks"]["genre"].drop_nulls()) == set(GENRES)


def test_each_day_has_releases_and_each_new_track_listeners(world):
    open_ones = world["tracks"].filter("is_open_for_feedback")
    for day in partitions():
        assert not open_ones.filter(release_date=day).is_empty()


def test_too_small_a_world_says_what_to_do(tmp_path):
    sizes = {name: SMALL[name] for name in ("seed", "first_day", "days", "customers")}
    with pytest.raises(EngageError, match="tracks=20: the sample takes 44 to"):
        generate_music(tmp_path, **sizes, history_days=10, tracks=20, marketplaces=MUSIC_MARKETPLACES)
    assert files(tmp_path) == {}
