"""Who came, on the day and a day later, by the job that follows the catalogue; and what the catalogue's sensor says."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import dagster as dg
import polars as pl
import pytest

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.event_attendance import (
    Turnout,
    attendance_definitions,
    attendance_job,
    attendance_sensor,
    record_attendance,
    stages_between,
)
from engage_assets.defs.event_watch import catalogue_sensor, changes_since
from engage_assets.domain.attendance import Mark, Stay
from engage_assets.domain.events import Event
from engage_assets.domain.registrations import Register, Seats
from engage_assets.events.writing import append
from engage_assets.ledger.attendance import SqlAttendances
from engage_assets.ledger.database import Database
from engage_assets.ledger.operations import SqlOperations
from engage_assets.ledger.registrations import SqlRegistrations
from engage_assets_tests.builders import a_program
from engage_assets_tests.serving.fakes import FixedClock
from engage_assets_tests.serving.gatherings import event_program

PROGRAM = "event-invitations"
EARLY = datetime.fromisoformat("2026-11-01")
START = datetime.fromisoformat("2026-12-09 17:00")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
EVENT = Event("k8s", EARLY, "Kubernetes", ("kubernetes",), START, "Europe/Berlin", 90)
END = EVENT.ends_at


class World:
    """A ledger with three seats and one in line, and a warehouse with the event."""

    def __init__(self, folder):
        self.warehouse = folder / "warehouse"
        append(self.warehouse, EVENT)
        database = Database(f"sqlite:///{folder}/ledger.db", Random(1))
        self.registrations, self.attendances = SqlRegistrations(database), SqlAttendances(database)
        self.operations, self.clock = SqlOperations(database), FixedClock(START)
        seats = Seats(PROGRAM, "k8s", 3, START)
        self.registrations.take([Register(seats, f"c-{number}", "DE") for number in range(1, 5)], EARLY)

    def tell(self, *marks):
        self.attendances.tell(PROGRAM, "k8s", [Mark(START + minute * MINUTE, kind, who) for minute, kind, who in marks],
                              START)  # fmt: skip

    def record(self, now):
        return record_attendance(self.registrations, self.attendances, PROGRAM, EVENT, now)

    def statuses(self):
        return {one.customer_id: one.status for one in self.registrations.of_event(PROGRAM, "k8s")}

    @property
    def resources(self):
        return {
            "warehouse": Warehouse(self.warehouse), "registrations": self.registrations, "operations": self.operations,
            "attendances": self.attendances, "clock": self.clock,
        }  # fmt: skip


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_who_was_there_attended_and_a_day_later_the_others_did_not(world):
    world.tell((0, "joined", "c-1"), (0, "joined", "c-4"))
    assert world.record(START + 10 * MINUTE) == Turnout("k8s", 3, 1, 0, 10, is_told=True)
    world.tell((30, "left", "c-1"), (60, "joined", "c-2"), (-13 * 60, "joined", "c-3"))  # the last tried the link
    assert world.record(END) == Turnout("k8s", 3, 2, 0, 30, is_told=True)
    assert world.record(END + DAY - MINUTE).unknown == 1
    assert world.record(END + DAY) == Turnout("k8s", 3, 2, 1, 30, is_told=True)
    assert world.statuses() == {"c-1": "attended", "c-2": "attended", "c-3": "no_show", "c-4": "wait_listed"}
    changes = world.registrations.changes(None, END + DAY).height
    assert world.record(END + 2 * DAY) == Turnout("k8s", 3, 2, 1, 30, is_told=True)
    assert world.registrations.changes(None, END + 2 * DAY).height == changes, "again changes nothing"


def test_where_nothing_was_told_nobody_is_a_no_show(world):
    assert world.record(END + 9 * DAY) == Turnout("k8s", 3, 0, 0, None, is_told=False)
    assert set(world.statuses().values()) == {"registered", "wait_listed"}
    world.attendances.put(PROGRAM, "k8s", [Stay("c-1", START, None)], END)
    assert world.record(END + 9 * DAY) == Turnout("k8s", 3, 1, 2, 90, is_told=True)


def test_each_event_is_looked_at_when_it_begins_ends_and_a_day_later():
    def due(after, until, event=EVENT):
        return [stage for _, stage in stages_between([event], after, until)]

    assert due(START - MINUTE, START) == ["began"]
    assert due(START, END - MINUTE) == []
    assert due(START, END) == ["ended"]
    assert due(END, END + DAY) == ["no-shows"]
    assert due(START - DAY, END + 9 * DAY) == ["no-shows"], "what was missed is made good at once"
    assert due(START - DAY, END, replace(EVENT, status="cancelled")) == []


def test_sensor_and_job_follow_the_catalogue_and_alert_once_where_nobody_tells(world):
    program = event_program()
    job = attendance_job(program)
    sensor = attendance_sensor(program, job)
    with dg.DagsterInstance.ephemeral() as instance:

        def tick(cursor, now):
            world.clock.time = now
            context = dg.build_sensor_context(instance=instance, cursor=cursor, resources=world.resources)
            return sensor.evaluate_tick(context)

        first = tick(None, START - MINUTE)
        assert (first.run_requests, first.skip_message is None) == ([], False)
        (began,) = tick(first.cursor, START).run_requests
        assert json.loads(began.run_key) == ["k8s", "began", EARLY.isoformat()]
        late = tick(first.cursor, END + DAY)
        assert tick(late.cursor, END + DAY).run_requests == []

        for _ in range(2):
            done = job.execute_in_process(
                instance=instance, resources=world.resources, run_config=late.run_requests[0].run_config
            )
            assert done.success
        (alert,) = world.operations.untold()
        assert "nothing has told who came to k8s" in alert.text
        assert "3 people are neither attended nor no-shows" in alert.text

        world.tell((0, "joined", "c-1"))
        assert job.execute_in_process(instance=instance, resources=world.resources).success
        told = instance.get_latest_materialization_event(dg.AssetKey(["event_invitations", "attendance"]))
        assert told.asset_materialization.description == "k8s: 1 of 3 attended, 2 did not, 0 unknown"
        values = {name: value.value for name, value in told.asset_materialization.metadata.items()}
        assert (values["watch_minutes"], values["unknown"], values["event_id"]) == (90.0, 0, "k8s")
        assert "c-1" not in str(values)


def test_programs_without_events_have_none_of_it():
    assert not attendance_definitions(a_program()).jobs
    assert not attendance_definitions(event_program().model_copy(update={"enabled": False})).sensors


# --- the catalogue -----------------------------------------------------------------------------------


def test_what_became_of_events():
    moved = replace(EVENT, starts_at=START + DAY)
    renamed, cancelled = replace(EVENT, name="other"), replace(EVENT, status="cancelled")
    histories = {
        "added": [EVENT, moved],
        "moved": [EVENT, moved],
        "renamed": [EVENT, renamed],
        "cancelled": [EVENT, cancelled],
        "revived": [cancelled, moved],
        "same": [EVENT],
        "z": [EVENT, moved, replace(moved, name="other")],
    }
    seen = dict.fromkeys(histories, 1) | {"added": 0, "gone": 3, "z": 2}
    assert [change for _, change in changes_since(seen, histories)] == [
        "added", "cancelled", "moved", "changed", "revived", "changed",
    ]  # fmt: skip


def test_seats_that_became_free_by_any_hand_are_the_lines_within_the_tick(world):
    sensor, at = catalogue_sensor([event_program()]), EARLY + DAY

    def tick():
        with dg.DagsterInstance.ephemeral() as instance:
            world.clock.time = at
            context = dg.build_sensor_context(instance=instance, resources=world.resources)
            return sensor.evaluate_tick(context).skip_message, world.statuses()["c-4"]

    append(world.warehouse, replace(EVENT, known_at=at, capacity=4))
    past = {"customer_id": ["x-1"], "event_id": ["k8s"], "registered_at": [EARLY]}
    pl.DataFrame(past).write_parquet(world.warehouse / "events" / "past_registrations.parquet")
    assert tick() == ("k8s was added", "wait_listed"), "the fourth seat is somebody else's"
    append(world.warehouse, replace(EVENT, known_at=at + MINUTE, capacity=5))
    assert tick() == ("k8s was added", "wait_listed"), "it is not known yet"
    at += MINUTE
    assert tick() == ("k8s was added; 1 in the line of k8s got a seat", "registered")


@pytest.mark.parametrize("changes", [{"status": "cancelled"}, {"starts_at": EARLY + 2 * DAY}])
def test_no_seat_is_given_to_the_line_of_what_is_called_off_or_closed(world, changes):
    append(world.warehouse, replace(EVENT, known_at=EARLY + DAY, **changes))
    world.clock.time = EARLY + DAY
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, resources=world.resources)
        catalogue_sensor([event_program()]).evaluate_tick(context)
    assert world.statuses()["c-4"] == "wait_listed"


def test_the_sensor_reports_each_change_once(world):
    sensor, cursor = catalogue_sensor(), None
    key = dg.AssetKey(["events", "catalogue"])
    with dg.DagsterInstance.ephemeral() as instance:

        def tick(now):
            nonlocal cursor
            world.clock.time = now
            context = dg.build_sensor_context(instance=instance, cursor=cursor, resources=world.resources)
            done = sensor.evaluate_tick(context)
            cursor = done.cursor
            return done.skip_message

        assert tick(EARLY - MINUTE) == "the catalogue is as it was"
        assert tick(EARLY) == "k8s was added"
        assert tick(EARLY) == "the catalogue is as it was"
        append(world.warehouse, replace(EVENT, known_at=EARLY + DAY, starts_at=START + DAY))
        append(world.warehouse, replace(EVENT, event_id="new", known_at=EARLY + DAY))
        assert tick(EARLY + DAY - MINUTE) == "the catalogue is as it was", "not known yet"
        assert tick(EARLY + DAY) == "k8s was moved, new was added"
        reports = instance.fetch_materializations(key, limit=10).records
        assert len(reports) == 2
        told = reports[0].asset_materialization
        assert (told.metadata["moved"].value, told.metadata["added"].value) == (1, 1)
        assert "| k8s | moved | 2026-12-10 17:00" in told.metadata["changes"].value
