"""The track_plays table of the synthetic world: the true rows as the warehouse tells of them, faults included."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import numpy as np
import polars as pl

from engage_assets.domain.music import TRACK_PLAYS
from engage_assets.sample.deliveries import BATCH_AT, LATE_DAYS
from engage_assets.sample.music_oddities import UNREAD
from engage_assets.sample.oddities import ORDINARY
from engage_assets.sample.people import Floats, generator

_UNPARSEABLE: Final = ("tomorrow", "n/a", "31.12.2025 10:00", "2026-02-30T10:00:00", "", "20260x14")
_ANCIENT: Final = ("1970-01-01T00:00:00", "1999-12-31T23:59:59", "0001-01-01T00:00:00")
_FUTURE: Final = "2099-12-31T12:00:00"
_KEYS: Final = ("listener_id", "track_id")
_PICKS: Final = 12


def records_of(seed: int, listens: pl.DataFrame) -> pl.DataFrame:
    """One row per listen and one more per duplicate, in the order of the true rows.

    Columns: those of TRACK_PLAYS, played_at as a string (ISO, or a word where the source has none); kind (of the
    record or the listener; of two duplicates one has it); read_in (the daily partition whose batch reads the row and
    whose query selects it; null: none). What the query never selects is no oddity. A row of day D arrives within two
    hours of the play, before the batch of D.
    """
    rng = generator(seed, "track plays")
    rows = listens.height
    kind = pl.col("kind")
    batch = pl.col("day").cast(pl.Datetime("us")) + timedelta(days=1) + BATCH_AT
    delay = _seconds("delay", 300 + 6_300 * rng.random(rows))
    late = _seconds("late", 60 + (86_400 * LATE_DAYS - 120) * rng.random(rows))
    true = listens.with_row_index("row").with_columns(
        track_release_date="release_date",
        device_id=device(pl.col("listener_id"), pl.Series("one", rng.integers(1, 3, rows))),
        pick=pl.Series(rng.integers(0, _PICKS, rows)),
        arrived_at=pl.when(kind == "late")
        .then(batch + late)
        .when(kind == "too_late")
        .then(batch + timedelta(days=LATE_DAYS) + late)
        .when(~kind.is_in(["arrival_null", "date_and_arrival_null"]))
        .then(pl.col("played_at") + delay),
    )
    told = pl.concat([_broken(true), _duplicates(true, rng)], how="diagonal").sort("row", maintain_order=True)
    kind = pl.when("heard").then("kind").otherwise(pl.lit(ORDINARY))
    return told.select(*TRACK_PLAYS.names, kind=kind, read_in=_read_in(batch))


def device(listener: pl.Expr, number: pl.Expr | pl.Series) -> pl.Expr:
    """The key of one of a listener's devices."""
    return pl.format("{}-{}", listener.str.replace("^(c|m)-", "dev-$1"), number)


def _broken(true: pl.DataFrame) -> pl.DataFrame:
    kind, pick, count = pl.col("kind"), pl.col("pick"), pl.col("play_count")
    keys = [
        pl.when((kind == "key_null") & (pick % len(_KEYS) == place))
        .then(pl.lit(None, pl.String))
        .when((kind == "key_blank") & (pick % len(_KEYS) == place))
        .then(_among(("", "  ", "\t")))
        .otherwise(name)
        .alias(name)
        for place, name in enumerate(_KEYS)
    ]
    wrong = pl.when(pick % 2 == 0)
    return true.with_columns(
        *keys,
        played_at=pl.when(kind == "date_unparseable")
        .then(_among(_UNPARSEABLE))
        .when(kind == "date_before_2000")
        .then(_among(_ANCIENT))
        .when(kind == "date_in_future")
        .then(wrong.then(pl.lit(_FUTURE)).otherwise(_text(pl.col("played_at") + timedelta(days=10))))
        .when(~kind.is_in(["date_null", "date_and_arrival_null"]))
        .then(_text(pl.col("played_at"))),
        play_count=pl.when(kind == "plays_zero")
        .then(0)
        .when(kind == "plays_negative")
        .then(-count)
        .when(kind != "plays_null")
        .then(count),
        completion_rate=pl.when(kind == "completion_above_one")
        .then(wrong.then(1.01).otherwise(float("inf")))
        .otherwise("completion_rate"),
        track_release_date=pl.when(kind == "release_in_future")
        .then(pl.col("day") + timedelta(days=10))
        .when(kind != "release_null")
        .then("track_release_date"),
        engagement_score=pl.when(kind == "engagement_out_of_range")
        .then(wrong.then(-0.01).otherwise(1.01))
        .when(kind == "engagement_nan")
        .then(float("nan"))
        .when(kind != "engagement_null")
        .then("engagement_score"),
        genre=pl.when(kind != "genre_null").then("genre"),
        artist_id=pl.when(kind != "artist_null").then("artist_id"),
        kind=pl.when(kind.is_in(["duplicate", "row_repeated"])).then(pl.lit(ORDINARY)).otherwise("kind"),
    )


def _duplicates(true: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """The same listener and track again on the same day: on the other device earlier, or the very same row."""
    again = true.filter(pl.col("kind").is_in(["duplicate", "row_repeated"]))
    midnight, other = pl.col("day").cast(pl.Datetime("us")), pl.col("kind") == "duplicate"
    share = np.where(np.arange(again.height) % 3 == 0, 1.0, rng.random(again.height))
    since = ((pl.col("played_at") - midnight).dt.total_seconds() * pl.Series("share", share)).cast(pl.Int64)
    number = pl.when(pl.col("device_id").str.ends_with("-1")).then(2).otherwise(1)
    return again.with_columns(
        played_at=_text(
            pl.when(other).then(midnight + (since * 1_000_000).cast(pl.Duration("us"))).otherwise("played_at")
        ),
        device_id=pl.when(other).then(device(pl.col("listener_id"), number)).otherwise("device_id"),
    )


def _read_in(own_batch: pl.Expr) -> pl.Expr:
    """The partition that has the row as a record: its own day's, or the one in whose window it arrived."""
    # The window of D ends with its batch instant, which belongs to it.
    by_arrival = (pl.col("arrived_at") - BATCH_AT - timedelta(microseconds=1)).dt.date()
    no_day = pl.col("kind").is_in(["date_null", "date_unparseable", "date_before_2000", "date_in_future"])
    return (
        pl.when(~pl.col("heard") | pl.col("kind").is_in(sorted(UNREAD)))
        .then(None)
        .when(no_day | (pl.col("arrived_at") > own_batch))
        .then(by_arrival)
        .otherwise("day")
    )


def _text(instant: pl.Expr) -> pl.Expr:
    return instant.dt.strftime("%Y-%m-%dT%H:%M:%S")


def _among(values: Sequence[str]) -> pl.Expr:
    """One of `values` by the row's pick."""
    return (pl.col("pick") % len(values)).replace_strict(list(range(len(values))), list(values), return_dtype=pl.String)


def _seconds(name: str, seconds: Floats) -> pl.Series:
    return pl.Series(name, seconds.astype(np.int64) * 1_000_000).cast(pl.Duration("us"))
