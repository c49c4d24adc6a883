"""Dagster's files as our storage writes them: Dagster's own class reads the same out of them, and writes into them."""

import json
import shutil
import sqlite3

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from engage_assets.defs.instance_storage import KeptOpen, instance_in


@dg.asset(check_specs=[dg.AssetCheckSpec("is_one", asset="number")])
def number():
    return dg.MaterializeResult(metadata={"n": 1}, check_results=[dg.AssetCheckResult(passed=True)])


@pytest.fixture
def instance(tmp_path):
    with instance_in(tmp_path) as made:
        yield made


def kinds(storage, run_id):
    return [entry.dagster_event.event_type_value for entry in storage.get_logs_for_run(run_id) if entry.dagster_event]


def test_dagsters_own_storage_reads_what_ours_wrote_and_goes_on(instance, tmp_path):
    ours = instance.event_log_storage
    assert isinstance(ours, KeptOpen)
    runs = [dg.materialize([number], instance=instance).run_id for _ in range(3)]
    with dg.DagsterInstance.local_temp(str(tmp_path)) as plain:
        own = plain.event_log_storage
        assert type(own) is SqliteEventLogStorage
        for run_id in runs:
            assert kinds(own, run_id) == kinds(ours, run_id)
            assert kinds(own, run_id).count("ASSET_MATERIALIZATION") == 1
        latest = [storage.get_latest_materialization_events([number.key])[number.key] for storage in (own, ours)]
        assert [entry.run_id for entry in latest] == [runs[-1]] * 2
        theirs = dg.materialize([number], instance=plain).run_id
    assert kinds(ours, theirs) == kinds(ours, runs[0])
    assert ours.get_latest_materialization_events([number.key])[number.key].run_id == theirs
    assert set(ours.get_all_run_ids()) == {*runs, theirs}
    assert ours.alembic_version() == own.alembic_version()


def test_every_event_reaches_the_file_that_the_ui_watches(instance, tmp_path, monkeypatch):
    seen = []
    store = KeptOpen.store_event

    def stored(self, event):
        store(self, event)
        # Alone, without the log beside it: what is not in the file itself is not there.
        copy = shutil.copy(self.path_for_shard(event.run_id), tmp_path / "copy.db")
        with sqlite3.connect(copy) as connection:
            seen.append(connection.execute("SELECT count(*) FROM event_logs").fetchone()[0])

    monkeypatch.setattr(KeptOpen, "store_event", stored)
    dg.materialize([number], instance=instance)
    dg.materialize([number], instance=instance)
    half = len(seen) // 2
    assert half > 5
    assert seen == [*range(1, half + 1)] * 2


def test_no_more_than_two_files_stay_open_and_none_after_the_end(tmp_path):
    log = KeptOpen(str(tmp_path / "runs"))
    for name in "abc":
        assert log.get_logs_for_run(name) == []
        assert list(log.all_asset_keys()) == []
        assert log._open.keys() == {"index", name}
    assert sorted(log.get_all_run_ids()) == ["a", "b", "c"]
    empty = [(tmp_path / "runs" / f"{name}.db").read_bytes() for name in "ab"]
    assert empty[0] == empty[1]
    log.dispose()
    assert not log._open
    assert not list((tmp_path / "runs").glob("*-wal"))
    assert log.get_logs_for_run("a") == []
    log.wipe()
    assert log.get_all_run_ids() == []
    assert log.get_logs_for_run("a") == []


def test_a_storage_that_the_home_names_is_left_as_it_is(tmp_path):
    named = {"module": "dagster._core.storage.event_log.in_memory", "class": "InMemoryEventLogStorage", "config": {}}
    (tmp_path / "dagster.yaml").write_text(json.dumps({"event_log_storage": named}))
    with instance_in(tmp_path) as instance:
        assert type(instance.event_log_storage).__name__ == "InMemoryEventLogStorage"
