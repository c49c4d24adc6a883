"""One good program and one good candidate; a test changes a field and names the outcome."""

from copy import deepcopy
from datetime import datetime
from typing import Any

import polars as pl

from engage_assets.domain.program import Program
from engage_assets.domain.tables import CANDIDATES, SCORES, VERDICT_COLUMNS, Table, frame_schema
from engage_assets.programs import documented_views

PRODUCT_REVIEWS: dict[str, Any] = {
    "programId": "product-reviews",
    "programName": "E-Commerce Product Reviews",
    "enabled": True,
    "marketplaces": ["US", "UK", "DE", "FR", "JP"],
    "dataConnectors": [
        {
            "connectorId": "athena-deliveries",
            "type": "athena",
            "config": {
                "database": "ecommerce",
                "table": "deliveries",
                "query": "SELECT * FROM deliveries WHERE delivery_date = ?",
            },
        }
    ],
    "scoringModels": [
        {
            "modelId": "review-propensity-v2",
            "endpoint": "sagemaker://review-propensity-v2",
            "features": ["engagement_score", "review_history", "trust_score"],
        }
    ],
    "filterChain": [
        {"filterId": "trust", "type": "trust", "order": 1},
        {"filterId": "eligibility", "type": "eligibility", "order": 2},
        {
            "filterId": "frequency-cap",
            "type": "business-rule",
            "order": 3,
            "parameters": {"maxRequestsPerMonth": 3},
        },
    ],
    "channels": [
        {
            "channelId": "email",
            "type": "email",
            "enabled": True,
            "minScore": 0.7,
            "limit": 50000,
            "config": {"templateId": "review-request-v3", "sendTime": "10:00", "timezone": "local"},
        }
    ],
    "batchSchedule": "cron(0 2 * * ? *)",
    "candidateTTLDays": 30,
}
"""The documented block of the product-reviews program, with the list's minScore and limit spelled out."""

CANDIDATE_COLUMNS = (*CANDIDATES.columns, *VERDICT_COLUMNS, *SCORES)


def instant(text: str) -> datetime:
    """An instant, UTC without a zone attached: `instant("2026-11-20 02:00")`."""
    return datetime.fromisoformat(text)


def a_program(**changes: Any) -> Program:
    """The product-reviews program; `changes` replace top-level keys of the file, in camelCase."""
    program = Program.model_validate(deepcopy(PRODUCT_REVIEWS) | changes)
    served = {view.view: view for view in documented_views().values() if view.serves(program.source_table)}
    views = {**served, **{view.view: view for view in program.feature_views}}
    return program.model_copy(update={"feature_views": tuple(views.values())})


def a_candidate(**changes: Any) -> dict[str, Any]:
    """One accepted and scored candidate of partition 2026-11-19 with every column; `changes` replace columns."""
    row = {
        "record_id": "d-1",
        "customer_id": "c-1",
        "marketplace": "DE",
        "subject_type": "product",
        "subject_id": "p-1",
        "event_at": instant("2026-11-19 14:30"),
        "time_zone": "Europe/Berlin",
        "locale": "de-DE",
        "is_test": False,
        "email_known": True,
        "push_known": False,
        "voice_allowed": None,
        "is_late": False,
        "connector_id": "athena-deliveries",
        "created_at": instant("2026-11-20 02:00"),
        "expires_at": instant("2026-12-20 02:00"),
        "reason": None,
        "quota_left": 3,
        "email_eligible": True,
        "in_app_eligible": False,
        "push_eligible": False,
        "voice_eligible": False,
        "probability": 0.123456,
        "score": 0.8,
        "band": "high",
        "model_version": "review-propensity-v2-1",
    }
    unknown = changes.keys() - row.keys()
    assert not unknown, f"no such column of a candidate: {sorted(unknown)}"
    return row | changes


def candidates(*rows: dict[str, Any]) -> pl.DataFrame:
    """A frame of candidates with the columns' declared types, in the order given."""
    return pl.DataFrame(list(rows), schema=frame_schema(CANDIDATE_COLUMNS))


def a_delivery(**changes: Any) -> dict[str, Any]:
    """One good delivery of partition 2026-11-19 with every declared column; `changes` replace columns."""
    row = {
        "delivery_id": "d-1",
        "order_id": "o-1",
        "customer_id": "c-1",
        "product_id": "p-1",
        "delivery_date": instant("2026-11-19").date(),
        "status": "COMPLETED",
        "delivered_at": instant("2026-11-19 14:30"),
        "order_value": 42.5,
        "arrived_at": instant("2026-11-19 20:00"),
    }
    return _changed(row, changes)


def a_customer(**changes: Any) -> dict[str, Any]:
    """The customer of that delivery with every declared column; `changes` replace columns."""
    row = {
        "customer_id": "c-1",
        "marketplace": "DE",
        "time_zone": "Europe/Vienna",
        "locale": "de-AT",
        "name": "Ada",
        "email": "ada@example.invalid",
        "push_subscription": None,
        "voice_allowed": None,
        "is_test": False,
    }
    return _changed(row, changes)


def rows_of(table: Table, *rows: dict[str, Any]) -> pl.DataFrame:
    """A frame of `table` with the columns' declared types, in the order given."""
    return pl.DataFrame(list(rows), schema=table.schema)


def _changed(row: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    unknown = changes.keys() - row.keys()
    assert not unknown, f"no such column: {sorted(unknown)}"
    return row | changes
