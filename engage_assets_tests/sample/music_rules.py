"""The documented reasons of contract, duplicate and trust for plays, row by row in plain Python: a second opinion."""

import statistics
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from itertools import pairwise

import polars as pl

from engage_assets_tests.sample.rules import batch_instant

PROGRAM_MARKETPLACES = {"US", "UK", "DE", "FR", "JP", "IN"}


def reasons(tables: dict[str, pl.DataFrame], partition: date) -> Counter[str]:
    """Count the records of a partition by reason, as far as the trust filter; the rest is "accepted"."""
    now = batch_instant(partition)
    ask = Trust(tables, now)
    seen: Counter[str] = Counter()
    rivals: dict[tuple[str, str], int] = Counter()
    near = tables["track_plays"].filter(
        pl.col("arrived_at").is_null() | pl.col("arrived_at").is_between(now - timedelta(days=2), now)
    )
    for row in near.iter_rows(named=True):
        if is_record_of(row, partition):
            reason = contract(row, now, ask.marketplace)
            seen[reason or ""] += 1
            if not reason:
                rivals[row["listener_id"], row["track_id"]] += 1
    del seen[""]
    for (listener, _), rows in rivals.items():
        seen["DUPLICATE"] += rows - 1
        seen[ask.reason(listener) or "accepted"] += 1
    return +seen


def is_record_of(row: dict, partition: date) -> bool:
    """Whether the query selects a row, and this partition's batch reads it."""
    if row["track_release_date"] is None or row["track_release_date"] < partition - timedelta(days=6):
        return False
    if row["completion_rate"] is None or row["completion_rate"] < 0.95:
        return False
    now, before = batch_instant(partition), batch_instant(partition - timedelta(days=1))
    came, at = row["arrived_at"], instant_of(row)
    in_window = came is not None and before < came <= now
    if at is None or at.year < 2000 or (came is not None and at.date() > came.date() + timedelta(days=1)):
        return in_window
    if at.date() == partition:
        return came is None or came <= now
    return partition - timedelta(days=2) <= at.date() < partition and in_window


def instant_of(row: dict) -> datetime | None:
    try:
        return datetime.fromisoformat(row["played_at"] or "")
    except ValueError:
        return None


def contract(row: dict, now: datetime, marketplace: dict[str, str]) -> str | None:
    if any(row[key] is None or not row[key].strip() for key in ("listener_id", "track_id")):
        return "KEY_MISSING"
    at = instant_of(row)
    if at is None or at.year < 2000 or at > now or row["track_release_date"] > now.date():
        return "DATE_INVALID"
    shares = [row["completion_rate"], row["engagement_score"]]
    if (row["play_count"] or 0) < 1 or any(one is not None and (one < 0 or one > 1) for one in shares):
        return "VALUE_INVALID"
    if row["listener_id"] not in marketplace:
        return "UNKNOWN_CUSTOMER"
    return None if marketplace[row["listener_id"]] in PROGRAM_MARKETPLACES else "UNKNOWN_MARKETPLACE"


class Trust:
    """The trust filter's clauses at one instant."""

    def __init__(self, tables: dict[str, pl.DataFrame], now: datetime):
        customers = tables["customers"]
        self.marketplace = dict(customers.select("customer_id", "marketplace").iter_rows())
        self.tests = set(customers.filter("is_test")["customer_id"])
        known = tables["customer_trust"].filter(pl.col("known_at") <= now).sort("known_at")
        self.trust = {row["customer_id"]: row for row in known.iter_rows(named=True)}
        self.bots = bots(tables, now)

    def reason(self, listener: str) -> str | None:
        trust = self.trust.get(listener, {"account_status": None, "trust_score": None, "fraud_score": None})
        clauses = {
            "TEST_ACCOUNT": listener in self.tests,
            "BOT_ACTIVITY": listener in self.bots,
            "ACCOUNT_STATUS": trust["account_status"] != "active",
            "TRUST_SCORE_LOW": trust["trust_score"] is None or trust["trust_score"] < 0.5,
            "FRAUD_SCORE_HIGH": trust["fraud_score"] is None or trust["fraud_score"] > 0.5,
        }
        return next((code for code, refuses in clauses.items() if refuses), None)


def bots(tables: dict[str, pl.DataFrame], now: datetime) -> set[str]:
    """Who in the 7 days up to `now` played more than 500 times a day, at equal gaps, or on 3 devices at once."""
    since = now - timedelta(days=7)
    days: Counter[tuple[str, date]] = Counter()
    told = pl.col("played_at")  # texts of ISO instants have their order
    recent = tables["track_plays"].filter(told > since.isoformat(), told <= now.isoformat())
    for row in recent.iter_rows(named=True):
        at = instant_of(row)
        if at is not None and row["listener_id"]:
            days[row["listener_id"], at.date()] += row["play_count"] or 0
    found = {listener for (listener, _), count in days.items() if count > 500}
    by_track, by_listener = defaultdict(list), defaultdict(list)
    plays = tables["plays"].filter(pl.col("started_at").is_between(since, now, closed="right"))
    for row in plays.sort("started_at").iter_rows(named=True):
        by_track[row["listener_id"], row["track_id"]].append(row["started_at"].timestamp())
        by_listener[row["listener_id"]].append(row)
    for (listener, _), starts in by_track.items():
        gaps = [later - earlier for earlier, later in pairwise(starts)]
        if len(starts) >= 20 and statistics.pstdev(gaps) < 1:
            found.add(listener)
    for listener, rows in by_listener.items():
        going: list[dict] = []
        for row in rows if len({row["device_id"] for row in rows}) >= 3 else []:
            going = [one for one in going if one["ended_at"] > row["started_at"]] + [row]
            if len({one["device_id"] for one in going}) >= 3:
                found.add(listener)
    return found
