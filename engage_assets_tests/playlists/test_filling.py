"""Which tracks stand in a playlist, in which order, and why the others do not."""

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from engage_assets.defs.playlist_stages import fill, fill_both, fill_listed
from engage_assets.domain.playlist_spec import Playlists
from engage_assets.domain.playlist_tables import CHANGE_REASONS, TRACK_SCORES
from engage_assets.playlists.changes import compare
from engage_assets.playlists.filling import playlists_of
from engage_assets.playlists.rules import broken_rules

DAY, TODAY = date(2026, 11, 20), date(2026, 11, 21)
RULES = Playlists(size=3)


def scored(*rows: dict) -> pl.LazyFrame:
    """TRACK_SCORES; each row names a track and what is not usual about it."""
    usual = {
        "marketplace": "US", "genre": "indie", "release_date": DAY, "track_score": 0.5, "answers": 9, "ups": 5,
        "genre_approval": 0.5, "counted_on": DAY, "rules_hash": "x",
    }  # fmt: skip
    found = [{**usual, "artist_id": f"by {row['track_id']}", **row} for row in rows]
    return pl.DataFrame(found, schema=TRACK_SCORES.schema).lazy()


def tracks(**scores: float) -> list[dict]:
    return [{"track_id": name, "track_score": score} for name, score in scores.items()]


def standings(*rows: dict, rules: Playlists = RULES) -> dict[str, str]:
    return dict(fill(scored(*rows), rules, DAY).select("track_id", "standing").iter_rows())


def order(*rows: dict) -> list[str]:
    return playlists_of(fill(scored(*rows), RULES, DAY))["track_id"].to_list()


def test_the_best_stand_in_it_by_score_then_answers_then_track():
    rows = tracks(a=0.4, d=0.6, c=0.6, b=0.6)
    rows[3]["answers"] = 10

    assert order(*rows) == ["b", "c", "d"]
    assert standings(*rows)["a"] == "OUT_RANKED"


@pytest.mark.parametrize(
    ("change", "standing"),
    [
        ({"release_date": TODAY - timedelta(days=90)}, "LISTED"),
        ({"release_date": TODAY - timedelta(days=91)}, "AGED_OUT"),
        ({"release_date": TODAY}, "LISTED"),
        ({"release_date": TODAY + timedelta(days=1)}, "WITHDRAWN"),
        ({"release_date": None}, "WITHDRAWN"),
        ({"answers": 5}, "LISTED"),
        ({"answers": 4}, "BELOW_MINIMUM"),
    ],
)
def test_who_may_stand_in_it(change, standing):
    assert standings({"track_id": "t", **change}) == {"t": standing}


def test_an_artists_third_track_leaves_its_place_to_the_next():
    rows = [{**row, "artist_id": "x"} for row in tracks(a=0.9, b=0.8, c=0.7)]

    assert order(*rows, *tracks(d=0.1)) == ["a", "b", "d"]
    assert standings(*rows)["c"] == "ARTIST_LIMIT"


def test_every_marketplace_and_genre_has_its_own():
    other = [{**tracks(a=0.9)[0], "marketplace": "DE"}, {**tracks(b=0.9)[0], "genre": "folk"}]

    assert playlists_of(fill(scored(*tracks(a=0.5), *other), RULES, DAY))["playlist_id"].to_list() == [
        "DE:indie", "US:folk", "US:indie",
    ]  # fmt: skip


def test_a_version_changes_with_the_order_and_with_nothing_else():
    def version(*rows: dict) -> str:
        return playlists_of(fill(scored(*rows), RULES, DAY))["version"][0]

    assert version(*tracks(a=0.5, b=0.4)) == version(*tracks(a=0.9, b=0.4))
    assert version(*tracks(a=0.5, b=0.4)) != version(*tracks(a=0.3, b=0.4))


# --- changes ------------------------------------------------------------------------------------------


def changes(before: list[dict], now: list[dict], rules: Playlists = RULES) -> dict[str, tuple[str, str]]:
    """Change and reason by track."""
    found = compare(fill(scored(*before), rules, DAY), fill(scored(*now), rules, DAY))
    return {row["track_id"]: (row["change"], row["reason"]) for row in found.iter_rows(named=True)}


FULL = tracks(a=0.9, b=0.8, c=0.7)
LATE = {"release_date": TODAY + timedelta(days=1)}
OLD = {"release_date": TODAY - timedelta(days=91)}


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (FULL, FULL, {}),
        ([], tracks(a=0.5), {"a": ("came", "NEW")}),
        ([{"track_id": "a", "answers": 4}], tracks(a=0.5), {"a": ("came", "NEW")}),
        (FULL, tracks(a=0.9, b=0.95, c=0.7), {"a": ("moved", "OVERTAKEN"), "b": ("moved", "ROSE")}),
        (FULL, tracks(a=0.75, b=0.8, c=0.7), {"a": ("moved", "FELL"), "b": ("moved", "OTHERS_FELL")}),
        ([*FULL, *tracks(d=0.1)], [*FULL[:2], *tracks(c=0.6, d=0.65)],
         {"c": ("went", "OUT_RANKED"), "d": ("came", "ROSE")}),
        ([*FULL, *tracks(d=0.1)], [*FULL[:2], {**FULL[2], **OLD}, *tracks(d=0.1)],
         {"c": ("went", "AGED_OUT"), "d": ("came", "ROOM_MADE")}),
        (FULL, [*FULL[:2], {**FULL[2], "answers": 4}], {"c": ("went", "BELOW_MINIMUM")}),
        (FULL, FULL[:2], {"c": ("went", "WITHDRAWN")}),
        (FULL, [*FULL[:2], {**FULL[2], **LATE}], {"c": ("went", "WITHDRAWN")}),
        (FULL, [{**row, "artist_id": "x"} for row in FULL], {"c": ("went", "ARTIST_LIMIT")}),
    ],
)  # fmt: skip
def test_every_change_has_its_reason(before, now, expected):
    assert changes(before, now) == expected
    assert {reason for _, reason in expected.values()} <= CHANGE_REASONS.keys()


def test_a_track_of_another_genre_leaves_one_playlist_for_another():
    now = [*FULL[:2], {**FULL[2], "genre": "folk"}]
    found = compare(fill(scored(*FULL), RULES, DAY), fill(scored(*now), RULES, DAY))

    assert found.select("playlist_id", "change", "reason", "place", "place_before").rows() == [
        ("US:folk", "came", "GENRE_CHANGED", 1, None), ("US:indie", "went", "GENRE_CHANGED", None, 3),
    ]  # fmt: skip


def test_the_check_finds_every_broken_rule():
    good = playlists_of(fill(scored(*FULL), RULES, DAY))
    assert broken_rules(good, RULES, TODAY) == []
    for change, fault in [
        ({"release_date": TODAY - timedelta(days=91)}, "an old track"),
        ({"answers": 4}, "too few answers"),
        ({"artist_id": "x"}, "too many of one artist"),
        ({"place": 1}, "places with gaps"),
        ({"track_id": "a"}, "a track twice"),
    ]:
        bad = good.with_columns(pl.lit(value).cast(good.schema[name]).alias(name) for name, value in change.items())
        assert f"US:indie: {fault}" in broken_rules(bad, RULES, TODAY)
    assert broken_rules(good, Playlists(size=2), TODAY) == ["US:indie: too long"]
    assert broken_rules(good.reverse(), RULES, TODAY)[1:] == ["US:indie: not in order"]


# --- what is passed over changes nothing --------------------------------------------------------------

TRACK = st.tuples(
    st.integers(0, 30), st.sampled_from([6, 6, 6, 5]), st.integers(0, 4), st.sampled_from(["indie", "indie", "folk"]),
    st.sampled_from([*(DAY,) * 9, DAY - timedelta(days=89), DAY - timedelta(days=200), TODAY + timedelta(days=1)]),
)  # fmt: skip
MANY = st.lists(TRACK, min_size=20, max_size=60)


def drawn(rows: list[tuple]) -> pl.LazyFrame:
    names = ("track_score", "answers", "artist_id", "genre", "release_date")
    given = [dict(zip(names, row, strict=True)) for row in rows]
    for place, row in enumerate(given):
        own = {"track_id": f"t-{place:02d}", "artist_id": f"a-{row['artist_id']}"}
        row.update(own, track_score=row["track_score"] / 30)
    return scored(*given)


@settings(max_examples=25)
@given(MANY, MANY, st.integers(1, 3), st.integers(1, 3))
def test_places_and_reasons_are_those_of_all_tracks(before, now, size, most):
    rules = Playlists(size=size, most_per_artist=most, minimum_answers=6)
    yesterday, today = (drawn(before), DAY - timedelta(days=1)), (drawn(now), DAY)
    whole = [fill(scores, rules, day) for scores, day in (yesterday, today)]

    assert_frame_equal(playlists_of(fill_listed(today[0], rules, DAY)), playlists_of(whole[1]))
    assert_frame_equal(compare(*fill_both(yesterday, today, rules)), compare(*whole))
