"""Filling the playlists: which track stands in which place, and why the others do not. On any engine."""

from datetime import date, timedelta
from hashlib import sha256
from typing import Final

import narwhals as nw
import polars as pl

from engage_assets.domain.facts import Frame
from engage_assets.domain.playlist_spec import Playlists
from engage_assets.domain.playlist_tables import PLAYLISTS

IN_PLAYLIST: Final = "LISTED"
_LIST: Final = ["marketplace", "genre"]
_SPARE: Final = 4
"""So many times a playlist's size of its best tracks are looked at first, as artists' limits leave out some."""
_ORDER: Final = ["_worse", "_fewer", "track_id"]


def fill_playlists(scores: Frame, rules: Playlists, today: date) -> Frame:
    """TRACK_SCORES with `standing` and `place` (null where it stands in no playlist).

    Of the tracks that are out since at most `releasedWithinDays` and have `minimumAnswers`, the best by score, then
    most answers, then track_id; an artist's third is left out, and what lies beyond `size`.
    `standing` is LISTED, WITHDRAWN (no release date, or a later one), AGED_OUT, BELOW_MINIMUM, ARTIST_LIMIT or
    OUT_RANKED.
    """
    oldest = today - timedelta(days=rules.released_within_days)
    released = nw.col("release_date")
    barred = _first_true(
        ((released > today).fill_null(True), "WITHDRAWN"),
        (released < oldest, "AGED_OUT"),
        (nw.col("answers") < rules.minimum_answers, "BELOW_MINIMUM"),
    )
    judged = scores.with_columns(
        barred.alias("_barred"), (-nw.col("track_score")).alias("_worse"), (-nw.col("answers")).alias("_fewer")
    )
    eligible = judged.filter(nw.col("_barred").is_null())
    nth = nw.col("track_id").cum_count().over(*_LIST, "artist_id", order_by=_ORDER).cast(nw.Int64)
    eligible = eligible.with_columns((nth > rules.most_per_artist).cast(nw.Int64).alias("_beyond"))
    order = ["_beyond", *_ORDER]
    eligible = eligible.with_columns(
        nw.col("track_id").cum_count().over(*_LIST, order_by=order).cast(nw.Int64).alias("_nth")
    )
    barred = _first_true((nw.col("_beyond") == 1, "ARTIST_LIMIT"), (nw.col("_nth") > rules.size, "OUT_RANKED"))
    eligible = eligible.with_columns(barred.alias("_barred"))
    place = nw.when(nw.col("_barred").is_null()).then(nw.col("_nth")).otherwise(nw.lit(None).cast(nw.Int64))
    names = scores.collect_schema().names()
    standing = nw.col("_barred").fill_null(IN_PLAYLIST).alias("standing")
    others = judged.filter(~nw.col("_barred").is_null())
    none = nw.lit(None).cast(nw.Int64)
    return nw.concat(
        [
            eligible.select(*names, standing, place.alias("place")),
            others.select(*names, standing, none.alias("place")),
        ],
        how="vertical",
    )


def is_eligible(rules: Playlists, today: date) -> nw.Expr:
    """Whether a row of TRACK_SCORES may stand in a playlist; what the others are changes no place.

    Asked of the columns as they are stored, so that the other rows need not be read.
    """
    oldest = today - timedelta(days=rules.released_within_days)
    is_new = nw.col("release_date").is_between(oldest, today).fill_null(False)
    return is_new & (nw.col("answers") >= rules.minimum_answers)


def with_deciding(eligible: pl.DataFrame, rules: Playlists) -> pl.DataFrame:
    """The eligible tracks with `is_deciding`: among those few the same stand in the same places as among all.

    Of each playlist the best by score, all that have the last one's among them; all of a playlist that these do not
    fill.
    """
    cuts = eligible.group_by(_LIST).agg(_cut=pl.col("track_score").top_k(_SPARE * rules.size).min())
    ranked = eligible.join(cuts, on=_LIST, how="left", maintain_order="left")
    is_best = pl.col("track_score") >= pl.col("_cut")
    of_artist = ranked.filter(is_best).group_by(*_LIST, "artist_id").len()
    listed = of_artist.group_by(_LIST).agg(pl.col("len").clip(upper_bound=rules.most_per_artist).sum())
    full = listed.filter(pl.col("len") >= rules.size).select(*_LIST, _full=pl.lit(True))
    ranked = ranked.join(full, on=_LIST, how="left", maintain_order="left")
    is_deciding = (is_best | pl.col("_full").is_null()).alias("is_deciding")
    return ranked.select(*eligible.columns, is_deciding)


def deciding(ranked: pl.DataFrame, asked: pl.Series | None = None) -> pl.DataFrame:
    """Those of `with_deciding` that are.

    Of `asked` tracks and all better ones of their artists there are the rows too: their standing is the same.
    """
    is_kept = pl.col("is_deciding")
    if asked is not None:
        beside = ranked.filter(~is_kept & pl.col("track_id").is_in(asked.implode()))
        theirs = beside.select(*_LIST, "artist_id").unique()
        rest = ranked.filter(~is_kept).join(theirs, on=[*_LIST, "artist_id"], how="semi")
        return pl.concat([ranked.filter(is_kept), rest]).drop("is_deciding")
    return ranked.filter(is_kept).drop("is_deciding")


def _first_true(*cases: tuple[nw.Expr, str]) -> nw.Expr:
    """The word of the first case that is true; null where none is."""
    found = nw.lit(None).cast(nw.String)
    for is_so, word in reversed(cases):
        found = nw.when(is_so).then(nw.lit(word)).otherwise(found)
    return found


def playlists_of(filled: pl.DataFrame) -> pl.DataFrame:
    """PLAYLISTS: the tracks that stand in one, in order; a playlist that nothing fills is not there."""
    listed = filled.filter(pl.col("standing") == IN_PLAYLIST).sort(*_LIST, "place")
    listed = listed.with_columns(playlist_id=pl.concat_str("marketplace", pl.lit(":"), "genre"))
    tracks = listed.group_by("playlist_id", maintain_order=True).agg("track_id").rows()
    versions = {name: _version(name, ids) for name, ids in tracks}
    version = pl.col("playlist_id").replace_strict(versions, return_dtype=pl.String)
    return listed.with_columns(version=version).select(PLAYLISTS.names)


def _version(playlist_id: str, track_ids: list[str]) -> str:
    """12 hex digits of SHA-256 over the playlist's name and its tracks in order."""
    return sha256("\x1f".join([playlist_id, *track_ids]).encode()).hexdigest()[:12]
