"""Each change once: whatever the cuts, copies, shards, kills, failures and rivals."""

import itertools
import json
import logging
import random
import signal
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.archive.batches import Counts
from engage_assets.archive.folder import FolderRoot
from engage_assets.archive.lanes import RETRY_SECONDS
from engage_assets.archive.ports import Page, Record, Shard
from engage_assets.archive.worker import run
from engage_assets_tests.archive.changes import AT, DEMAND, ITEMS, change, line
from engage_assets_tests.archive.workers import (
    Clock,
    FailingRoot,
    HookedRoot,
    an_archive,
    content,
    event_ids,
    run_and_die,
    totals_of_files,
    write_stream,
)
from engage_assets_tests.processes import PROCESSES

BAD = [b"no", {"Records": []}, change({**DEMAND, "type": "wish"}, event_id="bad")]


def some_changes(number, prefix="c"):
    return [
        change(ITEMS[at % 4], "REMOVE" if at % 7 == 0 else "INSERT", f"{prefix}{at}", AT + timedelta(seconds=at))
        for at in range(number)
    ]


def errors(home):
    return [json.loads(path.read_text()) for path in sorted((home / "errors").rglob("*.json"))]


def test_a_run_archives_what_is_there_and_the_next_what_came_since(tmp_path):
    write_stream(tmp_path / "changes", {"a": some_changes(25), "b": [*BAD, *some_changes(5, "d")]})
    summary = run(an_archive(tmp_path, batch=10))
    assert (summary.counts.read, summary.counts.archived, summary.counts.errors) == (33, 30, 3)
    assert summary.batches == 4
    assert event_ids(tmp_path) == Counter([f"c{at}" for at in range(25)] + [f"d{at}" for at in range(5)])
    assert {(one["position"]["shard"], one["position"]["sequenceNumber"]) for one in errors(tmp_path)} == {
        ("b.ndjson", "1"),
        ("b.ndjson", "2"),
        ("b.ndjson", "3"),
    }

    write_stream(tmp_path / "changes", {"a": some_changes(26)})
    assert run(an_archive(tmp_path, batch=10)).counts.archived == 1
    assert run(an_archive(tmp_path)).counts.read == 0
    assert set(event_ids(tmp_path).values()) == {1}


@settings(max_examples=15, deadline=None)
@given(
    deliveries=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 14)), max_size=40),
    batch=st.integers(1, 7),
)
def test_any_interleaving_copies_and_order_give_the_same_set(tmp_path_factory, deliveries, batch):
    home = tmp_path_factory.mktemp("home")
    shards = {name: [change(event_id=str(at)) for one, at in deliveries if one == name] for name in "abc"}
    write_stream(home / "changes", shards)
    summary = run(an_archive(home, batch=batch))
    assert event_ids(home) == Counter({str(at) for _, at in deliveries})
    assert summary.counts.archived + summary.counts.duplicates == len(deliveries) == summary.counts.read


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    """A stream with copies within and across shards and bad records, and what its archive holds."""
    home = tmp_path_factory.mktemp("whole")
    one, two = some_changes(12), some_changes(8, "d")
    shards = {"a": [*one[:7], *BAD, *one[5:], *two[:2]], "b": [*two, *one[3:6], *BAD[:1]]}
    write_stream(home / "changes", shards)
    run(an_archive(home, batch=6))
    return shards, event_ids(home), len(errors(home))


def expect_all(home, stream):
    _, ids, refused = stream
    assert event_ids(home) == ids
    assert set(ids.values()) == {1}
    assert len(errors(home)) == refused


def killed(home, last, batch=6):
    """Run in a process of its own that dies at a moment; says whether it did."""
    process = PROCESSES.Process(target=run_and_die, args=(home, batch, last))
    process.start()
    process.join(60)
    assert process.exitcode in {0, -signal.SIGKILL}
    return process.exitcode != 0


def test_killed_at_any_moment_it_goes_on_with_the_range_it_began(tmp_path, stream):
    chance, kills = random.Random(1), 0
    write_stream(tmp_path / "changes", stream[0])
    while killed(tmp_path, chance.randrange(1, 120), batch=chance.randrange(3, 9)):
        before = content(tmp_path)
        kills += 1
        assert event_ids(tmp_path) <= stream[1]
        assert before.items() <= content(tmp_path).items()
    assert kills >= 2
    expect_all(tmp_path, stream)


@pytest.mark.soak
def test_over_forty_kills_lose_nothing_and_archive_nothing_twice(tmp_path, stream):
    kills = 0
    for seed in range(16):
        chance, home = random.Random(seed), tmp_path / str(seed)
        write_stream(home / "changes", stream[0])
        while killed(home, chance.randrange(1, 60), batch=chance.randrange(2, 9)):
            kills += 1
        expect_all(home, stream)
    assert kills > 40, kills


@pytest.mark.soak
def test_two_workers_that_are_killed_again_and_again_share_the_work(tmp_path, stream):
    kills = 0
    for seed in range(8):
        chance, home = random.Random(seed), tmp_path / str(seed)
        write_stream(home / "changes", stream[0])
        alive = {"one": True, "two": True}
        while any(alive.values()):
            runs = {
                owner: PROCESSES.Process(
                    target=run_and_die, args=(home, chance.randrange(2, 9), chance.randrange(1, 60), owner)
                )
                for owner, is_alive in alive.items()
                if is_alive
            }
            for process in runs.values():
                process.start()
            for owner, process in runs.items():
                process.join(60)
                alive[owner] = process.exitcode == -signal.SIGKILL
                kills += alive[owner]
        run(an_archive(home))
        expect_all(home, stream)
    assert kills > 40, kills


class Dead(BaseException):
    """The end of a worker in this process."""


class DyingRoot:
    """A root that dies at its n-th file, before or after it is written."""

    def __init__(self, root, files, is_after):
        self.root, self.files, self.is_after = root, itertools.count(1), is_after
        self.last = files

    def put(self, key, content):
        number = next(self.files)
        if number == self.last and not self.is_after:
            raise Dead
        self.root.put(key, content)
        if number == self.last:
            raise Dead


@pytest.mark.parametrize("is_after", [False, True])
def test_a_range_is_written_again_as_it_was_even_if_it_is_cut_otherwise_now(tmp_path, stream, is_after):
    whole = tmp_path / "whole"
    write_stream(whole / "changes", stream[0])
    run(an_archive(whole, batch=6, workers=1))
    for files in (1, 3, 6, 10):
        home = tmp_path / f"{files}"
        write_stream(home / "changes", stream[0])
        with pytest.raises(Dead):
            run(an_archive(home, batch=6, workers=1, root=DyingRoot(FolderRoot(home / "root"), files, is_after)))
        begun = content(home)
        assert begun.items() <= content(whole).items()
        run(an_archive(home, batch=3))
        assert begun.items() <= content(home).items()
        expect_all(home, stream)


def test_a_change_that_another_shard_copied_while_its_range_was_pending_stays_one(tmp_path):
    write_stream(tmp_path / "changes", {"a": [change(event_id="x")]})
    with pytest.raises(Dead):
        run(an_archive(tmp_path, root=DyingRoot(FolderRoot(tmp_path / "root"), 1, is_after=True)))
    write_stream(tmp_path / "changes", {"0": [change(event_id="x"), change(event_id="y")]})  # read before shard a
    run(an_archive(tmp_path))
    assert event_ids(tmp_path) == Counter("xy")


def test_a_failed_write_is_tried_again(tmp_path):
    write_stream(tmp_path / "changes", {"a": some_changes(3)})
    clock = Clock()
    until = clock.now + 1
    root = FailingRoot(FolderRoot(tmp_path / "root"), lambda: clock.now < until)
    assert run(an_archive(tmp_path, clock=clock, root=root)).stopped == {}
    assert sum(clock.slept) == pytest.approx(sum(RETRY_SECONDS[:2]))
    assert set(event_ids(tmp_path)) == {"c0", "c1", "c2"}


@pytest.mark.parametrize("part", ["root", "errors"])
def test_a_full_disk_stops_the_shard_loudly_and_skips_nothing(tmp_path, caplog, part):
    write_stream(tmp_path / "changes", {"a": [*BAD, *some_changes(3)]})
    summary = run(an_archive(tmp_path, **{part: FailingRoot(FolderRoot(tmp_path / part), lambda: True)}))
    assert "No space left on device" in summary.stopped["a.ndjson"]
    assert "a.ndjson" in caplog.text
    assert summary.counts.read == 0
    if part == "errors":
        assert not event_ids(tmp_path)  # errors are durable before anything else

    again = run(an_archive(tmp_path))
    assert (again.counts.archived, again.counts.errors, again.stopped) == (3, 3, {})
    assert len(errors(tmp_path)) == 3


def test_a_range_that_cannot_be_read_again_stops_the_shard(tmp_path):
    write_stream(tmp_path / "changes", {"a": some_changes(6)})
    with pytest.raises(Dead):
        run(an_archive(tmp_path, root=DyingRoot(FolderRoot(tmp_path / "root"), 1, is_after=True)))
    write_stream(tmp_path / "changes", {"a": some_changes(2)})
    assert "the records 1 to 6 were begun" in run(an_archive(tmp_path)).stopped["a.ndjson"]


def test_a_shard_of_another_worker_is_left_alone_until_its_lease_runs_out(tmp_path):
    write_stream(tmp_path / "changes", {"a": some_changes(3), "b": some_changes(3, "d")})
    rival, clock = an_archive(tmp_path, owner="rival"), Clock()
    lease = rival.state.acquire("changes", "a.ndjson", "rival", clock())
    assert lease
    summary = run(an_archive(tmp_path, clock=clock))
    assert summary.held == {"a.ndjson"}
    assert set(event_ids(tmp_path)) == {"d0", "d1", "d2"}
    clock.now += 1000
    assert run(an_archive(tmp_path, clock=clock)).counts.archived == 3


class RobbingRoot:
    """A root during whose writing another worker takes the shard over and archives it."""

    def __init__(self, home):
        self.home, self.is_done = home, False

    def put(self, key, content):
        if not self.is_done:
            self.is_done = True
            run(an_archive(self.home, batch=2, owner="thief", clock=Clock(1_800_000_900.0)))
        FolderRoot(self.home / "root").put(key, content)


def test_a_worker_that_lost_its_lease_adds_nothing_of_its_own(tmp_path, caplog):
    write_stream(tmp_path / "changes", {"a": some_changes(8)})
    run(an_archive(tmp_path, batch=5, root=RobbingRoot(tmp_path)))
    assert "another worker took it over from me" in caplog.text
    assert event_ids(tmp_path) == Counter(f"c{at}" for at in range(8))


class Tree:
    """A stream whose shard was split."""

    stream = "tree"

    def __init__(self):
        self.lines = {"parent": ["p1", "p2", "p3"], "left": ["l1"], "right": ["r1"]}
        self.asked = []

    def shards(self):
        return [Shard("left", ("parent", "gone")), Shard("parent"), Shard("right", ("parent",))]

    def read(self, shard, after, limit):
        self.asked.append(shard)
        here = self.lines[shard]
        start = here.index(after) + 1 if after else 0
        some = here[start : start + limit]
        return Page([Record(one, line(change(event_id=one)), one) for one in some], is_end=not some)


def test_parents_are_drained_before_their_children(tmp_path):
    tree = Tree()
    assert run(an_archive(tmp_path, source=tree, batch=2)).counts.archived == 5
    number = tree.asked.count("parent")
    assert tree.asked[:number] == ["parent"] * number
    assert {*tree.asked[number:]} == {"left", "right"}
    tree.asked.clear()
    run(an_archive(tmp_path, source=tree))
    assert tree.asked == []  # ended shards are not asked again


def test_logs_hold_counts_and_positions_and_nothing_personal(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    write_stream(tmp_path / "changes", {"a": [change(DEMAND, "REMOVE"), change({**DEMAND, "email": True})]})
    run(an_archive(tmp_path))
    assert "changes/a.ndjson 1 to 2: 2 read, 1 archived in 1 files, 1 errors, 0 duplicates, 1 redacted" in caplog.text
    assert "1 refused: email: expected S, found BOOL" in caplog.text
    assert not any(DEMAND[name] in caplog.text for name in ("phoneNumber", "fanId", "email"))


def test_a_half_line_is_reported(tmp_path):
    write_stream(tmp_path / "changes", {"a": some_changes(1)})
    with (tmp_path / "changes" / "a.ndjson").open("ab") as file:
        file.write(b'{"eventID": "ha')
    summary = run(an_archive(tmp_path))
    assert (summary.counts.read, summary.unfinished) == (1, {"a.ndjson"})


def test_a_worker_waits_for_more_until_it_is_stopped(tmp_path):
    write_stream(tmp_path / "changes", {"a": some_changes(1)})
    clock = Clock()
    until = clock.now + 10
    summary = run(an_archive(tmp_path, clock=clock), is_until_idle=False, should_stop=lambda: clock.now >= until)
    assert summary.counts.archived == 1
    assert summary.behind_ms == {"a.ndjson": 0}
    assert 10 <= summary.seconds < 11
    assert not an_archive(tmp_path).state.has_live_worker("changes", clock.now)  # the leases are given back


def test_a_budget_of_batches_or_seconds_ends_a_run(tmp_path):
    write_stream(tmp_path / "changes", {"a": some_changes(20), "b": some_changes(20, "d")})
    assert run(an_archive(tmp_path, batch=5), max_batches=3).batches == 3
    assert run(an_archive(tmp_path, batch=5), max_seconds=0).batches == 0
    assert run(an_archive(tmp_path, batch=5), max_batches=100, max_seconds=100).counts.archived == 25
    assert set(event_ids(tmp_path).values()) == {1}


def test_a_stop_finishes_the_batch_in_hand_and_begins_no_other(tmp_path):
    write_stream(tmp_path / "changes", {"a": some_changes(20)})
    stops = []
    root = HookedRoot(FolderRoot(tmp_path / "root"), before=lambda: stops.append(True))
    archive = an_archive(tmp_path, batch=5, root=root)
    assert run(archive, is_until_idle=False, should_stop=lambda: bool(stops)).batches == 1
    assert len(event_ids(tmp_path)) == 5
    (shard,) = archive.state.shards()
    assert (shard.checkpoint, shard.pending, shard.owner) == ("5", None, None)


def test_totals_are_the_rows_in_files(tmp_path):
    write_stream(tmp_path / "changes", {"a": [*some_changes(25), *BAD], "b": some_changes(30, "d")})
    archive = an_archive(tmp_path, batch=10)
    summary = run(archive)
    assert {key: total[:2] for key, total in archive.state.totals().items()} == totals_of_files(tmp_path)
    assert sum((batch.counts for batch in archive.state.batches()), Counts()) == summary.counts
    assert sum((day.counts for day in archive.state.days()), Counts()) == summary.counts
