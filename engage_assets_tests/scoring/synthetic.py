"""Seeded examples with a real signal, and models trained on them."""

from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from engage_assets.domain.program import ScoringModel
from engage_assets.scoring.trained_model import TrainedModel
from engage_assets.scoring.training import train

AS_OF = date(2026, 3, 1)
KINDS = ("gradient-boosted-trees", "logistic-regression")


def scoring_model(**changes: Any) -> ScoringModel:
    given = {
        "model_id": "review-propensity-v2",
        "endpoint": "local://review-propensity-v2",
        "features": ("engagement_score", "review_history", "trust_score", "category"),
    }
    return ScoringModel(**(given | changes))


def learnable_examples(rows: int = 3000, seed: int = 7) -> pl.DataFrame:
    """Examples whose answers depend on engagement and category; some values are null."""
    random = np.random.default_rng(seed)
    engagement = random.integers(0, 11, rows) / 10
    category = random.choice(["books", "garden", "toys"], rows)
    probability = 0.05 + 0.3 * engagement + 0.25 * (category == "toys")
    start = datetime.fromisoformat("2025-10-01T02:00")
    return pl.DataFrame(
        {
            "customer_id": [f"c{number}" for number in range(rows)],
            "subject_id": [f"p{number}" for number in random.integers(0, 50, rows)],
            "as_of": [start + timedelta(days=int(day)) for day in np.sort(random.integers(0, 100, rows))],
            "label": random.random(rows) < probability,
            "engagement_score": engagement,
            "review_history": random.poisson(2, rows).astype(float),
            "trust_score": [None if value < 0.1 else value for value in random.random(rows)],
            "category": [
                None if value < 0.05 else name for value, name in zip(random.random(rows), category, strict=True)
            ],
        }
    )


@cache
def trained(kind: str = "gradient-boosted-trees") -> TrainedModel:
    return train(scoring_model(kind=kind), learnable_examples(), as_of=AS_OF)
