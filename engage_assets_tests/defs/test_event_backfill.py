"""Weeks of events that are back-filled: counts close, nothing goes out, and made again they are the same bytes."""

import os
import random
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from engage_assets.domain.registrations import Register, Seats
from engage_assets_tests.defs.event_worlds import EVE, KEY, MONDAY, PROGRAM, batch_instant, make_event_home
from engage_assets_tests.defs.homes import at, digests

SUMMER = date(2026, 7, 6)
"""A Monday of which twelve weeks are over."""


def backfill(home: Path, mondays: list[date], now: datetime) -> None:
    """Make partitions long after their time, as a backfill does."""
    launcher = at(home, now)
    program = launcher.program(PROGRAM)
    for monday in mondays:
        launcher.run_partition(program, monday, jobs=["batch"], tags={"dagster/backfill": "a-test"})


def of_batches(home: Path) -> dict[str, str]:
    """Digests of what the program's partitions hold."""
    return {name: one for name, one in digests(home / "lake" / KEY).items() if not name.split("/")[-1].startswith(".")}


def check_counts(home: Path, monday: date) -> Counter[str]:
    """Every input record has one reason, and what is listed is on a list."""
    frames = {
        name: pl.read_parquet(home / "lake" / KEY / name / f"{monday}.parquet")
        for name in ("raw_customer_profiles", "decisions", "email_list", "email_campaigns", "in_app_banners")
    }
    decisions = frames["decisions"]
    assert decisions["record_id"].is_unique().all()
    assert sorted(decisions["record_id"]) == sorted(frames["raw_customer_profiles"]["record_id"])
    assert decisions["reason"].null_count() == 0
    listed = set(decisions.filter(reason="LISTED")["record_id"])
    assert set(frames["email_list"]["record_id"]) | set(frames["in_app_banners"]["record_id"]) == listed
    assert frames["email_campaigns"].height == frames["email_list"].height
    assert frames["email_list"].group_by("customer_id").agg(pl.col("subject_id").n_unique())["subject_id"].max() <= 2
    return Counter(decisions["reason"])


def nothing_went_out(home: Path, now: datetime) -> None:
    parts = at(home, now).parts
    assert not list((home / "outbox").rglob("*")), "a backfill wrote a message"
    assert parts["ledger"].send_events(None, now + timedelta(days=400)).is_empty(), "a backfill planned or sent"
    assert not parts["outbox"].waiting(["notice"], 10)


def run(root: Path, weeks: int, customers: int, repeated: int, first: date = MONDAY) -> None:
    eve = EVE + (first - MONDAY)
    home = make_event_home(root, weeks=weeks, customers=customers, history_weeks=max(8, weeks), eve=eve)
    mondays = [first + timedelta(days=7 * week) for week in range(weeks - 1)]
    later = batch_instant(mondays[-1]) + timedelta(days=20)
    backfill(home, mondays, later)
    total = sum((check_counts(home, monday) for monday in mondays), Counter[str]())
    assert total["LISTED"] > 0
    assert {"INTEREST_LOW", "REGION", "OPTED_OUT", "ACCOUNT_STATUS", "DUPLICATE"} <= total.keys()
    before = of_batches(home)
    nothing_went_out(home, later)

    # What happens afterwards changes no past partition, in whatever order they are made again.
    seats = Seats(PROGRAM, "e-20991231-1", 5, later + timedelta(days=9))
    at(home, later).parts["registrations"].take([Register(seats, "somebody", "DE")], later)
    again = random.Random(1).sample(mondays, repeated)
    backfill(home, again, later + timedelta(days=30))
    assert of_batches(home) == before
    assert not list((home / "outbox").rglob("*"))


def test_two_weeks_back_filled_close_send_nothing_and_are_the_same_again(tmp_path):
    run(tmp_path, weeks=3, customers=250, repeated=1)


@pytest.mark.soak
def test_twelve_weeks_back_filled_close_send_nothing_and_are_the_same_again(tmp_path):
    run(tmp_path, weeks=13, customers=int(os.environ.get("ENGAGE_SOAK_GUESTS", "2000")), repeated=12, first=SUMMER)
