"""The plays table of the synthetic world: single plays, on devices, of the last weeks."""

from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl

from engage_assets.domain.music import PLAYS
from engage_assets.sample.music_records import device
from engage_assets.sample.people import generator

KEPT_DAYS: Final = 8
"""Single plays are kept from so many days before the first partition on."""
_LENGTH: Final = 240.0
"""Seconds that a whole track takes."""
_SHORT: Final = 19.0
"""Seconds that those stay who play without end."""


def plays_of(seed: int, listens: pl.DataFrame, first_day: date) -> pl.DataFrame:
    """PLAYS of the true rows from KEPT_DAYS before `first_day` on, sorted; the last play of a row is its played_at.

    People leave irregular gaps and have two devices. A bot of the kind `bot_regular` leaves equal ones, and one of the
    kind `bot_devices` plays on three devices at one instant.
    """
    rng = generator(seed, "plays")
    kept = listens.filter(pl.col("day") >= first_day - timedelta(days=KEPT_DAYS)).with_row_index("row")
    rows = _repeated(kept)
    rows = rows.with_columns(
        chance=pl.Series(rng.exponential(1.0, rows.height)), jitter=pl.Series(rng.uniform(-0.4, 0.4, rows.height))
    ).with_columns(gap=_gap())
    step = pl.when(pl.col("back") > 0).then(pl.col("gap").shift(1)).otherwise(0.0)
    is_many = pl.col("kind").str.ends_with("_many") | pl.col("kind").str.ends_with("_regular")
    number = 1 + (pl.col("row") + pl.col("back")) % 2
    number = pl.when(pl.col("kind").str.ends_with("_devices")).then(pl.col("back") + 1).otherwise(number)
    length = pl.when(is_many).then(_SHORT).otherwise(_LENGTH * pl.col("completion_rate"))
    return (
        rows.with_columns(step=step)
        .with_columns(started_at=pl.col("played_at") - _duration(pl.col("step").cum_sum().over("row")))
        .with_columns(
            device_id=device(pl.col("listener_id"), number), ended_at=pl.col("started_at") + _duration(length)
        )
        .select(PLAYS.names)
        .sort("started_at", "listener_id", "track_id", "device_id")
    )


def _gap() -> pl.Expr:
    """Seconds from the start of the play before a play to its own start."""
    kind = pl.col("kind")
    return (
        pl.when(kind.is_in(["bot_regular", "near_regular"]))
        .then(40.0 + pl.col("jitter"))
        .when(kind.is_in(["bot_many", "near_many"]))
        .then(_SHORT + 1.0 + 40.0 * pl.col("chance"))
        .when(kind == "bot_devices")
        .then(1.0)
        .when(kind == "near_devices")
        .then(pl.when(pl.col("back") == 0).then(_LENGTH + 1.0).otherwise(10.0))
        .otherwise(300.0 + 5_400.0 * pl.col("chance"))
    )


def _repeated(kept: pl.DataFrame) -> pl.DataFrame:
    """Each row as often as its track was played, with `back`: 0 for the last play."""
    times = kept["play_count"].to_numpy()
    place = np.repeat(np.arange(kept.height), times)
    back = np.arange(len(place)) - np.repeat(np.cumsum(times) - times, times)
    return kept[place].with_columns(back=pl.Series(back))


def _duration(seconds: pl.Expr) -> pl.Expr:
    return (seconds * 1_000_000).cast(pl.Int64).cast(pl.Duration("us"))
