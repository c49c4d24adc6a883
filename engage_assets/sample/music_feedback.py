"""The feedback table of the synthetic world: what listeners think of new tracks, unasked."""

from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from engage_assets.domain.music import FEEDBACK
from engage_assets.sample.music_listens import liking
from engage_assets.sample.music_vocabulary import COMMENTS, GENRES
from engage_assets.sample.oddities import ORDINARY
from engage_assets.sample.people import Floats, generator, logistic

_LONGEST: Final = timedelta(days=7)
_MEAN: Final = timedelta(days=2)
_BASE: Final = -2.6  # with the spread of the other terms: about 10 % of new tracks that were heard in full
_OLDER_DAYS: Final = 240
_OLDER_HEARD: Final = 45
"""New tracks that an ordinary listener heard in full in the days before the first plays that are told."""
_CHANNELS: Final = ("app", "email", "voice-assistant")
_FIRST: Final = ("feedback_before", "feedback_undated", "feedback_after")


def feedback_chance(listeners: pl.DataFrame, tracks: pl.DataFrame, pairs: pl.DataFrame) -> Floats:
    """The chance that a listener gives feedback on a track unasked: by habit, listening and liking; NaN if unknown."""
    who = pairs.select("listener_id").join(listeners, on="listener_id", how="left", maintain_order="left")
    habit, listening = (who[name].to_numpy().astype(np.float64) for name in ("habit", "listening"))
    return logistic(_BASE + 0.8 * habit + 0.3 * np.log(listening) + 0.5 * liking(listeners, tracks, pairs))


def thumbs_up_chance(liked: Floats) -> Floats:
    """The chance that an answer is a good one: about 70 % of what is given unasked, by liking."""
    return logistic(-0.2 + 1.3 * liked)


def feedback_of(
    seed: int, listens: pl.DataFrame, listeners: pl.DataFrame, tracks: pl.DataFrame, start: date
) -> pl.DataFrame:
    """FEEDBACK, at most one by a listener about a track (the earliest), by instant.

    Unasked within 7 days of a new track heard in full, and in the months before `start`, whose plays are not told; and
    of the kinds `feedback_before` (after the play and before the day's batch), `feedback_undated` and `feedback_after`
    (3 to 20 days later).
    """
    rng = generator(seed, "feedback")
    heard = listens.filter("heard").sort("played_at", "listener_id", "track_id")
    heard = heard.unique(["listener_id", "track_id"], keep="first", maintain_order=True)
    ordinary = heard.filter(pl.col("kind") == ORDINARY)
    given = ordinary.filter(pl.Series(rng.random(ordinary.height) < feedback_chance(listeners, tracks, ordinary)))
    delay = -np.log1p(rng.random(given.height) * np.expm1(-_LONGEST / _MEAN)) * _MEAN.total_seconds()
    organic = given.select(
        "listener_id", "track_id", given_at=pl.col("played_at") + _seconds(delay), genre_place=pl.col("genre")
    )
    injected = listens.filter(pl.col("kind").is_in(_FIRST))
    soon, late = rng.integers(300, 6_600, injected.height), rng.integers(3 * 86_400, 20 * 86_400, injected.height)
    placed = injected.select(
        "listener_id",
        "track_id",
        given_at=pl.when(pl.col("kind") == "feedback_before")
        .then(pl.col("played_at") + _seconds(soon))
        .when(pl.col("kind") == "feedback_after")
        .then(pl.col("played_at") + _seconds(late)),
        genre_place=pl.col("genre"),
    )
    older = _older(rng, listeners, tracks, start)
    pairs = pl.concat([older, organic, placed]).sort("listener_id", "track_id", "given_at")
    pairs = pairs.unique(["listener_id", "track_id"], keep="first", maintain_order=True)
    return _opinions(rng, pairs, liking(listeners, tracks, pairs)).sort("given_at", "listener_id", "track_id")


def _older(rng: np.random.Generator, listeners: pl.DataFrame, tracks: pl.DataFrame, start: date) -> pl.DataFrame:
    """Feedback on older tracks in the days before `start`: more by who listens much, and has the habit."""
    ordinary = listeners.filter(pl.col("kind") == ORDINARY)
    known = tracks.filter(pl.col("release_date") < start - timedelta(days=30), pl.col("is_open_for_feedback"))
    habit, listening = ordinary["habit"].to_numpy(), ordinary["listening"].to_numpy()
    means = _OLDER_HEARD * listening * logistic(_BASE + 0.8 * habit + 0.3 * np.log(listening))
    who = np.repeat(np.arange(ordinary.height), rng.poisson(means))
    what = rng.choice(known.height, len(who))
    share = pl.Series("share", rng.random(len(who)))
    first = pl.max_horizontal("release_date", pl.lit(start - timedelta(days=_OLDER_DAYS)))
    days = (pl.lit(start) - first).dt.total_days()
    seconds = (days * 86_400 * share).cast(pl.Int64) * 1_000_000
    return pl.concat([ordinary[who].select("listener_id"), known[what]], how="horizontal").select(
        "listener_id",
        "track_id",
        given_at=first.cast(pl.Datetime("us")) + seconds.cast(pl.Duration("us")),
        genre_place=pl.col("genre"),
    )


def _opinions(rng: np.random.Generator, pairs: pl.DataFrame, liked: Floats) -> pl.DataFrame:
    """What each of the pairs says."""
    rows = pairs.height
    up = rng.random(rows) < thumbs_up_chance(liked)
    word, other = rng.integers(0, 40, rows), rng.integers(0, 4 * len(GENRES), rows)
    genre = pairs["genre_place"].to_list()
    words = [COMMENTS[bool(good)] for good in up]
    tags = [
        [tag for tag in dict.fromkeys([own, *GENRES[at : at + 1]]) if tag] for own, at in zip(genre, other, strict=True)
    ]
    return pairs.with_columns(
        thumbs_up=pl.Series(up),
        comment=pl.Series([said[at] if at < len(said) else None for said, at in zip(words, word, strict=True)]),
        genre_tags=pl.Series(tags, dtype=pl.List(pl.String)),
        channel=pl.Series(rng.choice(_CHANNELS, rows, p=[0.8, 0.12, 0.08]).tolist()),
    ).select(FEEDBACK.names)


def _seconds(seconds: npt.NDArray[np.number]) -> pl.Series:
    return pl.Series(seconds.astype(np.int64) * 1_000_000).cast(pl.Duration("us"))
