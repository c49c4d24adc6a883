"""Banners from the list to the app: rendered by a batch's stage, opened at their hour by the delivery, else refused."""

import random
from collections import Counter
from datetime import date, timedelta
from types import SimpleNamespace

import polars as pl
import pytest

from engage_assets.channels.dry_run import DryRunSender
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import list_stages
from engage_assets.defs.batch import Batch
from engage_assets.defs.delivery import Postman, deliver_due
from engage_assets.defs.delivery_checks import LATEST_SEND, Finding
from engage_assets.domain.registrations import Register, Seats
from engage_assets.domain.tables import EMAIL_CAMPAIGNS, IN_APP_BANNERS, empty_frame
from engage_assets.home import Home
from engage_assets.lake import Lake
from engage_assets.ledger.banners import SqlBanners
from engage_assets.ledger.database import Database
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.operations import SqlOperations
from engage_assets.ledger.registrations import SqlRegistrations
from engage_assets.programs import load_folder
from engage_assets.stores.sqlite import SqliteCandidateStore
from engage_assets.watermark import Watermark
from engage_assets_tests.builders import a_candidate, candidates, instant
from engage_assets_tests.defs.homes import PROGRAMS
from engage_assets_tests.defs.small_events import ZONES, add_version, make_events

MONDAY = date(2026, 11, 23)
FOLDER = load_folder(PROGRAMS)
PROGRAM = FOLDER.programs["event-invitations"]
EVENT, OTHER = "e02-0", "e02-1"
BERLIN, NEW_YORK = instant("2026-11-23 13:00"), instant("2026-11-23 19:00")
DEADLINE = BERLIN + timedelta(days=6)


class World:
    """Five people in Berlin and one in New York, each with a banner of one event."""

    def __init__(self, root) -> None:
        self.home, self.now = Home(root), BERLIN
        make_events(self.home.warehouse, last_monday=MONDAY, weeks=2)
        self.lake, self.database = Lake(self.home.lake), Database(self.home.ledger_url, random.Random())
        self.ledger, self.operations = SqlLedger(self.database), SqlOperations(self.database)
        self.store = SqliteCandidateStore(self.home.candidates)
        self.sender = DryRunSender(self.home.outbox)
        self.findings: list[Finding] = []
        self.latest: timedelta | None = None
        self.batch = Batch(PROGRAM, MONDAY, FOLDER.marketplaces, Warehouse(self.home.warehouse))
        self.people = ["c-002", "c-006", "c-010", "c-014", "c-018", "c-000"]  # of DE, the last of US
        rows = [self._row(number, customer) for number, customer in enumerate(self.people)]
        self.scored = candidates(*rows)
        self.store.put(PROGRAM, MONDAY, [self.scored], self.batch.instant)
        kept = self.scored.with_columns(
            interest_tags=pl.lit(["Cloud Computing"], dtype=pl.List(pl.String)), geographic_region=pl.lit("DE")
        )
        self.lake.write((PROGRAM.key, "candidates"), str(MONDAY), kept)
        self.lake.write((PROGRAM.key, EMAIL_CAMPAIGNS.name), str(MONDAY), empty_frame(EMAIL_CAMPAIGNS))
        self.banners = list_stages.render_banners(self.batch, self.scored.lazy(), self.listed("in-app"))
        self.lake.write((PROGRAM.key, IN_APP_BANNERS.name), str(MONDAY), self.banners)

    def listed(self, channel):
        """Verdicts that list everybody."""
        return self.scored.select(
            "record_id", channel=pl.lit(channel), reason=pl.lit("LISTED"), rank=pl.row_index() + 1,
            is_exploration=pl.lit(value=False),
        )  # fmt: skip

    def _row(self, number, customer):
        place = list(ZONES)[int(customer[2:]) % 4]
        return a_candidate(
            record_id=f"r-{number}", customer_id=customer, marketplace=place, subject_type="event",
            time_zone=ZONES[place], subject_id=EVENT, in_app_eligible=True, created_at=self.batch.instant,
            expires_at=self.batch.instant + timedelta(days=14),
        )  # fmt: skip

    def deliver(self, now=None, program=PROGRAM):
        self.now = now or self.now
        checker = SimpleNamespace(findings=self._checked)
        postman = Postman(
            program, FOLDER.marketplaces, self.lake, self.ledger, self.operations, self.store, checker,
            self.sender, SimpleNamespace(now=lambda: self.now, is_declared=True),
            Watermark(self.home.watermark), banners=SqlBanners(self.database),
        )  # fmt: skip
        return deliver_due(postman, Batch(program, MONDAY, FOLDER.marketplaces, self.batch.warehouse))

    def _checked(self, _batch, _messages, _now, latest=LATEST_SEND):
        self.latest = latest
        return self.findings

    def states(self):
        """State of each person's banner, and the reason where it is skipped."""
        events = self.ledger.send_events(None, self.now + timedelta(days=1))
        last = events.group_by("customer_id", maintain_order=True).last()
        return {row["customer_id"]: row["reason"] or row["state"] for row in last.iter_rows(named=True)}


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_each_banner_opens_at_its_hour_once(world):
    assert world.banners["title"].to_list()[0] == "Jetzt dabei sein: All about cloud-computing"
    ends = dict(world.banners.select("customer_id", "ends_at").iter_rows())
    assert ends["c-002"] == BERLIN + timedelta(days=7)
    assert ends["c-000"] == instant("2026-11-30 15:00"), "registration closes before the week is over"
    assert world.deliver(BERLIN - timedelta(minutes=1)).opened == {}
    assert world.deliver(BERLIN).opened == {MONDAY: Counter(sent=5)}
    assert world.deliver(BERLIN + timedelta(minutes=15)).opened == {}
    assert world.deliver(NEW_YORK + timedelta(hours=1)).opened == {MONDAY: Counter(sent=1)}
    assert set(world.states().values()) == {"sent"}
    shown = SqlBanners(world.database).shown(PROGRAM.program_id, "in-app", "in-app", "c-000", BERLIN)
    assert [(one.subject_id, one.slot_at) for one in shown] == [(EVENT, NEW_YORK)]


def test_whoever_is_registered_waits_or_has_cancelled_by_then_sees_none(world):
    registrations = SqlRegistrations(world.database)
    seats = Seats(PROGRAM.program_id, EVENT, 1, DEADLINE)
    registrations.take([Register(seats, one, "DE") for one in ("c-002", "c-006")], BERLIN - timedelta(hours=3))
    assert registrations.of_customer(PROGRAM.program_id, EVENT, "c-006").status == "wait_listed"
    world.deliver()
    found = world.states()
    assert (found["c-002"], found["c-006"], found["c-010"]) == ("ALREADY_ANSWERED", "ALREADY_ANSWERED", "sent")


@pytest.mark.parametrize(
    "change", [{"status": "cancelled"}, {"capacity": 0}, {"starts_at": BERLIN + timedelta(hours=12)}]
)
def test_none_opens_of_an_event_that_is_called_off_full_or_closed(world, change):
    add_version(world.home.warehouse, EVENT, known_at=BERLIN - timedelta(hours=1), **change)
    world.batch.__dict__.pop("tables", None)
    assert world.deliver().opened == {MONDAY: Counter(skipped=5)}
    assert set(world.states().values()) - {"planned"} == {"SUBJECT_CLOSED"}


def test_who_opted_out_is_refused(world):
    world.ledger.opt_out("c-002", BERLIN, None, "in-app")
    world.ledger.opt_out("c-006", BERLIN, PROGRAM.program_id)
    world.ledger.opt_out("c-010", BERLIN, PROGRAM.program_id, "email")
    world.deliver()
    found = world.states()
    assert [found[one] for one in ("c-002", "c-006", "c-010")] == ["OPTED_OUT", "OPTED_OUT", "sent"]


def test_what_was_not_opened_in_time_is_missed(world):
    world.deliver(BERLIN - timedelta(minutes=15))
    assert world.deliver(BERLIN + timedelta(hours=2, seconds=1)).opened == {}
    assert set(world.states().values()) == {"SEND_WINDOW_MISSED", "planned"}


def test_a_failed_check_and_a_stop_keep_banners_back_and_a_later_tick_opens_them(world):
    world.findings = [Finding("counts_close", False, "lost 3"), Finding("pace", False, "too slow")]
    done = world.deliver()
    assert (done.opened, [one.check for one in done.refusals[MONDAY]]) == ({}, ["counts_close"])
    assert world.latest == LATEST_SEND + timedelta(hours=25)
    world.findings = []
    world.operations.stop(f"event-invitations:in-app:{MONDAY}:DE", "look first", "ada", BERLIN)
    assert world.deliver().opened == {MONDAY: Counter()}
    world.operations.resume(f"event-invitations:in-app:{MONDAY}:DE", "ada", BERLIN)
    world.operations.stop("event-invitations", "all", "ada", BERLIN)
    assert "stopped by ada" in str(world.deliver().halted)
    world.operations.resume("event-invitations", "ada", BERLIN)
    assert world.deliver().opened == {MONDAY: Counter(sent=5)}


def test_in_shadow_none_opens(world):
    channels = [one.model_copy(update={"shadow": one.type == "in-app"}) for one in PROGRAM.channels]
    assert world.deliver(program=PROGRAM.model_copy(update={"channels": tuple(channels)})).opened == {
        MONDAY: Counter(skipped=5)
    }
    assert set(world.states().values()) == {"SHADOW", "planned"}
