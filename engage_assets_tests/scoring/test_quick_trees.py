"""Quick trees give scikit-learn's own numbers, bit by bit, and take no trees that they cannot."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from engage_assets.scoring.pipelines import calibrated
from engage_assets.scoring.quick_trees import quick

NUMBERS, ROWS = ["a", "b", "c"], 300
MISSING = {"a": 0.0, "b": 0.3, "c": 0.02}
"""Shares; what is missing goes to either side, and in `a` none was met."""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with threadpool_limits({"openmp": 1}):
        yield


def fitted(kind, seed, **settings):
    random = np.random.default_rng(seed)
    values = {name: random.integers(-9, 10, ROWS) / 4 for name in NUMBERS}
    rows = pl.DataFrame(
        {
            name: pl.Series(np.where(random.random(ROWS) < MISSING[name], np.nan, values[name])).fill_nan(None)
            for name in NUMBERS
        }
        | {"text": random.choice(["x", "y", "z"], ROWS)}
    )
    pull = values["a"] - np.where(rows["b"].is_null(), 2, values["b"]) * values["c"]
    model = calibrated(kind, ["text"], NUMBERS, settings)
    return model.fit(rows.select("text", *NUMBERS), pull + random.normal(size=ROWS) > 0)


@pytest.fixture(scope="module")
def models():
    return [
        fitted("gradient-boosted-trees", seed, maxIterations=6, minSamplesPerLeaf=5, maxLeaves=leaves)
        for seed, leaves in enumerate((2, 5, 8))
    ]


VALUES = st.one_of(st.integers(-40, 40).map(lambda number: number / 16), st.sampled_from([None, 1e300, -0.0]))


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from(["x", "y", "new", None]), VALUES, VALUES, VALUES), min_size=1, max_size=30)
)
def test_not_a_bit_differs(models, rows):
    schema = {"text": pl.String, **dict.fromkeys(NUMBERS, pl.Float64)}
    given_rows = pl.DataFrame(rows, schema=schema, orient="row")
    for model in models:
        quicker = quick(model)
        assert quicker is not model
        assert quicker.predict_proba(given_rows).tobytes() == model.predict_proba(given_rows).tobytes()


def test_thresholds_themselves_go_left(models):
    for model in models:
        trees = model.calibrated_classifiers_[0].estimator[-1]
        nodes = np.concatenate([one[0].nodes for one in trees._predictors])
        edges = nodes[nodes["is_leaf"] == 0]["num_threshold"]
        near = np.concatenate([edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)])
        rows = pl.DataFrame({"text": ["x"] * len(near), **dict.fromkeys(NUMBERS, near)})
        assert quick(model).predict_proba(rows).tobytes() == model.predict_proba(rows).tobytes()


def test_the_model_itself_stays_as_it_is(models):
    trees = models[0].calibrated_classifiers_[0].estimator[-1]
    before = dict(vars(trees))
    quick(models[0])
    assert vars(trees) == before


@pytest.mark.parametrize(
    "model",
    [
        ("logistic-regression", {}),
        ("gradient-boosted-trees", {"maxLeaves": 9, "minSamplesPerLeaf": 5, "maxIterations": 2}),
    ],
)
def test_what_it_cannot_take_is_left_to_scikit_learn(model):
    kind, more = model
    found = fitted(kind, 0, **more)
    assert quick(found) is found
