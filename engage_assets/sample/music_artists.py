"""The artist_ratings table of the synthetic world: how satisfied artists say they are."""

from datetime import date, datetime, time
from typing import Final

import numpy as np
import polars as pl

from engage_assets.domain.music import ARTIST_RATINGS
from engage_assets.sample.people import generator

_DAYS_APART: Final = 30
_SHARES: Final = (0.02, 0.03, 0.08, 0.27, 0.60)  # mean 4.4; the document reports 4.5 of 5
_FAULTS: Final = 60
"""Each so many ratings one has no instant, and one is no rating."""


def ratings_of(seed: int, tracks: pl.DataFrame, start: date, end: date) -> pl.DataFrame:
    """ARTIST_RATINGS from `start` up to `end`, by instant: each artist of `tracks` about once in 30 days."""
    rng = generator(seed, "artist ratings")
    artists = tracks["artist_id"].unique().sort()
    days = (end - start).days
    who = np.repeat(np.arange(artists.len()), rng.poisson(days / _DAYS_APART, artists.len()))
    seconds = rng.integers(0, days * 86_400, len(who)) * 1_000_000
    place = pl.int_range(pl.len()) % _FAULTS
    return (
        pl.DataFrame(
            {"artist_id": artists[who], "since": seconds, "given": rng.choice([1, 2, 3, 4, 5], len(who), p=_SHARES)}
        )
        .select(
            "artist_id",
            rated_at=pl.when(place != _FAULTS - 1).then(
                pl.lit(datetime.combine(start, time())) + pl.col("since").cast(pl.Duration("us"))
            ),
            rating=pl.when(place != _FAULTS - 2).then("given").otherwise(pl.lit(0)).cast(pl.Int64),
        )
        .select(ARTIST_RATINGS.names)
        .sort("rated_at", "artist_id", "rating")
    )
