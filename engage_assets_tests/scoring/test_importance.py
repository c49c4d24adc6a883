import numpy as np
import polars as pl
import pytest

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.importance import permutation_importance

RANDOM = np.random.default_rng(5)
ROWS = pl.DataFrame(
    {
        "strong": RANDOM.random(3000),
        "weak": RANDOM.random(3000),
        "idle": RANDOM.random(3000),
        "text": ["a", None, "b"] * 1000,
    }
)
LABELS = RANDOM.random(3000) < 0.1 + 0.5 * ROWS["strong"].to_numpy() + 0.2 * ROWS["weak"].to_numpy()


def predict(rows):
    return rows.select(pl.col("strong") + 0.4 * pl.col("weak")).to_series().to_numpy()


def importance(features=("idle", "weak", "strong", "text"), **changes):
    return permutation_importance(predict, ROWS, LABELS, features, **({"seed": 1} | changes))


def test_features_rank_by_what_they_are_worth():
    found = importance()
    assert [one.feature for one in found] == ["strong", "weak", "idle", "text"]
    assert found[0].loss > 0.1 > found[1].loss > 2 * found[1].spread
    assert [(one.loss, one.spread) for one in found[2:]] == [(0, 0)] * 2


def test_the_seed_decides_and_the_order_of_the_features_does_not():
    assert importance() == importance(("text", "strong", "idle", "weak"))
    assert importance() != importance(seed=2)


def test_labels_of_one_class_are_refused():
    with pytest.raises(ModelError, match="cannot be measured: 0 of 3000 rows are answered"):
        permutation_importance(predict, ROWS, np.zeros(3000, dtype=bool), ["strong"], seed=1)
