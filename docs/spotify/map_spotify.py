"""Map a catalogue of songs to the table `tracks`, and say which of them a program would ask about on a day.

    .venv/bin/python docs/spotify/map_spotify.py SOURCE_FOLDER WAREHOUSE_FOLDER [DAY]

SOURCE_FOLDER holds `spotify-2023.parquet` (Kaggle, "Most Streamed Spotify Songs 2023"), WAREHOUSE_FOLDER is usually
`$ENGAGE_HOME/warehouse`. With DAY (ISO date, a partition) the tracks are counted that are new on it. The data set's
licence is not verified: its rows stay out of this repository.

What the mapping decides:

- The source has no key. A track's is the row's number in the file; two rows of one song stay two tracks.
- The artist is the text of all names, as the source gives it, and its own key.
- There is no genre and no length, and none is invented: `genre` is absent, so features of genres cannot be computed.
- A row whose number of streams is no number is garbled: it is set aside, and its date is not trusted either.
- A date that does not exist sets its row aside. An old release is a good row: the program's own window leaves it out.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from engage_assets.domain.errors import WarehouseError
from engage_assets.domain.music import NEW_DAYS, TRACKS
from engage_assets.lake import replacing

FILE = "spotify-2023.parquet"
RELEASED = ("released_year", "released_month", "released_day")
READ = ("track_name", "artist(s)_name", "streams", *RELEASED)


@dataclass(frozen=True)
class Mapped:
    """The tracks, and how many rows were set aside, by reason."""

    tracks: pl.DataFrame
    read: int
    set_aside: Mapping[str, int]


def read_source(folder: Path) -> pl.DataFrame:
    """The source's columns that are read. Raises WarehouseError: file and column."""
    path = folder / FILE
    if not path.is_file():
        raise WarehouseError(f"{path} is not there; give the folder that has it")
    frame = pl.read_parquet(path)
    missing = [name for name in READ if name not in frame.columns]
    if missing:
        raise WarehouseError(f"{path}: column {missing[0]} is missing; found {', '.join(frame.columns)}")
    return frame.select(READ)


def map_tracks(source: pl.DataFrame) -> Mapped:
    """The rows as tracks, in the source's order."""
    reason = (
        pl.when(pl.col("streams").cast(pl.Int64, strict=False).is_null())
        .then(pl.lit("streams is no number"))
        .when(pl.col("release_date").is_null())
        .then(pl.lit("no such date"))
        .when(pl.col("track_name").str.strip_chars().fill_null("") == "")
        .then(pl.lit("no name"))
    )
    dated = pl.concat_str(*(pl.col(name).cast(pl.String).str.zfill(2) for name in RELEASED), separator="-")
    rows = (
        source.with_row_index("number", offset=1)
        .with_columns(release_date=dated.str.to_date("%Y-%m-%d", strict=False))
        .with_columns(reason=reason)
    )
    tracks = rows.filter(pl.col("reason").is_null()).select(
        track_id=pl.format("spotify-{}", "number"),
        name="track_name",
        artist_id="artist(s)_name",
        artist_name="artist(s)_name",
        release_date="release_date",
        is_open_for_feedback=pl.lit(value=True),
    )
    aside = rows.drop_nulls("reason").group_by("reason").agg(pl.len()).sort("reason")
    return Mapped(tracks.cast({name: TRACKS.schema[name] for name in tracks.columns}), rows.height, dict(aside.rows()))


def new_on(tracks: pl.DataFrame, day: date) -> pl.DataFrame:
    """The tracks that the program's window lets through in the batch of partition `day`: released in [D − 6, D + 1]."""
    age = (pl.lit(day) - pl.col("release_date")).dt.total_days()
    return tracks.filter(age.is_between(-1, NEW_DAYS - 1))


def main(source: Path, warehouse: Path, day: date | None = None) -> None:
    """Map the catalogue and print what became of the rows."""
    mapped = map_tracks(read_source(source))
    path = warehouse / "streaming" / f"{TRACKS.name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as aside:
        mapped.tracks.write_parquet(aside)
    reasons = "; ".join(f"{count} {reason}" for reason, count in mapped.set_aside.items()) or "none"
    print(f"{mapped.tracks.height} tracks written <- {mapped.read} rows read, set aside: {reasons}")
    if day is not None:
        new = new_on(mapped.tracks, day)
        print(f"{day}: {new.height} tracks are new, {mapped.tracks.height - new.height} lie outside the window")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: map_spotify.py SOURCE_FOLDER WAREHOUSE_FOLDER [DAY]")
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]), date.fromisoformat(sys.argv[3]) if sys.argv[3:] else None)
    except WarehouseError as error:
        sys.exit(f"map_spotify.py: {error}")
