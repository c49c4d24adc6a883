"""The filter stage of the reviews program as one hand-written Polars script: what our pipeline is measured against.

    .venv/bin/python bench/filter_polars.py WAREHOUSE SENDS PARTITION OUT.parquet

WAREHOUSE holds crm/ and ecommerce/, SENDS one Parquet file of send events a day. Every delivery of the partition
gets its reason (null: accepted), one flag per filter and the customer's quota (null where the contract or the
duplicate stage refused), by the rules and the order of `engage_assets.domain.reasons`. Everything is fixed here:
the program, its marketplaces, thresholds and cap; all optional tables and columns are there, delivery ids are
unique, and no customer has two trust rows of one instant. Prints CPU, wall time, memory and counts as JSON.
"""

import json
import resource
import sys
import time
from datetime import date, datetime, timedelta
from pathlib import Path

BEGAN = time.perf_counter()
import polars as pl  # noqa: E402  the import is part of what is measured

PROGRAM, CHANNEL, CAP = "product-reviews", "email", 3
MARKETPLACES = ["US", "UK", "DE", "FR", "JP"]
FIRST_DAY = datetime.combine(date(2000, 1, 1), datetime.min.time())
PAIR = ["customer_id", "product_id"]
LINE = ["order_id", "product_id"]


def scan(warehouse: Path, table: str) -> pl.LazyFrame:
    return pl.scan_parquet(warehouse / f"{table}.parquet")


def before(column: str, instant: datetime) -> pl.Expr:
    """Null counts as before."""
    return (pl.col(column) <= instant).fill_null(True)


def read_records(warehouse: Path, partition: date, instant: datetime) -> pl.DataFrame:
    """The partition's deliveries with the contract's reason and the customer's own facts."""
    records = (
        scan(warehouse, "ecommerce/deliveries")
        .filter(pl.col("delivery_date") == partition, before("arrived_at", instant))
        .select("delivery_id", "order_id", *PAIR, "status", "delivered_at", "order_value")
    )
    customers = scan(warehouse, "crm/customers").select(
        "customer_id", pl.col("marketplace").is_in(MARKETPLACES).fill_null(False).alias("in_marketplace"), "is_test"
    )
    blank = [pl.col(key).is_null() | (pl.col(key).str.strip_chars() == "") for key in ("order_id", *PAIR)]
    at, value = pl.col("delivered_at"), pl.col("order_value")
    return (
        records.join(customers, on="customer_id", how="left")
        .with_columns(
            reason=pl.when(pl.any_horizontal(blank))
            .then(pl.lit("KEY_MISSING"))
            .when((at > instant) | (at < FIRST_DAY))
            .then(pl.lit("DATE_INVALID"))
            .when((value < 0) | value.is_infinite())
            .then(pl.lit("VALUE_INVALID"))
            .when((pl.col("status") != "COMPLETED").fill_null(True))
            .then(pl.lit("NOT_DELIVERED"))
            .when(pl.col("in_marketplace").is_null())
            .then(pl.lit("UNKNOWN_CUSTOMER"))
            .when(~pl.col("in_marketplace"))
            .then(pl.lit("UNKNOWN_MARKETPLACE"))
        )
        .select("delivery_id", "order_id", *PAIR, "delivered_at", "is_test", "reason")
        .collect()
    )


def mark_duplicates(records: pl.DataFrame, partition: date) -> pl.DataFrame:
    """Of a customer's records of one product the latest counts, then the greatest id."""
    valid = records.lazy().filter(pl.col("reason").is_null())
    repeated = valid.group_by(PAIR).len().filter(pl.col("len") > 1)
    midnight = datetime.combine(partition, datetime.min.time())
    duplicates = (
        valid.join(repeated, on=PAIR, how="semi")
        .sort(pl.col("delivered_at").fill_null(midnight), "delivery_id", descending=True)
        .filter(~pl.struct(PAIR).is_first_distinct())
        .select("delivery_id")
        .collect()["delivery_id"]
    )
    return records.with_columns(
        reason=pl.when(pl.col("delivery_id").is_in(duplicates.implode())).then(pl.lit("DUPLICATE")).otherwise("reason")
    )


def counted_sends(sends: Path, partition: date, instant: datetime, customers: pl.Series) -> pl.LazyFrame:
    """Customer, subject and slot of this program's sends to `customers` that count at the instant."""
    files = sorted(file for file in sends.glob("*.parquet") if file.stem <= partition.isoformat())
    events = (
        pl.scan_parquet(files)
        .filter(pl.col("program") == PROGRAM, pl.col("at") <= instant, pl.col("is_solicitation"))
        .filter(pl.col("customer_id").is_in(customers.implode()))
        .select("send_id", "customer_id", "subject_id", "slot_at", "state")
        .collect()
        .lazy()
    )
    ended = events.filter(pl.col("state").is_in(["failed", "skipped", "held_out"]))
    return (
        events.filter(pl.col("state") == "planned")
        .join(ended, on="send_id", how="anti")
        .select("customer_id", "slot_at", product_id="subject_id")
    )


def judge(warehouse: Path, sends: Path, partition: date, instant: datetime, candidates: pl.LazyFrame) -> pl.LazyFrame:
    """Flags and reason of every candidate."""
    customers, ordered = (candidates.select(key).unique().collect().to_series() for key in ("customer_id", "order_id"))
    orders = (
        scan(warehouse, "ecommerce/orders")
        .select("order_id", "customer_id", pl.col("status").eq("COMPLETED").fill_null(False).alias("completed"))
        .filter(pl.col("order_id").is_in(ordered.implode()))
        .select("order_id", "completed", ordered_by="customer_id")
    )
    lines = candidates.select(LINE)
    bought = scan(warehouse, "ecommerce/order_items").select(LINE).join(lines, on=LINE, how="semi").unique()
    returned = scan(warehouse, "ecommerce/returns").filter(before("returned_at", instant)).select(LINE).unique()
    trust = (
        scan(warehouse, "crm/customer_trust")
        .filter(pl.col("known_at") <= instant)
        .filter(pl.col("customer_id").is_in(customers.implode()))
        .group_by("customer_id")
        .agg(pl.all().sort_by("known_at").last())
    )
    opted_out = (
        scan(warehouse, "crm/opt_outs")
        .filter(
            before("at", instant),
            pl.col("program").eq_missing(PROGRAM) | pl.col("program").is_null(),
            pl.col("channel").eq_missing(CHANNEL) | pl.col("channel").is_null(),
            ~(pl.col("revoked_at") <= instant).fill_null(False),
        )
        .select("customer_id")
        .unique()
    )
    answered = (
        scan(warehouse, "ecommerce/reviews")
        .filter(before("reviewed_at", instant))
        .select(PAIR)
        .join(candidates.select(PAIR), on=PAIR, how="semi")
        .unique()
    )
    counted = counted_sends(sends, partition, instant, customers)
    asked = counted.select(PAIR).join(candidates.select(PAIR), on=PAIR, how="semi").unique()
    used = (
        counted.filter(pl.col("slot_at") > instant - timedelta(days=30))
        .group_by("customer_id")
        .agg(used=pl.col("product_id").n_unique())
    )
    products = scan(warehouse, "ecommerce/products").select("product_id", "is_reviewable")
    true = pl.lit(True)
    trust_score, fraud_score = pl.col("trust_score").fill_nan(None), pl.col("fraud_score").fill_nan(None)
    clauses = {
        "trust": {
            "TEST_ACCOUNT": pl.col("is_test").fill_null(False),
            "CUSTOMER_MISMATCH": (pl.col("ordered_by") != pl.col("customer_id")).fill_null(False),
            "NOT_PURCHASED": pl.col("ordered_by").is_null() | ~pl.col("completed") | pl.col("bought").is_null(),
            "RETURNED": pl.col("returned").is_not_null(),
            "ACCOUNT_STATUS": (pl.col("account_status") != "active").fill_null(True),
            "TRUST_SCORE_LOW": (trust_score < 0.5).fill_null(True),
            "FRAUD_SCORE_HIGH": (fraud_score > 0.5).fill_null(True),
        },
        "eligibility": {
            "ALREADY_ANSWERED": pl.col("answered").is_not_null(),
            "ALREADY_ASKED": pl.col("asked").is_not_null(),
            "SUBJECT_CLOSED": ~pl.col("is_reviewable").fill_null(False),
            "OPTED_OUT": pl.col("opted_out").is_not_null(),
        },
        "frequency_cap": {"FREQUENCY_CAP": pl.col("quota_left") == 0},
    }
    return (
        candidates.join(orders, on="order_id", how="left")
        .join(bought.with_columns(bought=true), on=LINE, how="left")
        .join(returned.with_columns(returned=true), on=LINE, how="left")
        .join(trust, on="customer_id", how="left")
        .join(opted_out.with_columns(opted_out=true), on="customer_id", how="left")
        .join(answered.with_columns(answered=true), on=PAIR, how="left")
        .join(asked.with_columns(asked=true), on=PAIR, how="left")
        .join(products, on="product_id", how="left")
        .join(used, on="customer_id", how="left")
        .with_columns(quota_left=(CAP - pl.col("used").fill_null(0).cast(pl.Int64)).clip(lower_bound=0))
        .select(
            "delivery_id",
            *(pl.any_horizontal(tests.values()).alias(f"refused_by_{name}") for name, tests in clauses.items()),
            pl.coalesce(
                pl.when(test).then(pl.lit(code)) for tests in clauses.values() for code, test in tests.items()
            ).alias("reason"),
            "quota_left",
        )
    )


def main(warehouse: Path, sends: Path, partition: date, out: Path) -> dict[str, int]:
    instant = datetime.combine(partition + timedelta(days=1), datetime.min.time()) + timedelta(hours=2)
    records = mark_duplicates(read_records(warehouse, partition, instant), partition)
    candidates = records.filter(pl.col("reason").is_null()).drop("reason")
    judged = judge(warehouse, sends, partition, instant, candidates.lazy()).collect()
    refused = records.drop_nulls("reason").select("delivery_id", "reason")
    decided = pl.concat([judged, refused], how="diagonal").rename({"delivery_id": "record_id"}).sort("record_id")
    decided.write_parquet(out)
    return dict(decided["reason"].fill_null("ACCEPTED").value_counts().sort("reason").iter_rows())


if __name__ == "__main__":
    counts = main(Path(sys.argv[1]), Path(sys.argv[2]), date.fromisoformat(sys.argv[3]), Path(sys.argv[4]))
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    figures = {
        "cpu_seconds": round(sum(one.ru_utime + one.ru_stime for one in used), 3),
        "wall_seconds": round(time.perf_counter() - BEGAN, 3),
        "max_rss_mib": max(one.ru_maxrss for one in used) // 1024,
        "records": sum(counts.values()),
        "reasons": counts,
    }
    print(json.dumps(figures))
