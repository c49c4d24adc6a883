"""Sensors on a real Dagster instance and a real ledger: what becomes an alert, and what assets hear of answers."""

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from engage_assets.alerts.telling import Destination
from engage_assets.defs.sensors import alert_sensors, raise_doubts, raise_late, responses_asset
from engage_assets.domain.responses import Response
from engage_assets.lake import Lake
from engage_assets.ledger.contacts import SqlContacts
from engage_assets.ledger.database import Database
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.operations import SqlOperations
from engage_assets.ledger.outbox import SqlOutbox
from engage_assets_tests.alerts.test_telling import Ear
from engage_assets_tests.builders import a_program, instant
from engage_assets_tests.contracts.sends import MINUTE, a_send, hand_over

PROGRAM = a_program()
DAY = date(2026, 11, 19)
DUE = instant("2026-11-20 04:00")
ADDRESS = "ada@example.invalid"
DAILY = dg.DailyPartitionsDefinition(start_date="2026-11-01")


class FixedClock:
    is_declared = False

    def __init__(self, time):
        self.time = time

    def now(self):
        return self.time


@dg.op
def speaks():
    raise dg.Failure(f"table crm.customers is missing;\n ask {ADDRESS}")


@dg.op
def breaks():
    raise ValueError(f"row of {ADDRESS}")


@dg.job(partitions_def=DAILY)
def partitioned():
    speaks()


@dg.job
def unpartitioned():
    breaks()


@dg.job
def of_others():
    breaks()


@dg.asset
def checked():
    pass


@dg.asset_check(asset=checked, blocking=True)
def closes():
    return dg.AssetCheckResult(passed=False)


blocked = dg.define_asset_job("blocked", selection=[checked], executor_def=dg.in_process_executor)


class Office:
    """One deployment: a ledger, a lake, an ear, and the sensors over them."""

    def __init__(self, root, dagster):
        shutil.copytree(dagster, root / "dagster")
        self.database = Database(f"sqlite:///{root / 'ledger.db'}")
        self.ledger = SqlLedger(self.database)
        self.operations = SqlOperations(self.database)
        self.outbox = SqlOutbox(self.database)
        self.clock = FixedClock(DUE)
        self.lake = Lake(root / "lake")
        self.ear = Ear()
        self.instance = dg.DagsterInstance.local_temp(str(root / "dagster"))
        self.destinations = [Destination(self.ear)]
        self.cursors = {}

    def tick(self, name):
        """One evaluation, its cursor kept as the daemon would."""
        resources = {
            "ledger": self.ledger,
            "operations": self.operations,
            "outbox": self.outbox,
            "clock": self.clock,
            "lake": self.lake,
            "alert_destinations": self.destinations,
        }
        definitions = dg.Definitions(
            assets=[responses_asset(PROGRAM), checked],
            asset_checks=[closes],
            jobs=[partitioned, unpartitioned, blocked],
            sensors=alert_sensors({PROGRAM.program_id: PROGRAM}),
            resources=resources,
        )
        repository = definitions.get_repository_def()
        context = dg.build_sensor_context(
            self.instance, cursor=self.cursors.get(name), repository_def=repository, resources=resources
        )
        result = repository.get_sensor_def(name).evaluate_tick(context)
        self.cursors[name] = result.cursor
        return result

    def fail(self, job, **options):
        return job.execute_in_process(instance=self.instance, raise_on_error=False, **options)

    def alerts(self):
        return {alert.cause: alert.text for alert in self.operations.untold()}


@pytest.fixture(scope="module")
def dagster(tmp_path_factory):
    """An empty instance, which takes a second to make; tests copy it."""
    folder = tmp_path_factory.mktemp("dagster")
    dg.DagsterInstance.local_temp(str(folder)).dispose()
    return folder


@pytest.fixture
def office(tmp_path, dagster) -> Iterator[Office]:
    office = Office(tmp_path, dagster)
    yield office
    office.instance.dispose()
    office.ledger.close()


def decide(lake, day):
    path = lake.path((PROGRAM.key, "decisions"), day.isoformat())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"whole")


def test_failed_runs_become_alerts_once_and_without_anything_personal(office):
    office.fail(partitioned, partition_key="2026-11-02")
    office.tick("run_failures")
    assert office.alerts() == {}  # what failed before somebody turned it on is past

    office.fail(partitioned, partition_key="2026-11-03")
    office.fail(of_others)
    first, _ = office.fail(unpartitioned), office.fail(unpartitioned)
    assert office.tick("run_failures").skip_message == "4 failed runs, 2 new alerts"
    found = office.alerts()

    assert found["run:partitioned:2026-11-03"].startswith(
        "partitioned of 2026-11-03 failed at speaks: table crm.customers is missing; ask … (in the UI: /runs/"
    )
    [other] = [
        text for cause, text in found.items() if cause.startswith(f"run:unpartitioned:{datetime.now(UTC).date()}")
    ]
    assert other == f"unpartitioned failed at breaks: ValueError (in the UI: /runs/{first.run_id})"

    office.fail(partitioned, partition_key="2026-11-03")
    assert office.tick("run_failures").skip_message == "1 failed runs, 0 new alerts"


def test_a_check_that_blocks_is_named(office):
    office.tick("run_failures")
    job = dg.Definitions(assets=[checked], asset_checks=[closes], jobs=[blocked]).resolve_job_def("blocked")
    office.fail(job)
    office.tick("run_failures")
    [text] = office.alerts().values()
    assert (
        "blocked failed at checked_closes: 1 blocking asset check failed with ERROR severity: checked: closes" in text
    )


def test_a_failure_that_could_not_be_kept_is_seen_at_the_next_tick(office, monkeypatch):
    office.tick("run_failures")
    office.fail(unpartitioned)
    with monkeypatch.context() as broken:
        broken.setattr(SqlOperations, "raise_alert", lambda *_: (_ for _ in ()).throw(OSError("down")))
        with pytest.raises(OSError, match="down"):
            office.tick("run_failures")
    office.tick("run_failures")
    assert len(office.alerts()) == 1


def test_a_batch_is_late_after_its_deadline_and_only_while_nothing_was_decided(office):
    def late(now, **changes):
        raise_late([a_program(**changes)], office.lake, office.operations, now)
        return list(office.alerts())

    decide(office.lake, DAY - timedelta(days=1))
    assert late(DUE - timedelta(microseconds=1)) == []
    assert late(DUE, enabled=False) == []
    assert late(DUE, deadline="121min") == []
    assert late(DUE) == [f"late:product-reviews:{DAY}"]
    assert late(DUE + timedelta(hours=23)) == [f"late:product-reviews:{DAY}"]

    decide(office.lake, DAY)
    decide(office.lake, DAY + timedelta(days=1))
    assert late(DUE + timedelta(days=1)) == [f"late:product-reviews:{DAY}"]


def test_new_doubts_alert_again_and_resolving_some_does_not(office):
    def doubts():
        raise_doubts([PROGRAM], office.ledger, office.operations, DUE)
        return sorted(office.alerts())

    first, second, third = a_send("c-1"), a_send("c-2"), a_send("c-3")
    hand_over(office.ledger, first, second, now=DUE, then="in_doubt")
    assert len(doubts()) == 1
    assert "2 sends are in doubt since 2026-11-20 04:00 UTC" in office.alerts()[doubts()[0]]

    hand_over(office.ledger, third, now=DUE + MINUTE, then="in_doubt")
    both = doubts()
    assert len(both) == 2

    office.operations.resolve([third.send_id], "sent", "ada", DUE + 2 * MINUTE)
    office.operations.resolve([first.send_id], "failed", "ada", DUE + 2 * MINUTE)
    assert doubts() == both

    office.operations.resolve([second.send_id], "failed", "ada", DUE + 2 * MINUTE)
    hand_over(office.ledger, a_send("c-4"), now=DUE + 3 * MINUTE, then="in_doubt")
    assert len(doubts()) == 3


def test_a_tick_raises_and_tells_even_where_one_look_fails(office, monkeypatch):
    hand_over(office.ledger, a_send(), now=DUE, then="in_doubt")
    result = office.tick("alerts")

    assert result.skip_message == "2 alerts told, 0 wait"
    assert sorted(cause.split(":")[0] for cause in office.ear.heard) == ["in_doubt", "late"]

    office.operations.raise_alert("pause:c", "c was paused", DUE)
    monkeypatch.setattr(office.ledger, "in_doubt", lambda _program: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        office.tick("alerts")
    assert office.ear.heard["pause:c"] == 1


def test_without_a_destination_the_tick_says_so(office):
    office.destinations = []
    assert office.tick("alerts").skip_message.startswith("0 alerts told, 1 wait; alerts are kept, but nobody is told")


def answer(office, customer, marketplace, program="product-reviews"):
    given = Response(program, customer, marketplace, "product", "p-1", 5, DUE, text="secret words")
    SqlContacts(office.database).respond(given, DUE)


def reported(office):
    found = office.instance.fetch_materializations(dg.AssetKey(["product_reviews", "responses"]), limit=10).records
    return [
        {name: value.value for name, value in record.asset_materialization.metadata.items()} for record in found[::-1]
    ]


def test_answers_are_reported_once_by_marketplace(office):
    for customer, marketplace in [("c-1", "DE"), ("c-2", "JP"), ("c-3", "DE")]:
        answer(office, customer, marketplace)
    answer(office, "c-1", "DE", program="retired-program")

    for _ in range(2):
        office.tick("responses")
    answer(office, "c-4", "FR")
    office.tick("responses")

    at = DUE.isoformat()
    assert reported(office) == [
        {"responses": 3, "responses_DE": 2, "responses_JP": 1, "first_at": at, "last_at": at},
        {"responses": 1, "responses_FR": 1, "first_at": at, "last_at": at},
    ]
    assert office.outbox.waiting(["response"], 10) == []
    assert office.outbox.waiting(["candidate_status"], 10)  # those are the relay's


def test_an_answer_that_could_not_be_reported_stays(office, monkeypatch):
    answer(office, "c-1", "DE")
    with monkeypatch.context() as broken:
        broken.setattr(dg.DagsterInstance, "report_runless_asset_event", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            office.tick("responses")
    office.tick("responses")
    assert [event["responses"] for event in reported(office)] == [1]


def test_sensors_wait_for_a_person():
    assert {sensor.name: sensor.default_status.value for sensor in alert_sensors({})} == dict.fromkeys(
        ("run_failures", "alerts", "responses"), "STOPPED"
    )
