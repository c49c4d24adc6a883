"""Decisions and sends that tests of outcomes measure, and the engines that they are measured on."""

from datetime import date, datetime

import duckdb
import narwhals as nw
import polars as pl

from engage_assets.domain.tables import DECISIONS, SENDS_LOG

PARTITION = date(2026, 11, 20)
NIGHT = date(2026, 11, 21)


def decisions(*rows: tuple) -> pl.DataFrame:
    """DECISIONS out of (stage, reason, marketplace, score); what is listed is listed for e-mail."""
    return pl.DataFrame(
        [
            {
                "program": "product-reviews",
                "partition_date": PARTITION,
                "record_id": f"d-{number}",
                "customer_id": f"c-{number}",
                "subject_id": "p-1",
                "marketplace": marketplace,
                "stage": stage,
                "reason": reason,
                "channels": "email" if reason == "LISTED" else None,
                "probability": score and score / 5,
                "score": score,
                "threshold": 0.7,
                "config_hash": "192e992d0702",
                "model_version": "review-propensity-v2-1",
            }
            for number, (stage, reason, marketplace, score) in enumerate(rows)
        ],
        schema=DECISIONS.schema,
    )


def sends(*events: tuple[str, str, str], campaign: str = "product-reviews:email:2026-11-20:US") -> pl.DataFrame:
    """SENDS_LOG out of (send, state, instant)."""
    return pl.DataFrame(
        [
            {"send_id": send, "campaign_id": campaign, "state": state, "at": datetime.fromisoformat(at)}
            for send, state, at in events
        ],
        schema=SENDS_LOG.schema,
    )


def on_polars(frame: pl.DataFrame) -> nw.LazyFrame:
    return nw.from_native(frame.lazy())


def on_duckdb(frame: pl.DataFrame) -> nw.LazyFrame:
    return nw.from_native(duckdb.connect().from_arrow(frame.to_arrow()))


A_DAY = decisions(
    ("contract", "KEY_MISSING", None, None),
    ("duplicate", "DUPLICATE", "DE", None),
    ("trust", "RETURNED", "DE", None),
    ("eligibility", "OPTED_OUT", "US", None),
    ("frequency-cap", "FREQUENCY_CAP", "US", None),
    ("score", "NOT_SCORED", "US", None),
    ("list", "BELOW_MIN_SCORE", "US", 0.399999),
    ("list", "FREQUENCY_CAP", "DE", 0.7),
    ("list", "LISTED", "DE", 0.700001),
    ("list", "LISTED", "US", 1.0),
)
