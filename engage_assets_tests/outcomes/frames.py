"""Decisions, sends and what came back, and the engines that they are measured on."""

from datetime import date, datetime

import duckdb
import narwhals as nw
import polars as pl

from engage_assets.domain.tables import DECISIONS, INTERACTIONS_LOG, OUTCOMES, RESPONSES_LOG, SENDS_LOG

PARTITION = date(2026, 11, 20)
NIGHT = date(2026, 11, 21)
_DUCKDB = duckdb.connect()
_DUCKDB.execute("SET TimeZone = 'UTC'")


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


def campaign(partition: date = PARTITION, marketplace: str = "US") -> str:
    return f"product-reviews:email:{partition}:{marketplace}"


def sends(*events: tuple, campaign: str = campaign(), **columns: str) -> pl.DataFrame:
    """SENDS_LOG out of (send, state, instant, reason or nothing); `columns` replace what all rows share."""
    shared = {
        "program": "product-reviews",
        "campaign_id": campaign,
        "customer_id": "c-1",
        "subject_id": "p-1",
        "channel": "email",
        "is_solicitation": True,
    }
    rows = [
        {"send_id": send, "state": state, "at": datetime.fromisoformat(at), "reason": reason[0] if reason else None}
        for send, state, at, *reason in events
    ]
    return pl.DataFrame([shared | row | columns for row in rows], schema=SENDS_LOG.schema)


def interactions(*events: tuple) -> pl.DataFrame:
    """INTERACTIONS_LOG out of (send, kind, instant, machine rule or nothing), received as they happen."""
    rows = [
        {
            "event_id": f"e-{number}",
            "send_id": send,
            "kind": kind,
            "at": datetime.fromisoformat(at),
            "received_at": datetime.fromisoformat(at),
            "machine_rule": rule[0] if rule else None,
        }
        for number, (send, kind, at, *rule) in enumerate(events)
    ]
    return pl.DataFrame(rows, schema=INTERACTIONS_LOG.schema)


def responses(*answers: tuple, **columns: object) -> pl.DataFrame:
    """RESPONSES_LOG out of (response, instant, rating) of one customer and subject; `columns` replace values."""
    rows = [
        {
            "response_id": response,
            "version": 1,
            "program": "product-reviews",
            "customer_id": "c-1",
            "subject_id": "p-1",
            "rating": rating,
            "at": datetime.fromisoformat(at),
            "received_at": datetime.fromisoformat(at),
        }
        for response, at, rating in answers
    ]
    return pl.DataFrame([row | columns for row in rows], schema=RESPONSES_LOG.schema)


def outcome_rows(*rows: dict) -> pl.DataFrame:
    """OUTCOMES of messages sent to US that nobody touched, each with other columns."""
    untouched = dict.fromkeys(("human_opens", "machine_opens", "human_clicks", "machine_clicks"), 0)
    shared = {"marketplace": "US", "channel": "email", "outcome": "sent", **untouched}
    return pl.DataFrame([shared | row for row in rows], schema=OUTCOMES.schema)


def on_polars(frame: pl.DataFrame) -> nw.LazyFrame:
    return nw.from_native(frame.lazy())


def on_duckdb(frame: pl.DataFrame) -> nw.LazyFrame:
    return nw.from_native(_DUCKDB.from_arrow(frame.to_arrow()))


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
