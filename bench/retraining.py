"""Train on many examples: seconds, memory, and how good the model is beside its baseline.

usage: python bench/retraining.py [EXAMPLES]
Ten features, of which two are categories and some are null; answers follow from them and from what no feature shows.
"""

import sys
import time
from datetime import date, datetime

import measure
import numpy as np
import polars as pl

from engage_assets.domain.program import ScoringModel
from engage_assets.scoring.gate import judge
from engage_assets.scoring.training import train

NUMBERS = ("engagement", "history", "trust", "price", "rating_count", "recency", "visits", "noise")
TEXTS = ("category", "brand")


def examples_of(rows: int) -> pl.DataFrame:
    """Examples of 150 days; about 9 % answer."""
    rng = np.random.default_rng(1)
    numbers = {name: rng.standard_normal(rows) for name in NUMBERS}
    category, brand = rng.integers(0, 20, rows), rng.zipf(1.6, rows).clip(max=400)
    log_odds = (
        -3.2
        + 0.8 * numbers["engagement"]
        + 0.6 * np.abs(numbers["history"])
        + 0.4 * numbers["trust"] * (category % 3 == 0)
        - 0.3 * np.maximum(numbers["price"], 0)
        + 0.5 * (category % 5 == 1)
        + 0.5 * rng.standard_normal(rows)
    )
    days = np.sort(rng.integers(0, 150, rows))
    frame = pl.DataFrame(
        {
            "customer_id": [f"c{number}" for number in rng.integers(0, rows // 3, rows)],
            "subject_id": [f"p{number}" for number in range(rows)],
            "day": days,
            "label": rng.random(rows) < 1 / (1 + np.exp(-log_odds)),
            "is_exploration": rng.random(rows) < 0.05,
            **numbers,
            "category": [f"category {number}" for number in category],
            "brand": [f"brand {number}" for number in brand],
        }
    )
    unknown = pl.Series(rng.random(rows) < 0.1)
    return frame.with_columns(
        as_of=pl.lit(datetime.fromisoformat("2026-01-01T02:00")) + pl.duration(days=pl.col("day")),
        trust=pl.when(~unknown).then("trust"),
        category=pl.when(~unknown).then("category"),
    ).drop("day")


def main(rows: int) -> None:
    model = ScoringModel(model_id="bench", endpoint="local://bench", features=(*NUMBERS, *TEXTS))
    examples = examples_of(rows)
    began = time.perf_counter()
    trained = train(model, examples, as_of=date(2026, 7, 1))
    fitted = time.perf_counter()
    verdict = judge(trained, None, examples, metric=model.metric)
    judged = time.perf_counter()
    keys = ("roc_auc", "calibration_error", "baseline_roc_auc", "baseline_calibration_error", "exploration_roc_auc")
    measure.report(
        examples=rows,
        train_seconds=round(fitted - began, 1),
        judge_seconds=round(judged - fitted, 1),
        deploy=verdict.deploy,
        **{key: trained.metrics[key] for key in keys},
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
