"""The tracks of the synthetic world: releases on every day, by invented artists."""

from datetime import date, timedelta
from itertools import product
from typing import Final

import numpy as np
import polars as pl

from engage_assets.domain.errors import EngageError
from engage_assets.domain.music import TRACKS
from engage_assets.sample.music_vocabulary import BAND_FIRST, BAND_SECOND, GENRES, TRACK_FIRST, TRACK_SECOND
from engage_assets.sample.people import Floats, draws, generator

UNKNOWN_TRACK: Final = "t-99999"
"""Heard, and not in the tracks table."""
LEAD_DAYS: Final = 8
"""Releases begin so many days before the first plays, so that there always are new tracks."""

_NEW_SHARE: Final = 0.75
_NEW_A_DAY: Final = 3
_CLOSED_DAYS: Final = 2
"""Each second day a further track comes out that takes no feedback."""
_TRACKS_PER_ARTIST: Final = 4


def usual_tracks(start: date, end: date) -> int:
    """So many tracks that three come out each day."""
    return round(_NEW_A_DAY * _days(start, end) / _NEW_SHARE)


def _days(start: date, end: date) -> int:
    """Days of releases."""
    return LEAD_DAYS + (end - start).days + 1


def draw_tracks(seed: int, tracks: int, start: date, end: date) -> pl.DataFrame:
    """`tracks` tracks by key, and those that take no feedback; the genres take turns.

    Three of four come out day by day from LEAD_DAYS before `start` up to `end`, the others in the three years before.
    Columns: those of TRACKS; quality (standard normal: shows in how they are liked); weight (how often they are heard).
    Of one track each name, artist and genre are unknown.
    """
    days = _days(start, end)
    new = round(_NEW_SHARE * tracks)
    if new < days or tracks > 90_000:
        raise EngageError(
            f"tracks={tracks}: the sample takes {-(-days * 4 // 3)} to 90,000 for its {days} days of releases, so that"
            " one comes out each day"
        )
    rng = generator(seed, "tracks")
    opening = start - timedelta(days=LEAD_DAYS)
    releases = [opening + timedelta(days=place * days // new) for place in range(new)]
    closed = [opening + timedelta(days=day) for day in range(0, days, _CLOSED_DAYS)]
    older = [opening - timedelta(days=int(back)) for back in rng.integers(1, 1_000, tracks - new)]
    rows = tracks + len(closed)
    frame = pl.DataFrame(
        {
            "track_id": [f"t-{number:05d}" for number in range(1, rows + 1)],
            "name": _names(rows),
            "genre": [GENRES[number % len(GENRES)] for number in range(rows)],
            "release_date": older + releases + closed,
            "is_open_for_feedback": [True] * tracks + [None if turn % 5 == 4 else False for turn in range(len(closed))],
        }
    )
    artists = _artists(rng, rows)
    made = pl.concat([frame, artists], how="horizontal")
    quality = quality_of(seed, made)
    weight = np.exp(0.6 * quality.to_numpy() + rng.standard_normal(rows))
    told = made.with_columns(
        pl.when(pl.col("track_id") != f"t-{place:05d}").then(name).alias(name)
        for place, name in ((3, "genre"), (5, "artist_name"), (7, "name"))
    )
    return told.select(*TRACKS.names, quality, pl.Series("weight", weight))


def quality_of(seed: int, tracks: pl.DataFrame) -> pl.Series:
    """`quality` of each track (mean 0, spread about 1), by its own key and its artist's: it shows in no table."""
    own, artist = (_spread(draws(tracks[key].fill_null("").to_list(), seed, 1)[0]) for key in ("track_id", "artist_id"))
    return pl.Series("quality", 0.8 * own + 0.6 * artist)


def _spread(uniform: Floats) -> Floats:
    """Numbers of mean 0 and spread 1 out of uniform ones, by the logistic distribution."""
    spread: Floats = np.log((uniform + 1e-9) / (1.0 - uniform)) * np.sqrt(3.0) / np.pi
    return spread


def _artists(rng: np.random.Generator, rows: int) -> pl.DataFrame:
    """The artist of each track: one genre each, some with many tracks."""
    per_genre = max(2, rows // (_TRACKS_PER_ARTIST * len(GENRES)))
    place = (rng.random(rows) ** 1.5 * per_genre).astype(np.int64)
    number = place * len(GENRES) + np.arange(rows) % len(GENRES)
    names = [f"{first} {second}" for first, second in product(BAND_FIRST, BAND_SECOND)]
    return pl.DataFrame(
        {
            "artist_id": [f"a-{one + 1:05d}" for one in number],
            "artist_name": [_numbered(names, int(one)) for one in number],
        }
    )


def _names(rows: int) -> list[str]:
    names = [f"{first} {second}" for first, second in product(TRACK_FIRST, TRACK_SECOND)]
    return [_numbered(names, number) for number in range(rows)]


def _numbered(names: list[str], number: int) -> str:
    """A name; once the names are used up, with the number of its turn."""
    turn, place = divmod(number, len(names))
    # 37 has no factor in common with the lengths of the lists, so neighbours differ in both words.
    chosen = names[place * 37 % len(names)]
    return chosen if turn == 0 else f"{chosen} {turn + 1}"
