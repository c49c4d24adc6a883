"""Map the HetRec 2011 Last.fm data set to the tables of a music program; artists stand for tracks.

    .venv/bin/python docs/lastfm/map_lastfm.py SOURCE_FOLDER WAREHOUSE_FOLDER

SOURCE_FOLDER holds `user_artists`, `artists`, `tags` and `user_taggedartists` as .parquet. The data may be used for
non-commercial purposes only; cite Last.fm and HetRec 2011. Its rows stay out of this repository.

What the mapping decides:

- A relation (listener, artist, lifetime plays) bears no date, no device, no completion and no release date. It becomes
  a row of `track_plays` with stand-ins: `played_at` is STAND_IN for all, completion is 1, the release date is null. So
  the program itself does not run on this data; only what needs no time is learned from it (train_lastfm.py).
- Tags do bear a date, mostly to the month. A listener's tags of an artist in one month are one row of `feedback`,
  without thumbs. Tags dated before Last.fm began (2002) are set aside.
- An artist's genre is the tag that most listeners gave it (of several the first by text). A tag without a text, given
  by fewer than five users, keeps its number: `tag-17`.
- Nothing is known of marketplaces or addresses: `customers` has the marketplace US for all, as a stand-in.
"""

import sys
from datetime import datetime
from pathlib import Path

import polars as pl

from engage_assets.domain.errors import WarehouseError
from engage_assets.domain.music import FEEDBACK, TRACK_PLAYS, TRACKS
from engage_assets.domain.tables import CUSTOMERS, Table
from engage_assets.lake import replacing

STAND_IN = datetime.fromisoformat("2011-05-01")
FIRST_YEAR = 2002
SOURCES = {
    "user_artists": ("userID", "artistID", "weight"),
    "artists": ("id", "name"),
    "tags": ("tagID", "tagValue"),
    "user_taggedartists": ("userID", "artistID", "tagID", "day", "month", "year"),
}


def read_source(folder: Path) -> dict[str, pl.DataFrame]:
    """The source's tables with the columns that are read. Raises WarehouseError: file and column."""
    found = {}
    for name, columns in SOURCES.items():
        path = folder / f"{name}.parquet"
        if not path.is_file():
            raise WarehouseError(f"{path} is not there; give the folder that has it")
        frame = pl.read_parquet(path)
        missing = [column for column in columns if column not in frame.columns]
        if missing:
            raise WarehouseError(f"{path}: column {missing[0]} is missing; found {', '.join(frame.columns)}")
        found[name] = frame.select(columns)
    return found


def plays(source: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """The relations as plays."""
    return source["user_artists"].select(
        listener_id=_key("userID"),
        track_id=_key("artistID"),
        played_at=pl.lit(STAND_IN).cast(pl.Datetime("us")),
        play_count="weight",
        completion_rate=pl.lit(1.0),
        track_release_date=pl.lit(None, pl.Date),
        artist_id=_key("artistID"),
    )


def tagged(source: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """listener_id, track_id, tag, given_at (the month's first day) of the tags with a possible date."""
    named = source["tags"].select("tagID", tag=pl.col("tagValue").fill_null(pl.format("tag-{}", "tagID")))
    return (
        source["user_taggedartists"]
        .filter(pl.col("year") >= FIRST_YEAR)
        .join(named, on="tagID", how="left")
        .select(
            listener_id=_key("userID"),
            track_id=_key("artistID"),
            tag=pl.col("tag").fill_null(pl.format("tag-{}", "tagID")),
            given_at=pl.datetime("year", "month", 1),
        )
        .unique()
    )


def tracks(source: dict[str, pl.DataFrame], tags: pl.DataFrame) -> pl.DataFrame:
    """The artists, each with its most frequent tag."""
    counted = tags.group_by("track_id", "tag").agg(listeners=pl.col("listener_id").n_unique())
    genre = (
        counted.sort("track_id", pl.col("listeners"), "tag", descending=[False, True, False])
        .unique("track_id", keep="first", maintain_order=True)
        .select("track_id", genre="tag")
    )
    named = source["artists"].select(track_id=_key("id"), name="name", artist_id=_key("id"), artist_name="name")
    return named.join(genre, on="track_id", how="left").sort("track_id")


def feedback(tags: pl.DataFrame) -> pl.DataFrame:
    """Tags of a listener for an artist in one month as one row, without thumbs."""
    return (
        tags.group_by("listener_id", "track_id", "given_at")
        .agg(genre_tags=pl.col("tag").sort())
        .sort("given_at", "listener_id", "track_id")
    )


def customers(source: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """The listeners."""
    names = source["user_artists"].select(customer_id=_key("userID")).unique().sort("customer_id")
    return names.with_columns(marketplace=pl.lit("US"))


def _key(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.String)


def main(source_folder: Path, warehouse: Path) -> None:
    """Map every table into `warehouse` and print what became of the rows."""
    source = read_source(source_folder)
    tags = tagged(source)
    made: list[tuple[Table, pl.DataFrame]] = [
        (CUSTOMERS, customers(source)),
        (TRACK_PLAYS, plays(source)),
        (TRACKS, tracks(source, tags)),
        (FEEDBACK, feedback(tags)),
    ]
    for table, rows in made:
        path = warehouse / (table.database or "streaming") / f"{table.name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as aside:
            rows.select(pl.col(name).cast(table.schema[name]) for name in rows.columns).write_parquet(aside)
        print(f"{table.name:<12} {rows.height:>7,} rows written")
    aside_rows = source["user_taggedartists"].filter(pl.col("year") < FIRST_YEAR).height
    print(f"tags set aside: {aside_rows} dated before {FIRST_YEAR}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: map_lastfm.py SOURCE_FOLDER WAREHOUSE_FOLDER")
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except WarehouseError as error:
        sys.exit(f"map_lastfm.py: {error}")
