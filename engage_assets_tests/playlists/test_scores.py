"""What a track's score is made of: whose answers, which of them, up to when."""

from datetime import date, timedelta

import polars as pl
import pytest

from engage_assets_tests.playlists.catalogues import (
    DAY,
    LONG_AGO,
    TICK,
    UPDATE,
    World,
    a_response,
    a_track,
    an_answer,
    known,
)

BEFORE = UPDATE - timedelta(hours=2)
WEEK_AGO = UPDATE - timedelta(days=7)


def counts(world: World, track: str = "t-1", day: date = DAY) -> tuple[int, int]:
    """Ups and answers of a track."""
    row = world.scores(day).filter(track_id=track, marketplace="US").row(0, named=True)
    return row["ups"], row["answers"]


def test_the_score_is_drawn_towards_the_approval_of_the_genre():
    given = [an_answer(f"l-{one}", "t-1", BEFORE, up=one < 3) for one in range(4)]
    given += [an_answer(f"l-{one}", "t-2", BEFORE, up=one < 1) for one in range(6)]
    given += [an_answer("l-1", "t-3", BEFORE, up=True)]
    world = World([a_track("t-1"), a_track("t-2"), a_track("t-3", genre="folk")], given)

    scores = {row["track_id"]: row for row in world.scores().iter_rows(named=True)}

    assert scores["t-1"]["genre_approval"] == 0.4  # 4 ups of 10 answers about indie tracks
    assert scores["t-1"]["track_score"] == round((3 + 10 * 0.4) / (4 + 10), 6)
    assert scores["t-2"]["track_score"] == round((1 + 10 * 0.4) / (6 + 10), 6)
    assert scores["t-3"]["track_score"] == 1.0


def test_a_genre_without_answers_that_count_takes_the_marketplaces_approval_then_a_half():
    banned = known("l-9", account_status="suspended")
    given = [an_answer("l-9", "t-1", BEFORE), an_answer("l-9", "t-3", BEFORE)]
    given += [an_answer("l-1", "t-2", BEFORE, up=True), an_answer("l-2", "t-2", BEFORE, up=False)]
    given += [an_answer("l-3", "t-2", BEFORE, up=False), an_answer("l-4", "t-2", BEFORE, up=False)]
    tracks = [a_track("t-1"), a_track("t-2", genre="folk"), a_track("t-3", genre="pop")]
    people = {"l-9": banned, "l-8": known("l-8", marketplace="DE", account_status="closed")}

    scores = World(tracks, [*given, an_answer("l-8", "t-3", BEFORE)], people=people).scores()

    assert scores.filter(track_id="t-1")["track_score"].item() == 0.25
    assert scores.filter(track_id="t-3", marketplace="DE")["track_score"].item() == 0.5


def test_the_update_itself_still_belongs_to_the_day():
    world = World([a_track("t-1")], [an_answer("l-1", "t-1", UPDATE), an_answer("l-2", "t-1", UPDATE + TICK)])

    assert counts(world) == (1, 1)
    assert counts(world, day=DAY + timedelta(days=1)) == (2, 2)


def test_each_listeners_latest_answer_counts_wherever_it_was_given():
    given = [an_answer("l-1", "t-1", BEFORE, up=True), an_answer("l-2", "t-1", BEFORE - TICK, up=False)]
    said = [a_response("l-1", "t-1", BEFORE + TICK, up=False), a_response("l-2", "t-1", BEFORE, up=True)]
    changed = a_response("l-3", "t-1", BEFORE, up=True), a_response("l-3", "t-1", BEFORE + TICK, up=False)

    assert counts(World([a_track("t-1")], given, [*said, *changed])) == (1, 3)


def test_of_two_answers_of_one_instant_the_thumbs_down_stands():
    given = [an_answer("l-1", "t-1", BEFORE, up=up) for up in (False, True)]

    assert counts(World([a_track("t-1")], given)) == (0, 1)


def test_what_was_recorded_after_the_update_was_not_known():
    late = a_response("l-1", "t-1", BEFORE, received_at=UPDATE + TICK)
    world = World([a_track("t-1")], [an_answer("l-2", "t-1", BEFORE)], [late])

    assert counts(world) == (1, 1)
    assert counts(world, day=DAY + timedelta(days=1)) == (2, 2)


def test_a_row_without_a_verdict_is_no_answer_and_one_without_an_instant_is_as_old_as_can_be():
    silent = {**an_answer("l-1", "t-1", BEFORE), "thumbs_up": None}
    old = {**an_answer("l-2", "t-1", BEFORE, up=True), "given_at": None}
    world = World([a_track("t-1")], [silent, old, an_answer("l-2", "t-1", WEEK_AGO, up=False)])
    alone = World([a_track("t-1")], [silent, old, an_answer("l-3", "t-1", BEFORE, up=False)])

    assert counts(world) == (0, 1)
    assert counts(alone) == (1, 2)


@pytest.mark.parametrize(
    "standing",
    [{"account_status": "suspended"}, {"trust_score": 0.49}, {"fraud_score": 0.51}],
    ids=lambda standing: next(iter(standing)),
)
def test_answers_of_who_is_not_trusted_weigh_nothing(standing):
    given = [an_answer("l-1", "t-1", BEFORE), an_answer("l-2", "t-1", BEFORE)]

    assert counts(World([a_track("t-1")], given, people={"l-2": known("l-2", **standing)})) == (1, 1)


def test_nobody_is_trusted_of_whom_nothing_is_known_and_a_test_account_never():
    given = [an_answer(f"l-{one}", "t-1", BEFORE) for one in (1, 2, 3)]
    row, trust = known("l-3")
    world = World(
        [a_track("t-1")], given, people={"l-2": (known("l-2")[0], None), "l-3": ({**row, "is_test": True}, trust)}
    )

    assert counts(world) == (1, 1)


def test_only_tracks_about_which_the_day_brought_an_answer_are_counted_anew():
    banned_today = known("l-1", account_status="suspended", at=UPDATE - timedelta(hours=1))
    rows = [an_answer("l-1", track, WEEK_AGO) for track in ("t-1", "t-2")] + [an_answer("l-2", "t-1", BEFORE)]
    world = World([a_track("t-1"), a_track("t-2")], rows, people={"l-1": banned_today})
    trust = world.tables["customer_trust"].collect()
    active = trust.filter(customer_id="l-2").with_columns(customer_id=pl.lit("l-1"))
    world.tables["customer_trust"] = pl.concat([trust, active]).lazy()

    scores = world.scores()

    assert counts(world) == (1, 1), "l-1 is refused at this update"
    assert counts(world, "t-2") == (1, 1), "at the last update that counted t-2 l-1 was trusted"
    assert scores.sort("track_id")["counted_on"].to_list() == [DAY, DAY - timedelta(days=7)]


def test_listeners_of_other_marketplaces_have_no_say():
    given = [an_answer(one, "t-1", BEFORE) for one in ("l-1", "l-2", "l-3")]
    people = {"l-2": known("l-2", marketplace="DE"), "l-3": known("l-3", marketplace="BR")}

    scores = World([a_track("t-1")], given, people=people).scores()

    assert dict(scores.select("marketplace", "answers").iter_rows()) == {"US": 1, "DE": 1}


def test_a_listener_who_is_stated_in_two_marketplaces_has_no_say():
    world = World([a_track("t-1")], [an_answer(one, "t-1", BEFORE) for one in ("l-1", "l-2")])
    customers = world.tables["customers"].collect()
    elsewhere = customers.filter(customer_id="l-1").with_columns(marketplace=pl.lit("DE"))
    world.tables["customers"] = pl.concat([customers, elsewhere, customers.filter(customer_id="l-2")]).lazy()

    assert dict(world.scores().select("marketplace", "answers").iter_rows()) == {"US": 1}


def test_rows_stand_by_marketplace_genre_and_track():
    genres = {"t-7": "pop", "t-2": "indie", "t-10": "folk", "t-1": "pop", "t-5": "Zouk", "t-4": "indie"}
    people = {f"l-{one}": known(f"l-{one}", marketplace=("US", "DE")[one % 2]) for one in range(4)}
    given = [an_answer(one, track, BEFORE) for one in people for track in (*genres, "t-3")]

    scores = World([a_track(track, genre=genre) for track, genre in genres.items()], given, people=people).scores()

    assert scores.height == 14
    assert scores.equals(scores.sort("marketplace", "genre", "track_id"))


def test_genre_artist_and_release_come_from_the_tracks_else_from_a_play():
    play = {"listener_id": "l-1", "played_at": LONG_AGO, "genre": "folk", "artist_id": "a-7", "track_release_date": DAY}
    plays = [{**play, "track_id": track} for track in ("t-1", "t-2")]
    given = [an_answer("l-1", track, BEFORE) for track in ("t-1", "t-2", "t-3")]
    world = World([{**a_track("t-1", genre="indie", artist="a-1"), "release_date": None}], given, plays=plays)

    found = world.scores().sort("track_id").select("genre", "artist_id", "release_date").rows()

    assert found == [("indie", "a-1", DAY), ("folk", "a-7", DAY), ("unknown", "unknown", None)]
