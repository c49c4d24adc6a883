"""Map Meetup groups of Montana to the tables that a program about events reads; a yes stands for a registration.

    .venv/bin/python docs/meetup/map_meetup.py SOURCE_FOLDER WAREHOUSE_FOLDER

SOURCE_FOLDER holds `events`, `rsvps`, `members`, `groups` and `groups_topics` as .parquet (Meetup's API, collected for
BigSkyDevCon 2016, pseudonymised; no licence is stated). Its rows stay out of this repository.

What the mapping decides:

- A person is a member, whichever groups he is in. He became a customer when he joined his first group
  (`customer_trust.known_at`): the trust filter refuses him before.
- Interests are a snapshot of 2016; what people were interested in earlier is not known. Interests are numbered, and
  names are known of those only that are a group's topic too: the others keep their number, `topic-1234`, and match
  nothing.
- An event's topics are those of its group. There is no tree: a topic's other name is its key in addresses.
- Titles, speakers and durations are not there. An event is called by its group, which also stands for the first
  speaker, and takes two hours.
- Nobody knows when an event was announced. As a stand-in it is known from the instant of the batch that invites for it,
  or from its first answer, if that came earlier.
- Zones: the offsets of all events are those of America/Denver. People live there, too.
- A registration is an answer that is a yes in the end; its instant is that of the first answer. "No" is no
  registration, and guests are not counted. Who came nobody says: there is no `attended`.
- There are no addresses, no languages, no regions, no roles and no engagement scores, and none is invented.
"""

import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import polars as pl

from engage_assets.domain.errors import WarehouseError
from engage_assets.domain.events import CUSTOMER_PROFILES, EVENTS, PAST_REGISTRATIONS, TOPICS
from engage_assets.domain.tables import CUSTOMER_TRUST, CUSTOMERS, Table
from engage_assets.lake import replacing

ZONE = "America/Denver"
MARKETPLACE = "MONTANA"
DURATION = 120
BATCH_TIME = timedelta(hours=2)
SOURCES = {
    "events": ("id", "time", "utc_offset", "group_id"),
    "rsvps": ("event_id", "member", "response", "created", "mtime"),
    "members": ("member", "joined", "topics", "groupId"),
    "groups": ("id", "name"),
    "groups_topics": ("groupId", "name", "id", "urlkey"),
}
Source = Mapping[str, pl.DataFrame]


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


def instant(column: str) -> pl.Expr:
    """Milliseconds of the source as an instant in UTC."""
    return pl.from_epoch(column, time_unit="ms").cast(pl.Datetime("us"))


def local_date(column: str) -> pl.Expr:
    """The day of an instant on Montana's clock."""
    return pl.col(column).dt.replace_time_zone("UTC").dt.convert_time_zone(ZONE).dt.date()


def inviting_instant(starts: str) -> pl.Expr:
    """When the batch runs that invites for an event: on the Monday of the week before its own."""
    week = local_date(starts).dt.truncate("1w").cast(pl.Datetime("us"))
    return week - timedelta(days=7) + BATCH_TIME


def events(source: Source) -> pl.DataFrame:
    """One version of each event. Raises WarehouseError where an offset is not Montana's."""
    topics = source["groups_topics"].sort("groupId", "name").group_by("groupId").agg(topics="name")
    groups = source["groups"].join(topics, left_on="id", right_on="groupId")
    first = source["rsvps"].group_by("event_id").agg(answered=instant("created").min())
    rows = (
        source["events"]
        .join(groups, left_on="group_id", right_on="id", how="left")
        .join(first, left_on="id", right_on="event_id", how="left")
        .select("name", "topics", "answered", "utc_offset", event_id="id", starts_at=instant("time"))
    )
    _require_zone(rows)
    return rows.select(
        "event_id",
        "name",
        "topics",
        "starts_at",
        known_at=pl.min_horizontal(inviting_instant("starts_at"), "answered"),
        time_zone=pl.lit(ZONE),
        duration_minutes=pl.lit(DURATION),
        speakers=pl.concat_list("name"),
    ).sort("starts_at", "event_id")


def _require_zone(rows: pl.DataFrame) -> None:
    local = pl.col("starts_at").dt.replace_time_zone("UTC").dt.convert_time_zone(ZONE)
    offset = local.dt.base_utc_offset() + local.dt.dst_offset()
    strange = rows.filter(offset.dt.total_milliseconds() != pl.col("utc_offset"))
    if strange.height:
        raise WarehouseError(f"events: utc_offset of {strange['event_id'][0]} is not that of {ZONE}; map its zone")


def topics(source: Source) -> pl.DataFrame:
    """The groups' topics, each with the other name that it has in addresses."""
    return source["groups_topics"].group_by(topic="name").agg(synonyms=pl.col("urlkey").unique().sort()).sort("topic")


def profiles(source: Source) -> pl.DataFrame:
    """Members with their interests, by name where the name is known; a member without any has an empty list."""
    named = source["groups_topics"].group_by("id").agg(name=pl.col("name").min())
    interests = (
        source["members"].select("member", id=pl.col("topics").str.split(";")).explode("id").drop_nulls().unique()
    )
    written = (
        interests.with_columns(pl.col("id").cast(pl.Int64))
        .join(named, on="id", how="left")
        .with_columns(tag=pl.col("name").fill_null(pl.format("topic-{}", "id")))
        .group_by("member")
        .agg(interest_tags=pl.col("tag").sort())
    )
    members = source["members"].select("member").unique()
    rows = members.join(written, on="member", how="left").sort("member")
    empty = pl.lit([], dtype=pl.List(pl.String))
    return rows.select(customer_id="member", interest_tags=pl.col("interest_tags").fill_null(empty))


def joined(source: Source) -> pl.DataFrame:
    """Members, and when each joined his first group."""
    first = source["members"].group_by("member").agg(known_at=instant("joined").min())
    return first.select("known_at", customer_id="member", account_status=pl.lit("active")).sort("customer_id")


def customers(source: Source) -> pl.DataFrame:
    """Members in the one marketplace that there is."""
    names = source["members"].select(customer_id="member").unique().sort("customer_id")
    return names.with_columns(marketplace=pl.lit(MARKETPLACE), time_zone=pl.lit(ZONE))


def registrations(source: Source) -> pl.DataFrame:
    """Answers that are a yes in the end, from their first instant on."""
    given = source["rsvps"].filter(pl.col("response") == "yes")
    return given.select("event_id", customer_id="member", registered_at=instant("created")).sort(
        "registered_at", "event_id", "customer_id"
    )


def tables(source: Source) -> list[tuple[Table, pl.DataFrame]]:
    """Every table of the warehouse."""
    return [
        (CUSTOMERS, customers(source)),
        (CUSTOMER_TRUST, joined(source)),
        (CUSTOMER_PROFILES, profiles(source)),
        (EVENTS, events(source)),
        (TOPICS, topics(source)),
        (PAST_REGISTRATIONS, registrations(source)),
    ]


def main(source_folder: Path, warehouse: Path) -> None:
    """Map every table into `warehouse` and print what became of the rows."""
    source = read_source(source_folder)
    for table, rows in tables(source):
        path = warehouse / (table.database or "meetup") / f"{table.name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as aside:
            rows.select(pl.col(name).cast(table.schema[name]) for name in rows.columns).write_parquet(aside)
        print(f"{table.name:<18} {rows.height:>6,} rows written")
    noes = source["rsvps"].filter(pl.col("response") != "yes").height
    print(f"answers set aside: {noes:,} that are no yes")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: map_meetup.py SOURCE_FOLDER WAREHOUSE_FOLDER")
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except WarehouseError as error:
        sys.exit(f"map_meetup.py: {error}")
