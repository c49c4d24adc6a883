"""Brigades: answers of a day that look concerted. They count nothing; here people are told of them."""

from typing import Final

import polars as pl

from engage_assets.domain.playlist_spec import Playlists
from engage_assets.domain.playlist_tables import BRIGADES
from engage_assets.playlists.scores import MILLION

_TRACK: Final = ["marketplace", "track_id"]


def find_brigades(judged: pl.DataFrame, scores: pl.DataFrame, rules: Playlists) -> pl.DataFrame:
    """BRIGADES out of the answers of one day, as `judge_answers` gives them, and TRACK_SCORES of that day.

    Every flood and every surge is one; newcomers are where `reportedNewcomers` answered about one track.
    """
    newcomers = _of_tracks(judged, "NEWCOMER").filter(pl.col("not_counted") >= rules.reported_newcomers)
    tracks = pl.concat([newcomers, _of_tracks(judged, "SURGE")])
    known = scores.select(*_TRACK, "track_score", "ups", "answers", "genre_approval")
    known = known.filter(pl.col("track_id").is_in(tracks["track_id"].implode()))
    tracks = tracks.join(known, on=_TRACK, how="left", maintain_order="left")
    w = rules.prior_weight
    would_be = (pl.col("ups") + pl.col("_ups") + w * pl.col("genre_approval")) / (
        pl.col("answers") + pl.col("not_counted") + w
    )
    tracks = tracks.with_columns(score_if_counted=(would_be * MILLION).round() / MILLION)
    found = pl.concat([_finished(tracks), _finished(_floods(judged))])
    return found.sort("not_counted", *found.columns[:4], descending=[True, False, False, False, False])


def _of_tracks(judged: pl.DataFrame, void: str) -> pl.DataFrame:
    """Per track what was given in the day, and what of it is void for this reason."""
    counted = _counted(judged, void, *_TRACK)
    kind = "NEWCOMERS" if void == "NEWCOMER" else void
    return counted.with_columns(kind=pl.lit(kind), customer_id=pl.lit(None, pl.String))


def _floods(judged: pl.DataFrame) -> pl.DataFrame:
    counted = _counted(judged, "FLOOD", "marketplace", "customer_id")
    none = pl.lit(None, pl.Float64)
    return counted.with_columns(
        kind=pl.lit("FLOOD"), track_id=pl.lit(None, pl.String), track_score=none, score_if_counted=none
    )


def _counted(judged: pl.DataFrame, void: str, *keys: str) -> pl.DataFrame:
    is_void = (pl.col("void") == void).fill_null(value=False)
    counts = judged.group_by(*keys).agg(
        given=pl.len().cast(pl.Int64),
        not_counted=is_void.sum().cast(pl.Int64),
        _ups=(is_void & pl.col("is_up")).sum().cast(pl.Int64),
    )
    return counts.filter(pl.col("not_counted") > 0)


def _finished(found: pl.DataFrame) -> pl.DataFrame:
    share = (pl.col("_ups") / pl.col("not_counted") * MILLION).round() / MILLION
    return found.with_columns(up_share=share).select(BRIGADES.names)
