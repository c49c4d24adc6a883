"""The worker: shards side by side, range by range, each change archived once whatever happens between two steps.

For each range: read, claim (the range and its changes are durable in the state), write every error and data file,
commit. A worker that starts finds a claimed range that was not committed and writes exactly that again.
"""

import gc
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final

from engage_assets.archive.batches import Counts, Files
from engage_assets.archive.handle import BATCH, LINGER_SECONDS, WORKERS, Archive
from engage_assets.archive.lanes import AGAIN_SECONDS, RANGE_BYTES, RETRY_SECONDS, Lane, ShardStopped
from engage_assets.archive.ports import Shard
from engage_assets.domain.errors import EngageError

__all__ = ["BATCH", "LINGER_SECONDS", "WORKERS", "Archive", "ShardStopped", "Summary", "run"]

_LOG: Final = logging.getLogger(__name__)
LISTING_SECONDS: Final = 10.0
"""Between two looks at which shards there are."""
FORGET_SECONDS: Final = 3600.0
LONGEST_PAUSE: Final = 0.5
"""Seconds after which a wish to stop is noticed at the latest, while nothing is being written."""
SHORTEST_PAUSE: Final = 0.005
COLLECTED_BYTES: Final = 64 * 2**20
"""Bytes of all ranges that are being collected."""
WRITERS: Final = 8
"""Files that are written at the same time."""
_CONTAINERS: Final = 300_000
"""Objects made before cycles are looked for: more than the ranges in hand are, for these hold none."""


@dataclass
class Summary:
    """What a run did."""

    counts: Counts = field(default_factory=Counts)
    batches: int = 0
    seconds: float = 0.0
    data_files: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Files by type and partition date."""
    messages: Counter[str] = field(default_factory=Counter)
    """Refusals by message."""
    stopped: dict[str, str] = field(default_factory=dict)
    """Shards that cannot go on, and why."""
    held: set[str] = field(default_factory=set)
    """Shards that another worker has."""
    unfinished: set[str] = field(default_factory=set)
    """Shards that end with half a record."""
    behind_ms: dict[str, int | None] = field(default_factory=dict)
    """How old the newest record that was read of a shard is; 0 where all was read, None where nothing is known."""

    def add(self, files: Files) -> None:
        """Count a range."""
        self.counts += files.counts
        self.batches += 1
        self.data_files.update((file.type, file.partition_date) for file in files.data)
        self.messages.update(files.messages)

    def look(self, lane: Lane) -> None:
        """Note how a shard is."""
        for names, is_so in ((self.held, lane.is_held), (self.unfinished, lane.is_partial)):
            (names.add if is_so else names.discard)(lane.shard)
        self.behind_ms[lane.shard] = lane.behind_ms
        self.stopped.pop(lane.shard, None)
        if lane.stopped is not None:
            self.stopped[lane.shard] = lane.stopped


def run(
    archive: Archive,
    *,
    is_until_idle: bool = True,
    should_stop: Callable[[], bool] = lambda: False,
    max_batches: int | None = None,
    max_seconds: float | None = None,
) -> Summary:
    """Archive what the source has: until it has no more for now, until `should_stop`, or as much as allowed.

    A stop finishes the ranges in hand and gives the leases back. A run that goes on also ends where every shard has
    stopped. Raises EngageError where the shards cannot be listed.
    """
    with (
        _few_collections(),
        ThreadPoolExecutor(WRITERS, "archive-put") as puts,
        ThreadPoolExecutor(archive.workers + 1, "archive") as threads,
    ):
        return _Run(archive, threads, puts, is_until_idle=is_until_idle).drive(should_stop, max_batches, max_seconds)


class _Run:
    """The lanes of a run, each in one thread at most; everything else is done by the caller's thread."""

    def __init__(self, archive: Archive, threads: Executor, puts: Executor, *, is_until_idle: bool) -> None:
        self.archive, self.threads, self.puts, self.is_until_idle = archive, threads, puts, is_until_idle
        self.summary = Summary()
        self.lanes: dict[str, Lane] = {}
        self.steps: dict[Future[Files | None], Lane] = {}
        self.listing: Future[list[Shard]] | None = None
        self.listing_due = self.forget_due = archive.timer()
        self.listing_failures = 0
        self.is_listed = False

    def drive(self, should_stop: Callable[[], bool], max_batches: int | None, max_seconds: float | None) -> Summary:
        """Go on until there is a reason to end."""
        start = self.archive.timer()
        until = math.inf if max_seconds is None else start + max_seconds
        try:
            while not should_stop() and not self._is_over():
                if self.archive.timer() >= until or self.summary.batches == max_batches:
                    break
                self._forget()
                self._begin(math.inf if max_batches is None else max_batches)
                self._wait()
        finally:
            self._finish()
            self.summary.seconds = self.archive.timer() - start
        return self.summary

    def _is_over(self) -> bool:
        if self.steps or self.listing or not self.is_listed or self.listing_due <= self.archive.timer():
            return False
        if self.is_until_idle:
            return not any(map(self._goes_on, self.lanes.values()))
        return bool(self.lanes) and all(lane.stopped is not None for lane in self.lanes.values())

    def _goes_on(self, lane: Lane) -> bool:
        return not self.is_until_idle or not (lane.is_done or lane.stopped is not None)

    def _forget(self) -> None:
        if self.archive.timer() >= self.forget_due:
            self.forget_due = self.archive.timer() + FORGET_SECONDS
            try:
                self.archive.state.forget(self.archive.clock(), self.archive.horizon)
            except OSError as error:
                _LOG.warning("%s; old marks are dropped an hour later", error)

    def _begin(self, max_batches: float) -> None:
        """Start a step of every shard that is due, the longest due first, as far as threads and batches are left."""
        now = self.archive.timer()
        if self.listing is None and self.listing_due <= now:
            self.listing = self.threads.submit(self._list)
        for lane in self._waiting():
            is_room = len(self.steps) < self.archive.workers and self.summary.batches + len(self.steps) < max_batches
            if lane.due > now or not is_room:
                break
            lane.most_bytes = min(RANGE_BYTES, COLLECTED_BYTES // len(self.lanes))
            self.steps[self.threads.submit(lane.step)] = lane

    def _wait(self) -> None:
        """Until something is done or due."""
        tasks = self._tasks()
        dues = [lane.due for lane in self._waiting()] + ([] if self.listing else [self.listing_due])
        pause = max(0.0, min([LONGEST_PAUSE, *(due - self.archive.timer() for due in dues)]))
        if tasks:
            is_room = len(self.steps) < self.archive.workers
            wait(tasks, timeout=max(pause, SHORTEST_PAUSE) if is_room else LONGEST_PAUSE, return_when=FIRST_COMPLETED)
            self._collect()
        elif pause > 0:
            self.archive.sleep(pause)

    def _waiting(self) -> list[Lane]:
        """The lanes that go on and are not in a step, the longest due first."""
        busy = {lane.shard for lane in self.steps.values()}
        lanes = [lane for lane in self.lanes.values() if lane.shard not in busy and self._goes_on(lane)]
        return sorted(lanes, key=attrgetter("due"))

    def _tasks(self) -> list[Future[Any]]:
        return [*self.steps, *([self.listing] if self.listing else [])]

    def _collect(self) -> None:
        """Take in what is done. Raises what a step or a listing raised that nobody expects."""
        for step in [step for step in self.steps if step.done()]:
            lane = self.steps.pop(step)
            files = step.result()
            if files is not None:
                self.summary.add(files)
            self.summary.look(lane)
            if lane.is_ended:
                del self.lanes[lane.shard]
                self.listing_due = self.archive.timer()
        if self.listing is not None and self.listing.done():
            done, self.listing = self.listing, None
            self._take_listing(done)

    def _list(self) -> list[Shard]:
        source = self.archive.source
        return _ready(source.shards(), self.archive.state.ended(source.stream))

    def _take_listing(self, listing: Future[list[Shard]]) -> None:
        try:
            ready = {shard.name for shard in listing.result()}
        except OSError as error:
            self._list_again(error)
            return
        self.is_listed, self.listing_failures = True, 0
        self.listing_due = self.archive.timer() + LISTING_SECONDS
        busy = {lane.shard for lane in self.steps.values()}
        for name in self.lanes.keys() - ready - busy:  # gone, or archived to its end by another worker
            self.lanes.pop(name).close()
        for name in sorted(ready - self.lanes.keys()):
            self.lanes[name] = Lane(self.archive, name, self.is_until_idle, self.archive.timer(), self.puts)

    def _list_again(self, error: OSError) -> None:
        if self.listing_failures == len(RETRY_SECONDS):
            words = f"{self.archive.source.stream}: its shards cannot be listed ({error.strerror or error})"
            if not self.is_listed:
                raise EngageError(f"{words}; mend the stream and start again") from error
            _LOG.error("%s; the known ones go on", words)
            self.listing_due = self.archive.timer() + AGAIN_SECONDS
        else:
            self.listing_due = self.archive.timer() + RETRY_SECONDS[self.listing_failures]
            self.listing_failures += 1

    def _finish(self) -> None:
        """Let the steps in hand end, count them, and give every lease back."""
        try:
            while self.steps or self.listing:
                wait(self._tasks(), return_when=FIRST_COMPLETED)
                self._collect()
        finally:
            wait(self.steps)
            for lane in self.lanes.values():
                lane.close()


def _ready(shards: Sequence[Shard], ended: set[str]) -> list[Shard]:
    """Shards that are not archived yet and whose parents are, as far as these are still there."""
    there = {shard.name for shard in shards}
    return [
        shard
        for shard in shards
        if shard.name not in ended and all(parent in ended or parent not in there for parent in shard.parents)
    ]


@contextmanager
def _few_collections() -> Iterator[None]:
    """Seldom a search for cycles: the records in hand have none, and it costs as much as the work."""
    before = gc.get_threshold()
    gc.set_threshold(_CONTAINERS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
