"""A worker on folders, and one that dies at a moment of its own."""

import io
import os
import signal
from collections import Counter
from pathlib import Path

import fastavro

from engage_assets.archive import worker
from engage_assets.archive.folder import FolderRoot, FolderSource
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
        batch=batch,
    )


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


def run_and_die(home: Path, batch: int, last: int) -> None:
    """Archive and die by SIGKILL at the `last` of those moments; with 0 at none."""
    seen = 0

    def moment():
        nonlocal seen
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)

    watch(moment)
    worker.run(an_archive(home, batch=batch))
