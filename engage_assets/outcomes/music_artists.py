"""How satisfied artists are, out of the ratings that they gave elsewhere."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import narwhals as nw

from engage_assets.domain.music import ARTIST_RATINGS
from engage_assets.outcomes.attribution import NIGHT
from engage_assets.outcomes.own import Frame, Given
from engage_assets.outcomes.rows import Figure, count, missing, ratio

SATISFACTION: Final = ("artists_rating", "artist_satisfaction")
_HIGHEST: Final = 5


def artist_figures(given: Given) -> Iterator[Figure]:
    """Artists that rated, and the mean of each one's latest rating."""
    table = given.tables.get(ARTIST_RATINGS.name)
    if table is None:
        database = given.program.connector.config.database
        note = f"the warehouse has no table {database}.{ARTIST_RATINGS.name}"
        yield from (missing(metric, note) for metric in SATISFACTION)
        return
    artists, total = latest_ratings(table, datetime.combine(given.as_of, NIGHT))
    yield count("artists_rating", artists, "artists that have rated, up to the night")
    note = f"sum of each artist's latest rating (1 to {_HIGHEST}) ÷ artists"
    yield ratio("artist_satisfaction", total, artists, note, "no artist has rated yet")


def latest_ratings(ratings: Frame, night: datetime) -> tuple[int, int]:
    """Artists with a rating up to `night`, and the sum of their latest; of several at one instant the lowest."""
    good = ratings.filter(nw.col("rated_at") <= night, nw.col("rating") >= 1, nw.col("rating") <= _HIGHEST)
    latest = good.filter(nw.col("rated_at") == nw.col("rated_at").max().over("artist_id"))
    each = latest.group_by("artist_id").agg(nw.col("rating").min())
    found = each.select(artists=nw.len(), total=nw.col("rating").sum()).collect("polars").to_polars().row(0)
    return int(found[0]), int(found[1] or 0)
