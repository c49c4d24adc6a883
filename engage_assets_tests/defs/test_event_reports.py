"""Forecasts and reports of a Monday's events: from the opening of registration to the judgement after the event."""

import shutil
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from engage_assets.defs.batch import Batch
from engage_assets.defs.event_forecast import forecasts
from engage_assets.defs.event_report_sheets import OPS
from engage_assets.defs.jobs import night_config
from engage_assets.defs.launch import Launcher
from engage_assets.domain.notices import SurveyAnswer
from engage_assets.domain.registrations import Register, Seats, Withdraw
from engage_assets.domain.sends import Send
from engage_assets.domain.tables import DECISIONS
from engage_assets.events.attending import FEATURES
from engage_assets_tests.defs.homes import at, digests
from engage_assets_tests.defs.small_events import add_version, make_events

PROGRAM, KEY = "event-invitations", "event_invitations"
MONDAY = date(2026, 11, 23)
OPEN, OTHER = "e26-1", "e26-0"
"""The event that people register for starts on 2 December at 15:00 UTC; the other one a day before."""
SEATS = Seats(PROGRAM, OPEN, 100, datetime(2026, 12, 1, 15))  # noqa: DTZ001
PEOPLE = [f"c-{number:03}" for number in range(5, 95, 6)]


def on(day: int, hour: int = 12) -> datetime:
    return datetime.combine(MONDAY, datetime.min.time()) + timedelta(days=day, hours=hour)


def decide(launcher: Launcher) -> None:
    """What the batch's figures are made of, without the batch."""
    rows = [
        {
            "program": PROGRAM, "partition_date": MONDAY, "record_id": one, "customer_id": one, "subject_id": OPEN,
            "marketplace": "DE", "stage": "list", "reason": "LISTED", "channels": "email", "score": 0.9,
        }
        for one in PEOPLE
    ]  # fmt: skip
    decided = pl.DataFrame(rows, schema=DECISIONS.schema)
    scored = decided.select("customer_id", "subject_id").with_columns(time_zone=pl.lit("Europe/Berlin"))
    for name, frame in {
        "decisions": decided,
        "filter_verdicts": decided.select("customer_id", quota_left=pl.lit(2)),
        "scored_candidates": scored,
    }.items():
        launcher.lake.write((KEY, name), MONDAY.isoformat(), frame)


def invite(launcher: Launcher) -> None:
    """A mail for each, sent on Monday at nine."""
    campaign, ledger = f"{PROGRAM}:email:{MONDAY}:DE:{OPEN}:Europe~2FBerlin", launcher.parts["ledger"]
    sends = [
        Send(PROGRAM, campaign, one, OPEN, "email", on(0, 9), PROGRAM, marketplace="DE", subject_type="event")
        for one in PEOPLE
    ]
    ledger.plan(sends, on(0, 5))
    keys = ledger.claim([one.send_id for one in sends], on(0, 9)).won
    for state in ("handed_over", "sent"):
        ledger.move(keys, state, on(0, 9))


def register(launcher: Launcher) -> None:
    seats = launcher.parts["registrations"]
    seats.take([Register(SEATS, one, "DE", "email") for one in PEOPLE[:10]], on(1))
    seats.take([Register(SEATS, one, "DE", "email") for one in PEOPLE[10:]], on(3))
    seats.take([Withdraw(SEATS, PEOPLE[0])], on(4))


def attend(launcher: Launcher) -> None:
    came = {one: "attended" if place % 5 else "no_show" for place, one in enumerate(PEOPLE[1:])}
    launcher.parts["registrations"].attend(PROGRAM, OPEN, came, on(10, 16), dict.fromkeys(came, 40.0))
    answer = SurveyAnswer(PROGRAM, OPEN, PEOPLE[2], "DE", 5, on(10, 17))
    assert launcher.parts["surveys"].keep(answer, on(10, 17)) == "new"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("reports")
    make_events(root / "warehouse", last_monday=MONDAY)
    launcher = at(root, on(11, 12))
    decide(launcher)
    invite(launcher)
    register(launcher)
    attend(launcher)
    return root


def measure(home: Path, night: date, *, now: datetime | None = None) -> Launcher:
    launcher = at(home, now or on(20))
    launcher.run(f"{KEY}_metrics", MONDAY, config=night_config(launcher.program(PROGRAM), night))
    return launcher


def forecasts_of(home: Path, night: date, event: str = OPEN) -> pl.DataFrame:
    path = home / "lake" / KEY / "attendance_forecasts" / str(MONDAY) / f"{night}.parquet"
    return pl.read_parquet(path).filter(event_id=event)


def figures_of(home: Path, night: date) -> dict:
    path = home / "lake" / KEY / "daily_metrics" / str(MONDAY) / f"{night}.parquet"
    columns = pl.read_parquet(path).select("metric", "dimension", "member", "value")
    return {row[:3]: row[3] for row in columns.iter_rows()}


def test_an_event_is_forecast_from_its_opening_and_judged_after_it(home):
    last = MONDAY + timedelta(days=11)
    measure(home, last)
    found = forecasts_of(home, last)
    assert found["moment"].to_list() == ["opening", *["night"] * 9, "start"]
    assert found["registered"].to_list() == [0, 0, 10, 10, 15, 14, 14, 14, 14, 14, 14]
    assert found["basis"].to_list() == ["history", "history", *["model"] * 9]
    assert found["expected"][0] > 0, "what past events let expect"
    rows = found.filter(pl.col("registered") > 0)
    assert (rows["low"] <= rows["expected"]).all()
    assert (rows["expected"] <= rows["high"]).all()
    assert (rows["high"] <= rows["registered"]).all()
    assert (found["attended"][-1], found["attended"].null_count()) == (11, 10)
    assert 0 < found["brier"][-1] < 0.5
    figures = figures_of(home, last)
    assert figures["reach", "event", OPEN] == figures["invited", "all", "all"] == 15
    assert (figures["registrations", "all", "all"], figures["registrations_cancelled", "all", "all"]) == (15, 1)
    assert figures["attendance_rate", "event", OPEN] == round(11 / 14, 6)
    assert (figures["satisfaction", "all", "all"], figures["mean_watch_minutes", "all", "all"]) == (5, 40)
    assert figures["forecast_held_rate", "event", OPEN] in (0, 1)
    assert figures["attended", "event", OTHER] is None
    pages = home / "lake" / KEY / "event_reports" / str(MONDAY) / str(last)
    assert sorted(path.name for path in pages.iterdir()) == [f"{OTHER}.html", f"{OPEN}.html"]
    (card,) = (home / "lake" / KEY / "attendance_forecast_card").iterdir()
    assert card.stem == found["model_version"][-1]
    page = card.read_text(encoding="utf-8")
    assert "attendance-forecast" in page
    assert "There is no gate before its use" in page
    assert all(name in page for name in FEATURES)
    assert "whether a person with a seat comes" in page
    assert not any(one in page for one in PEOPLE)
    assert "came ÷ forecast is" in (pages / f"{OPEN}.html").read_text(encoding="utf-8")


def test_a_night_shows_what_was_known_then_and_is_the_same_when_it_is_made_again(home):
    last, thursday = MONDAY + timedelta(days=11), MONDAY + timedelta(days=3)
    if not (home / "lake" / KEY / "daily_metrics" / str(MONDAY) / f"{last}.parquet").is_file():
        measure(home, last)
    measure(home, thursday)
    then, all_of_it = forecasts_of(home, thursday), forecasts_of(home, last)
    assert then.equals(all_of_it.head(then.height)), "a forecast of a moment is the same whenever it is made"
    figures = figures_of(home, thursday)
    assert (figures["registrations", "all", "all"], figures["attended", "all", "all"]) == (15, None)
    before = digests(home / "lake" / KEY)
    launcher = at(home, on(20))
    config = {"ops": {f"{KEY}__{op}": {"config": {"as_of": str(thursday)}} for op in OPS.values()}}
    launcher.run(f"{KEY}_event_reports", MONDAY, config=config)
    assert digests(home / "lake" / KEY) == before


def test_the_hourly_job_shows_what_is_known_now(home, tmp_path):
    shutil.copytree(home, tmp_path / "copy")
    launcher = at(tmp_path / "copy", on(1, 13))
    launcher.run(f"{KEY}_event_reports", MONDAY)
    found = forecasts_of(tmp_path / "copy", MONDAY)
    assert found["moment"].to_list() == ["opening", "night"], "the night of the batch's day, which is the default"


def test_a_cancelled_event_is_forecast_no_more(home, tmp_path):
    shutil.copytree(home, tmp_path / "copy")
    add_version(tmp_path / "copy" / "warehouse", OPEN, known_at=on(4), status="cancelled")
    launcher = at(tmp_path / "copy", on(6))
    batch = Batch(launcher.program(PROGRAM), MONDAY, launcher.folder.marketplaces, launcher.parts["warehouse"])
    log = launcher.parts["ledger"].registrations(on(6)).lazy()
    found, _ = forecasts(batch, log, on(6))
    assert found.filter(event_id=OPEN)["at"].max() < on(4)
    assert found.filter(event_id=OTHER)["moment"].to_list()[-1] == "now"


def test_without_past_events_there_is_no_forecast_and_the_figures_say_so(home, tmp_path):
    shutil.copytree(home, tmp_path / "copy")
    (tmp_path / "copy" / "warehouse" / "events" / "past_registrations.parquet").unlink()
    night = MONDAY + timedelta(days=1)
    measure(tmp_path / "copy", night)
    assert forecasts_of(tmp_path / "copy", night).is_empty()
    assert figures_of(tmp_path / "copy", night)["forecast_attendance", "all", "all"] is None
