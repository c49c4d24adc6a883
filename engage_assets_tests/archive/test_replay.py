"""Error files once more: corrected copies, what is good by now, what is bad still; once, whatever dies."""

import base64
import json
from collections import Counter
from contextlib import suppress
from datetime import timedelta

import pytest

from engage_assets.archive.batches import Counts
from engage_assets.archive.error_files import error_bytes, error_keys, read_error
from engage_assets.archive.replay import replay
from engage_assets.archive.worker import run
from engage_assets.domain.errors import EngageError
from engage_assets_tests.archive.changes import AT, DEMAND, change, line
from engage_assets_tests.archive.upkeep import Dead, Dying, read_live, with_errors, with_root
from engage_assets_tests.archive.workers import an_archive, event_ids, totals_of_files, write_stream

MISSING = {name: value for name, value in DEMAND.items() if name != "saleId"}
"""As an upstream bug wrote it."""


def archived(home, *bodies):
    write_stream(home / "changes", {"a": [change(event_id="good"), *bodies]})
    archive = an_archive(home)
    run(archive)
    return archive


def test_a_corrected_copy_is_archived_and_its_file_says_so(tmp_path):
    archive = archived(tmp_path, change(MISSING, event_id="x"), b"no")
    key, other = sorted(error_keys(archive.errors), key=lambda one: "no" in read_error(archive.errors, one)["events"])
    original = read_error(archive.errors, key)["events"]
    summary = replay(archive, corrected={key: line(change(event_id="x"))})
    assert (summary.files, summary.replayed, summary.counts.archived) == (1, 1, 1)
    assert event_ids(tmp_path) == Counter(["good", "x"])
    stated = read_error(archive.errors, key)
    assert stated["events"] == original
    assert stated["corrected"] == [change(event_id="x")]
    assert (stated["replayed"]["archived"], stated["replayed"]["duplicates"]) == (1, 0)
    (row,) = [row for row in read_live(archive.root) if row["lineage"]["eventId"] == "x"]
    assert [row["lineage"][name] for name in ("stream", "shard", "sequenceNumber")] == ["changes", "a.ndjson", "2"]
    assert "replayed" not in read_error(archive.errors, other)

    again = replay(archive)
    assert (again.already, again.files, again.still) == (1, 1, Counter({"record: not JSON in UTF-8": 1}))
    assert event_ids(tmp_path) == Counter(["good", "x"])


def test_all_of_a_message_that_is_good_by_now(tmp_path):
    archive = archived(tmp_path, change(MISSING, event_id="x"), change(MISSING, event_id="y"), b"no")
    for key in error_keys(archive.errors):  # as if a newer version took them: corrected by hand, in the file
        stated = read_error(archive.errors, key)
        if stated["error"]["message"] == "saleId: missing":
            stated["corrected"] = [change(event_id=stated["events"][0]["eventID"])]
            archive.errors.put(key, json.dumps(stated).encode())
    summary = replay(archive, message="saleId: missing")
    assert (summary.files, summary.counts.archived) == (2, 2)
    assert event_ids(tmp_path) == Counter(["good", "x", "y"])
    assert archive.state.totals()["demand", "2026-11-20"].records == 3


def test_what_is_bad_still_counts_its_tries_with_the_new_message(tmp_path):
    archive = archived(tmp_path, change(MISSING, event_id="x"))
    (key,) = error_keys(archive.errors)
    replay(archive, [key])
    summary = replay(archive, [key], corrected={key: line(change({**DEMAND, "email": True}, event_id="x"))})
    assert summary.still == Counter({"email: expected S, found BOOL": 1})
    stated = read_error(archive.errors, key)
    assert (stated["replays"]["tries"], stated["replays"]["message"]) == (2, "email: expected S, found BOOL")
    assert stated["error"]["message"] == "saleId: missing"
    assert replay(archive, message="email: expected S, found BOOL").files == 1


def test_a_copy_of_what_is_archived_stays_one(tmp_path):
    archive = archived(tmp_path, change(MISSING, event_id="x"))
    (key,) = error_keys(archive.errors)
    summary = replay(archive, corrected={key: line(change(event_id="good"))})
    assert (summary.counts.archived, summary.counts.duplicates, summary.replayed) == (0, 1, 1)
    assert event_ids(tmp_path) == Counter(["good"])


@pytest.mark.parametrize("part", ["root", "errors"])
@pytest.mark.parametrize("last", range(1, 7))
def test_a_replay_that_dies_is_taken_up_and_archives_once(tmp_path, part, last):
    archive = archived(tmp_path, change(MISSING, event_id="x"), change(MISSING, event_id="y"))
    keys = error_keys(archive.errors)
    copies = {key: line(change(event_id=read_error(archive.errors, key)["events"][0]["eventID"])) for key in keys}
    dying = (with_root if part == "root" else with_errors)(archive, Dying(last))
    try:
        replay(dying, corrected=copies)
    except Dead:
        pass
    else:
        assert part == "root"  # two files, four moments
        assert last > 4
    replay(archive, keys[1:], corrected={keys[1]: copies[keys[1]]})
    replay(archive, corrected=copies)
    assert event_ids(tmp_path) == Counter(["good", "x", "y"])
    assert all("replayed" in read_error(archive.errors, key) for key in keys)
    assert archive.state.totals()["demand", "2026-11-20"].records == 3


def ndjson(*bodies):
    return b"\n".join(map(line, bodies))


def by_message(archive):
    return {read_error(archive.errors, key)["error"]["message"]: key for key in error_keys(archive.errors)}


def expect_exact(archive, home, *names):
    assert event_ids(home) == Counter(["good", *names])
    assert {place: total[:2] for place, total in archive.state.totals().items()} == totals_of_files(home)
    counts = sum((batch.counts for batch in archive.state.batches()), Counts())
    assert counts.read == counts.archived + counts.errors + counts.duplicates


def test_a_file_of_which_some_is_bad_still_is_archived_once_however_often_it_is_tried(tmp_path):
    archive = archived(tmp_path, b"no", {"messageId": "1"})
    key, other = error_keys(archive.errors)
    a, b, c = (change({**DEMAND, "fanId": name}, event_id=name) for name in "abc")
    copy = ndjson(a, change({**MISSING, "fanId": "b"}, event_id="b"))
    assert replay(archive, corrected={key: copy}).counts.archived == 1
    for _ in range(2):
        assert replay(archive, [key]).still == Counter({"saleId: missing": 1})
    assert replay(archive, corrected={other: ndjson(c)}).still == Counter()  # not held up by the first one
    for day in range(1, 10):
        archive.state.forget(archive.clock() + day * 86_400)
    replay(archive, corrected={key: copy})
    expect_exact(archive, tmp_path, "a", "c")
    again = replay(archive, corrected={key: ndjson(a, b, change({**DEMAND, "fanId": "d"}, event_id="d"))})
    assert (again.replayed, again.counts.archived) == (1, 2)
    expect_exact(archive, tmp_path, "a", "b", "c", "d")
    assert read_error(archive.errors, key)["replayed"]["archived"] == 3


def test_a_file_that_was_mended_by_hand_does_not_write_over_what_was_good_of_it(tmp_path):
    archive = archived(tmp_path, b"no")
    (key,) = error_keys(archive.errors)
    copy = ndjson(change(event_id="a"), change({**DEMAND, "type": "sale"}, event_id="b"))
    replay(archive, corrected={key: copy})
    stated = read_error(archive.errors, key)
    archive.errors.put(key, error_bytes({**stated, "corrected": [change(event_id="a"), change(event_id="b")]}))
    replay(archive, [key])
    expect_exact(archive, tmp_path, "a", "b")


@pytest.mark.parametrize("part", ["root", "errors"])
@pytest.mark.parametrize("last", range(1, 9))
@pytest.mark.parametrize("name", ["x", "z"])
def test_another_copy_takes_the_place_of_one_whose_replay_died(tmp_path, part, last, name):
    archive = archived(tmp_path, change(MISSING, event_id="x"), b"no")
    keys = by_message(archive)
    key, other = keys["saleId: missing"], keys["record: not JSON in UTF-8"]
    first = ndjson(change(event_id="x"), change(MISSING, event_id="y"))
    dying = (with_root if part == "root" else with_errors)(archive, Dying(last))
    with suppress(Dead):
        replay(dying, corrected={key: first})
    was_committed = len(archive.state.batches()) > 1
    day_later = {**DEMAND, "date": {"requested": "2026-11-25T09:00:00Z"}}
    second = ndjson(change(MISSING, event_id="y"), change(day_later, event_id=name, at=AT + timedelta(days=1)))
    replay(archive, corrected={key: second})
    names = {"x", name} if was_committed else {name}
    expect_exact(archive, tmp_path, *names)
    assert replay(archive, corrected={other: ndjson(change(event_id="o"))}).replayed == 1
    expect_exact(archive, tmp_path, *names, "o")


@pytest.mark.parametrize("copy", [ndjson(change(MISSING, event_id="x")), None], ids=["bad", "gone"])
def test_a_try_that_cannot_be_made_again_is_given_up(tmp_path, copy):
    archive = archived(tmp_path, change(MISSING, event_id="x"), b"no")
    keys = by_message(archive)
    key, other = keys["saleId: missing"], keys["record: not JSON in UTF-8"]
    with pytest.raises(Dead):
        replay(with_root(archive, Dying(2)), corrected={key: ndjson(change(event_id="x"))})
    if copy is None:
        archive.errors.delete(key)
        with pytest.raises(EngageError, match="no such error file"):
            replay(archive, [key])
    else:
        assert replay(archive, corrected={key: copy}).still == Counter({"saleId: missing": 1})
    replay(archive, corrected={other: ndjson(change(event_id="o"))})
    expect_exact(archive, tmp_path, "o")
    assert all(shard.pending is None for shard in archive.state.shards())
    write_stream(tmp_path / "changes", {"b": [change(event_id="x")]})
    assert run(archive).counts.archived == 1  # it left no mark


SMUGGLED = line(change(event_id="smuggled"))


@pytest.mark.parametrize(
    "body",
    [
        {"base64": base64.b64encode(SMUGGLED).decode()},
        {"beginning": SMUGGLED.decode(), "size": 5},
        json.dumps(SMUGGLED.decode()).encode(),
    ],
    ids=["base64", "beginning", "text"],
)
def test_a_record_that_looks_like_our_wrapping_is_tried_as_it_came(tmp_path, body):
    archive = archived(tmp_path, body)
    (key,) = error_keys(archive.errors)
    message = read_error(archive.errors, key)["error"]["message"]
    assert replay(archive).still == Counter({message: 1})
    expect_exact(archive, tmp_path)


def test_files_of_the_older_form_are_read_still(tmp_path):
    archive = archived(tmp_path, b"no", b"\xff")
    for key, name in zip(error_keys(archive.errors), "ab", strict=True):
        stated = read_error(archive.errors, key)
        del stated["forms"]
        packed = {"base64": base64.b64encode(line(change(event_id="a"))).decode()}
        archive.errors.put(
            key, error_bytes({**stated, "events": [packed if name == "a" else line(change(event_id="b")).decode()]})
        )
    assert replay(archive).replayed == 2
    expect_exact(archive, tmp_path, "a", "b")


def test_an_erased_fan_is_redacted_in_a_replay_and_in_its_copy(tmp_path):
    archive = archived(tmp_path, change(MISSING, event_id="x"))
    (key,) = error_keys(archive.errors)
    archive.state.erase("fan-1", 2**60)
    replay(archive, corrected={key: ndjson(change(event_id="x"), change(MISSING, event_id="y"))})
    assert b"555 0100" not in archive.errors.get(key)
    replay(archive, corrected={key: ndjson(change(event_id="x"))})
    assert b"555 0100" not in archive.errors.get(key)
    (row,) = [row for row in read_live(archive.root) if row["lineage"]["eventId"] == "x"]
    assert (row["email"], row["phoneNumber"]) == ("[redacted]", "[redacted]")


@pytest.mark.parametrize(("copy", "words"), [(b"", "no event"), (b"{", "no event")])
def test_a_corrected_copy_must_hold_an_event(tmp_path, copy, words):
    archive = archived(tmp_path, b"no")
    (key,) = error_keys(archive.errors)
    with pytest.raises(EngageError, match=words):
        replay(archive, corrected={key: copy})
    with pytest.raises(EngageError, match="no such error file"):
        replay(archive, ["2026-11-20T09-00-00.000000Z-x.json"])
