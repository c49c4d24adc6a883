"""Archives to be kept up: filled range by range, read as a reader does, and roots that die."""

import io
import itertools
import os
import signal
from dataclasses import replace
from datetime import timedelta

import fastavro

from engage_assets.archive.batches import Range, read_range, write_files
from engage_assets.archive.compaction import compact
from engage_assets.archive.live import live_files
from engage_assets.archive.ports import Stored
from engage_assets_tests.archive.changes import AT, DEMAND, change, records
from engage_assets_tests.archive.workers import an_archive, watch

NOW = AT.timestamp() + 30 * 86_400


def put_range(root, number, *bodies, stream="changes"):
    """Archive changes as one range, without a worker."""
    files = write_files(read_range(Range(stream, "shard-1", str(number), str(number)), records(*bodies)))
    for file in files.data:
        root.put(file.key, file.content)
    return [file.key for file in files.data]


def fill(archive, files, start=0):
    """Data files of one partition with two changes each."""
    for number in range(start, start + files):
        at = AT + timedelta(seconds=number)
        put_range(archive.root, number, *(change(DEMAND, event_id=f"c{number}-{one}", at=at) for one in "ab"))


def rows_of(root, key):
    return list(fastavro.reader(io.BytesIO(root.get(key))))


def read_live(root, kind=None, known=None):
    """All rows of the live files, as a reader gets them that lists again where a file went.

    `known` keeps rows by key and tag, as the mirror does.
    """
    known = {} if known is None else known
    for _ in range(10):
        try:
            files = live_files(root, kind)
            for file in files:
                if file not in known:
                    known[file] = rows_of(root, file.key)
            return [row for file in files for row in known[file]]
        except FileNotFoundError:
            continue
    raise AssertionError("files go all the time")


def live_ids(root, known=None):
    return sorted(row["lineage"]["eventId"] for row in read_live(root, known=known))


class Dead(Exception):
    """The end of a process."""


class MemoryRoot:
    """A root without a disk."""

    def __init__(self):
        self.files, self.puts = {}, 0

    def put(self, key, content):
        self.puts += 1
        self.files[key] = (content, str(self.puts))

    def get(self, key):
        if key not in self.files:
            raise FileNotFoundError(key)
        return self.files[key][0]

    def stored(self, prefix=""):
        found = sorted(self.files.items())
        return [Stored(key, tag, len(content)) for key, (content, tag) in found if key.startswith(prefix)]

    def delete(self, key):
        self.files.pop(key, None)


class StepRoot:
    """A root that calls `step` before and after whatever changes it; the step may raise Dead."""

    def __init__(self, root, step):
        self.root, self.step = root, step

    def put(self, key, content):
        self.step()
        self.root.put(key, content)
        self.step()

    def delete(self, key):
        self.step()
        self.root.delete(key)
        self.step()

    def get(self, key):
        return self.root.get(key)

    def stored(self, prefix=""):
        return self.root.stored(prefix)


class Dying:
    """A step that watches, and dies at its n-th call (0: never)."""

    def __init__(self, last=0, watch=lambda: None):
        self.left, self.watch, self.calls = last, watch, 0

    def __call__(self):
        self.watch()
        self.calls += 1
        if self.calls == self.left:
            raise Dead


def with_root(archive, step):
    """The same archive, each change of its root watched."""
    return replace(archive, root=StepRoot(archive.root, step))


def with_errors(archive, step):
    """The same archive, each change of its error files watched."""
    return replace(archive, errors=StepRoot(archive.errors, step))


def compact_and_die(home, last):
    """Compact and die by SIGKILL at the `last` moment that another process could see; with 0 at none.

    Replaced files go with the next run.
    """
    moments = itertools.count(1)

    def moment():
        if next(moments) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    watch(moment)
    compact(with_root(an_archive(home), moment), now=NOW, grace=0)
