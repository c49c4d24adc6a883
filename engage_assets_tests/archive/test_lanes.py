"""Shards side by side: how long records wait, how many files that makes, and that no shard waits for another."""

import io
import itertools
import random
import threading
from collections import Counter
from dataclasses import replace

import fastavro
import pytest

from engage_assets.archive.folder import FolderRoot, FolderSource
from engage_assets.archive.lanes import AGAIN_SECONDS, EMPTY_PAGES, RETRY_SECONDS
from engage_assets.archive.ports import Page, Record, Shard
from engage_assets.archive.worker import run
from engage_assets_tests.archive.changes import AT, DEMAND, change, line
from engage_assets_tests.archive.workers import Clock, FailingRoot, Stream, an_archive, event_ids, write_stream

RATE = 167
"""Records a second of the surge: 50,000 in five minutes."""


class TimedRoot:
    """When each change became readable."""

    def __init__(self, clock):
        self.clock, self.seen, self.files = clock, {}, 0

    def put(self, key, content):
        self.files += 1
        for row in fastavro.reader(io.BytesIO(content)):
            self.seen[row["lineage"]["eventId"]] = self.clock()


def surge(home, seconds):
    """(seconds from put to readable in order, files, reads of a shard in its busiest second)."""
    clock, chance = Clock(0.0), random.Random(3)
    arrivals = sorted(chance.uniform(0, seconds) for _ in range(RATE * seconds))
    shards = {name: [] for name in "abcd"}
    for number, at in enumerate(arrivals):
        shards[chance.choice("abcd")].append((at, line(change(DEMAND, event_id=str(number)))))
    root, stream = TimedRoot(clock), Stream(clock, shards)
    archive = an_archive(home, clock=clock, source=stream, root=root)
    summary = run(archive, is_until_idle=False, should_stop=lambda: clock.now >= seconds + 6)
    assert summary.counts.archived == len(arrivals) == len(root.seen)
    waits = sorted(root.seen[str(number)] - at for number, at in enumerate(arrivals))
    return waits, root.files, max(Counter((shard, int(at)) for shard, at in stream.reads).values())


def expect_pace(waits, files, reads, seconds, cut=0):
    """`cut`: files that the end of a short surge adds."""
    assert waits[len(waits) * 99 // 100] < 4.6  # what else it takes, the time of the work, is not in this clock
    assert files <= seconds + cut  # 300 in five minutes
    assert reads <= 4  # Kinesis allows five, to all that read it


def test_records_of_a_surge_are_readable_within_five_seconds_in_few_files(tmp_path):
    expect_pace(*surge(tmp_path, 30), seconds=30, cut=4)


@pytest.mark.soak
def test_a_whole_surge(tmp_path):
    expect_pace(*surge(tmp_path, 300), seconds=300)


def test_a_batch_that_is_full_does_not_linger(tmp_path):
    clock = Clock(0.0)
    shards = {"a": [(1.0, line(change(event_id=str(at)))) for at in range(25)]}
    root = TimedRoot(clock)
    archive = an_archive(tmp_path, clock=clock, source=Stream(clock, shards), root=root, batch=10)
    run(archive, is_until_idle=False, should_stop=lambda: clock.now > 7)
    assert {at: root.seen[str(at)] < 2 for at in (0, 9, 10, 19, 20, 24)} == {
        0: True, 9: True, 10: True, 19: True, 20: False, 24: False,
    }  # fmt: skip
    assert [batch.counts.read for batch in archive.state.batches()] == [10, 10, 5]


def two_shards(records):
    return {name: [(0.0, line(change(event_id=f"{name}{at}"))) for at in range(records)] for name in "ab"}


class SlowStream(Stream):
    """Shard a answers only after all of shard b is archived."""

    def __init__(self, clock, shards):
        super().__init__(clock, shards)
        self.is_free = threading.Event()
        self.others = 0

    def read(self, shard, after, limit):
        if shard == "a":
            assert self.is_free.wait(30)
        page = super().read(shard, after, limit)
        if shard == "b" and not page.records:
            self.is_free.set()
        return page


def test_a_slow_shard_does_not_hold_up_another(tmp_path):
    clock = Clock(10.0)
    stream = SlowStream(
        clock, {name: [(0.0, line(change(event_id=f"{name}{at}"))) for at in range(9)] for name in "ab"}
    )
    assert run(an_archive(tmp_path, clock=clock, source=stream, batch=2)).counts.archived == 18


class ThrottledStream(Stream):
    """Shard a refuses until an instant."""

    def __init__(self, clock, shards, until):
        super().__init__(clock, shards)
        self.until = until

    def read(self, shard, after, limit):
        page = super().read(shard, after, limit)
        if shard == "a" and self.clock() < self.until:
            raise OSError("too many reads")
        return page


def throttled(clock, seconds):
    return ThrottledStream(clock, two_shards(5), clock.now + seconds)


def test_a_throttled_shard_is_asked_again_less_and_less_often(tmp_path):
    clock = Clock()
    stream = throttled(clock, 6)
    summary = run(an_archive(tmp_path, clock=clock, source=stream))
    assert (summary.counts.archived, summary.stopped) == (10, {})
    asked = [at for shard, at in stream.reads if shard == "a"]
    assert [round(late - soon, 3) for soon, late in itertools.pairwise(asked[:4])] == list(RETRY_SECONDS[:3])


def test_a_shard_that_stays_throttled_stops_loudly_and_the_others_go_on(tmp_path, caplog):
    clock = Clock()
    summary = run(an_archive(tmp_path, clock=clock, source=throttled(clock, 10**6)))
    assert summary.counts.archived == 5
    assert list(summary.stopped) == ["a"]
    assert "memory/a: it could not be read or written" in caplog.text


def test_a_worker_that_runs_on_tries_a_stopped_shard_again(tmp_path, caplog):
    clock = Clock()
    until = clock.now + sum(RETRY_SECONDS) + AGAIN_SECONDS + 10
    archive = an_archive(tmp_path, clock=clock, source=throttled(clock, sum(RETRY_SECONDS) + 1))
    summary = run(archive, is_until_idle=False, should_stop=lambda: clock.now >= until)
    assert (summary.counts.archived, summary.stopped) == (10, {})
    assert "memory/a: goes on" in caplog.text


def test_a_worker_of_which_every_shard_stopped_ends(tmp_path):
    write_stream(tmp_path / "changes", {"a": [change(event_id="1")], "b": [change(event_id="2")]})
    clock = Clock()
    root = FailingRoot(FolderRoot(tmp_path / "root"), lambda: True)
    summary = run(an_archive(tmp_path, clock=clock, root=root), is_until_idle=False)
    assert sorted(summary.stopped) == ["a.ndjson", "b.ndjson"]
    assert not event_ids(tmp_path)


def test_a_stop_is_seen_in_the_state_until_the_shard_goes_on(tmp_path):
    clock = Clock()
    archive = an_archive(tmp_path, clock=clock, source=throttled(clock, sum(RETRY_SECONDS) + 1))
    run(archive)
    stopped = {shard.name: (shard.stopped or "")[:42] for shard in archive.state.shards()}
    assert stopped == {"a": "memory/a: it could not be read or written ", "b": ""}

    run(archive)

    assert [shard.stopped for shard in archive.state.shards()] == [None, None]


def test_a_stop_stays_while_reading_succeeds_and_writing_does_not(tmp_path):
    clock, fails = Clock(), [True]
    write_stream(tmp_path / "changes", {"a": [change(event_id="1")]})
    root = FailingRoot(FolderRoot(tmp_path / "root"), lambda: fails[0])
    archive = an_archive(tmp_path, clock=clock, root=root)
    run(archive)
    since = archive.state.shards()[0].stopped_at
    run(archive)
    assert (archive.state.shards()[0].stopped_at, archive.state.shards()[0].stopped is None) == (since, False)

    fails[0] = False
    assert run(archive).counts.archived == 1
    assert archive.state.shards()[0].stopped is None


def test_another_folder_with_a_file_of_a_known_name_stops_it(tmp_path):
    for folder, numbers in (("changes", "123"), ("others/changes", "45678")):
        write_stream(tmp_path / folder, {"a": [change(event_id=number) for number in numbers]})
    archive = an_archive(tmp_path)
    run(archive)

    summary = run(replace(archive, source=FolderSource(tmp_path / "others/changes")))

    assert summary.counts.read == 0
    assert "another file of this name" in summary.stopped["a.ndjson"]


def test_behind_a_full_range_a_shard_is_as_late_as_its_newest_change(tmp_path):
    clock = Clock(AT.timestamp() + 500)
    write_stream(tmp_path / "changes", {"a": [change(event_id=str(at)) for at in range(25)]})
    archive = an_archive(tmp_path, clock=clock, batch=10)
    assert run(archive, max_batches=1).behind_ms == {"a.ndjson": 500_000}
    assert archive.state.shards()[0].behind_ms == 500_000

    assert run(archive).behind_ms == {"a.ndjson": 0}
    assert archive.state.shards()[0].behind_ms == 0


class SparseStream:
    """Pages without records before those that have some, as Kinesis gives them."""

    stream = "sparse"

    def __init__(self, empty):
        self.empty = self.left = empty

    def shards(self):
        return [Shard("a")]

    def read(self, shard, after, limit):
        self.left -= 1
        if self.left >= 0:
            return Page((), behind_ms=5000)
        return Page([Record("1", line(change()), "1")] if after is None else (), behind_ms=0)


def test_an_empty_page_of_a_stream_that_is_behind_is_not_its_end(tmp_path):
    assert run(an_archive(tmp_path, source=SparseStream(EMPTY_PAGES - 1))).counts.archived == 1
    for_ever = run(an_archive(tmp_path / "other", source=SparseStream(10**9)))
    assert (for_ever.counts.read, for_ever.behind_ms) == (0, {"a": 5000})


def test_shards_that_cannot_be_listed_are_an_error_in_words(tmp_path):
    clock = Clock()
    with pytest.raises(Exception, match=r"changes: its shards cannot be listed .*; mend the stream"):
        run(an_archive(tmp_path, clock=clock))
    assert clock.now > Clock().now + sum(RETRY_SECONDS) - 1
