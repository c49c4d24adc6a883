"""The filter stage of the reviews program in pandas: the same result as `filter_polars.py`, row by row.

    .venv/bin/python bench/filter_pandas.py WAREHOUSE SENDS PARTITION OUT.parquet

Same arguments, output, rules and assumptions; prints CPU, wall time, memory and counts as JSON.
"""

import json
import resource
import sys
import time
from datetime import date
from pathlib import Path

BEGAN = time.perf_counter()
import numpy as np  # noqa: E402  the imports are part of what is measured
import pandas as pd  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.compute as pc  # noqa: E402

PROGRAM, CHANNEL, CAP = "product-reviews", "email", 3
MARKETPLACES = ["US", "UK", "DE", "FR", "JP"]
PAIR = ["customer_id", "product_id"]
LINE = ["order_id", "product_id"]


def read(warehouse: Path, table: str, *columns: str) -> pd.DataFrame:
    return pd.read_parquet(warehouse / f"{table}.parquet", columns=list(columns))


def before(column: pd.Series, instant: pd.Timestamp) -> pd.Series:
    """Null counts as before."""
    return ~(column > instant)


def inside(column: pd.Series, keys: pd.Series) -> np.ndarray:
    """`column.isin(keys)`, which for strings turns every key into a Python object, on Arrow's own arrays."""
    return pc.is_in(pa.array(column), value_set=pa.array(keys), skip_nulls=True).to_numpy(zero_copy_only=False)


def first_of(tests: dict[str, np.ndarray], rows: int) -> np.ndarray:
    """The code of the first test that holds, None where none does."""
    found = np.full(rows, None, dtype=object)
    for code, holds in reversed(tests.items()):
        found[holds] = code
    return found


def among(frame: pd.DataFrame, keys: list[str], others: pd.DataFrame) -> np.ndarray:
    """Whether each row's keys occur in `others`."""
    known = others[keys].drop_duplicates().assign(known=True)
    return frame[keys].merge(known, on=keys, how="left")["known"].notna().to_numpy()


def read_records(warehouse: Path, partition: date, instant: pd.Timestamp) -> pd.DataFrame:
    """The partition's deliveries with the reason of the contract or the duplicate stage."""
    columns = ["delivery_id", "order_id", *PAIR, "status", "delivered_at", "order_value"]
    table = read(warehouse, "ecommerce/deliveries", *columns, "delivery_date", "arrived_at")
    of_day = (table["delivery_date"] == partition) & before(table["arrived_at"], instant)
    records = table.loc[of_day, columns].reset_index(drop=True)
    customers = read(warehouse, "crm/customers", "customer_id", "marketplace", "is_test")
    customers = customers[inside(customers["customer_id"], records["customer_id"])].assign(known=True)
    records = records.merge(customers, on="customer_id", how="left")
    keys = [records[key] for key in ("order_id", *PAIR)]
    at, value = records["delivered_at"], records["order_value"]
    contract = {
        "KEY_MISSING": np.logical_or.reduce([key.isna() | (key.str.strip() == "") for key in keys]),
        "DATE_INVALID": ((at > instant) | (at < pd.Timestamp(2000, 1, 1))).to_numpy(),
        "VALUE_INVALID": ((value < 0) | np.isinf(value)).to_numpy(),
        "NOT_DELIVERED": ~records["status"].eq("COMPLETED").to_numpy(dtype=bool, na_value=False),
        "UNKNOWN_CUSTOMER": records["known"].isna().to_numpy(),
        "UNKNOWN_MARKETPLACE": ~records["marketplace"].isin(MARKETPLACES).to_numpy(),
    }
    records["reason"] = first_of(contract, len(records))
    valid = records[records["reason"].isna()]
    repeated = valid[valid.duplicated(PAIR, keep=False)]
    rank = repeated.assign(delivered_at=repeated["delivered_at"].fillna(pd.Timestamp(partition)))
    rank = rank.sort_values(["delivered_at", "delivery_id"])
    records.loc[rank.index[rank.duplicated(PAIR, keep="last")], "reason"] = "DUPLICATE"
    return records


def read_counted_sends(sends: Path, partition: date, instant: pd.Timestamp, customers: pd.Series) -> pd.DataFrame:
    """Customer, subject and slot of this program's sends to `customers` that count at the instant."""
    columns = ["send_id", "customer_id", "subject_id", "slot_at", "program", "state", "at", "is_solicitation"]
    parts = []
    for file in sorted(sends.glob("*.parquet")):
        if file.stem <= partition.isoformat():
            day = pd.read_parquet(file, columns=columns)
            counts = (day["program"] == PROGRAM) & (day["at"] <= instant) & day["is_solicitation"]
            parts.append(day.loc[counts & inside(day["customer_id"], customers), columns[:6]])
    events = pd.concat(parts)
    ended = events.loc[events["state"].isin(["failed", "skipped", "held_out"]), "send_id"]
    planned = events[(events["state"] == "planned") & ~inside(events["send_id"], ended)]
    return planned.rename(columns={"subject_id": "product_id"})[[*PAIR, "slot_at"]]


def judge(
    warehouse: Path, sends: Path, partition: date, instant: pd.Timestamp, candidates: pd.DataFrame
) -> pd.DataFrame:
    """Flags and reason of every candidate."""
    rows, customers = len(candidates), pd.Series(candidates["customer_id"].unique())
    orders = read(warehouse, "ecommerce/orders", "order_id", "customer_id", "status")
    orders = orders[inside(orders["order_id"], candidates["order_id"])].set_index("order_id")
    orders = orders.reindex(candidates["order_id"])
    nobody = orders["customer_id"].isna().to_numpy()
    others = ~nobody & (orders["customer_id"].to_numpy() != candidates["customer_id"].to_numpy())
    completed = orders["status"].eq("COMPLETED").to_numpy(dtype=bool, na_value=False)
    items = read(warehouse, "ecommerce/order_items", *LINE)
    items = items[inside(items["order_id"], candidates["order_id"])]
    returns = read(warehouse, "ecommerce/returns", *LINE, "returned_at")
    returns = returns[before(returns["returned_at"], instant)]
    trust = read(
        warehouse, "crm/customer_trust", "customer_id", "known_at", "account_status", "trust_score", "fraud_score"
    )
    trust = trust[(trust["known_at"] <= instant) & inside(trust["customer_id"], customers)]
    trust = trust.sort_values("known_at").drop_duplicates("customer_id", keep="last").set_index("customer_id")
    trust = trust.reindex(candidates["customer_id"])
    opt_outs = read(warehouse, "crm/opt_outs", "customer_id", "at", "program", "channel", "revoked_at")
    opt_outs = opt_outs[
        before(opt_outs["at"], instant)
        & (opt_outs["program"].isna() | (opt_outs["program"] == PROGRAM))
        & (opt_outs["channel"].isna() | (opt_outs["channel"] == CHANNEL))
        & ~(opt_outs["revoked_at"] <= instant)
    ]
    reviews = read(warehouse, "ecommerce/reviews", *PAIR, "reviewed_at")
    reviews = reviews[before(reviews["reviewed_at"], instant) & inside(reviews["customer_id"], customers)]
    products = read(warehouse, "ecommerce/products", "product_id", "is_reviewable").set_index("product_id")
    reviewable = products["is_reviewable"].reindex(candidates["product_id"])
    counted = read_counted_sends(sends, partition, instant, customers)
    recent = counted.loc[counted["slot_at"] > instant - pd.Timedelta(days=30), PAIR].drop_duplicates()
    used = recent.groupby("customer_id").size().reindex(candidates["customer_id"], fill_value=0).to_numpy()
    quota_left = np.maximum(CAP - used, 0)
    # NaN >= 0.5 is false: an unknown score refuses.
    stages = {
        "trust": {
            "TEST_ACCOUNT": candidates["is_test"].eq(True).to_numpy(dtype=bool, na_value=False),
            "CUSTOMER_MISMATCH": others,
            "NOT_PURCHASED": nobody | ~completed | ~among(candidates, LINE, items),
            "RETURNED": among(candidates, LINE, returns),
            "ACCOUNT_STATUS": ~trust["account_status"].eq("active").to_numpy(dtype=bool, na_value=False),
            "TRUST_SCORE_LOW": ~(trust["trust_score"] >= 0.5).to_numpy(),
            "FRAUD_SCORE_HIGH": ~(trust["fraud_score"] <= 0.5).to_numpy(),
        },
        "eligibility": {
            "ALREADY_ANSWERED": among(candidates, PAIR, reviews),
            "ALREADY_ASKED": among(candidates, PAIR, counted),
            "SUBJECT_CLOSED": ~reviewable.eq(True).to_numpy(dtype=bool, na_value=False),
            "OPTED_OUT": inside(candidates["customer_id"], opt_outs["customer_id"]),
        },
        "frequency_cap": {"FREQUENCY_CAP": quota_left == 0},
    }
    judged = pd.DataFrame({"delivery_id": candidates["delivery_id"].to_numpy()})
    for name, tests in stages.items():
        judged[f"refused_by_{name}"] = pd.array(np.logical_or.reduce(list(tests.values())), dtype="boolean")
    judged["reason"] = first_of({code: test for tests in stages.values() for code, test in tests.items()}, rows)
    judged["quota_left"] = pd.array(quota_left, dtype="Int64")
    return judged


def main(warehouse: Path, sends: Path, partition: date, out: Path) -> dict[str, int]:
    instant = pd.Timestamp(partition) + pd.Timedelta(days=1, hours=2)
    records = read_records(warehouse, partition, instant)
    candidates = records[records["reason"].isna()].reset_index(drop=True)
    judged = judge(warehouse, sends, partition, instant, candidates)
    refused = records.loc[records["reason"].notna(), ["delivery_id", "reason"]]
    decided = pd.concat([judged, refused], ignore_index=True).rename(columns={"delivery_id": "record_id"})
    decided = decided.sort_values("record_id")
    decided.to_parquet(out, index=False)
    return {
        code: int(count) for code, count in decided["reason"].fillna("ACCEPTED").value_counts().sort_index().items()
    }


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
