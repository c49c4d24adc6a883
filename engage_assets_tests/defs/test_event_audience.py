"""Whom an event would reach: what its batch's filters will say, of a draft too, and nothing is kept of it."""

from collections import Counter
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from engage_assets.cli import main
from engage_assets.connectors.duckdb import DuckDBConnector
from engage_assets.defs import stages
from engage_assets.defs.batch import Batch
from engage_assets.defs.event_audience import audience
from engage_assets.domain.errors import EngageError
from engage_assets.domain.events import EVENTS
from engage_assets.domain.registrations import Register, Seats
from engage_assets.events.catalogue import Catalogue
from engage_assets_tests.defs.homes import PROGRAMS, at, digests
from engage_assets_tests.defs.small_events import make_events, path_of

PROGRAM = "event-invitations"
MONDAY = date(2026, 11, 23)
NOW = datetime.combine(MONDAY, time()) - timedelta(days=2)
EVENT = "e04-0"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("audience")
    make_events(root / "warehouse", last_monday=MONDAY, weeks=4)
    return root


def draft(launcher, event_id=EVENT):
    return Catalogue.of(pl.read_parquet(path_of(launcher.home.warehouse, EVENTS))).known(NOW)[event_id]


def find(launcher, event, now=NOW, program=None):
    return audience(
        program or launcher.program(PROGRAM), event, warehouse=launcher.parts["warehouse"],
        connector=launcher.parts["connector"], ledger=launcher.parts["ledger"],
        marketplaces=launcher.folder.marketplaces, now=now,
    )  # fmt: skip


def test_it_is_what_the_batch_will_decide(home):
    launcher = at(home, NOW)
    batch = Batch(launcher.program(PROGRAM), MONDAY, launcher.folder.marketplaces, launcher.parts["warehouse"])
    raw = pl.concat(map(pl.DataFrame, DuckDBConnector(batch.warehouse).read(batch.program, MONDAY, batch.asked)))
    checked = pl.concat(stages.check_records(batch, raw.lazy()))
    judged = pl.concat(stages.judge_candidates(batch, stages.candidates_of(batch, checked).lazy(), None, None))
    mine = judged.filter(pl.col("subject_id") == EVENT)

    found = find(launcher, draft(launcher))
    assert (found.monday, found.records) == (MONDAY, raw.filter(pl.col("event_id") == EVENT).height)
    counts = Counter(reason for reason in mine["reason"] if reason)
    assert {reason: count for _, reason, count in found.refused} == counts
    assert counts["INTEREST_LOW"] > 100
    accepted = mine.filter(pl.col("reason").is_null())
    assert found.reached.height == accepted.height > 20
    assert sum(count for _, count in found.by_region()) == accepted.height
    assert {zone: at for zone, at, _ in found.by_zone()} == {
        "America/New_York": time(10), "Europe/Berlin": time(16),
    }  # fmt: skip
    assert "customer_id" not in found.reached.columns


def test_a_draft_meets_others(home):
    launcher = at(home, NOW)
    event = draft(launcher)
    nobody = find(launcher, replace(event, topics=("underwater-basket-weaving",)))
    assert nobody.reached.height == 0
    assert nobody.by_region() == nobody.by_zone() == []
    germans = find(launcher, replace(event, event_id="new", target_regions=("DE",)))
    assert [region for region, _ in germans.by_region()] == ["DE"]
    night = find(launcher, replace(event, starts_at=event.starts_at - timedelta(hours=10)))
    assert night.by_zone() == []
    assert "TIME_ZONE" in {reason for _, reason, _ in night.refused}
    later = find(launcher, replace(event, starts_at=event.starts_at + timedelta(days=70)))
    assert later.monday == MONDAY + timedelta(days=70)
    assert {reason for _, reason, _ in find(launcher, replace(event, capacity=0)).refused} >= {"SUBJECT_CLOSED"}
    program = launcher.program(PROGRAM)
    tuesdays = program.event_config.model_copy(update={"invite_lead_days": (9, 9)})
    with pytest.raises(EngageError, match="no Monday lies 9 to 9 days before e04-0"):
        find(launcher, event, program=program.model_copy(update={"event_config": tuesdays}))


def test_who_registered_by_now_is_not_reached(home, tmp_path):
    launcher = at(home, NOW, ENGAGE_LEDGER_URL=f"sqlite:///{tmp_path}/ledger.db")
    event = draft(launcher)
    before = find(launcher, event)
    seats = Seats(PROGRAM, EVENT, None, datetime.combine(MONDAY, time()))
    launcher.parts["registrations"].take([Register(seats, f"c-{n:03}", "DE") for n in range(300)], NOW)
    after = find(launcher, event, now=NOW + timedelta(minutes=1))
    assert (before.reached.height > 0, after.reached.height) == (True, 0)
    assert ("eligibility", "ALREADY_ANSWERED", after.records) in after.refused
    assert find(launcher, event).reached.height == before.reached.height, "as it was known then"


def engage(home, *arguments, status=0):
    environment = {"ENGAGE_HOME": str(home), "ENGAGE_PROGRAMS": str(PROGRAMS), "ENGAGE_NOW": f"{NOW.isoformat()}Z"}
    done = CliRunner(env=environment).invoke(main, ["events", "audience", *arguments])
    assert done.exit_code == status, done.output
    return done.output


def test_the_command_keeps_nothing_and_says_what_is_wrong(home):
    engage(home, EVENT)  # opens the databases
    kept = {name: digest for name, digest in digests(home).items() if not name.startswith(("ledger.db", "dagster"))}
    said = engage(home, EVENT, "--region", "DE", "--minutes", "30")
    assert f"the batch of {MONDAY} invites for it" in said
    assert "interest-match: INTEREST_LOW" in said
    assert "would be reached" in said
    assert "by email: from score 0.5 on, at most 50,000 of them" in said
    assert "Europe/Berlin  starts at 16:00" in said
    new = engage(home, "new", "--topic", "sql", "--starts", "2026-12-02 18:00", "--zone", "Europe/Paris")
    assert "new  2026-12-02 18:00 Europe/Paris, 60 min" in new
    assert "Europe/Berlin  starts at 18:00" in new
    assert "it has passed: nobody is invited" in engage(home, "e02-0")
    assert "describe the draft" in engage(home, "new", "--topic", "sql", status=1)
    assert "duration_minutes" in engage(home, EVENT, "--minutes", "0", status=1)
    after = {name: digest for name, digest in digests(home).items() if not name.startswith(("ledger.db", "dagster"))}
    assert after == kept
    assert "c-0" not in said + new
