"""The archive's sensor: what assets hear, what people are told, and which runs it asks for."""

import itertools
import json
from contextlib import closing
from uuid import UUID

import dagster as dg
import pytest

from engage_assets.archive.batches import Range
from engage_assets.archive.leases import REPLAY_SHARD
from engage_assets.archive.state import LEASE_SECONDS, Tally
from engage_assets.defs.archive_watching import LOOK_SECONDS, look
from engage_assets_tests.archive.changes import DEMAND, EVENT, ITEMS, SALE, change
from engage_assets_tests.archive.workers import Clock, an_archive
from engage_assets_tests.defs.archives import Works

CANARY = "canary-7141@example.org"


@pytest.fixture
def works(tmp_path):
    return Works(tmp_path)


def demands(count, start=0):
    return [change({**DEMAND, "fanId": f"fan-{n}"}, event_id=f"demand-{n}") for n in range(start, start + count)]


def told(result, kind):
    """Events of a kind by asset and partition, as (description, plain metadata)."""
    return {
        (event.asset_key.path[-1], getattr(event, "partition", None)): (
            event.description,
            {name: value.value for name, value in event.metadata.items()},
        )
        for event in result.asset_events
        if isinstance(event, kind)
    }


def checks(result):
    return {
        (event.asset_key.path[-1], event.check_name): event.passed
        for event in result.asset_events
        if isinstance(event, dg.AssetCheckEvaluation)
    }


def jobs(result):
    return [request.job_name for request in result.run_requests]


def test_nothing_is_asked_of_an_archive_that_has_no_source_yet(works):
    context = dg.build_sensor_context(works.instance, resources=works.resources, definitions=works.definitions)
    sensor = works.definitions.resolve_sensor_def("archive_sensor")

    assert "nothing to archive yet" in sensor.evaluate_tick(context).skip_message
    assert not list(works.root.iterdir())


def test_what_came_is_reported_by_partition_and_then_only_what_came_since(works):
    works.write(a=[change(item, event_id=f"c-{n}") for n, item in enumerate(ITEMS)] + [b"{", b"{"])
    works.work()

    first = works.tick()

    assert told(first, dg.AssetMaterialization).keys() == {
        ("demand", "2026-11-20"), ("notification", "2026-11-20"), ("event", "2027-06-01"), ("sale", "2027-01-10"),
        ("errors", None),
    }  # fmt: skip
    assert works.instance.get_dynamic_partitions("archive_sale") == ["2027-01-10"]
    assert told(first, dg.AssetObservation)["changes", None][0] == "6 read = 4 archived + 2 errors + 0 duplicates"
    description, metadata = told(first, dg.AssetMaterialization)["errors", None]
    assert description == "2 refused"
    assert (metadata["errors"], metadata["share"]) == (2, 0.33333)
    assert metadata["messages"].splitlines()[2].endswith("| 2 |")

    works.write(b=[change(SALE, event_id="c-9")])
    works.work()
    works.clock.pass_by(seconds=30)
    assert not told(works.tick(), dg.AssetMaterialization), "a partition is told at most once a minute"
    works.clock.pass_by(seconds=30)
    later = told(works.tick(), dg.AssetMaterialization)

    assert later.keys() == {("sale", "2027-01-10")}
    description, metadata = later["sale", "2027-01-10"]
    assert description == "1 new records in 1 files"
    assert {name: metadata[name] for name in ("dagster/partition_row_count", "files", "new_records")} == {
        "dagster/partition_row_count": 2,
        "files": 2,
        "new_records": 1,
    }
    works.clock.pass_by(seconds=60)
    assert not told(works.tick(), dg.AssetMaterialization)


def test_many_partitions_are_told_over_several_ticks(works):
    sales = [change({**SALE, "saleStartDateTime": f"20{27 + n // 300}-{1 + n // 25 % 12:02}-{1 + n % 25:02}T00:00:00Z"},
                    event_id=f"s-{n}") for n in range(450)]  # fmt: skip
    works.write(a=sales)
    works.work(batch=100)

    ticks = []
    while events := told(works.tick(), dg.AssetMaterialization):
        ticks.append(len(events))
        works.clock.pass_by(seconds=60)

    assert sum(ticks) == 450
    assert max(ticks) <= 200


def test_nothing_personal_reaches_dagster_or_an_alert(works):
    secret = {**DEMAND, "email": CANARY, "phoneNumber": CANARY}
    works.write(a=[change(secret), change({**secret, "fanId": 7, "type": CANARY}), json.dumps([CANARY]).encode()] * 40)
    works.work()

    result = works.tick()

    assert told(result, dg.AssetMaterialization)["errors", None][1]["errors"] == 80
    assert "errors" in works.alerts.kinds()
    assert "canary" not in repr((result, works.alerts.raised))


def test_what_nobody_reads_is_drained_once_and_alerts_when_it_waits(works):
    works.write(a=demands(3))

    first, again = works.tick(), works.tick()
    assert jobs(first) == ["archive_drain"]
    assert jobs(again) == [], "the same is not started twice"
    assert not works.alerts.raised

    works.clock.pass_by(seconds=121)
    late = works.tick()
    assert works.alerts.kinds() == ["lag"]
    assert checks(late)["demand", "archive_lag"] is False
    works.clock.pass_by(seconds=30)
    works.tick()
    assert works.alerts.kinds() == ["lag"], "one alert while it lasts"

    works.work()
    after = works.tick()
    assert checks(after)["demand", "archive_lag"] is True
    assert "archive_drain" not in jobs(after)

    works.write(b=demands(1, start=9))
    assert "archive_drain" in jobs(works.tick())


def test_no_drain_beside_a_worker_or_another_drain(works):
    works.write(a=demands(3))
    with closing(works.desk.open_state()) as state:
        lease = state.acquire("changes", "a.ndjson", "someone", works.seconds)
        assert "archive_drain" not in jobs(works.tick())
        state.release(lease)
    for number, status in enumerate((dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING), 1):
        run_id = str(UUID(int=number))
        works.instance.add_run(dg.DagsterRun(job_name="archive_drain", run_id=run_id, status=status))
        assert "archive_drain" not in jobs(works.tick())
        works.instance.delete_run(run_id)
    assert "archive_drain" in jobs(works.tick())


def test_a_drain_that_failed_is_asked_for_again_an_hour_later(works):
    works.write(a=demands(3))
    (first,) = works.tick().run_requests
    works.clock.pass_by(hours=1)
    (later,) = works.tick().run_requests
    assert (first.job_name, later.job_name) == ("archive_drain", "archive_drain")
    assert first.run_key != later.run_key


def test_a_spike_of_errors_alerts_with_its_message_and_only_while_it_is_one(works):
    works.write(a=[*demands(990), *[b"{"] * 10])
    works.work()
    works.tick()
    assert not works.alerts.raised

    works.write(b=[*demands(800, start=2000), *[change({"type": "demand"}, event_id=f"bad-{n}") for n in range(200)]])
    works.work()
    works.clock.pass_by(seconds=60)
    result = works.tick()

    assert checks(result)["errors", "errors_in_their_band"] is False
    (text,) = works.alerts.raised.values()
    assert "20.00% of the last 1,000 records were refused, above the band up to 1.00%" in text
    assert "fanId: missing (200)" in text

    works.write(c=demands(1000, start=4000))
    works.work()
    assert checks(works.tick())["errors", "errors_in_their_band"] is True


def test_a_shard_whose_worker_died_in_the_middle_is_named(works):
    works.write(a=demands(3))
    with closing(works.desk.open_state()) as state:
        lease = state.acquire("changes", "a.ndjson", "someone", works.seconds)
        state.claim(lease, Range("changes", "a.ndjson", "1", "3"), [], works.seconds)
        state.note_lag(lease, 0, works.seconds)
    works.clock.pass_by(seconds=LEASE_SECONDS - 1)
    works.tick()
    assert not works.alerts.raised
    works.clock.pass_by(seconds=70)
    result = works.tick()

    assert "stopped" in works.alerts.kinds()
    assert checks(result)["changes", "no_shard_stands_still"] is False


def test_a_first_range_that_nobody_works_on_is_named(works):
    works.write(a=demands(3))
    with closing(works.desk.open_state()) as state:
        lease = state.acquire("changes", "a.ndjson", "someone", works.seconds)
        state.claim(lease, Range("changes", "a.ndjson", "1", "3"), [], works.seconds)
    works.clock.pass_by(seconds=200)
    works.tick()
    assert "stopped" in works.alerts.kinds()


def test_a_shard_that_stopped_beside_a_live_worker_alerts_with_its_reason(works):
    works.write(a=demands(3), b=demands(3, start=3), c=demands(1, start=6))
    works.work()
    works.write(b=demands(1, start=3), c=[*demands(1, start=6), *demands(1, start=7)])
    works.work()
    with closing(works.desk.open_state()) as state:
        state.acquire("changes", "a.ndjson", "someone", works.seconds)
        result = works.tick()

    assert works.alerts.kinds() == ["stopped"]
    (text,) = works.alerts.raised.values()
    assert "1 shards of the archive stand still: b.ndjson has stopped: " in text
    assert "read up to line 3, but it has 1 now" in text
    assert checks(result)["changes", "no_shard_stands_still"] is False

    works.write(b=[*demands(3, start=3), *demands(1, start=8)])
    works.work()
    assert checks(works.tick())["changes", "no_shard_stands_still"] is True


def test_a_stop_of_a_shard_that_can_be_read_alerts_while_the_source_has_the_shard(works):
    works.write(a=demands(1), b=demands(1, start=1))
    works.work()
    with closing(works.desk.open_state()) as state:
        lease = state.acquire("changes", "b.ndjson", "someone", works.seconds)
        state.stop(lease, "the root is full", works.seconds)
        state.release(lease)
    works.tick()
    (text,) = works.alerts.raised.values()
    assert "b.ndjson has stopped: the root is full" in text

    (works.root / "changes" / "b.ndjson").unlink()
    assert checks(works.tick())["changes", "no_shard_stands_still"] is True


def test_a_shard_that_no_worker_has_lags_beside_a_live_worker(works):
    works.write(a=demands(1), b=demands(1, start=1))
    with closing(works.desk.open_state()) as state:
        lease = state.acquire("changes", "a.ndjson", "someone", works.seconds)
        assert "archive_drain" not in jobs(works.tick())
        works.clock.pass_by(seconds=130)
        state.renew(lease, works.seconds)
        assert "archive_drain" not in jobs(works.tick())
    assert works.alerts.kinds() == ["lag"]
    assert "130 s behind on shard b.ndjson" in next(iter(works.alerts.raised.values()))


def test_a_look_takes_a_bounded_time_and_keeps_what_it_did_not_see(works):
    works.write(**{name: demands(1, start=ord(name)) for name in "abcd"})
    seconds = itertools.count(0, LOOK_SECONDS / 2)
    with closing(works.desk.open_state()) as state:
        watch = look(works.desk, state, works.seconds, {"a.ndjson": 5.0, "b.ndjson": 6.0}, lambda: next(seconds))
    assert watch.unread == {"a.ndjson": 5.0, "b.ndjson": 6.0, "c.ndjson": works.seconds}


def test_a_spike_ends_a_day_after_the_last_batch_and_replays_are_none(works):
    works.write(a=[*demands(80), *[change({**DEMAND, "saleId": None}, event_id=f"bad-{n}") for n in range(20)]])
    works.work()
    with closing(an_archive(works.root, clock=Clock(works.seconds)).state) as state:
        (batch,) = state.batches()
        works.tick()
        assert works.alerts.kinds() == ["errors"]

        works.clock.pass_by(hours=25)
        lease = state.acquire("changes", REPLAY_SHARD, "me", works.seconds)
        where = Range("changes", REPLAY_SHARD, "1", "1")
        state.claim(lease, where, [], works.seconds)
        state.commit(lease, where, Tally(batch.counts), works.seconds)
        assert checks(works.tick())["errors", "errors_in_their_band"] is True
    works.clock.pass_by(days=1)
    works.tick()
    assert works.alerts.kinds() == ["errors"]


def test_the_day_is_closed_once_a_day_and_removals_are_redacted_within_hours(works):
    works.write(a=[change(DEMAND), change(DEMAND, "REMOVE", event_id="gone")])
    works.work()

    assert jobs(works.tick()) == ["archive_day_close", "archive_redact"]
    works.clock.pass_by(seconds=30)
    assert jobs(works.tick()) == []
    works.clock.pass_by(hours=6)
    assert jobs(works.tick()) == ["archive_redact"]
    works.clock.pass_by(hours=12)
    assert jobs(works.tick()) == ["archive_day_close", "archive_redact"]
    assert works.tick().run_requests == []


def test_reports_go_on_where_the_source_cannot_be_seen(works):
    works.write(a=[change(EVENT)])
    works.work()
    works.write(b=[change(EVENT, event_id="unread")])
    works.tick()
    works.write(c=[change(SALE, event_id="a-sale")])
    works.work()
    (works.root / "changes").rename(works.root / "moved")
    works.clock.pass_by(seconds=60)

    result = works.tick()

    assert ("sale", "2027-01-10") in told(result, dg.AssetMaterialization)
    assert not jobs(result)
    assert works.alerts.kinds() == ["watch"]
    works.tick()
    assert len(works.alerts.raised) == 1
