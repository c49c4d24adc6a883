"""What scoring costs beside the bare estimator, and what a score cache costs.

usage: python bench/scoring.py [ROWS]
ROWS (default 200,000) rows of 20 features, three of them texts, scored by trees. `direct` calls the fitted trees on
the matrix that is already prepared, and calibrates; ours takes the frame of features, checks its schema, prepares
and predicts, and ranks. Medians of interleaved rounds; a cache in an empty file on this disk.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import measure
import numpy as np
import polars as pl

TEXTS, NUMBERS, EXAMPLES, ROUNDS = 3, 17, 60_000, 7
NOW = datetime.fromisoformat("2026-11-20 02:00")
TTL = timedelta(days=7)


def featured(rows: int, seed: int) -> pl.DataFrame:
    """Rows with keys, features and a label; a tenth of the numbers is not known."""
    dice = np.random.default_rng(seed)
    frame: dict[str, Any] = {
        "customer_id": [f"customer-{number:08d}" for number in dice.permutation(rows)],
        "subject_id": [f"product-{number}" for number in dice.integers(0, 50_000, rows)],
    }
    for place in range(NUMBERS):
        values = dice.gamma(2.0, 10.0, rows).round(2)
        frame[f"number_{place}"] = pl.Series(values).set(pl.Series(dice.random(rows) < 0.1), None)
    for place, kinds in enumerate((12, 40, 90)):
        frame[f"text_{place}"] = [f"kind-{number}" for number in dice.integers(0, kinds, rows)]
    chance = 1 / (1 + np.exp(3 - frame["number_0"].fill_null(0).to_numpy() / 10))
    frame["label"] = dice.random(rows) < chance
    start = datetime.fromisoformat("2026-06-01 02:00")
    frame["as_of"] = [start + timedelta(days=int(day)) for day in dice.integers(0, 120, rows)]
    return pl.DataFrame(frame)


def timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall seconds, CPU seconds, result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def median(runs: list[tuple[float, float, Any]], place: int) -> float:
    return round(statistics.median(run[place] for run in runs), 3)


def compared(model: Any, rows: pl.DataFrame) -> dict[str, Any]:
    """Our scoring beside the estimator on the prepared matrix, in turns."""
    from engage_assets.scoring.local import LocalScorer, fitted_pipeline
    from engage_assets.scoring.trained_model import inputs

    scorer = LocalScorer(model)
    pipeline, calibrator = fitted_pipeline(model)
    columns, trees = pipeline[:-1], pipeline[-1]
    matrix = columns.transform(inputs(rows, model.features, model.texts))
    ours, direct = [], []
    for _ in range(ROUNDS):
        direct.append(timed(lambda: calibrator.predict(trees.decision_function(matrix))))
        ours.append(timed(lambda: scorer.score(rows)))
    assert np.array_equal(np.round(direct[0][2], 6), ours[0][2]["probability"].to_numpy())
    return {
        "rows": rows.height,
        "features": len(model.features),
        "ours": {"wall": median(ours, 0), "cpu": median(ours, 1)},
        "direct": {"wall": median(direct, 0), "cpu": median(direct, 1)},
        "ratio_wall": round(median(ours, 0) / median(direct, 0), 2),
        "ratio_cpu": round(median(ours, 1) / median(direct, 1), 2),
    }


def cached(model: Any, rows: pl.DataFrame) -> dict[str, Any]:
    """Writing and reading the cache: the scorer behind it is asked for all rows, then for none."""
    from engage_assets.scoring.cached import CachingScorer, features_hash
    from engage_assets.scoring.local import LocalScorer
    from engage_assets.stores.score_cache import SqliteScoreCache

    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder) / "scores.db"
        scorer = CachingScorer(LocalScorer(model), SqliteScoreCache(path), lambda: NOW, TTL)
        hashing = timed(lambda: features_hash(rows, model.features))
        all_missed, all_hit = timed(lambda: scorer.score(rows)), timed(lambda: scorer.score(rows))
        assert all_missed[2].equals(all_hit[2])
        assert scorer.hits == scorer.misses == rows.height
        return {
            "hash": {"wall": round(hashing[0], 2), "cpu": round(hashing[1], 2)},
            "all_missed": {"wall": round(all_missed[0], 2), "cpu": round(all_missed[1], 2)},
            "all_hit": {"wall": round(all_hit[0], 2), "cpu": round(all_hit[1], 2)},
            "mib": round(path.stat().st_size / 2**20),
        }


def main() -> None:
    """Run both."""
    from engage_assets.domain.program import ScoringModel
    from engage_assets.scoring.training import train

    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    examples = featured(EXAMPLES, seed=1)
    names = tuple(name for name in examples.columns if name.startswith(("number_", "text_")))
    spec = ScoringModel(model_id="bench", endpoint="local://bench", features=names)
    model = train(spec, examples, as_of=date(2026, 11, 1))
    given = featured(rows, seed=2)
    measure.report(**compared(model, given), cache=cached(model, given))


if __name__ == "__main__":
    main()
