"""Leases, pending ranges and known changes of several workers on one file."""

import pytest

from engage_assets.archive.batches import Range
from engage_assets.archive.identities import Identity
from engage_assets.archive.state import LEASE_SECONDS, LeaseLost, State


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
        lambda: state.commit(mine, where("1", "2"), 0),
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


def test_a_clock_set_back_takes_no_lease_away(state):
    mine = state.acquire("stream", "one", "me", 1000)
    assert state.acquire("stream", "one", "other", 0) is None
    state.claim(mine, where("1", "2"), [], 0)
    state.commit(mine, where("1", "2"), 0)
    assert state.progress(mine).checkpoint == "2"


def test_a_range_is_pending_until_it_is_committed(state):
    lease = state.acquire("stream", "one", "me", 0)
    state.claim(lease, where("1", "5"), [], 0)
    assert state.progress(lease) == (None, where("1", "5"), False)
    with pytest.raises(LeaseLost):
        state.claim(lease, where("1", "7"), [], 0)  # another cut while one is pending
    with pytest.raises(LeaseLost):
        state.end(lease, 0)
    state.commit(lease, where("1", "5"), 0)
    assert state.progress(lease) == ("5", None, False)
    state.end(lease, 0)
    assert state.ended("stream") == {"one"}


def test_a_change_belongs_to_the_range_that_claimed_it_first(state):
    one, two = (state.acquire("stream", name, "me", 0) for name in ("one", "two"))
    assert state.claim(one, where("1", "2"), [identity("a"), identity("b")], 0) == [True, True]
    assert state.claim(two, where("1", "9", "two"), [identity("b"), identity("c")], 0) == [False, True]
    assert state.claim(one, where("1", "2"), [identity("a"), identity("b")], 0) == [True, True]  # replayed
    state.commit(two, where("1", "9", "two"), 0)
    assert state.claim(two, where("10", "12", "two"), [identity("c")], 0) == [False]


def test_many_changes_are_claimed_at_once(state):
    lease = state.acquire("stream", "one", "me", 0)
    changes = [identity(str(number)) for number in range(5000)]
    assert all(state.claim(lease, where("1", "5000"), changes, 0))
    state.commit(lease, where("1", "5000"), 0)
    assert not any(state.claim(lease, where("5001", "9999"), changes, 0))


def test_what_is_older_than_the_horizon_is_forgotten(state):
    lease = state.acquire("stream", "one", "me", 0)
    state.claim(lease, where("1", "1"), [identity("a")], 10)
    state.commit(lease, where("1", "1"), 10)
    assert state.forget(10) == 0
    assert state.forget(11) == 1
    assert state.claim(lease, where("2", "2"), [identity("a")], 12) == [True]
