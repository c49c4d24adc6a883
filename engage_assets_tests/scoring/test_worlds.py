"""In a world that is known, a model comes near the best that its features allow, and its probabilities come true."""

import secrets

import polars as pl

from engage_assets.scoring.bootstrap import metric_of
from engage_assets.scoring.calibration import MOST_ERROR, calibration_error
from engage_assets.scoring.gate import judge
from engage_assets.scoring.trained_model import inputs, probabilities
from engage_assets.scoring.training import train
from engage_assets_tests.scoring.worlds import AS_OF, MODEL, draw_world


def test_a_model_comes_near_the_best_that_its_features_allow():
    seed = secrets.randbelow(2**32)
    print("world", seed)  # noqa: T201  a world that fails can be drawn again
    examples = draw_world(seed).examples
    model = train(MODEL, examples.drop("best"), as_of=AS_OF)
    later = examples.filter(pl.col("as_of") > model.fitting_end)
    explored = later.filter("is_exploration")
    best = metric_of("roc_auc", explored["label"].to_numpy(), explored["best"].to_numpy())
    assert explored.height == model.metrics["exploration_rows"] > 3000
    assert 0.65 < best < 0.9
    assert model.metrics["exploration_roc_auc"] > best - 0.02
    predicted = probabilities(model.pipeline, inputs(later, model.features, model.texts))
    assert calibration_error(later["label"].to_numpy(), predicted) <= MOST_ERROR
    verdict = judge(model, None, examples, metric="roc_auc")
    assert verdict.deploy, verdict.reasons
