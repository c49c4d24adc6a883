"""The archive's jobs and day checks in this process: what they do, what they find, and what they say of it."""

import io
import json
import time
from contextlib import closing

import dagster as dg
import fastavro
import pytest

from engage_assets.archive.batches import Range
from engage_assets.archive.live import live_files
from engage_assets.archive.maintenance import SHARD
from engage_assets.archive.schemas import SCHEMAS
from engage_assets.archive.state import OWN_STREAM
from engage_assets.defs import archive_jobs
from engage_assets.defs.archive_assets import COMPACTED
from engage_assets.defs.archive_checks import DAY_CHECKS
from engage_assets_tests.archive.changes import DEMAND, ITEMS, change
from engage_assets_tests.defs.archives import Works

CANARY = "canary-7142@example.org"


@pytest.fixture
def works(tmp_path):
    return Works(tmp_path)


def close_the_day(works):
    """The run, and what the day checks said last."""
    run = works.run("archive_day_close")
    found = {}
    for check in DAY_CHECKS:
        (record,) = works.instance.event_log_storage.get_asset_check_execution_history(check.key, limit=1)
        found[check.asset_key.path[-1], check.name] = record.evaluation.passed
    return run, found


def metadata(run):
    (event,) = run.get_asset_materialization_events()
    assert event.materialization.asset_key == COMPACTED
    return {name: value.value for name, value in event.materialization.metadata.items()}


def demand_file(works):
    return min((works.root / "root" / "data" / "demand").rglob("*.avro"))


def test_a_drain_archives_no_more_than_its_batches(tmp_path):
    works = Works(tmp_path, batch=2, drain={"batches": 2})
    works.write(a=[change(DEMAND, event_id=f"c-{n}") for n in range(5)])

    assert works.run("archive_drain").success
    with closing(works.desk.open_state()) as state:
        assert sum(total.records for total in state.totals().values()) == 4
        assert not state.has_live_worker("changes", 0)
    assert works.run("archive_drain").success
    with closing(works.desk.open_state()) as state:
        assert sum(total.records for total in state.totals().values()) == 5


def test_a_drain_that_stops_fails_and_says_why(works):
    works.write(a=[change(DEMAND)])
    with closing(works.desk.open_state()) as state:
        lease = state.acquire("changes", "a.ndjson", "someone", 0)
        state.claim(lease, Range("changes", "a.ndjson", "1", "9"), [], 0)

    run = works.run("archive_drain")

    assert not run.success
    (failure,) = [event for event in run.all_node_events if event.is_step_failure]
    assert "were begun and cannot be read again" in failure.step_failure_data.user_failure_data.description


def test_the_day_close_redacts_compacts_and_checks(works):
    works.write(a=[change({**item, "email": CANARY}, event_id=f"c-{n}") for n, item in enumerate(ITEMS)])
    works.work()
    works.write(b=[b"{", change(DEMAND, "REMOVE", event_id="gone")])
    works.work()

    run, found = close_the_day(works)

    assert run.success
    assert (metadata(run)["versions_redacted"], metadata(run)["files_replaced"]) == (1, 2)
    assert len(found) == 9
    assert all(found.values())
    assert not works.alerts.raised
    (file,) = live_files(works.desk.root, "demand")
    rows = list(fastavro.reader(io.BytesIO(works.desk.root.get(file.key))))
    assert [row["email"] for row in rows] == ["[redacted]", "[redacted]"]


def test_a_lost_file_fails_the_day_check_and_alerts_without_failing_the_job(works):
    works.write(a=[change(item, event_id=f"c-{n}") for n, item in enumerate(ITEMS)])
    works.work()
    demand_file(works).unlink()

    run, found = close_the_day(works)

    assert run.success
    assert metadata(run)["day_checks_failed"] == 1
    assert [name for name, passed in found.items() if not passed] == [("demand", "totals_are_what_files_hold")]
    (text,) = works.alerts.raised.values()
    assert "data/demand/partition_date=2026-11-20/: files hold 0 rows, counted were 1" in text

    works.clock.pass_by(days=1)
    works.write(b=[change(DEMAND, event_id="c-9")])
    works.work()
    assert close_the_day(works)[1]["demand", "totals_are_what_files_hold"] is False
    assert len(works.alerts.raised) == 1, "an alert a cause, not one a day"
    for path in works.root.rglob("data/demand/*/*.avro"):
        path.unlink()
    close_the_day(works)
    assert len(works.alerts.raised) == 2


def test_a_file_of_another_schema_is_found(works):
    works.write(a=[change(DEMAND)])
    works.work()
    path = demand_file(works)
    rows = list(fastavro.reader(io.BytesIO(path.read_bytes())))
    schema = json.loads(json.dumps(SCHEMAS["demand"]))
    schema["fields"].append({"name": "alien", "type": "string", "default": "", "doc": "Nobody released it."})
    with path.open("wb") as file:
        fastavro.writer(file, schema, rows)

    _, found = close_the_day(works)

    assert found["demand", "schemas_are_the_committed"] is False
    assert found["demand", "totals_are_what_files_hold"] is True


def test_rows_of_a_range_in_work_are_no_fault(tmp_path):
    """Files come before the commit that counts them."""
    works = Works(tmp_path, quiet_days=10_000)
    works.write(a=[change(DEMAND)])
    works.work()
    path = demand_file(works)
    (path.parent / path.name.replace("09-00", "10-00")).write_bytes(path.read_bytes())
    assert close_the_day(works)[1]["demand", "totals_are_what_files_hold"] is False

    with closing(works.desk.open_state()) as state:
        lease = state.acquire("changes", "b.ndjson", "someone", works.seconds)
        state.claim(lease, Range("changes", "b.ndjson", "1", "1"), [], works.seconds)

    assert close_the_day(works)[1]["demand", "totals_are_what_files_hold"] is True


def test_an_upkeep_waits_for_the_one_that_runs(works, monkeypatch):
    works.write(a=[change(DEMAND)])
    works.work()
    with closing(works.desk.open_state()) as state:
        state.acquire(OWN_STREAM, SHARD, "another", time.time())
    monkeypatch.setattr(archive_jobs, "WAIT_SECONDS", 0)
    monkeypatch.setattr(archive_jobs, "RETRIES", 1)

    run = works.run("archive_redact")

    assert dg.DagsterEventType.STEP_UP_FOR_RETRY in [event.event_type for event in run.all_node_events]
    assert not run.success


def test_checks_can_be_run_by_hand(works):
    works.write(a=[change(item, event_id=f"c-{n}") for n, item in enumerate(ITEMS)])
    works.work()
    by_hand = dg.define_asset_job("by_hand", dg.AssetSelection.all_asset_checks(), executor_def=dg.in_process_executor)
    definitions = dg.Definitions.merge(works.definitions, dg.Definitions(jobs=[by_hand]))

    run = definitions.resolve_job_def("by_hand").execute_in_process(instance=works.instance)

    assert len(run.get_asset_check_evaluations()) == len(DAY_CHECKS) + 6
    assert all(found.passed for found in run.get_asset_check_evaluations())
