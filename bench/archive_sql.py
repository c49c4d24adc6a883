"""SQL over the archive: 1,000,000 records in 6,000 Avro files, asked with a mirror, without one, and beside rivals.

usage: python bench/archive_sql.py WAY FOLDER
WAY is make (the archive, once), first (a process that asks once; the mirror is up to date), without (the same without a
mirror), following (the same process asks on), or a rival that reads all files: polars, fastavro.
Every way answers the same question, demand by event, and prints what it found as a digest.
"""

import hashlib
import io
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import measure

DAYS = 300
FILES = {"demand": 4800, "notification": 600, "event": 300, "sale": 300}
RECORDS = {"demand": 850_000, "notification": 100_000, "event": 25_000, "sale": 25_000}
EVENTS = 4000
START = datetime(2026, 1, 1, tzinfo=UTC)
QUESTION = (
    "SELECT eventid, count(*) AS demand_count FROM demand WHERE partition_date >= '2026-03-01' AND isdeleted = false"
    " GROUP BY eventid ORDER BY demand_count DESC, eventid LIMIT 10"
)
LAG = """
SELECT avg(unix_timestamp(date.notified) - unix_timestamp(date.requested)) AS avg_lag_seconds FROM demand
WHERE date.notified IS NOT NULL AND partition_date >= '2026-03-01'"""
DELETED = """
SELECT fanid, eventid, date.requested, date.deleted FROM demand
WHERE isdeleted = true AND partition_date >= '2026-07-01' AND partition_date < '2026-10-01' ORDER BY ALL LIMIT 100"""
SURGE = "SELECT count(*) FROM demand WHERE eventid = 'evt-17' AND partition_date = '2026-02-13'"
MORE = (LAG, DELETED, SURGE, QUESTION)


def micros(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)


def added(kind: str, reference: str, chance: random.Random, at: datetime) -> dict[str, Any]:
    """What the worker adds to a record."""
    name = chance.choices(["INSERT", "MODIFY", "REMOVE"], [70, 25, 5])[0]
    return {
        "isDeleted": name == "REMOVE",
        "reference": {"id": reference, "timestamp": micros(at)},
        "lineage": {
            "stream": kind,
            "shard": f"shardId-{chance.randrange(4):012}",
            "sequenceNumber": str(49_600_000_000_000_000_000_000_000 + chance.randrange(10**25)),
            "eventId": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "eventName": name,
            "changeTime": micros(at),
        },
    }


def row(kind: str, chance: random.Random, at: datetime, before: list[tuple[str, str, str]]) -> dict[str, Any]:
    """A record as the archive's schema has it, times in µs; three of ten are versions of one `before`."""
    if before and chance.random() < 0.3:
        event, sale, fan = chance.choice(before)
    else:
        event = f"evt-{int(EVENTS * chance.random() ** 2)}"
        sale, fan = f"{event}-{chance.choice(['presale', 'public'])}", str(uuid.UUID(int=chance.getrandbits(128)))
        before.append((event, sale, fan))
    if kind == "event":
        own: dict[str, Any] = {"id": event, "name": f"Open Air {event}", "date": {"firstSeen": micros(at)}}
        return own | added(kind, event, chance, at)
    if kind == "sale":
        own = {"id": sale, "eventId": event, "name": "Vorverkauf", "saleStartDateTime": micros(at)}
        return own | added(kind, f"{event}_{sale}", chance, at)
    person = {
        "fanId": fan,
        "eventId": event,
        "saleId": sale,
        "phoneNumber": f"+1 555 01{chance.randrange(100):02}",
        "email": f"fan{chance.randrange(10**6)}@example.org",
        "contactMethod": chance.choice(["sms", "email"]),
    }
    if kind == "notification":
        own = {**person, "messageBody": "Tickets are on sale", "date": {"created": micros(at)}}
    else:
        later = micros(at) + chance.randrange(10**8) if chance.random() < 0.3 else None
        own = {
            **person,
            "requestedDateTime": micros(at),
            "eventName": f"Open Air {event}",
            "artistName": f"Das Ensemble {chance.randrange(900)}",
            "demandType": chance.choice(["remind", "invite"]),
            "date": {"requested": micros(at), "triggered": later, "notified": later},
        }
    return own | added(kind, f"{event}_{sale}_{fan}", chance, at)


def write_some(task: tuple[str, str, int, int]) -> int:
    """Write every so-manieth file of a type."""
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from engage_assets.archive.containers import container

    folder, kind, place, step = task
    size, records = divmod(RECORDS[kind], FILES[kind])[0], 0
    for number in range(place, FILES[kind], step):
        chance = random.Random(f"{kind}{number}")
        day = START + timedelta(days=number % DAYS)
        count = RECORDS[kind] - size * (FILES[kind] - 1) if number == FILES[kind] - 1 else size
        before: list[tuple[str, str, str]] = []
        rows = [row(kind, chance, day + timedelta(seconds=chance.randrange(86_400)), before) for _ in range(count)]
        name = uuid.UUID(int=chance.getrandbits(128), version=4)
        path = Path(folder) / f"data/{kind}/partition_date={day:%Y-%m-%d}/{day:%Y-%m-%dT%H-%M-%S}.000000Z-{name}.avro"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(container(kind, rows, name.bytes))
        records += count
    return records


def make(folder: Path) -> None:
    """The archive, where it is not there whole."""
    root = folder / "archive"
    if (folder / "made").exists():
        return
    shutil.rmtree(root, ignore_errors=True)
    tasks = [(str(root), kind, place, 8) for kind in FILES for place in range(8)]
    with multiprocessing.Pool(2) as pool:
        print(f"{sum(pool.imap_unordered(write_some, tasks))} records", file=sys.stderr)
    (folder / "made").touch()


def digest(rows: Any) -> str:
    return hashlib.sha256(repr([tuple(one) for one in rows]).encode()).hexdigest()[:12]


def mirror_of(folder: Path) -> Any:
    from engage_assets.archive.mirror import Mirror

    return Mirror((folder / "mirror").absolute())


def ours(folder: Path, query: str, *, is_fresh: bool = True) -> Any:
    """The answer through the mirror, which is brought up to date first."""
    from engage_assets.archive.folder import FolderRoot
    from engage_assets.archive.views import MACROS, views
    from engage_assets.connectors.adhoc import Catalog, asked

    mirror = mirror_of(folder)
    if is_fresh:
        mirror.sync(FolderRoot(folder / "archive"))
    segments = mirror.segments()
    catalog = Catalog(views(segments), [path for paths in segments.values() for path in paths], MACROS)
    with asked(catalog, query, folder / "spill") as answer:
        return [tuple(row.values()) for batch in answer.rows() for row in batch.to_pylist()]


def files_of_demand(folder: Path) -> list[Path]:
    return sorted((folder / "archive/data/demand").rglob("*.avro"))


def day_of(path: Path) -> str:
    return path.parent.name.removeprefix("partition_date=")


def with_polars(folder: Path) -> Any:
    """A typical way: read every file with polars, ask its SQL."""
    import polars as pl

    frames = [
        pl.read_avro(path, columns=["eventId", "isDeleted"]).with_columns(partition_date=pl.lit(day_of(path)))
        for path in files_of_demand(folder)
    ]
    frame = pl.concat(frames).rename({"eventId": "eventid", "isDeleted": "isdeleted"})
    return pl.SQLContext(demand=frame).execute(QUESTION).collect().rows()


def with_fastavro(folder: Path) -> Any:
    """Another: dicts of fastavro to Arrow, DuckDB on that."""
    import duckdb
    import fastavro
    import pyarrow as pa

    tables = []
    for path in files_of_demand(folder):
        rows = list(fastavro.reader(io.BytesIO(path.read_bytes())))
        table = pa.Table.from_pylist([{"eventId": row["eventId"], "isDeleted": row["isDeleted"]} for row in rows])
        tables.append(table.append_column("partition_date", pa.array([day_of(path)] * len(rows))))
    with duckdb.connect() as connection:
        connection.register("demand", pa.concat_tables(tables))
        return connection.sql(QUESTION).fetchall()


def following(folder: Path) -> dict[str, float]:
    """Seconds of further questions in one process, the mirror up to date: the median and the slowest of some rounds."""
    for query in MORE:
        ours(folder, query)
    spent = []
    for query in MORE * 3:
        start = time.perf_counter()
        ours(folder, query, is_fresh=False)
        spent.append(time.perf_counter() - start)
    start = time.perf_counter()
    ours(folder, "SELECT count(*) FROM demand_current WHERE NOT isDeleted", is_fresh=False)
    current = time.perf_counter() - start
    return {
        "following_seconds": round(sorted(spent)[len(spent) // 2], 3),
        "slowest_seconds": round(max(spent), 3),
        "current_seconds": round(current, 3),
    }


def with_engage(folder: Path) -> Any:
    """The command line in a process of its own, as a person types it."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    for name, place in (("archive", "archive"), ("archive-mirror", "mirror")):
        link = home / name
        (folder / place).mkdir(exist_ok=True)
        if not link.is_symlink():
            link.symlink_to((folder / place).absolute())
    command = [sys.executable, "-m", "engage_assets.cli", "sql", QUESTION, "--output", str(home / "answer.csv")]
    environment = {**os.environ, "ENGAGE_HOME": str(home.absolute()), "ENGAGE_PROGRAMS": str(home / "programs")}
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
    lines = (home / "answer.csv").read_text(encoding="utf-8").splitlines()[1:]
    return [(event, int(count)) for event, count in (line.split(",") for line in lines)]


def main() -> None:
    way, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    if way == "make":
        make(folder)
        with_engage(folder)  # the mirror, and every file in memory, for all ways
        return measure.report()
    if way == "following":
        return measure.report(**following(folder))
    if way == "without":
        shutil.rmtree(folder / "mirror", ignore_errors=True)
        (folder / "mirror").mkdir(mode=0o700)
    ways = {"first": with_engage, "without": with_engage, "polars": with_polars, "fastavro": with_fastavro}
    start = time.perf_counter()
    rows = ways[way](folder)
    return measure.report(answer=digest(rows), seconds=round(time.perf_counter() - start, 2))


if __name__ == "__main__":
    main()
