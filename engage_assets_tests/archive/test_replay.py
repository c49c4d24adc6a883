"""Error files once more: corrected copies, what is good by now, what is bad still; once, whatever dies."""

import json
from collections import Counter

import pytest

from engage_assets.archive.error_files import error_keys, read_error
from engage_assets.archive.replay import replay
from engage_assets.archive.worker import run
from engage_assets.domain.errors import EngageError
from engage_assets_tests.archive.changes import DEMAND, change, line
from engage_assets_tests.archive.upkeep import Dead, Dying, read_live, with_errors, with_root
from engage_assets_tests.archive.workers import an_archive, event_ids, write_stream

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


def test_an_erased_fan_is_redacted_in_a_replay(tmp_path):
    archive = archived(tmp_path, change(MISSING, event_id="x"))
    (key,) = error_keys(archive.errors)
    archive.state.erase("fan-1", 2**60)
    replay(archive, corrected={key: line(change(event_id="x"))})
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
