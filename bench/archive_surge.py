"""A surge through the demand archive: a local Kinesis of four shards, `engage archive run` as it comes, a folder.

usage: python bench/archive_surge.py backlog|pace [--seconds 300]
backlog: 50,000 changes lie in the stream, 51 of them bad; a worker drains it until idle, then the files are compacted.
pace: the same number in 300 s (or fewer at the same pace). Load is open-loop: a producer of its own puts each record
when it is due, by times drawn beforehand; a reader lists the root and decodes what is new. A record waits from when it
was due until it was decoded. Everything must be accounted for, else there is no figure.
"""

import argparse
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import archive as changes
import measure
import orjson

from engage_assets.archive.avro_files import read_rows
from engage_assets.archive.batches import Counts
from engage_assets.archive.compaction import compact
from engage_assets.archive.folder import FolderRoot, FolderSource
from engage_assets.archive.handle import Archive
from engage_assets.archive.live import Known, live_files, partition_of
from engage_assets.archive.ports import Stored
from engage_assets.archive.state import State

sys.path.insert(0, str(Path(__file__).parent.parent))
from engage_assets_tests.archive.servers import Server, find_kinesalite, new_client, running_kinesalite

STREAM = "surge"
SHARDS = 4
RECORDS = 50_000
SECONDS = 300
BAD_EACH = 980
"""One of so many is bad: 51 of 50,000."""
TICK = 0.02
"""Seconds between puts of the producer at the least."""
LOOK = 0.15
"""Seconds between listings of the reader."""
PATIENCE = 120.0
"""Seconds after which what is not archived counts as lost."""


def is_bad(number: int) -> bool:
    return number % BAD_EACH == BAD_EACH - 1


def record(number: int, at: float | None = None) -> dict[str, Any]:
    """A record as PutRecords takes it; `at` (s since 1970): when the fan asked, else on one of five days."""
    body = changes.change(random.Random(number), number)
    item = body["dynamodb"].get("NewImage") or body["dynamodb"]["OldImage"]
    body["eventID"] = str(uuid.UUID(int=number))
    if at is not None:
        item["date"]["M"]["requested"]["S"] = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        body["dynamodb"]["ApproximateCreationDateTime"] = int(at * 1000)
    data = spoil(body, item, number // BAD_EACH) if is_bad(number) else orjson.dumps(body)
    return {"PartitionKey": str(number), "Data": data}


def spoil(body: dict[str, Any], item: dict[str, Any], way: int) -> bytes:
    """A bad record, in one of four ways."""
    if way % 4 == 0:
        return b"not JSON"
    if way % 4 == 1:
        del body["dynamodb"]
    elif way % 4 == 2:
        item["type"] = {"S": "unheard-of"}
    else:
        item["requestedDateTime"] = {"S": "2026-13-32T00:00:00Z"}
    return orjson.dumps(body)


def put(client: Any, some: list[dict[str, Any]]) -> None:
    assert client.put_records(StreamName=STREAM, Records=some)["FailedRecordCount"] == 0


def put_backlog(url: str) -> None:
    client = new_client("kinesis", url)
    for at in range(0, RECORDS, 500):
        put(client, [record(number) for number in range(at, at + 500)])


def put_paced(url: str, start: float, seconds: int, records: int) -> float:
    """Put each record when it is due; says how many seconds after that the latest was put."""
    client, chance = new_client("kinesis", url), random.Random(3)
    due = sorted(start + seconds * chance.random() for _ in range(records))
    at, latest = 0, 0.0
    while at < records:
        time.sleep(max(TICK, due[at] - time.time()))
        now = time.time()
        some = [record(number, due[number]) for number in range(at, min(records, at + 500)) if due[number] <= now]
        if some:
            put(client, some)
            latest = max(latest, time.time() - due[at])
            at += len(some)
    return latest


@dataclass
class Reader:
    """Whoever reads the archive: each record and how long it waited."""

    root: FolderRoot
    known: Known = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    rows: int = 0
    waits: dict[int, float] = field(default_factory=dict)
    """By number of the record, in s."""

    def look(self) -> list[Stored]:
        """Read what is new; the live files."""
        files = live_files(self.root, known=self.known)
        for file in files:
            if file.key not in self.read:
                rows = list(read_rows(self.root.get(file.key), file.key))
                now = time.time()
                self.read.add(file.key)
                self.rows += len(rows)
                for row in rows:
                    number = uuid.UUID(row["lineage"]["eventId"]).int
                    self.waits[number] = now - row["date"]["requested"] / 1e6
        return files

    def lost(self, records: int) -> int:
        """How many good ones of so many records were not read."""
        return sum(not is_bad(number) and number not in self.waits for number in range(records))


@dataclass
class Worker:
    """`engage archive run` as a process, and what it used when it is over."""

    home: Path
    process: subprocess.Popen[bytes]
    began: float
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)

    def wait(self) -> None:
        """Until it ends, which must be in order."""
        _, status, used = os.wait4(self.process.pid, 0)
        self.seconds = time.perf_counter() - self.began
        self.process.returncode = os.waitstatus_to_exitcode(status)
        assert self.process.returncode == 0, (self.home / "log").read_text()[-3000:]
        cpu = round(used.ru_utime + used.ru_stime, 1)
        self.facts = {"worker_cpu_seconds": cpu, "worker_rss_mib": round(used.ru_maxrss / 1024)}


def work(home: Path, source: str, *options: str, environment: dict[str, str] | None = None) -> Worker:
    """Start a worker with its defaults on `home/root`; what ENGAGE_PROGRAMS says is left out."""
    command = [sys.executable, "-m", "engage_assets.cli", "archive", "run", "--source", source]
    command += ["--root", str(home / "root"), "--state", str(home / "state.db"), *options]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    variables |= {"ENGAGE_HOME": str(home), "ENGAGE_PROGRAMS": str(home / "programs"), **(environment or {})}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
    return Worker(home, process, time.perf_counter())


@contextmanager
def stream() -> Iterator[tuple[Server, ProcessPoolExecutor, Path]]:
    """A server with the stream, a process for the producer, a folder."""
    assert find_kinesalite(), "kinesalite is missing: make parts"
    with (
        tempfile.TemporaryDirectory() as folder,
        running_kinesalite() as server,
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as producer,
    ):
        client = server.client("kinesis")
        client.create_stream(StreamName=STREAM, ShardCount=SHARDS)
        client.get_waiter("stream_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1})
        yield server, producer, Path(folder)


def account(state: State, reader: Reader, records: int) -> dict[str, int]:
    """What became of the records; all must be there, and none twice."""
    bad = sum(map(is_bad, range(records)))
    counts = sum((day.counts for day in state.days()), Counts())
    errors = sum(1 for _ in FolderRoot(reader.root.folder / "errors").stored())
    found = {"archived": reader.rows, "errors": errors, "lost": reader.lost(records), "duplicates": counts.duplicates}
    assert found == {"archived": records - bad, "errors": bad, "lost": 0, "duplicates": 0}, found
    assert len(reader.waits) == reader.rows == counts.archived, counts
    return {"records": records, **found}


def backlog() -> dict[str, Any]:
    with stream() as (server, producer, home):
        producer.submit(put_backlog, server.url).result()
        load = os.getloadavg()[0]
        worker = work(home, f"kinesis:{STREAM}", "--until-idle", environment=server.environment)
        worker.wait()
        with closing(State(home / "state.db")) as state:
            reader = Reader(FolderRoot(home / "root"))
            files = reader.look()
            facts = account(state, reader, RECORDS)
            partitions = {partition_of(file.key) for file in files}
            after = compacted(home, state)
            assert after == len(partitions), (after, partitions)
    return {
        "seconds": round(worker.seconds, 1), **facts, "data_files": len(files), "partitions": len(partitions),
        "files_after_compaction": after, **worker.facts, "load_average": load,
    }  # fmt: skip


def compacted(home: Path, state: State) -> int:
    """Compact all, take the replaced files away; how many there are then, which still hold every record."""
    root = FolderRoot(home / "root")
    errors = FolderRoot(home / "root" / "errors")
    archive = Archive(FolderSource(home), root, errors, state, "bench", time.time, time.sleep)
    for _ in range(2):
        summary = compact(archive, now=time.time(), quiet_days=0, grace=0)
        assert not summary.skipped, summary.skipped
    reader = Reader(root)
    files = reader.look()
    account(state, reader, RECORDS)
    assert [file for file in root.stored("data/") if file.key.endswith(".avro")] == files
    return len(files)


def pace(seconds: int) -> dict[str, Any]:
    records = RECORDS * seconds // SECONDS
    with stream() as (server, producer, home), closing(State(home / "state.db")) as state:
        worker = work(home, f"kinesis:{STREAM}", environment=server.environment)
        until_begun(state, worker)
        loads = [os.getloadavg()[0]]
        putting = producer.submit(put_paced, server.url, time.time() + 2, seconds, records)
        reader = Reader(FolderRoot(home / "root"))
        read_along(reader, putting, records - sum(map(is_bad, range(records))))
        loads.append(os.getloadavg()[0])
        worker.process.send_signal(signal.SIGTERM)
        worker.wait()
        files = reader.look()
        facts = account(state, reader, records)
    waits = sorted(reader.waits.values())
    p50, p99 = (round(waits[len(waits) * part // 100], 2) for part in (50, 99))
    return {
        "p50": p50, "p99": p99, "max": round(waits[-1], 2), **facts, "offered_seconds": seconds,
        "data_files": len(files), "latest_put": round(putting.result(), 2), **worker.facts, "load_average": max(loads),
    }  # fmt: skip


def until_begun(state: State, worker: Worker) -> None:
    """Until the worker has every shard."""
    while sum(shard.owner is not None for shard in state.shards()) < SHARDS:
        assert worker.process.poll() is None, (worker.home / "log").read_text()
        time.sleep(0.05)


def read_along(reader: Reader, putting: Future[float], good: int) -> None:
    """Until all is read, or what is not must be lost."""
    give_up = float("inf")
    while len(reader.waits) < good and time.perf_counter() < give_up:
        reader.look()
        time.sleep(LOOK)
        if putting.done() and give_up == float("inf"):
            putting.result()
            give_up = time.perf_counter() + PATIENCE


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=["backlog", "pace"])
    parser.add_argument("--seconds", type=int, default=SECONDS)
    asked = parser.parse_args()
    measure.report(**(backlog() if asked.way == "backlog" else pace(asked.seconds)))


if __name__ == "__main__":
    main()
