"""Who was erased and what was removed stays unreadable, whatever arrives late or is in hand at that moment."""

import base64
from datetime import timedelta

import pytest

from engage_assets.archive.batches import Counts, Range
from engage_assets.archive.erasure import erase
from engage_assets.archive.error_files import error_keys
from engage_assets.archive.folder import FolderRoot
from engage_assets.archive.replay import replay
from engage_assets.archive.rows import PERSONAL, REDACTED
from engage_assets.archive.state import Removal, State, Tally, TombstonesChanged
from engage_assets.archive.worker import run
from engage_assets_tests.archive.changes import AT, DEMAND, EVENT, NOTIFICATION, change, line
from engage_assets_tests.archive.workers import Clock, FailingRoot, HookedRoot, Stream, an_archive, rows, write_stream

AT_US = int(AT.timestamp() * 1_000_000)
HOUR = timedelta(hours=1)
HOUR_US = 3_600_000_000
REFERENCE = "event-1_sale-1_fan-1"


@pytest.fixture
def state(tmp_path):
    opened = State(tmp_path / "state.sqlite")
    yield opened
    opened.close()


def readable(home):
    """Ids of the changes of which something personal can be read."""
    return {
        row["lineage"]["eventId"]
        for row in rows(home)
        if any(row.get(name) not in (None, REDACTED) for name in PERSONAL)
    }


def test_what_was_made_before_an_erasure_arrives_redacted(tmp_path, state):
    other = {**DEMAND, "fanId": "fan-2"}
    bodies = [
        change(DEMAND, event_id="before"),
        change(NOTIFICATION, event_id="at", at=AT + HOUR),
        change(DEMAND, event_id="after", at=AT + 2 * HOUR),
        change(other, event_id="other"),
        change(EVENT, event_id="event"),
    ]
    state.erase("fan-1", AT_US + HOUR_US)
    write_stream(tmp_path / "changes", {"a": bodies})
    summary = run(an_archive(tmp_path, state=state))
    assert readable(tmp_path) == {"after", "other"}
    assert (summary.counts.archived, summary.counts.redacted) == (5, 2)


def test_a_removal_redacts_earlier_versions_of_its_range_and_those_that_come_late(tmp_path, state):
    write_stream(
        tmp_path / "changes",
        {
            "a": [
                change(DEMAND, event_id="first"),
                change(DEMAND, "REMOVE", event_id="removed", at=AT + HOUR),
                change(DEMAND, event_id="again", at=AT + 2 * HOUR),
                change(NOTIFICATION, event_id="another type"),
            ]
        },
    )
    run(an_archive(tmp_path, state=state))
    assert readable(tmp_path) == {"again", "another type"}
    assert state.pending_removals(9) == [Removal("demand", REFERENCE, AT_US + HOUR_US)]

    write_stream(
        tmp_path / "changes",
        {"b": [change(DEMAND, event_id="late"), change(DEMAND, event_id="same moment", at=AT + HOUR)]},
    )
    run(an_archive(tmp_path, state=state))
    assert readable(tmp_path) == {"again", "another type"}


def test_removals_are_pending_until_they_are_done_and_a_later_one_is_pending_again(state):
    def remove(number, at):
        lease, where = state.acquire("s", "a", "me", 0), Range("s", "a", number, number)
        state.claim(lease, where, [], 0)
        state.commit(lease, where, Tally(Counts(), removals={("demand", "x"): at, ("sale", "x"): 1}), 0)

    remove("1", 5)
    pending = state.pending_removals(9)
    assert pending == [Removal("sale", "x", 1), Removal("demand", "x", 5)]
    assert state.pending_removals(1) == pending[:1]
    remove("2", 7)
    state.removals_done(pending)
    assert state.pending_removals(9) == [Removal("demand", "x", 7)]
    state.removals_done(state.pending_removals(9))
    remove("3", 6)
    assert state.pending_removals(9) == []
    known = state.tombstones(frozenset(), frozenset({("demand", "x"), ("event", "x")}))
    assert known.removed == {("demand", "x"): 7}


def test_erasures_are_learned_once_and_the_later_counts(state):
    state.erase("fan-1", 5)
    version = state.tombstones(frozenset(), frozenset()).version
    state.learn({"fan-1": 4, "fan-2": 9})
    state.erase("fan-2", 9)
    assert state.erasures() == {"fan-1": 5, "fan-2": 9}
    assert state.tombstones(frozenset({"fan-2", "fan-3"}), frozenset()).erased == {"fan-2": 9}
    assert state.tombstones(frozenset(), frozenset()).version == version + 1


def test_a_commit_notices_what_was_erased_or_removed_since_its_files_were_made(state):
    lease, where = state.acquire("s", "a", "me", 0), Range("s", "a", "1", "1")
    state.claim(lease, where, [], 0)
    known = state.tombstones(frozenset({"fan-1"}), frozenset({("demand", "x")}))
    state.erase("fan-2", 5)
    other = state.acquire("s", "b", "me", 0)
    state.claim(other, Range("s", "b", "1", "1"), [], 0)
    state.commit(other, Range("s", "b", "1", "1"), Tally(Counts(), removals={("sale", "x"): 1}), 0)
    tally = Tally(Counts(read=1), tombstones=known)
    state.erase("fan-1", 5)
    with pytest.raises(TombstonesChanged):
        state.commit(lease, where, tally, 0)
    assert state.progress(lease).pending == where
    assert len(state.batches()) == 1
    again = Tally(Counts(read=1), tombstones=state.tombstones(known.fans, known.references))
    state.commit(lease, where, again, 0)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_erasure_while_a_range_is_in_hand_leaves_nothing_readable(tmp_path, state, moment):
    write_stream(tmp_path / "changes", {"a": [change(DEMAND, event_id="in hand")]})
    root = HookedRoot(FolderRoot(tmp_path / "root"), **{moment: lambda: state.erase("fan-1", AT_US)})
    assert run(an_archive(tmp_path, state=state, root=root)).counts.redacted == 1
    assert len(rows(tmp_path)) == 1
    assert not readable(tmp_path)
    assert state.batches()[0].counts.redacted == 1


def test_a_removal_by_another_shard_while_a_range_is_in_hand_leaves_nothing_readable(tmp_path, state):
    def remove():
        write_stream(
            tmp_path / "elsewhere" / "changes", {"z": [change(DEMAND, "REMOVE", event_id="gone", at=AT + HOUR)]}
        )
        run(an_archive(tmp_path / "elsewhere", state=state))

    write_stream(tmp_path / "changes", {"a": [change(DEMAND, event_id="in hand")]})
    run(an_archive(tmp_path, state=state, root=HookedRoot(FolderRoot(tmp_path / "root"), after=remove)))
    assert len(rows(tmp_path)) == 1
    assert not readable(tmp_path)


def test_who_lost_a_shard_does_not_leave_what_was_erased_meanwhile(tmp_path, state):
    def rob():
        state.erase("fan-1", AT_US)
        thief = an_archive(tmp_path, owner="thief", clock=Clock(1_800_000_900.0), state=state)
        assert run(thief).counts.archived == 1
        assert not readable(tmp_path)

    write_stream(tmp_path / "changes", {"a": [change(DEMAND, event_id="in hand")]})
    summary = run(an_archive(tmp_path, state=state, root=HookedRoot(FolderRoot(tmp_path / "root"), before=rob)))
    assert summary.counts.read == 0
    assert len(rows(tmp_path)) == 1
    assert not readable(tmp_path)


def test_a_range_that_was_begun_before_an_erasure_is_taken_up_redacted(tmp_path, state):
    class Dead(BaseException):
        pass

    def die():
        raise Dead

    write_stream(tmp_path / "changes", {"a": [change(DEMAND, event_id="begun")]})
    with pytest.raises(Dead):
        run(an_archive(tmp_path, state=state, root=HookedRoot(FolderRoot(tmp_path / "root"), after=die)))
    assert readable(tmp_path) == {"begun"}
    state.erase("fan-1", AT_US)
    assert run(an_archive(tmp_path, state=state)).counts.redacted == 1
    assert not readable(tmp_path)


BAD = {name: value for name, value in DEMAND.items() if name != "saleId"}
PHONE = DEMAND["phoneNumber"].encode()


def errors_of(home):
    return b"".join(path.read_bytes() for path in sorted((home / "errors").glob("*.json")))


def wrapped(body):
    return {"kinesis": {"data": base64.b64encode(line(body)).decode()}}


def test_a_bad_record_of_an_erased_fan_is_stored_without_what_is_personal(tmp_path, state):
    other = {**BAD, "fanId": "fan-2", "phoneNumber": "+1 555 0200"}
    state.erase("fan-1", AT_US)
    bodies = [change(BAD), wrapped(change(BAD)), line(change(BAD))[:-9], change(other)]
    write_stream(tmp_path / "changes", {"a": bodies})
    assert run(an_archive(tmp_path, state=state)).counts.errors == 4
    stored = errors_of(tmp_path)
    assert PHONE not in stored
    assert base64.b64encode(PHONE)[:8] not in stored
    assert b"+1 555 0200" in stored


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_erasure_while_a_bad_record_is_in_hand_leaves_nothing_readable(tmp_path, state, moment):
    write_stream(tmp_path / "changes", {"a": [change(BAD)]})
    errors = HookedRoot(FolderRoot(tmp_path / "errors"), **{moment: lambda: state.erase("fan-1", AT_US)})
    assert run(an_archive(tmp_path, state=state, errors=errors)).counts.errors == 1
    assert PHONE not in errors_of(tmp_path)


def corrected(home, state, now, stream):
    """Somebody replays the error file with a corrected copy, and erases the fan; what the file is then."""
    person = an_archive(home, owner="person", clock=Clock(now), state=state, source=stream)
    (key,) = error_keys(person.errors)
    assert replay(person, corrected={key: line(change(event_id="fixed"))}).replayed == 1
    assert PHONE in person.errors.get(key)
    assert erase(person, "fan-1", now=now).is_complete
    stated = person.errors.get(key)
    assert PHONE not in stated
    return stated


def test_a_range_that_is_written_again_leaves_its_error_files_as_they_are(tmp_path, state):
    """Its marks, its corrected copies, and what was erased of it."""
    clock, is_full = Clock(), True
    stream = Stream(clock, {"s": [(0, line(change(event_id="good"))), (0, line(change(BAD, event_id="bad")))]})
    root = FailingRoot(FolderRoot(tmp_path / "root"), lambda: is_full)
    assert run(an_archive(tmp_path, state=state, clock=clock, source=stream, root=root)).stopped
    stated = corrected(tmp_path, state, clock.now, stream)
    is_full = False
    assert run(an_archive(tmp_path, state=state, clock=clock, source=stream, root=root)).counts.read == 2
    assert errors_of(tmp_path) == stated
    assert not readable(tmp_path)
    assert state.totals()["demand", "2026-11-20"].records == len(rows(tmp_path)) == 2


@pytest.mark.parametrize("place", ["claim", "root"])
def test_who_lost_a_shard_leaves_its_error_files_as_they_are(tmp_path, state, place):
    """Standing still before its first error file, or behind it."""
    done = []
    clock = Clock()
    stream = Stream(clock, {"s": [(0, line(change(event_id="good"))), (0, line(change(BAD, event_id="bad")))]})

    def rob():
        clock.now += 900
        thief = an_archive(tmp_path, owner="thief", clock=clock, source=stream, state=state)
        assert run(thief).counts.errors == 1
        done.append(corrected(tmp_path, state, clock.now, stream))

    class Slow(State):
        def claim(self, *arguments):
            fresh = super().claim(*arguments)
            if not done:
                rob()
            return fresh

    slow = Slow(tmp_path / "state.sqlite") if place == "claim" else state
    root = HookedRoot(FolderRoot(tmp_path / "root"), before=rob if place == "root" else lambda: None)
    assert run(an_archive(tmp_path, state=slow, clock=clock, source=stream, root=root)).counts.read == 0
    assert [errors_of(tmp_path)] == done
    assert not readable(tmp_path)
