"""What came, went and moved in the playlists since the day before, and why."""

from typing import Final

import polars as pl

from engage_assets.domain.playlist_tables import PLAYLIST_CHANGES
from engage_assets.playlists.filling import IN_PLAYLIST

_TRACK: Final = ["marketplace", "track_id"]
_SEEN: Final = ["genre", "standing", "place", "track_score", "answers"]


def compare(before: pl.DataFrame, now: pl.DataFrame) -> pl.DataFrame:
    """PLAYLIST_CHANGES between two days, both as `fill_playlists` gives them.

    Each track that changed its place stands once in each playlist that it left, entered or moved in.
    """
    listed = pl.concat([_listed(before), _listed(now)]).unique()
    rows = listed.join(_facts(now, "now"), on=_TRACK, how="left")
    rows = rows.join(_facts(before, "then"), on=_TRACK, how="left")
    # A track stands in the playlist of its genre alone.
    is_here, was_here = (
        (pl.col(f"standing_{when}") == IN_PLAYLIST).fill_null(value=False)
        & pl.col(f"genre_{when}").eq_missing(pl.col("genre"))
        for when in ("now", "then")
    )
    rows = rows.with_columns(
        place=pl.when(is_here).then("place_now"),
        place_before=pl.when(was_here).then("place_then"),
        change=pl.when(is_here & was_here).then(pl.lit("moved")).when(is_here).then(pl.lit("came")).otherwise(
            pl.lit("went")
        ),
    ).filter(pl.col("place").ne_missing(pl.col("place_before")))  # fmt: skip
    rows = rows.with_columns(
        reason=_reason(),
        playlist_id=pl.concat_str("marketplace", pl.lit(":"), "genre"),
        track_score=pl.col("track_score_now"),
        score_before=pl.col("track_score_then"),
        answers=pl.col("answers_now"),
        answers_before=pl.col("answers_then"),
    )
    return rows.select(PLAYLIST_CHANGES.names).sort("playlist_id", "place", "place_before", nulls_last=True)


def _listed(filled: pl.DataFrame) -> pl.DataFrame:
    return filled.filter(pl.col("standing") == IN_PLAYLIST).select("marketplace", "genre", "track_id")


def _facts(filled: pl.DataFrame, when: str) -> pl.DataFrame:
    return filled.select(*_TRACK, *(pl.col(name).alias(f"{name}_{when}") for name in _SEEN))


def _reason() -> pl.Expr:
    """The reason of a change, out of CHANGE_REASONS."""
    changed = (pl.col("genre_now") != pl.col("genre_then")).fill_null(value=False)
    rose = (pl.col("track_score_now") > pl.col("track_score_then")).fill_null(value=False)
    fell = (pl.col("track_score_now") < pl.col("track_score_then")).fill_null(value=False)
    was_eligible = pl.col("standing_then").is_in([IN_PLAYLIST, "ARTIST_LIMIT", "OUT_RANKED", "AGED_OUT"])
    moved_up = pl.col("place") < pl.col("place_before")
    went = pl.when(changed).then(pl.lit("GENRE_CHANGED")).otherwise(pl.col("standing_now").fill_null("WITHDRAWN"))
    came = (
        pl.when(changed).then(pl.lit("GENRE_CHANGED"))
        .when(~was_eligible.fill_null(value=False)).then(pl.lit("NEW"))
        .when(rose).then(pl.lit("ROSE"))
        .otherwise(pl.lit("ROOM_MADE"))
    )  # fmt: skip
    moved = (
        pl.when(moved_up & rose).then(pl.lit("ROSE"))
        .when(moved_up).then(pl.lit("OTHERS_FELL"))
        .when(fell).then(pl.lit("FELL"))
        .otherwise(pl.lit("OVERTAKEN"))
    )  # fmt: skip
    return pl.when(pl.col("change") == "came").then(came).when(pl.col("change") == "went").then(went).otherwise(moved)
