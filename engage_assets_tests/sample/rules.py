"""The documented reasons of contract, duplicate and trust, row by row in plain Python: a second opinion."""

import math
from collections import Counter
from datetime import date, datetime, time, timedelta

import polars as pl

KEYS = ("delivery_id", "order_id", "customer_id", "product_id")
PROGRAM_MARKETPLACES = {"US", "UK", "DE", "FR", "JP"}


def batch_instant(partition: date) -> datetime:
    return datetime.combine(partition + timedelta(days=1), time(2))


def reasons(tables: dict[str, pl.DataFrame], partition: date) -> Counter[str]:
    """Count the records of a partition by reason, as far as the trust filter; the rest is "accepted"."""
    now = batch_instant(partition)
    ask = Trust(tables, now)
    seen: Counter[str] = Counter()
    rivals: dict[tuple[str, str], list[dict]] = {}
    for row in tables["deliveries"].iter_rows(named=True):
        if not is_read_in(row, partition):
            continue
        reason = contract(row, now, ask.marketplace)
        if reason:
            seen[reason] += 1
        else:
            rivals.setdefault((row["customer_id"], row["product_id"]), []).append(row)
    for rows in rivals.values():
        seen["DUPLICATE"] += len(rows) - 1
        survivor = max(rows, key=lambda row: (row["delivered_at"], row["delivery_id"]))
        seen[ask.reason(survivor) or "accepted"] += 1
    return +seen


def is_read_in(row: dict, partition: date) -> bool:
    """Spec: own day up to the batch; of the two days before what came since the last batch; no usable day: arrival."""
    now, before = batch_instant(partition), batch_instant(partition - timedelta(days=1))
    came = row["arrived_at"]
    in_window = came is not None and before < came <= now
    day = day_of(row)
    if day is None or day.year < 2000:
        return in_window
    if came is not None and day > came.date() + timedelta(days=1):
        return in_window  # a future day is refused in the batch of its arrival and not read again
    if day == partition:
        return came is None or came <= now
    return partition - timedelta(days=2) <= day < partition and in_window


def day_of(row: dict) -> date | None:
    try:
        return date.fromisoformat(row["delivery_date"] or "")
    except ValueError:
        return None


def contract(row: dict, now: datetime, marketplace: dict[str, str]) -> str | None:
    if any(row[key] is None or not row[key].strip() for key in KEYS):
        return "KEY_MISSING"
    day = day_of(row)
    instants = [datetime.combine(day, time()) if day else None]
    instants += [row["delivered_at"]] if row["delivered_at"] else []
    if any(at is None or at.year < 2000 or at > now for at in instants):
        return "DATE_INVALID"
    value = row["order_value"]
    if value is not None and not math.isnan(value) and (value < 0 or math.isinf(value)):
        return "VALUE_INVALID"
    if row["status"] != "COMPLETED":
        return "NOT_DELIVERED"
    if row["customer_id"] not in marketplace:
        return "UNKNOWN_CUSTOMER"
    return None if marketplace[row["customer_id"]] in PROGRAM_MARKETPLACES else "UNKNOWN_MARKETPLACE"


class Trust:
    """The trust filter's clauses at one instant."""

    def __init__(self, tables: dict[str, pl.DataFrame], now: datetime):
        customers = tables["customers"]
        self.marketplace = dict(customers.select("customer_id", "marketplace").iter_rows())
        self.tests = set(customers.filter("is_test")["customer_id"])
        self.orders = {row["order_id"]: row for row in tables["orders"].iter_rows(named=True)}
        self.items = set(tables["order_items"].select("order_id", "product_id").iter_rows())
        happened = pl.col("returned_at").is_null() | (pl.col("returned_at") <= now)
        self.returned = set(tables["returns"].filter(happened).select("order_id", "product_id").iter_rows())
        known = tables["customer_trust"].filter(pl.col("known_at") <= now).sort("known_at")
        self.trust = {row["customer_id"]: row for row in known.iter_rows(named=True)}

    def reason(self, row: dict) -> str | None:
        order = self.orders.get(row["order_id"], {"customer_id": None, "status": None})
        line = (row["order_id"], row["product_id"])
        trust = self.trust.get(row["customer_id"], {"account_status": None, "trust_score": None, "fraud_score": None})
        clauses = {
            "TEST_ACCOUNT": row["customer_id"] in self.tests,
            "CUSTOMER_MISMATCH": order["customer_id"] not in (None, row["customer_id"]),
            "NOT_PURCHASED": order["customer_id"] is None or order["status"] != "COMPLETED" or line not in self.items,
            "RETURNED": line in self.returned,
            "ACCOUNT_STATUS": trust["account_status"] != "active",
            "TRUST_SCORE_LOW": trust["trust_score"] is None or trust["trust_score"] < 0.5,
            "FRAUD_SCORE_HIGH": trust["fraud_score"] is None or trust["fraud_score"] > 0.5,
        }
        return next((code for code, refuses in clauses.items() if refuses), None)
