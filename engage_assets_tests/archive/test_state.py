"""Leases, pending ranges and known changes of several workers on one file."""

import errno
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from engage_assets.archive.batches import Counts, Range
from engage_assets.archive.identities import Identity
from engage_assets.archive.state import HORIZON_SECONDS, LEASE_SECONDS, LeaseLost, RangePending, State, Tally, Total
from engage_assets.domain.errors import EngageError

NOTHING = Tally(Counts())
DAY = 86_400


@pytest.fixture
def state(tmp_path):
    opened = State(tmp_path / "state.sqlite")
    yield opened
    opened.close()


def where(first, last, shard="one"):
    return Range("stream", shard, first, last)


def identity(name):
    return Identity((name.encode(),), (name.encode(),))


def test_one_owner_at_a_time_has_a_shard(state):
    mine = state.acquire("stream", "one", "me", 0)
    assert state.acquire("stream", "one", "other", LEASE_SECONDS - 1) is None
    assert state.acquire("stream", "two", "other", 0)
    theirs = state.acquire("stream", "one", "other", LEASE_SECONDS)
    assert theirs.token > mine.token

    for act in (
        lambda: state.progress(mine),
        lambda: state.claim(mine, where("1", "2"), [identity("a")], 0),
        lambda: state.commit(mine, where("1", "2"), NOTHING, 0),
        lambda: state.end(mine, 0),
    ):
        with pytest.raises(LeaseLost, match="stream/one: another worker"):
            act()
    assert state.claim(theirs, where("1", "2"), [identity("a")], 0) == [True]  # the loser left no mark


def test_work_prolongs_a_lease_and_a_release_ends_it(state):
    mine = state.acquire("stream", "one", "me", 0)
    state.claim(mine, where("1", "2"), [], 50)
    assert state.acquire("stream", "one", "other", LEASE_SECONDS) is None
    state.release(mine)
    assert state.acquire("stream", "one", "other", 51)


def test_a_worker_that_starts_again_keeps_its_shards_and_locks_its_former_self_out(state):
    before = state.acquire("stream", "one", "me", 0)
    after = state.acquire("stream", "one", "me", 1)
    assert state.progress(after).checkpoint is None
    with pytest.raises(LeaseLost):
        state.progress(before)


def test_a_clock_set_back_takes_no_lease_of_the_living_away(state):
    mine = state.acquire("stream", "one", "me", 1000)
    assert state.acquire("stream", "one", "other", 1000 - LEASE_SECONDS) is None  # set right by seconds
    state.renew(mine, 0)  # set back by more: each step of the living tells the new time
    assert state.has_live_worker("stream", 1)
    assert state.acquire("stream", "one", "other", 1) is None
    state.claim(mine, where("1", "2"), [], 0)
    state.commit(mine, where("1", "2"), NOTHING, 0)
    assert state.progress(mine).checkpoint == "2"


def test_a_range_is_pending_until_it_is_committed(state):
    lease = state.acquire("stream", "one", "me", 0)
    state.claim(lease, where("1", "5"), [], 0)
    assert state.progress(lease)[:3] == (None, where("1", "5"), False)
    with pytest.raises(RangePending, match="1 to 5 is begun and not committed; finish it before 1 to 7"):
        state.claim(lease, where("1", "7"), [], 0)  # another cut while one is pending
    with pytest.raises(LeaseLost):
        state.end(lease, 0)
    state.commit(lease, where("1", "5"), NOTHING, 0)
    assert state.progress(lease)[:3] == ("5", None, False)
    state.end(lease, 0)
    assert state.ended("stream") == {"one"}


def test_a_change_belongs_to_the_range_that_claimed_it_first(state):
    one, two = (state.acquire("stream", name, "me", 0) for name in ("one", "two"))
    assert state.claim(one, where("1", "2"), [identity("a"), identity("b")], 0) == [True, True]
    assert state.claim(two, where("1", "9", "two"), [identity("b"), identity("c")], 0) == [False, True]
    assert state.claim(one, where("1", "2"), [identity("a"), identity("b")], 0) == [True, True]  # replayed
    state.commit(two, where("1", "9", "two"), NOTHING, 0)
    assert state.claim(two, where("10", "12", "two"), [identity("c")], 0) == [False]


def test_a_range_that_is_committed_or_given_up_has_no_changes_of_its_own(state):
    lease = state.acquire("stream", "one", "me", 0)
    assert state.claim(lease, where("1", "2"), [identity("a")], 0) == [True]
    state.commit(lease, where("1", "2"), Tally(Counts(read=2, archived=1, duplicates=1)), 0)
    assert state.claim(lease, where("1", "2"), [identity("a")], 0) == [False]
    assert state.committed(where("1", "2")) == Counts(read=2, archived=1, duplicates=1)
    assert state.committed(where("1", "3")) is None
    state.abandon(lease, where("1", "2"), 0)
    assert state.progress(lease)[:3] == ("2", None, False)
    assert state.claim(lease, where("3", "4"), [identity("a"), identity("b")], 0) == [False, True]
    state.abandon(lease, where("3", "4"), 0)
    assert state.claim(lease, where("5", "5"), [identity("a"), identity("b")], 0) == [False, True]
    with pytest.raises(LeaseLost):
        state.abandon(lease, where("3", "4"), 0)


def test_errors_that_must_be_there_are_those_counted_and_not_taken_away(state):
    lease = state.acquire("stream", "one", "me", 0)
    for number in "12":
        state.claim(lease, where(number, number), [], 0)
        state.commit(lease, where(number, number), Tally(Counts(read=3, errors=3)), 0)
    assert state.errors_there() == 6
    state.take_errors(2)
    state.take_errors(1)
    assert state.errors_there() == 3


def test_many_changes_are_claimed_at_once(state):
    lease = state.acquire("stream", "one", "me", 0)
    changes = [identity(str(number)) for number in range(5000)]
    assert all(state.claim(lease, where("1", "5000"), changes, 0))
    state.commit(lease, where("1", "5000"), NOTHING, 0)
    assert not any(state.claim(lease, where("5001", "9999"), changes, 0))


def leave_a_mark(state, name, at):
    lease = state.acquire("stream", "one", "me", at)
    (is_fresh,) = state.claim(lease, where(str(at), str(at)), [identity(name)], at)
    state.commit(lease, where(str(at), str(at)), NOTHING, at)
    return is_fresh


def test_what_is_older_than_the_horizon_is_forgotten(state):
    assert leave_a_mark(state, "a", 10)
    for day in range(1, 9):
        assert state.forget(10 + day * DAY, HORIZON_SECONDS) == 0
    assert not leave_a_mark(state, "a", 10 + 8 * DAY)
    assert state.forget(11 + 8 * DAY, HORIZON_SECONDS) == 1
    assert state.batches() == [batch for batch in state.batches() if batch.at >= 11]
    assert leave_a_mark(state, "a", 12 + 8 * DAY)


def test_a_clock_set_ahead_by_weeks_forgets_nothing_that_a_stream_still_holds(state):
    assert leave_a_mark(state, "a", 0)
    assert state.forget(40 * DAY, HORIZON_SECONDS) == 0
    assert not leave_a_mark(state, "a", 60)  # and set right again
    for day in range(1, 8):
        assert state.forget(60 + day * DAY, HORIZON_SECONDS) == 0  # a day of the eight is gone, no more
    assert state.forget(90 + 7 * DAY, HORIZON_SECONDS) == 1


def test_a_renewed_lease_lasts_and_a_lost_one_is_not_renewed(state):
    mine = state.acquire("~", "maintenance", "me", 0)
    state.renew(mine, 50)
    assert state.acquire("~", "maintenance", "other", LEASE_SECONDS) is None
    theirs = state.acquire("~", "maintenance", "other", 50 + LEASE_SECONDS)
    with pytest.raises(LeaseLost):
        state.renew(mine, 60)
    state.release(mine)  # of no effect
    state.renew(theirs, 200)
    assert state.shards() == []  # upkeep is no shard


def test_shards_show_who_has_them_and_how_far_they_are(state):
    lease = state.acquire("stream", "one", "me", 100)
    assert state.has_live_worker("stream", 100)
    assert not state.has_live_worker("other", 100)
    assert not state.has_live_worker("stream", 100 + LEASE_SECONDS)
    state.claim(lease, where("1", "5"), [], 100)
    (shard,) = state.shards()
    assert (shard.pending, shard.checkpoint, shard.owner, shard.behind_ms) == (where("1", "5"), None, "me", None)
    state.commit(lease, where("1", "5"), Tally(Counts(), newest_change=70, behind_ms=9000), 101)
    state.claim(lease, where("6", "6"), [], 102)
    state.commit(lease, where("6", "6"), Tally(Counts(), newest_change=60, behind_ms=8000), 103)
    (shard,) = state.shards()
    assert shard[2:10] == ("6", None, False, "me", 103 + LEASE_SECONDS, 8000, 70, 103)
    state.note_lag(lease, 0, 110)
    state.release(lease)
    (shard,) = state.shards()
    assert (shard.behind_ms, shard.at, shard.owner) == (0, 110, None)
    assert not state.has_live_worker("stream", 110)


def test_batches_days_and_totals_add_up(state):
    lease = state.acquire("stream", "one", "me", 0)
    for number, (at, records) in enumerate([(DAY - 1, 3), (DAY, 4), (DAY + 1, 5)], 1):
        counts = Counts(read=records + 3, archived=records, errors=2, duplicates=1)
        tally = Tally(counts, {("demand", "2026-11-20"): Total(records, 1)}, messages={"fanId: missing": 2})
        state.claim(lease, where(str(number), str(number)), [], at)
        state.commit(lease, where(str(number), str(number)), tally, at)
    assert [batch.id for batch in state.batches()] == [1, 2, 3]
    (second,) = state.batches(after=1, limit=1)
    assert (second.range, second.counts.archived, second.messages) == (where("2", "2"), 4, {"fanId: missing": 2})
    assert second.partitions == {("demand", "2026-11-20"): Total(4, 1)}
    assert state.newest_batch() == 3
    assert [(day.day, day.batches, day.counts.archived) for day in state.days()] == [
        ("1970-01-01", 1, 3),
        ("1970-01-02", 2, 9),
    ]
    assert state.totals() == {("demand", "2026-11-20"): Total(12, 3, DAY + 1)}

    state.change_total("demand", "2026-11-20", -2, -2)
    assert state.totals()["demand", "2026-11-20"] == Total(10, 1, DAY + 1)
    state.set_total("demand", "2026-11-20", 11, 1)
    state.set_total("sale", "2027-01-01", 1, 1)
    assert state.totals() == {
        ("demand", "2026-11-20"): Total(11, 1, DAY + 1),
        ("sale", "2027-01-01"): Total(1, 1),
    }
    state.forget_partition("demand", "2026-11-20")
    assert list(state.totals()) == [("sale", "2027-01-01")]


FIRST_SCHEMA = """
CREATE TABLE shard (
    stream TEXT, name TEXT, checkpoint TEXT, first TEXT, last TEXT, is_ended INTEGER NOT NULL DEFAULT 0,
    owner TEXT, token INTEGER NOT NULL DEFAULT 0, leased_until REAL NOT NULL DEFAULT 0, PRIMARY KEY (stream, name));
CREATE TABLE seen (mark BLOB PRIMARY KEY, range BLOB NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
INSERT INTO shard (stream, name, checkpoint) VALUES ('stream', 'one', '7');
INSERT INTO seen VALUES (x'61', x'00', 5);
"""


def test_a_state_of_the_first_version_is_brought_to_this_one(tmp_path):
    with sqlite3.connect(tmp_path / "state.sqlite") as database:
        database.executescript(FIRST_SCHEMA)
    for _ in range(2):
        state = State(tmp_path / "state.sqlite")
        lease = state.acquire("stream", "one", "me", 10)
        assert state.progress(lease).checkpoint == "7"
        assert state.claim(lease, where("8", "8"), [identity("a")], 10) == [False]
        assert (state.batches(), state.totals(), state.shards()[0].behind_ms) == ([], {}, None)
        state.close()


def test_a_state_of_a_later_version_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "state.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(EngageError, match=r"state\.sqlite: an archive's state of schema 99"):
        State(tmp_path / "state.sqlite")


def test_threads_share_a_state(state):
    def work(name):
        lease = state.acquire("stream", name, "me", 0)
        for number in range(1, 30):
            here = where(str(number), str(number), name)
            state.claim(lease, here, [identity(f"{name}{number}"), identity(f"shared{number}")], 0)
            state.commit(lease, here, Tally(Counts(read=1), {("sale", "2027-01-01"): Total(1, 1)}), 0)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, "abcd"))
    assert state.totals() == {("sale", "2027-01-01"): Total(116, 116)}
    assert [batch.id for batch in state.batches()] == list(range(1, 117))


def test_a_state_without_room_keeps_what_it_had_and_says_so(state):
    lease = state.acquire("stream", "one", "me", 0)
    ((pages,),) = state._file.rows("PRAGMA page_count")
    state._file.rows(f"PRAGMA max_page_count = {pages + 1}")
    many = [identity(str(number)) for number in range(5000)]
    with pytest.raises(OSError, match="full") as full:
        state.claim(lease, where("1", "5000"), many, 0)
    assert full.value.errno == errno.ENOSPC
    assert state.progress(lease).pending is None
    state._file.rows("PRAGMA max_page_count = 100000")
    assert all(state.claim(lease, where("1", "5000"), many, 0))


def test_a_state_belongs_to_one_root(tmp_path):
    with closing(State(tmp_path / "state.db")) as state:
        state.bind("/one")
        state.bind("/one")
        with pytest.raises(EngageError, match=r"archived in /one, not in /two; give each root a state of its own"):
            state.bind("/two")
