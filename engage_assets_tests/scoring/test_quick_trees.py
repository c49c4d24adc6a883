"""Quick trees give scikit-learn's own numbers, bit by bit, and take no trees that they cannot."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.pipelines import calibrated
from engage_assets.scoring.plain_trees import plain
from engage_assets.scoring.quick_trees import QuickTrees

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


def quick(model):
    """The trees as they come out of their file."""
    return QuickTrees(json.loads(json.dumps(plain(model))))


def same(model, rows):
    return quick(model).probabilities(rows).tobytes() == model.predict_proba(rows)[:, 1].tobytes()


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from(["x", "y", "new", None]), VALUES, VALUES, VALUES), min_size=1, max_size=30)
)
def test_not_a_bit_differs(models, rows):
    schema = {"text": pl.String, **dict.fromkeys(NUMBERS, pl.Float64)}
    given_rows = pl.DataFrame(rows, schema=schema, orient="row")
    for model in models:
        assert same(model, given_rows)


def test_thresholds_themselves_go_left(models):
    for model in models:
        trees = model.calibrated_classifiers_[0].estimator[-1]
        nodes = np.concatenate([one[0].nodes for one in trees._predictors])
        edges = nodes[nodes["is_leaf"] == 0]["num_threshold"]
        near = np.concatenate([edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)])
        assert same(model, pl.DataFrame({"text": ["x"] * len(near), **dict.fromkeys(NUMBERS, near)}))


@pytest.mark.parametrize("shares", [(0.0, 0.0), (0.4, 0.0), (0.0, 1.0), (0.4, 0.6)])
def test_texts_that_are_rare_or_missing(shares):
    missing, alone = shares  # of two texts: the first has more categories than are told apart
    random = np.random.default_rng(3)
    names = [None if random.random() < missing else f"name {number}" for number in random.zipf(1.3, 2_000) % 400]
    rows = pl.DataFrame(
        {
            "name": names,
            "other": [None if random.random() < alone else "x" for _ in names],
            "a": random.normal(size=len(names)),
        },
        schema={"name": pl.String, "other": pl.String, "a": pl.Float64},
    )
    model = calibrated("gradient-boosted-trees", ["name", "other"], ["a"], {"maxIterations": 5, "maxLeaves": 8})
    model.fit(rows, np.array([len(name or "") > 6 for name in names]) ^ (random.random(len(names)) < 0.2))
    asked = pl.concat([rows, rows.with_columns(name=pl.lit("nobody"), other=pl.lit(""))])
    assert same(model, asked)
    assert quick(model).categories["name"] == sorted({name for name in names if name})


def test_a_split_by_whether_a_number_is_there():
    random = np.random.default_rng(0)
    rows = pl.DataFrame({"a": [None if one < 0.4 else 1.0 for one in random.random(400)]})
    model = calibrated("gradient-boosted-trees", [], ["a"], {"maxIterations": 3, "maxLeaves": 2})
    model.fit(rows, rows["a"].is_null().to_numpy() ^ (random.random(400) < 0.1))
    column, threshold, *_ = plain(model)["trees"][0]
    assert (column, threshold) == (0, None)
    assert same(model, rows)


@pytest.mark.parametrize(
    "model",
    [
        ("logistic-regression", {}),
        ("gradient-boosted-trees", {"maxLeaves": 9, "minSamplesPerLeaf": 5, "maxIterations": 2}),
    ],
)
def test_what_it_cannot_take_is_left_to_scikit_learn(model):
    kind, more = model
    assert plain(fitted(kind, 0, **more)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"trees": [[9, 0.0, True, 1.0, 2.0]]},
        {"trees": [[0, 0.0, True, 1.0]]},
        {"trees": [["a", 0.0, True, 1.0, 2.0]]},
        {"trees": "none"},
        {"baseline": None},
        {"codes": {"text": {}}},
        {"columns": None},
    ],
)
def test_what_are_no_trees_is_refused(models, change):
    with pytest.raises(ModelError, match="no trees as this release writes them"):
        QuickTrees({**plain(models[0]), **change})


def test_a_tree_with_too_many_leaves_is_refused(models):
    tree = 0.0
    for _ in range(8):
        tree = [0, 0.0, True, tree, 1.0]
    with pytest.raises(ModelError):
        QuickTrees({**plain(models[0]), "trees": [tree]})
