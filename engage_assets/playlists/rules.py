"""Whether playlists keep their rules, and what they hold at a glance."""

from collections.abc import Iterator
from datetime import date, timedelta

import polars as pl

from engage_assets.domain.playlist_spec import Playlists


def broken_rules(playlists: pl.DataFrame, rules: Playlists, today: date) -> list[str]:
    """`playlist_id: what is wrong` of every rule that PLAYLISTS break."""
    return [
        f"{rows['playlist_id'][0]}: {fault}"
        for rows in playlists.partition_by("playlist_id", maintain_order=True)
        for fault in _faults(rows, rules, today)
    ]


def _faults(rows: pl.DataFrame, rules: Playlists, today: date) -> Iterator[str]:
    oldest = today - timedelta(days=rules.released_within_days)
    if rows.height > rules.size:
        yield "too long"
    if rows["track_id"].n_unique() < rows.height:
        yield "a track twice"
    if rows["place"].to_list() != list(range(1, rows.height + 1)):
        yield "places with gaps"
    if not rows["track_score"].is_sorted(descending=True):
        yield "not in order"
    if rows["answers"].min() < rules.minimum_answers:  # type: ignore[operator]
        yield "too few answers"
    if not rows["release_date"].is_between(oldest, today).all():
        yield "an old track"
    if rows.group_by("artist_id").len()["len"].max() > rules.most_per_artist:  # type: ignore[operator]
        yield "too many of one artist"


def overview(playlists: pl.DataFrame) -> pl.DataFrame:
    """One row per playlist: version, tracks, artists, newest release, mean score, first track."""
    return playlists.group_by("playlist_id", maintain_order=True).agg(
        pl.col("version").first(),
        tracks=pl.len(),
        artists=pl.col("artist_id").n_unique(),
        newest=pl.col("release_date").max(),
        mean_score=pl.col("track_score").mean().round(4),
        first=pl.col("track_id").first(),
    )


def came_and_went(changes: pl.DataFrame) -> dict[str, int]:
    """How many tracks came, went and moved."""
    return {change: changes.filter(pl.col("change") == change).height for change in ("came", "went", "moved")}
