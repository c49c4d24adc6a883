"""The commands events: versions of the catalogue, how full an event is, and who came."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from engage_assets.cli import main
from engage_assets.domain.notices import SurveyAnswer
from engage_assets.domain.registrations import Register, Seats
from engage_assets.ledger.attendance import SqlAttendances
from engage_assets.ledger.database import Database
from engage_assets.ledger.operations import SqlOperations
from engage_assets.ledger.registrations import SqlRegistrations
from engage_assets.ledger.surveys import SqlSurveyAnswers

PROGRAM = "event-invitations"
ROOT = Path(__file__).parent.parent.parent
NOW = datetime.fromisoformat("2026-11-20 12:00")
MINUTE = timedelta(minutes=1)
ADD = [
    *("add", "k8s", "--name", "Kubernetes", "--topic", "kubernetes", "--starts", "2026-12-09 18:00"),
    *("--zone", "Europe/Berlin", "--minutes", "90", "--capacity", "1"),
]
EXPORT = """Meeting Topic,Duration
Kubernetes,90
Attended,User Name,Email,Join Time,Leave Time
Yes,canary,Canary-1@example.org ,12/09/2026 06:00:00 PM,12/09/2026 06:30:00 PM
Yes,canary,canary-1@example.org,12/09/2026 06:20:00 PM,12/09/2026 08:00:00 PM
Yes,canary,canary-9@example.org,12/09/2026 06:00:00 PM,12/09/2026 06:30:00 PM
Yes,canary,c-7,12/09/2026 06:00:00 PM,12/09/2026 06:30:00 PM
Yes,canary,,12/09/2026 06:00:00 PM,12/09/2026 06:30:00 PM
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A deployment with one program that has seats to give."""
    programs = tmp_path / "programs"
    programs.mkdir()
    shutil.copy(ROOT / "programs" / "marketplaces.yaml", programs)
    shutil.copy(ROOT / "programs" / "product-reviews.yaml", programs / "events.yaml")
    text = (programs / "events.yaml").read_text().replace("product-reviews", PROGRAM, 1)
    (programs / "events.yaml").write_text(text + "\neventConfig:\n  capacityLimit: 3\n")
    monkeypatch.setenv("ENGAGE_PROGRAMS", str(programs))
    monkeypatch.setenv("ENGAGE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ENGAGE_OPERATOR", "olga")
    people = {"customer_id": ["c-1", "c-2", "c-7"], "email": [" canary-1@Example.org", "canary-2@example.org", None]}
    crm = tmp_path / "home" / "warehouse" / "crm"
    crm.mkdir(parents=True)
    pl.DataFrame(people).with_columns(marketplace=pl.lit("DE")).write_parquet(crm / "customers.parquet")
    return tmp_path / "home"


def engage(*arguments, now=NOW, status=0):
    """What a command of the group prints."""
    done = CliRunner(env={"ENGAGE_NOW": f"{now.isoformat()}Z"}).invoke(main, ["events", *arguments])
    assert done.exit_code == status, done.output
    return done.output


def register(home, *customers):
    registrations = SqlRegistrations(Database(f"sqlite:///{home}/ledger.db"))
    seats = Seats(PROGRAM, "k8s", 1, datetime.fromisoformat("2026-12-08 17:00"))
    registrations.take([Register(seats, one, "DE") for one in customers], NOW)
    return registrations


def test_an_event_is_added_moved_and_cancelled(home):
    said = engage(*ADD)
    assert "added k8s: 2026-12-09 18:00 Europe/Berlin, 90 min" in said
    assert "invites for it in the batch of 2026-11-30" in said
    assert "is there already" in engage(*ADD, status=1)
    register(home, "c-1", "c-2", "c-3")
    assert "1 of 1 seats taken, 2 in line" in engage("list")

    then = NOW + MINUTE
    moved = engage("move", "k8s", "--starts", "2026-12-10 18:00", "--capacity", "2", now=then)
    assert "2026-12-09 18:00 Europe/Berlin, 90 min → 2026-12-10 18:00 Europe/Berlin, 90 min" in moved
    assert "concerns 3 people, 1 got a seat by it" in moved
    assert "is so already" in engage("move", "k8s", "--capacity", "2", now=then, status=1)
    shown = engage("show", "k8s", now=then)
    assert "known 2026-11-20 12:00 UTC: 2026-12-09" in shown
    assert "known 2026-11-20 12:01 UTC: 2026-12-10" in shown
    assert "2 registered, 1 wait_listed" in shown
    assert "1. c-3  since 2026-11-20 12:00 UTC" in shown

    assert "known from 2026-11-20 12:01:00.000001 UTC on" in engage("cancel", "k8s", now=then)
    assert "cancelled already" in engage("cancel", "k8s", now=then + MINUTE, status=1)
    assert "CANCELLED" in engage("list", now=then + MINUTE)
    assert "no events to come" in engage("list", now=datetime.fromisoformat("2026-12-11"))
    acts = SqlOperations(Database(f"sqlite:///{home}/ledger.db")).audit()
    assert acts.select("who", "act", "target").rows() == [
        ("olga", act, "k8s") for act in ("add_event", "move_event", "cancel_event")
    ]


def test_a_late_event_and_mistakes_are_said(home):
    late = [*ADD[:7], "2026-12-03 18:00", *ADD[8:]]
    assert "warning: the batch of 2026-11-23 has passed" not in engage(*late)
    assert "warning: the batch of 2026-11-16 has passed" in engage(
        "add", "late", *ADD[2:7], "2026-11-28 10:00", *ADD[8:]
    )
    assert "no IANA zone" in engage("add", "x", *ADD[2:9], "Mars/Base", *ADD[10:], status=1)
    assert "must lie between" in engage("add", "x", *ADD[2:11], "0", status=1)
    assert "the catalogue has no event 'x'" in engage("show", "x", status=1)


def test_who_came_and_who_did_not(home, tmp_path):
    engage(*ADD[:-1], "3")
    registrations = register(home, "c-1")
    engage("move", "k8s", "--capacity", "2", now=NOW + MINUTE)
    seats = Seats(PROGRAM, "k8s", 2, datetime.fromisoformat("2026-12-08 17:00"))
    registrations.take([Register(seats, "c-2", "DE")], NOW)
    file = tmp_path / "export.csv"
    file.write_text(EXPORT, encoding="utf-8-sig")

    said = engage("attendance", "k8s", str(file), "--platform", "zoom", now=datetime.fromisoformat("2026-12-09 20:00"))
    assert "line 8 is left out: nobody is named" in said
    assert "4 stays of 2 customers and 1 unknown people" in said
    assert "1 attended, 0 no-shows, 1 changed, 1 without a seat; no-shows from 2026-12-10 18:30 UTC on" in said
    assert "canary" not in said.lower()

    def standing():
        found = registrations.of_event(PROGRAM, "k8s")
        return {one.customer_id: (one.status, one.watch_minutes) for one in found}

    assert standing() == {"c-1": ("attended", 90.0), "c-2": ("registered", None)}
    later = datetime.fromisoformat("2026-12-10 18:30")
    assert "1 attended, 1 no-shows, 1 changed" in engage(
        "attendance", "k8s", str(file), "--platform", "zoom", now=later
    )
    assert standing() == {"c-1": ("attended", 90.0), "c-2": ("no_show", None)}
    assert "0 changed" in engage("attendance", "k8s", str(file), "--platform", "zoom", now=later)
    assert "skype" in engage("attendance", "k8s", str(file), "--platform", "skype", status=1)
    database = Database(f"sqlite:///{home}/ledger.db")
    marks = SqlAttendances(database).of(PROGRAM, "k8s")
    assert [(mark.customer_id, mark.kind) for mark in marks if mark.customer_id != "c-7"] == [
        ("c-1", "joined"), ("c-1", "joined"), ("c-1", "left"), ("c-1", "left"),
    ]  # fmt: skip

    assert "no answers yet; 1 attended" in engage("survey", "k8s")
    canary = "canary-words"
    SqlSurveyAnswers(database).keep(SurveyAnswer(PROGRAM, "k8s", "c-1", "DE", 4, later, text=canary), later)
    said = engage("survey", "k8s")
    assert "4.00 of 5, the mean of 1; 1 attended" in said
    assert canary not in said
