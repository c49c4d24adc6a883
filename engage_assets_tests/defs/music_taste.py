"""A tiny warehouse of listeners, tracks, plays and feedback, in which taste decides what is liked."""

from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from engage_assets.domain.music import FEEDBACK, TRACK_PLAYS, TRACKS
from engage_assets.domain.tables import CUSTOMERS

GENRES = ("ambient", "folk", "jazz", "rock")
LISTENERS, PLAYS_A_DAY = 400, 40


def make_warehouse(folder: Path, *, last_day: date, days: int = 75, seed: int = 3) -> None:
    """Each listener loves one genre; engaged ones answer, and like what is of their genre or by a loved artist."""
    random = np.random.default_rng(seed)
    released = [last_day - timedelta(days=int(day)) for day in random.integers(-1, days + 6, 600)]
    tracks = pl.DataFrame({"number": range(len(released)), "release_date": released}).select(
        track_id=pl.format("t-{}", "number"),
        artist_id=pl.format("a-{}", pl.col("number") % 40),
        genre=pl.Series([GENRES[number % 40 % 4] for number in range(len(released))]),
        release_date="release_date",
        is_open_for_feedback=pl.lit(value=True),
    )
    plays, feedback = [], []
    for back in range(days):
        day = last_day - timedelta(days=back)
        new = [number for number, on in enumerate(released) if -1 <= (day - on).days <= 6]
        for _ in range(PLAYS_A_DAY if new else 0):
            listener = int(random.integers(LISTENERS))
            own = [number for number in new if number % 4 == listener % 4]
            number = int(random.choice(own if own and random.random() < 0.7 else new))
            at = datetime.combine(day, time(12)) + timedelta(seconds=int(random.integers(36_000)))
            engagement = (listener % 10) / 10
            plays.append((f"l-{listener}", f"t-{number}", at, 1 + number % 3, 1.0, released[number], engagement))
            if random.random() < 0.1 + 0.6 * engagement:
                likes = random.random() < (0.9 if number % 4 == listener % 4 else 0.2)
                given = at + timedelta(days=1, hours=int(random.integers(4, 200)))
                feedback.append((f"l-{listener}", f"t-{number}", given, likes))
    names = ("listener_id", "track_id", "played_at", "play_count", "completion_rate", "track_release_date")
    _write(folder, TRACK_PLAYS, plays, (*names, "engagement_score"))
    _write(folder, FEEDBACK, feedback, ("listener_id", "track_id", "given_at", "thumbs_up"))
    people = [(f"l-{number}", "US", f"l-{number}@people.example") for number in range(LISTENERS)]
    _write(folder, CUSTOMERS, people, ("customer_id", "marketplace", "email"))
    tracks.write_parquet(_path(folder, TRACKS))


def _write(folder: Path, table, rows: list[tuple], names: tuple[str, ...]) -> None:
    schema = {name: table.schema[name] for name in names}
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(_path(folder, table))


def _path(folder: Path, table) -> Path:
    path = folder / (table.database or "streaming") / f"{table.name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
