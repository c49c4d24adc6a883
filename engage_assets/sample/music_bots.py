"""What listens like a machine in the synthetic world, and what nearly does: the same on every day."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl

from engage_assets.sample.people import generator

COUNTS: Final = {
    "bot_many": (180, 180, 141),
    "near_many": (180, 180, 140),
    "bot_regular": (20,),
    "near_regular": (19,),
    "bot_devices": (3,),
    "near_devices": (3,),
}
"""Plays of each track of a day: 501 are too many, 500 are not; 20 regular ones are, 19 are not."""


def bot_listens(seed: int, listeners: pl.DataFrame, tracks: pl.DataFrame, start: date, end: date) -> pl.DataFrame:
    """The true rows of bots and near bots, as `music_listens.draw_listens` has them: each day its newest tracks.

    Who hears one track a day hears another on each.
    """
    rng = generator(seed, "bots")
    newest = _newest(tracks)
    rows = [
        (kind, listener, track, day, count)
        for listener, kind in listeners.select("listener_id", "kind").iter_rows()
        if kind in COUNTS
        for day in (start + timedelta(days=step) for step in range((end - start).days))
        for track, count in zip(newest(day, len(COUNTS[kind])), COUNTS[kind], strict=True)
    ]
    names = ["kind", "listener_id", "track_id", "day", "play_count"]
    frame = pl.DataFrame(rows, schema=names, orient="row")
    began = pl.Series(rng.integers(10 * 3600, 18 * 3600, frame.height)).cast(pl.Int64) * 1_000_000
    known = tracks.select("track_id", "genre", "artist_id", "release_date")
    return frame.join(known, on="track_id", how="left", maintain_order="left").with_columns(
        played_at=pl.col("day").cast(pl.Datetime("us")) + began.cast(pl.Duration("us")),
        completion_rate=pl.lit(1.0),
        engagement_score=pl.Series(np.round(rng.uniform(0.7, 0.95, frame.height), 2)),
        heard=pl.lit(True),
    )


def _newest(tracks: pl.DataFrame) -> Callable[[date, int], list[str]]:
    """Says which `count` tracks that take feedback came out last by a day, those of the day itself first."""
    is_open = tracks.filter("is_open_for_feedback")
    by_day = {day: part["track_id"].to_list() for (day,), part in is_open.group_by("release_date", maintain_order=True)}

    def newest(day: date, count: int) -> list[str]:
        # One comes out each day at least.
        return [track for back in range(count) for track in by_day[day - timedelta(days=back)]][:count]

    return newest
