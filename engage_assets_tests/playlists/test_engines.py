"""One definition, several engines: what decides about playlists gives the same rows on all of them."""

import random
from collections.abc import Callable, Iterator
from datetime import timedelta

import duckdb
import narwhals as nw
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engage_assets.domain.facts import Frame
from engage_assets.domain.playlist_spec import Playlists
from engage_assets.playlists import answers, damping
from engage_assets.playlists.filling import fill_playlists
from engage_assets.playlists.scores import count_answers, score_tracks
from engage_assets_tests.playlists.catalogues import UPDATE, World, a_response, a_track, an_answer, on_polars

RULES = Playlists(minimum_answers=1, size=4, most_answers_per_day=5, surge_answers=4, surge_factor=2, newcomer_days=3)
ToEngine = Callable[[pl.DataFrame], Frame]


@pytest.fixture(scope="module", params=["duckdb", pytest.param("pyspark", marks=[pytest.mark.spark, pytest.mark.soak])])
def on_engine(request: pytest.FixtureRequest) -> Iterator[ToEngine]:
    if request.param == "duckdb":
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield lambda frame: nw.from_native(connection.from_arrow(frame.to_arrow()))
    else:
        session = request.getfixturevalue("spark")
        yield lambda frame: nw.from_native(session.createDataFrame(frame.to_arrow()))


def a_world() -> World:
    """A week of answers in which every rule has something to do."""
    dice = random.Random(7)

    def drawn() -> tuple[str, str, object]:
        at = UPDATE - timedelta(hours=dice.randrange(200), microseconds=dice.randrange(3))
        return f"l-{dice.randrange(25)}", f"t-{int(dice.random() ** 2 * 14)}", at

    feedback = [an_answer(*drawn(), up=dice.random() < 0.6) for _ in range(400)]
    feedback += [an_answer("l-1", f"t-{one}", UPDATE - timedelta(days=2)) for one in range(9)]
    responses = [a_response(*drawn(), up=dice.random() < 0.6) for _ in range(40)]
    tracks = [a_track(f"t-{one}", ("indie", "R&B / Soul")[one % 2], f"a-{one % 2}") for one in range(13)]
    plays = [dict(zip(("listener_id", "track_id", "played_at"), drawn(), strict=True)) for _ in range(60)]
    return World(tracks, feedback, responses, plays)


def filled(world: World, on: ToEngine) -> dict[str, pl.DataFrame]:
    """What one engine makes of the answers: with what is void, counted, and filled in."""
    tables = {name: frame.collect() for name, frame in world.tables.items()}

    def rows(frame: Frame) -> pl.DataFrame:
        made = frame.collect("polars").to_native()
        made = made.with_columns(pl.selectors.datetime().cast(pl.Datetime("us")), pl.selectors.integer().cast(pl.Int64))
        return made.sort(made.columns)

    given = answers.warehouse_answers(on(tables["feedback"]), RULES.update_time, UPDATE)
    own = answers.own_answers(on(world.responses.drop("tags")), "new-tracks", RULES.update_time, UPDATE)
    every = rows(answers.with_marketplace(nw.concat([given, own], how="vertical"), on(tables["customers"]), ("US",)))
    seen = on(every.with_columns(pl.col("at") + timedelta(hours=5)))
    busy = damping.busy_days(on(every), RULES)
    judged = rows(damping.judge_answers(on(every), busy, damping.first_seen(seen), RULES))
    surging = damping.surges(on(judged), RULES)
    plays = tables["track_plays"].select(customer_id="listener_id", track_id="track_id", at="played_at")
    left = rows(damping.without_surges(on(judged), surging, on(plays)))
    live = left.filter(pl.col("void").is_null()).drop("void")
    counted_on = live.group_by("track_id").agg(counted_on=pl.col("day").max())
    latest = answers.latest_answers(on(live)).join(on(counted_on), on="track_id", how="inner")
    counts = rows(count_answers(latest.with_columns((nw.col("customer_id") != "l-3").alias("is_trusted"))))
    described = tables["tracks"].select("track_id", "genre", "artist_id", "release_date")
    scores = score_tracks(on(counts), on(described), RULES, "x")
    return {"left": left, "counts": counts, "filled": rows(fill_playlists(scores, RULES, UPDATE.date()))}


def test_every_engine_gives_the_same_rows(on_engine):
    world = a_world()
    expected = filled(world, on_polars)

    for name, frame in filled(world, on_engine).items():
        assert expected[name].height, name
        assert_frame_equal(frame, expected[name], check_exact=True)
    assert set(expected["left"]["void"].drop_nulls()) == {"NEWCOMER", "FLOOD", "SURGE"}
    assert {"LISTED", "ARTIST_LIMIT", "WITHDRAWN"} <= set(expected["filled"]["standing"])
