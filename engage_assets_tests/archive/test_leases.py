"""Leases as they end: by death, by a stop, by a clock that is set back, by a person."""

import pytest

from engage_assets.archive.batches import Counts, Range
from engage_assets.archive.identities import Identity
from engage_assets.archive.leases import REPLAY_SHARD, Progress
from engage_assets.archive.state import LeaseLost, State, Tally
from engage_assets.domain.errors import EngageError

NOTHING = Tally(Counts())


@pytest.fixture
def state(tmp_path):
    opened = State(tmp_path / "state.sqlite")
    yield opened
    opened.close()


def where(first, last):
    return Range("stream", "one", first, last)


def identity(name):
    return Identity((name.encode(),), (name.encode(),))


def test_the_lease_of_a_dead_worker_does_not_hold_for_the_time_that_a_clock_was_set_back(state):
    dead = state.acquire("stream", "one", "dead", 90_000)
    assert not state.has_live_worker("stream", 3600)
    assert not state.shards()[0].has_worker(3600)
    mine = state.acquire("stream", "one", "me", 3600)
    assert mine.token > dead.token
    with pytest.raises(LeaseLost):
        state.renew(dead, 90_001)


def test_a_replay_is_no_live_worker(state):
    state.acquire("stream", REPLAY_SHARD, "me", 0)
    assert not state.has_live_worker("stream", 1)


def test_a_stop_is_noted_until_the_shard_goes_on(state):
    lease = state.acquire("stream", "one", "me", 100)
    state.stop(lease, "broken", 100)
    state.release(lease)
    again = state.acquire("stream", "one", "me", 200)
    state.stop(again, "broken again", 200)
    (shard,) = state.shards()
    assert (shard.stopped, shard.stopped_at) == ("broken again", 100)
    assert state.progress(again).stopped == "broken again"
    state.stop(lease, "of whom nobody hears", 200)  # an old token
    state.go_on(again, 210)
    assert state.shards()[0].stopped is None


def test_a_forgotten_position_begins_again_and_claims_nothing(state):
    lease = state.acquire("stream", "one", "me", 0)
    state.claim(lease, where("1", "2"), [identity("a")], 0)
    state.commit(lease, where("1", "2"), NOTHING, 0)
    state.claim(lease, where("3", "4"), [identity("b")], 0)
    with pytest.raises(EngageError, match="a worker has it"):
        state.forget_position("stream", "one", 1)
    state.release(lease)
    with pytest.raises(EngageError, match="no such shard"):
        state.forget_position("stream", "two", 1)

    state.forget_position("stream", "one", 1)

    with pytest.raises(LeaseLost):
        state.renew(lease, 1)
    again = state.acquire("stream", "one", "me", 1)
    assert state.progress(again) == Progress(None, None, is_ended=False)
    assert state.claim(again, where("3", "9"), [identity("a"), identity("b")], 1) == [False, True]
