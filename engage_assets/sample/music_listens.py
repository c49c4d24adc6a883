"""What the listeners of the synthetic world hear: true rows, one per listener, track and day.

What the warehouse tells of them, faults included, is made by `music_records`; single plays by `music_plays`.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from engage_assets.sample.lines import time_of_day
from engage_assets.sample.music_bots import bot_listens
from engage_assets.sample.music_catalogue import UNKNOWN_TRACK
from engage_assets.sample.music_oddities import BOTS, FRESH_ODDITIES, NEAR_BOTS, PLAY_ODDITIES
from engage_assets.sample.music_vocabulary import GENRES
from engage_assets.sample.oddities import ORDINARY, Oddity, assign
from engage_assets.sample.people import Floats, generator

LISTENS_A_DAY: Final = 0.42
"""Rows of an ordinary listener on a day, as a mean."""
NEW_DAYS: Final = 7
"""The program asks about tracks that came out at most so many days before its batch."""
FULL: Final = 0.95
"""The share of a track from which on it was heard in full."""

_WEEKDAYS: Final = (0.92, 0.94, 0.97, 1.00, 1.12, 1.10, 0.95)
_NEW_SHARE: Final = 0.68
_FRESH_DAYS: Final = 4
"""Days since its release up to which a track is new for the last batch that may read a late row."""
_APART_DAYS: Final = 2
"""A batch reads three days' records: within them an odd record of a listener and a track is the only one."""


def liking(listeners: pl.DataFrame, tracks: pl.DataFrame, pairs: pl.DataFrame) -> Floats:
    """How much a listener likes a track (mean 0, spread about 1), by taste for its genre and by its quality.

    `pairs` holds listener_id and track_id; NaN where either is unknown. A track's own genre counts, told or not.
    """
    likes = listeners.select("listener_id", "likes")
    known = tracks.select("track_id", "quality", place=_genre_place())
    facts = pairs.select("listener_id", "track_id").join(likes, on="listener_id", how="left", maintain_order="left")
    facts = facts.join(known, on="track_id", how="left", maintain_order="left").with_columns(
        taste=pl.col("likes").arr.get(pl.col("place"), null_on_oob=True)
    )
    return 0.75 * facts["taste"].to_numpy().astype(np.float64) + 0.5 * facts["quality"].to_numpy().astype(np.float64)


def draw_listens(
    seed: int,
    listeners: pl.DataFrame,
    zones: pl.DataFrame,
    tracks: pl.DataFrame,
    start: date,
    first_day: date,
    end: date,
) -> pl.DataFrame:
    """The true rows from `start` up to `end` (not included), by day, listener and track.

    `zones` holds customer_id and time_zone. Weeks, in each of which every oddity of a record is found, begin at
    `first_day`. Columns: kind, listener_id, track_id, genre, artist_id, release_date, day, played_at (UTC, the last
    play), play_count, completion_rate, engagement_score, heard (listed new and heard in full: selected by the query).
    """
    rng = generator(seed, "listens")
    ordinary = listeners.filter(~pl.col("kind").is_in([*BOTS, *NEAR_BOTS]))
    drawn = _days(rng, ordinary, tracks, start, end).unique(["listener_id", "track_id", "day"], maintain_order=True)
    heard = _heard(rng, drawn, listeners, tracks)
    odd = _with_kinds(rng, heard, listeners, tracks, start, first_day, end)
    clear = _apart(odd)
    seconds = time_of_day(clear["listener_id"].to_numpy(), zones, first_day, rng)
    timed = clear.with_columns(
        played_at=pl.col("day").cast(pl.Datetime("us")) + pl.Series(seconds.astype("timedelta64[us]"))
    )
    return pl.concat([timed, bot_listens(seed, listeners, tracks, start, end)], how="diagonal").sort(
        "day", "listener_id", "track_id"
    )


def _days(
    rng: np.random.Generator, ordinary: pl.DataFrame, tracks: pl.DataFrame, start: date, end: date
) -> pl.DataFrame:
    """Who hears what on which day: new tracks more often, genres by taste, tracks by their weight."""
    taste = np.exp(1.1 * ordinary["likes"].to_numpy())
    weights = ordinary["listening"].to_numpy()
    chances = np.cumsum(weights) / weights.sum()
    releases = tracks["release_date"].to_numpy().astype("datetime64[D]")
    weight = np.where(tracks["is_open_for_feedback"].fill_null(False).to_numpy(), tracks["weight"].to_numpy(), 0.0)
    place = tracks.select(_genre_place()).to_series().to_numpy()
    parts = []
    for step in range((end - start).days):
        day = np.datetime64(start) + step
        count = rng.poisson(ordinary.height * LISTENS_A_DAY * _WEEKDAYS[(start + timedelta(days=step)).weekday()])
        who = np.searchsorted(chances, rng.random(count), side="right").clip(max=ordinary.height - 1)
        age = (day - releases).astype(np.int64)
        # A few hear a track on the day before its release: theirs is a later zone.
        new = weight * ((age >= 0) & (age < NEW_DAYS)) + 0.05 * weight * (age == -1)
        old = weight * (age >= NEW_DAYS)
        is_new = rng.random(count) < _NEW_SHARE
        what = np.where(is_new, _tracks(rng, taste[who], place, new), _tracks(rng, taste[who], place, old))
        parts.append((who, what, np.full(count, day)))
    whose, heard, when = (np.concatenate(column) for column in zip(*parts, strict=True))
    return pl.DataFrame(
        {
            "listener_id": ordinary["listener_id"].gather(whose),
            "track_id": tracks["track_id"].gather(heard),
            "day": pl.Series(when.astype("datetime64[ms]")).cast(pl.Date),
        }
    )


def _tracks(
    rng: np.random.Generator, taste: Floats, place: npt.NDArray[np.int64], weight: Floats
) -> npt.NDArray[np.int64]:
    """A track for each row of tastes: a genre first, then one of its tracks; genres without any are left out."""
    groups = [np.flatnonzero((place == genre) & (weight > 0)) for genre in range(len(GENRES))]
    chances = np.cumsum(taste * [len(group) > 0 for group in groups], axis=1)
    genre = (rng.random(len(taste))[:, None] * chances[:, -1:] >= chances).sum(axis=1)
    uniform, chosen = rng.random(len(taste)), np.zeros(len(taste), dtype=np.int64)
    for number, group in enumerate(groups):
        mine = genre == number
        if len(group):
            reach = np.cumsum(weight[group])
            at = np.searchsorted(reach, uniform[mine] * reach[-1], side="right").clip(max=len(group) - 1)
            chosen[mine] = group[at]
    return chosen


def _heard(
    rng: np.random.Generator, drawn: pl.DataFrame, listeners: pl.DataFrame, tracks: pl.DataFrame
) -> pl.DataFrame:
    """How often and how far each row's track was heard, and how engaged the listener was: by liking and by chance."""
    pull = liking(listeners, tracks, drawn)
    rows = drawn.height
    in_full = rng.random(rows) < 1 / (1 + np.exp(-(0.9 + 0.6 * pull)))
    far = np.where(rng.random(rows) < 0.6, 1.0, rng.uniform(FULL, 1.0, rows))
    engaged = drawn.join(listeners, on="listener_id", how="left", maintain_order="left")["engagement"].to_numpy()
    return drawn.join(
        tracks.select("track_id", "genre", "artist_id", "release_date"),
        on="track_id",
        how="left",
        maintain_order="left",
    ).with_columns(
        play_count=pl.Series(1 + rng.poisson(0.5 * np.exp(0.4 * pull)), dtype=pl.Int64),
        completion_rate=pl.Series(np.round(np.where(in_full, far, 0.94 * rng.beta(1.6, 1.4, rows)), 2)),
        engagement_score=pl.Series(np.round((engaged + 0.04 * rng.standard_normal(rows)).clip(0.0, 1.0), 2)),
    )


def _with_kinds(
    rng: np.random.Generator,
    heard: pl.DataFrame,
    listeners: pl.DataFrame,
    tracks: pl.DataFrame,
    start: date,
    first_day: date,
    end: date,
) -> pl.DataFrame:
    """A kind for each row, and what follows from it for who was it and what it was."""
    age = (pl.col("day") - pl.col("release_date")).dt.total_days()
    rows = heard.join(listeners.select("listener_id", "kind"), on="listener_id", how="left", maintain_order="left")
    rows = rows.with_columns(
        heard=(age < NEW_DAYS) & (pl.col("completion_rate") >= FULL),
        week=_week(pl.col("day"), start, first_day, end),
        age=age,
        alone=_is_alone(),
    )
    rows = _draw(rng, rows, FRESH_ODDITIES, pl.col("alone") & (pl.col("age") <= _FRESH_DAYS))
    rows = _draw(rng, rows, PLAY_ODDITIES, pl.col("alone") & (pl.col("age") >= 0))
    stranger = pl.format("x-{}", pl.int_range(pl.len()).cast(pl.String).str.zfill(7))
    kind = pl.col("kind")
    return _closed(rows, tracks).with_columns(
        listener_id=pl.when(kind == "unknown_customer").then(stranger).otherwise("listener_id"),
        track_id=pl.when(kind == "track_unknown").then(pl.lit(UNKNOWN_TRACK)).otherwise("track_id"),
    )


def _draw(rng: np.random.Generator, rows: pl.DataFrame, oddities: Mapping[str, Oddity], where: pl.Expr) -> pl.DataFrame:
    """Kinds of `oddities` among the ordinary rows that the query selects and `where` holds for."""
    free = rows.select(pl.col("heard") & (pl.col("kind") == ORDINARY) & where).to_series().to_numpy()
    kinds = rows["kind"].to_numpy().astype("<U24")
    kinds[free] = assign(rows["week"].to_numpy()[free], rng, oddities, "new tracks heard in full")
    return rows.with_columns(kind=pl.Series(kinds.tolist()))


def _closed(rows: pl.DataFrame, tracks: pl.DataFrame) -> pl.DataFrame:
    """The rows, those of the kind `track_closed` with the newest track that takes no feedback."""
    closed = tracks.filter(~pl.col("is_open_for_feedback").fill_null(False)).select(
        pl.col("track_id", "genre", "artist_id").name.suffix("_closed"),
        day="release_date",
        release_closed="release_date",
    )
    numbered = rows.with_row_index("row").sort("day")
    found = numbered.join_asof(closed.sort("day"), on="day").sort("row")
    is_closed = pl.col("kind") == "track_closed"
    names = {"track_id": "track_id_closed", "genre": "genre_closed", "artist_id": "artist_id_closed"}
    names |= {"release_date": "release_closed"}
    return found.with_columns(
        pl.when(is_closed).then(other).otherwise(name).alias(name) for name, other in names.items()
    ).select(rows.columns)


def _is_alone() -> pl.Expr:
    """Whether a row, in order of days, is the only one of its listener and track within two days."""
    gap = pl.col("day").diff().over("listener_id", "track_id", order_by="day").dt.total_days().fill_null(99)
    following = gap.shift(-1).over("listener_id", "track_id", order_by="day").fill_null(99)
    return (gap > _APART_DAYS) & (following > _APART_DAYS)


def _apart(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows without those of the same listener and track within two days of an odd one; of odd ones one stays."""
    pair = ("listener_id", "track_id")
    is_odd = pl.col("kind").is_in([*FRESH_ODDITIES, *PLAY_ODDITIES])
    odd = rows.filter(is_odd).sort(*pair, "day", "kind")
    gap = pl.col("day").diff().over(pair).dt.total_days()
    odd = odd.filter((gap > _APART_DAYS).fill_null(True))
    near = pl.concat(
        [odd.select(*pair, day=pl.col("day") + timedelta(days=step)) for step in range(-_APART_DAYS, _APART_DAYS + 1)]
    )
    plain = rows.filter(~is_odd).join(near, on=[*pair, "day"], how="anti", maintain_order="left")
    return pl.concat([plain, odd]).drop("week", "age", "alone").sort("day", *pair)


def _week(day: pl.Expr, start: date, first_day: date, end: date) -> pl.Expr:
    earliest = -((first_day - start).days // 7)
    latest = max(earliest, (end - first_day).days // 7 - 1)
    return ((day - pl.lit(first_day)).dt.total_days() // 7).clip(earliest, latest)


def _genre_place() -> pl.Expr:
    """The place of a track's genre among GENRES: the genres take turns by key."""
    return (pl.col("track_id").str.slice(2).cast(pl.Int64, strict=False) - 1) % len(GENRES)
