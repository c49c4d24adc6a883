"""Retention takes whole partitions, off by default."""

import os
from contextlib import suppress

import pytest

from engage_assets.archive.compaction import compact
from engage_assets.archive.error_files import error_keys
from engage_assets.archive.retention import retain
from engage_assets.archive.worker import run
from engage_assets.domain.errors import EngageError
from engage_assets_tests.archive.changes import AT, DEMAND, SALE, change
from engage_assets_tests.archive.upkeep import NOW, Dead, Dying, live_ids, with_root
from engage_assets_tests.archive.workers import an_archive, write_stream

YOUNG = {**DEMAND, "date": {"requested": "2026-11-21T09:00:00Z"}}


def archived(home):
    bodies = [change(event_id="1"), change(YOUNG, event_id="2"), change(SALE, event_id="3"), b"no"]
    write_stream(home / "changes", {"a": bodies, "b": [change(event_id="4"), b"no", b"no"]})
    archive = an_archive(home)
    run(archive)
    return archive


def day(days):
    return AT.timestamp() + days * 86_400


def test_partitions_that_are_older_go(tmp_path):
    archive = archived(tmp_path)
    assert retain(archive, now=day(10**4), days={}).partitions == 0
    assert retain(archive, now=day(10**4), days={"demand": None, "errors": None}).errors == 0
    assert retain(archive, now=day(30), days={"demand": 30}).partitions == 0
    done = retain(archive, now=day(31), days={"demand": 30, "sale": 30})
    assert (done.partitions, done.files, done.errors) == (1, 2, 0)
    assert live_ids(archive.root) == ["2", "3"]  # one day younger; and one that lies ahead
    assert set(archive.state.totals()) == {("demand", "2026-11-21"), ("sale", "2027-01-10")}
    assert list(archive.root.stored("data/demand/partition_date=2026-11-20/")) == []


def test_error_files_go_by_when_they_were_put_and_not_by_their_names(tmp_path):
    archive = archived(tmp_path)
    write_stream(tmp_path / "changes", {"c": [b"undated"]})
    run(archive)
    keys = error_keys(archive.errors)
    assert [key[:4] for key in keys] == ["1970", "2026", "2026", "2026"]
    for key, days in zip(keys, (0, 0, 31, 32), strict=True):
        os.utime(tmp_path / "errors" / key, (0, day(-days)))
    assert retain(archive, now=day(1), days={"errors": 31}).errors == 2
    assert error_keys(archive.errors) == keys[:2]
    assert archive.state.errors_there() == 2
    assert retain(archive, now=day(33), days={"errors": 31}).errors == 2


@pytest.mark.parametrize("is_compacted", [False, True])
def test_a_reader_sees_a_partition_as_a_whole_or_not_at_all(tmp_path, is_compacted):
    archive = archived(tmp_path)
    if is_compacted:
        compact(archive, now=NOW)

    def watch():
        assert live_ids(archive.root) in (["1", "2", "3", "4"], ["2", "3"])

    for last in range(1, 12):
        with suppress(Dead):
            retain(with_root(archive, Dying(last, watch)), now=day(31), days={"demand": 30})
    assert live_ids(archive.root) == ["2", "3"]


@pytest.mark.parametrize("days", [{"demands": 3}, {"demand": 0}])
def test_what_cannot_be_meant_is_refused(tmp_path, days):
    with pytest.raises(EngageError, match="retention of"):
        retain(an_archive(tmp_path), now=NOW, days=days)
