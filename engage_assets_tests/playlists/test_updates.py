"""Same feedback, same playlists: in whichever order days are made, and whatever a brigade does."""

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from engage_assets.domain.playlist_tables import VOID_REASONS
from engage_assets.playlists.brigades import find_brigades
from engage_assets_tests.playlists.catalogues import (
    DAY,
    UPDATE,
    World,
    a_response,
    a_track,
    an_answer,
    known,
)

BEFORE = UPDATE - timedelta(hours=2)
LISTENERS, TRACKS = 12, 6
ANSWERS = st.tuples(
    st.integers(0, LISTENERS - 1), st.integers(0, TRACKS - 1), st.integers(0, 6 * 24), st.booleans(),
    st.sampled_from(["warehouse", "ledger", "ledger, late"]),
)  # fmt: skip


def a_random_world(drawn: list[tuple[Any, ...]], trust: list[tuple[int, int, bool]]) -> World:
    """Answers of a week, some recorded a day late, of listeners whose standing changes in it."""
    feedback, responses = [], []
    for listener, track, hours, up, where in drawn:
        at, names = UPDATE - timedelta(hours=hours), (f"l-{listener}", f"t-{track}")
        if where == "warehouse":
            feedback.append(an_answer(*names, at, up=up))
        else:
            lag = timedelta(hours=30 if "late" in where else 0)
            responses.append(a_response(*names, at, up=up, received_at=at + lag))
    tracks = [a_track(f"t-{one}", genre=("indie", "folk")[one % 2], artist=f"a-{one % 3}") for one in range(TRACKS)]
    people = {f"l-{one}": known(f"l-{one}", UPDATE - timedelta(days=one), "US") for one in range(LISTENERS)}
    world = World(tracks, feedback, responses, people=people, minimumAnswers=1, mostAnswersPerDay=3, surgeAnswers=3,
                  surgeFactor=2, newcomerDays=3)  # fmt: skip
    world.at_once = 20
    changes = [
        known(f"l-{who}", UPDATE - timedelta(hours=hours), account_status="active" if good else "suspended")[1]
        for who, hours, good in trust
    ]
    if changes:
        more = pl.DataFrame(changes).cast({"known_at": pl.Datetime("us")}).lazy()
        world.tables["customer_trust"] = pl.concat([world.tables["customer_trust"], more])
    return world


STANDINGS = st.lists(st.tuples(st.integers(0, LISTENERS - 1), st.integers(0, 6 * 24), st.booleans()), max_size=6)


def give_the_same(drawn: list[tuple[Any, ...]], trust: list[tuple[int, int, bool]]) -> None:
    world = a_random_world(drawn, trust)
    before = None
    for day in (DAY - timedelta(days=back) for back in (2, 1, 0)):
        step = world.scores(day, before)
        before = step
    assert_frame_equal(before, world.scores(DAY))


@settings(max_examples=8)
@given(st.lists(ANSWERS, max_size=60), STANDINGS)
def test_day_by_day_or_at_once_gives_the_same(drawn, trust):
    give_the_same(drawn, trust)


@pytest.mark.soak
@settings(max_examples=300)
@given(st.lists(ANSWERS, max_size=60), STANDINGS)
def test_day_by_day_or_at_once_gives_the_same_in_hundreds_of_histories(drawn, trust):
    give_the_same(drawn, trust)


# --- brigades -----------------------------------------------------------------------------------------

CATALOGUES = st.lists(st.tuples(st.integers(0, 24), st.integers(0, 12), st.integers(0, 1)), min_size=2, max_size=40)
"""Per track: answers, ups among them (at most so many), genre. Many are equal, so that one answer could move far."""


def a_catalogue(drawn: list[tuple[int, int, int]], more: list[dict[str, Any]], people: dict[str, Any]) -> World:
    tracks = [a_track(f"t-{place:03d}", genre=("indie", "folk")[genre]) for place, (_, _, genre) in enumerate(drawn)]
    feedback = [
        an_answer(f"l-{one}", f"t-{place:03d}", BEFORE - timedelta(days=1 + one % 3), up=one < ups)
        for place, (answers, ups, _) in enumerate(drawn)
        for one in range(answers)
    ]
    return World(tracks, feedback + more, people=people, mostAnswersPerDay=30)


def reported(world: World) -> pl.DataFrame:
    return find_brigades(world.judged().answers, world.scores(), world.rules)


@settings(max_examples=5)
@given(CATALOGUES, st.data(), st.booleans())
def test_five_hundred_new_accounts_move_nothing_and_are_reported(drawn, data, up):
    target = f"t-{data.draw(st.integers(0, len(drawn) - 1)):03d}"
    accounts = {f"n-{one}": known(f"n-{one}", BEFORE - timedelta(days=one % 7, hours=1)) for one in range(500)}
    crowd = [an_answer(name, target, BEFORE + timedelta(seconds=place), up=up) for place, name in enumerate(accounts)]
    attacked = a_catalogue(drawn, crowd, accounts)

    assert_frame_equal(attacked.playlists(), a_catalogue(drawn, [], {}).playlists())
    found = reported(attacked).row(0, named=True)
    assert (found["kind"], found["track_id"], found["not_counted"]) == ("NEWCOMERS", target, 500)


@settings(max_examples=5)
@given(CATALOGUES, st.booleans())
def test_one_listener_on_three_hundred_tracks_moves_nothing_and_is_reported(drawn, up):
    busy = [an_answer("l-0", f"t-{place:03d}", BEFORE, up=up) for place in range(300)]
    others = [a_track(f"t-{place:03d}") for place in range(len(drawn), 300)]
    attacked, quiet = a_catalogue(drawn, busy, {}), a_catalogue(drawn, [], {})
    more = pl.DataFrame(others).lazy()
    for world in (attacked, quiet):
        tracks = world.tables["tracks"]
        world.tables["tracks"] = pl.concat([tracks, more], how="diagonal_relaxed")

    assert_frame_equal(attacked.playlists(), quiet.playlists())
    found = reported(attacked).filter(kind="FLOOD").row(0, named=True)
    assert (found["customer_id"], found["given"], found["not_counted"]) == ("l-0", 300, 300)


# --- the rules at their borders -----------------------------------------------------------------------


def voids(world: World) -> list[str]:
    """Why answers of the day do not count, sorted by listener; empty for those that do."""
    answers = world.judged().answers.sort("customer_id", "track_id")
    assert set(answers["void"].drop_nulls()) <= VOID_REASONS.keys()
    return [void or "" for void in answers["void"]]


def test_an_account_counts_once_it_is_known_for_seven_days():
    ages = [timedelta(days=7), timedelta(days=7) - timedelta(microseconds=1)]
    people = {f"l-{place}": known(f"l-{place}", BEFORE - age) for place, age in enumerate(ages)}
    given = [an_answer(name, "t-1", BEFORE) for name in people]

    assert voids(World([a_track("t-1")], given, people=people)) == ["", "NEWCOMER"]
    assert voids(World([a_track("t-1")], given, people=people, newcomerDays=0)) == ["", ""]


def test_plays_and_earlier_answers_make_an_account_known_too():
    people = {name: known(name, BEFORE) for name in ("l-1", "l-2", "l-3")}
    play = {"listener_id": "l-1", "track_id": "t-9", "played_at": BEFORE - timedelta(days=7)}
    given = [an_answer(name, "t-1", BEFORE) for name in people]
    earlier = an_answer("l-2", "t-9", BEFORE - timedelta(days=9))

    assert voids(World([a_track("t-1")], [*given, earlier], plays=[play], people=people)) == ["", "", "NEWCOMER"]


def test_thirty_tracks_a_day_are_a_listeners_thirty_one_are_not():
    def answers(count: int, at: datetime = BEFORE) -> list[dict[str, Any]]:
        return [an_answer("l-1", f"t-{one}", at) for one in range(count)]

    yesterday = answers(30, BEFORE - timedelta(days=1))
    assert set(voids(World([], [*answers(30), *yesterday]))) == {""}
    assert set(voids(World([], answers(31)))) == {"FLOOD"}


def test_what_does_not_count_leaves_an_earlier_answer_standing():
    flood = [an_answer("l-1", f"t-{one}", BEFORE, up=False) for one in range(31)]
    world = World([a_track("t-1")], [an_answer("l-1", "t-1", BEFORE - timedelta(days=1), up=True), *flood])

    assert world.scores().filter(track_id="t-1").select("ups", "answers").row(0) == (1, 1)


def a_surge(size: int, usual: int, heard: int) -> World:
    """`size` answers about a track in the day, of listeners of whom `heard` heard it; `usual` on each day before."""
    given = [an_answer(f"l-{one:03d}", "t-1", BEFORE) for one in range(size)]
    given += [
        an_answer(f"u-{day}-{one}", "t-1", BEFORE - timedelta(days=day)) for day in range(1, 29) for one in range(usual)
    ]
    plays = [{"listener_id": f"l-{one:03d}", "track_id": "t-1", "played_at": BEFORE} for one in range(heard)]
    return World([a_track("t-1")], given, plays=plays)


def test_in_a_surge_only_who_heard_the_track_counts():
    assert voids(a_surge(51, usual=0, heard=20)).count("SURGE") == 31
    assert voids(a_surge(50, usual=0, heard=0)).count("SURGE") == 0
    assert voids(a_surge(61, usual=6, heard=0)).count("SURGE") == 61
    assert voids(a_surge(60, usual=6, heard=0)).count("SURGE") == 0
    found = reported(a_surge(51, usual=0, heard=20)).row(0, named=True)
    assert (found["kind"], found["given"], found["not_counted"]) == ("SURGE", 51, 31)


def test_a_report_says_what_the_score_would_have_been():
    people = {f"n-{one}": known(f"n-{one}", BEFORE) for one in range(20)}
    given = [an_answer(name, "t-1", BEFORE, up=False) for name in people]
    world = World([a_track("t-1")], [*given, an_answer("l-1", "t-1", BEFORE)], people=people)

    found = reported(world).row(0, named=True)

    assert (found["track_score"], found["up_share"]) == (1.0, 0.0)
    assert found["score_if_counted"] == round((1 + 10) / (1 + 20 + 10), 6)
    people.popitem()
    assert reported(World([a_track("t-1")], given[:19], people=people)).is_empty()
