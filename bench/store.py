"""The candidate store's figures: `store.py put|queries PLACE ROWS`, PLACE a file (made anew by `put`) or a URL.

`put` stores ROWS candidates as one partition: first all new, then unchanged, then all changed. `queries` fills PLACE up
to ROWS candidates in partitions of 200,000, and times what the service asks, with another process writing meanwhile.
"""

import sys
import time
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
from measure import report

DAY, NOW = date(2026, 11, 19), datetime(2026, 11, 20, 2, 45)
PER_CUSTOMER = 5


def candidates(rows: int, first: int = 0, seed: int = 7) -> pl.DataFrame:
    """Scored candidates in random order, five a customer, customers from number `first`."""
    random = np.random.default_rng(seed)
    customers = first + np.arange(rows) // PER_CUSTOMER
    seconds = random.integers(0, 86_400, rows)
    frame = pl.DataFrame({"number": customers, "subject": random.integers(0, 10**6, rows), "seconds": seconds})
    created = datetime(2026, 11, 20, 2)
    probability = random.beta(2, 5, rows).round(6)
    return frame.select(
        customer_id=pl.format("customer-{}", pl.col("number").cast(pl.String).str.zfill(8)),
        marketplace=pl.lit("DE"),
        subject_type=pl.lit("product"),
        subject_id=pl.format("{}-{}", pl.lit("product"), pl.int_range(rows) % PER_CUSTOMER * 10**6 + pl.col("subject")),
        record_id=pl.format("delivery-{}", first * PER_CUSTOMER + pl.int_range(rows)),
        event_at=pl.lit(datetime(2026, 11, 19)) + pl.duration(seconds=pl.col("seconds")),
        time_zone=pl.lit("Europe/Berlin"),
        locale=pl.lit("de-DE"),
        connector_id=pl.lit("athena-deliveries"),
        created_at=pl.lit(created),
        expires_at=pl.lit(created + timedelta(days=30)),
        email_eligible=pl.Series(random.random(rows) < 0.9),
        in_app_eligible=pl.lit(value=True),
        push_eligible=pl.Series(random.random(rows) < 0.3),
        voice_eligible=pl.lit(None, pl.Boolean),
        probability=pl.Series(probability),
        score=pl.Series((probability.argsort().argsort() / rows).round(6)),
        band=pl.lit("high"),
        model_version=pl.lit("review-propensity-v2"),
    ).sample(fraction=1, shuffle=True, seed=seed)
