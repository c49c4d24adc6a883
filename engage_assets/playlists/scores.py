"""Scores of tracks out of counted answers, drawn towards the genre's approval. On any engine."""

from typing import Final

import narwhals as nw

from engage_assets.domain.facts import Frame
from engage_assets.domain.playlist_spec import Playlists
from engage_assets.domain.playlist_tables import TRACK_SCORES

COUNTS: Final = ("marketplace", "track_id", "ups", "answers", "counted_on")
"""Columns of what a track was given, and the partition that counted it."""
UNKNOWN: Final = "unknown"
"""Genre or artist that nothing states."""
MILLION: Final = 1_000_000


def count_answers(weighed: Frame) -> Frame:
    """COUNTS per marketplace and track of latest_answers that have `counted_on` and `is_trusted` beside.

    Answers of listeners whom the trust filter did not accept on that day weigh nothing, so that a track may be counted
    with 0 answers.
    """
    weight = nw.col("is_trusted").cast(nw.Int64)
    ups = weighed.with_columns(weight.alias("weight"), (weight * nw.col("up")).alias("up"))
    counts = ups.group_by("marketplace", "track_id", "counted_on").agg(
        nw.col("up").sum().alias("ups"), nw.col("weight").sum().alias("answers")
    )
    whole = [nw.col(name).cast(nw.Int64) for name in ("ups", "answers")]  # sums are wider on some engines
    return counts.with_columns(*whole).select(*COUNTS)


def score_tracks(counts: Frame, tracks: Frame, rules: Playlists, rules_hash: str) -> Frame:
    """TRACK_SCORES: (ups + w · p) ÷ (answers + w).

    p is the approval of the genre in the marketplace over all its tracks; without a counted answer that of the
    marketplace over all genres, and without any 0.5. `tracks` hold track_id, genre, artist_id, release_date.
    """
    described = counts.join(tracks, on="track_id", how="left").with_columns(
        nw.col("genre").fill_null(UNKNOWN), nw.col("artist_id").fill_null(UNKNOWN)
    )
    approved = described.join(_approval(described, "marketplace", "genre"), on=["marketplace", "genre"], how="left")
    approved = approved.join(_approval(described, "marketplace"), on="marketplace", how="left")
    p = nw.coalesce(nw.col("approval_marketplace_genre"), nw.col("approval_marketplace"), nw.lit(0.5))
    w = rules.prior_weight
    score = (nw.col("ups") + p * w) / (nw.col("answers") + w)
    scored = approved.with_columns(
        _six_decimals(score).alias("track_score"),
        _six_decimals(p).alias("genre_approval"),
        nw.lit(rules_hash).alias("rules_hash"),
    )
    return scored.select(*TRACK_SCORES.names)


def _approval(counts: Frame, *keys: str) -> Frame:
    """`approval_<keys>`: ups of all answers; groups without an answer are left out."""
    sums = counts.group_by(*keys).agg(nw.col("ups").sum().alias("_ups"), nw.col("answers").sum().alias("_answers"))
    share = nw.col("_ups").cast(nw.Float64) / nw.col("_answers")
    return sums.filter(nw.col("_answers") > 0).select(*keys, share.alias(f"approval_{'_'.join(keys)}"))


def _six_decimals(value: nw.Expr) -> nw.Expr:
    """`value`, 0 to 1, rounded half up to 6 decimals: engines take the same floor, but see a half in different ways."""
    return ((value * MILLION + 0.5).floor().cast(nw.Float64) / MILLION).round(6)
