"""A worker on folders, and one that dies at a moment of its own."""

import errno
import io
import os
import signal
from collections import Counter
from pathlib import Path

import fastavro

from engage_assets.archive import worker
from engage_assets.archive.folder import FolderRoot, FolderSource
from engage_assets.archive.ports import Page, Record, Shard
from engage_assets.archive.state import State
from engage_assets.archive.worker import Archive
from engage_assets_tests.archive.changes import line


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self, now=1_800_000_000.0):
        self.now = now
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def write_stream(folder, shards):
    """NDJSON files from lists of bodies."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, bodies in shards.items():
        (folder / f"{name}.ndjson").write_bytes(b"".join(line(body) + b"\n" for body in bodies))


def an_archive(home, *, batch=1000, owner="me", clock=None, **parts):
    """A worker's archive below a folder, its changes in home/changes."""
    clock = clock or Clock()
    return Archive(
        source=parts.get("source") or FolderSource(home / "changes"),
        root=parts.get("root") or FolderRoot(home / "root"),
        errors=parts.get("errors") or FolderRoot(home / "errors", is_private=True),
        state=parts.get("state") or State(home / "state.sqlite"),
        owner=owner,
        clock=clock,
        sleep=clock.sleep,
        timer=clock,
        batch=batch,
        **{name: parts[name] for name in ("linger", "workers", "horizon") if name in parts},
    )


class Stream:
    """Shards in memory: of each its (arrival in s, change) in order; `read` gives what has arrived by the clock."""

    stream = "memory"

    def __init__(self, clock, shards, parents=None):
        self.clock, self.shards_, self.parents = clock, shards, parents or {}
        self.reads = []

    def shards(self):
        return [Shard(name, self.parents.get(name, ())) for name in self.shards_]

    def read(self, shard, after, limit):
        now = self.clock()
        self.reads.append((shard, now))
        start = 0 if after is None else int(after)
        found = [one for one in self.shards_[shard][start : start + limit] if one[0] <= now]
        return Page([Record(str(start + at), data, f"{shard}{start + at}") for at, (_, data) in enumerate(found, 1)])


class FailingRoot:
    """A root that has no room while `fails()`."""

    def __init__(self, root, fails):
        self.root, self.fails = root, fails

    def put(self, key, content):
        if self.fails():
            raise OSError(errno.ENOSPC, "No space left on device")
        self.root.put(key, content)

    def get(self, key):
        return self.root.get(key)


class HookedRoot:
    """A root that does something once, before or after a file of it is written."""

    def __init__(self, root, *, before=lambda: None, after=lambda: None):
        self.root, self.before, self.after = root, before, after

    def put(self, key, content):
        before, self.before = self.before, lambda: None
        before()
        self.root.put(key, content)
        after, self.after = self.after, lambda: None
        after()

    def get(self, key):
        return self.root.get(key)


def rows(home):
    """All archived rows."""
    return [
        row
        for path in sorted((home / "root" / "data").rglob("*.avro"))
        for row in fastavro.reader(io.BytesIO(path.read_bytes()))
    ]


def totals_of_files(home):
    """(records, files) by type and partition date, as the files have them."""
    found = {}
    for path in sorted((home / "root" / "data").rglob("*.avro")):
        key = (path.parent.parent.name, path.parent.name.removeprefix("partition_date="))
        records, files = found.get(key, (0, 0))
        found[key] = records + sum(1 for _ in fastavro.reader(io.BytesIO(path.read_bytes()))), files + 1
    return found


def event_ids(home):
    """How often each change is archived."""
    found = Counter()
    for path in (home / "root").rglob("*.avro"):
        assert not path.name.startswith(".")
        found.update(row["lineage"]["eventId"] for row in fastavro.reader(io.BytesIO(path.read_bytes())))
    return found


def content(home):
    """Every file of root and errors with its bytes."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        for part in ("root", "errors")
        for path in sorted((home / part).rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def watch(moment):
    """Call `moment` before and after each step that another process could see."""

    def watched(call):
        def wrapper(*arguments, **more):
            moment()
            result = call(*arguments, **more)
            moment()
            return result

        return wrapper

    for place, name in ((State, "claim"), (State, "commit"), (FolderRoot, "put"), (Path, "replace")):
        setattr(place, name, watched(getattr(place, name)))


def run_and_die(home: Path, batch: int, last: int, owner: str = "me") -> None:
    """Archive and die by SIGKILL at the `last` of those moments; with 0 at none."""
    seen = 0

    def moment():
        nonlocal seen
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)

    watch(moment)
    worker.run(an_archive(home, batch=batch, owner=owner))
