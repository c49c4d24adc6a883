import re
import subprocess
import sys
from datetime import date

import numpy as np
import polars as pl
import pytest

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.calibration import calibration_error
from engage_assets.scoring.pipelines import KINDS as PIPELINE_KINDS
from engage_assets.scoring.trained_model import inputs, probabilities
from engage_assets.scoring.training import data_hash, train
from engage_assets_tests.scoring.synthetic import AS_OF, KINDS, learnable_examples, scoring_model, trained

LINEAR = scoring_model(kind="logistic-regression")


@pytest.mark.parametrize("kind", KINDS)
def test_a_real_signal_is_learned_and_calibrated(kind):
    metrics = trained(kind).metrics
    assert metrics["roc_auc"] > 0.6
    assert metrics["calibration_error"] < 0.06
    constant = metrics["base_rate"] * (1 - metrics["base_rate"])
    assert metrics["brier"] < constant


@pytest.mark.parametrize("kind", KINDS)
def test_shuffled_labels_teach_nothing(kind):
    rows = learnable_examples()
    shuffled = rows.with_columns(label=pl.Series(np.random.default_rng(1).permutation(rows["label"].to_numpy())))
    model = train(scoring_model(kind=kind), shuffled, as_of=AS_OF)
    assert abs(model.metrics["roc_auc"] - 0.5) < 0.07


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_examples_in_any_order_give_the_same_model(kind):
    model = train(scoring_model(kind=kind), learnable_examples().sample(fraction=1, shuffle=True, seed=3), as_of=AS_OF)
    assert model.version == trained(kind).version
    assert model.metrics == trained(kind).metrics


def test_the_version_changes_with_what_is_learned():
    flipped = learnable_examples().with_columns(label=pl.col("label") ^ (pl.col("customer_id") == "c5"))
    assert train(scoring_model(), flipped, as_of=AS_OF).version != trained().version


def test_the_reference_is_the_latest_fifth():
    model, rows = trained(), learnable_examples()
    assert model.metrics["rows"] == len(model.reference)
    assert 0.2 <= len(model.reference) / rows.height < 0.22
    assert (np.diff(model.reference) >= 0).all()
    assert np.array_equal(model.reference, np.round(model.reference, 6))
    later = rows.sort("as_of")["label"].tail(len(model.reference))
    assert model.metrics["base_rate"] == round(later.mean(), 6)


def test_later_examples_do_not_change_the_fit():
    rows = learnable_examples()
    last = rows["as_of"].max()
    other = rows.with_columns(label=(pl.col("as_of") == last) ^ pl.col("label"))
    model = train(scoring_model(), other, as_of=AS_OF)
    assert np.array_equal(model.reference, trained().reference)
    assert model.metrics["base_rate"] != trained().metrics["base_rate"]


def test_too_few_answers_are_counted():
    rows = learnable_examples().with_columns(label=pl.col("customer_id") == "c5")
    with pytest.raises(
        ModelError,
        match=r"review-propensity-v2 cannot be trained as of 2026-03-01: fitting: 1 with and 2\d\d\d without an answer",
    ):
        train(scoring_model(), rows, as_of=AS_OF)
    with pytest.raises(ModelError, match="fitting: 0 with and 0 without"):
        train(scoring_model(), rows.clear(), as_of=AS_OF)
    with pytest.raises(ModelError, match="fitting: 0 with and 0 without"):  # one instant cannot be split by time
        train(scoring_model(), learnable_examples().with_columns(as_of=pl.lit(date(2026, 1, 1))), as_of=AS_OF)


def test_a_missing_feature_is_named():
    with pytest.raises(ModelError, match=r"lack category; there are customer_id, .*trust_score"):
        train(scoring_model(), learnable_examples().drop("category"), as_of=AS_OF)


def test_calibration_error_of_figures_worked_by_hand():
    labels = np.array([False] * 10 + [True] * 10)
    assert calibration_error(labels, labels.astype(float)) == 0
    assert calibration_error(labels, np.full(20, 0.5)) == pytest.approx(0.5)
    assert calibration_error(labels, np.where(labels, 0.9, 0.2)) == pytest.approx(0.15)


def test_every_kind_of_a_program_has_a_pipeline():
    assert set(PIPELINE_KINDS) == set(KINDS)
    kinds = scoring_model().model_json_schema()["properties"]["kind"]["enum"]
    assert set(kinds) == set(KINDS)


def test_another_process_makes_the_same_model_and_imports_scikit_learn_only_for_it():
    code = """
import sys
from engage_assets.scoring import bands, examples, gate, local, model_files, registry, sent_examples, training
from engage_assets_tests.scoring.synthetic import trained
print(sorted({"sklearn", "skops"} & set(sys.modules)), trained().version)
"""
    printed = subprocess.check_output([sys.executable, "-c", code], text=True).strip()
    assert printed == f"[] {trained().version}"


def test_a_model_tells_where_it_comes_from():
    model, rows = trained(), learnable_examples()
    assert model.label == "answered"
    assert model.window == (rows["as_of"].min(), rows["as_of"].max())
    assert model.window[0] < model.fitting_end < model.window[1]
    assert model.examples == rows.height == 3000
    assert model.schema == {
        "engagement_score": "Float64",
        "review_history": "Float64",
        "trust_score": "Float64",
        "category": "String",
    }
    assert model.background["category"] in ("books", "garden", "toys")
    assert model.background["review_history"] == 2
    assert model.missing_shares["engagement_score"] == 0 < model.missing_shares["category"] < 0.1
    assert re.fullmatch(r"[0-9.]+\+[0-9a-f]{12}", model.code_version)


def test_the_data_hash_is_of_keys_labels_and_features_alone():
    rows = learnable_examples()
    hashed = data_hash(rows, scoring_model().features)
    assert hashed == trained().data_hash
    assert data_hash(rows.reverse().with_columns(more=1), scoring_model().features) == hashed
    for changed in (
        rows.with_columns(label=pl.col("label") ^ (pl.col("customer_id") == "c5")),
        rows.with_columns(trust_score=pl.col("trust_score").fill_null(0)),
        rows.with_columns(category=pl.col("category").fill_null("")),
    ):
        assert data_hash(changed, scoring_model().features) != hashed


def test_missing_shares_are_read_from_the_flags():
    rows = learnable_examples().with_columns(
        review_history_missing=pl.col("customer_id").str.ends_with("1"), review_history=pl.lit(0.0)
    )
    assert train(LINEAR, rows, as_of=AS_OF).missing_shares["review_history"] == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_the_baseline_is_measured_on_the_same_rows(kind):
    model = trained(kind)
    for name in ("rows", "base_rate"):
        assert model.metrics[f"baseline_{name}"] == model.metrics[name]
    is_itself = model.metrics["baseline_log_loss"] == model.metrics["log_loss"]
    assert is_itself == (kind == "logistic-regression")


def test_explored_rows_are_measured_apart_when_there_are_enough():
    rows = learnable_examples()
    explored = rows.with_columns(is_exploration=pl.col("customer_id").str.contains("[02468]$"))
    metrics = train(LINEAR, explored, as_of=AS_OF).metrics
    assert 200 <= metrics["exploration_rows"] < metrics["rows"]
    assert metrics["exploration_roc_auc"] != metrics["roc_auc"] == trained(LINEAR.kind).metrics["roc_auc"]
    assert metrics["baseline_exploration_rows"] == metrics["exploration_rows"]
    few = rows.with_columns(is_exploration=pl.col("customer_id").str.ends_with("7"))
    assert train(LINEAR, few, as_of=AS_OF).metrics == trained(LINEAR.kind).metrics


def test_hyperparameters_reach_the_model():
    model = train(
        scoring_model(hyperparameters={"maxIterations": 3, "maxLeaves": 4}), learnable_examples(), as_of=AS_OF
    )
    trees = model.pipeline.calibrated_classifiers_[0].estimator[-1]
    assert (trees.n_iter_, trees.max_leaf_nodes, trees.learning_rate) == (3, 4, 0.05)
    with pytest.raises(ModelError, match=r"that cannot be: maxLeaves 1\.5 \(a whole number, at least 2\); correct"):
        train(scoring_model(hyperparameters={"maxLeaves": 1.5}), learnable_examples(), as_of=AS_OF)


@pytest.mark.parametrize("kind", KINDS)
def test_unseen_categories_and_nulls_are_predicted(kind):
    model = trained(kind)
    rows = learnable_examples(rows=5).with_columns(category=pl.lit("never seen"), trust_score=pl.lit(None))
    predicted = probabilities(model.pipeline, inputs(rows, model.features, model.texts))
    assert ((predicted > 0) & (predicted < 1)).all()


def test_a_feature_of_another_type_is_refused():
    rows, model = learnable_examples(rows=5), trained()
    for changed, words in (
        (rows.with_columns(category=pl.lit(3)), "category is Int32, and the model learned it as a text"),
        (rows.with_columns(trust_score=pl.lit("0.5")), "trust_score is String, and the model learned it as a number"),
    ):
        with pytest.raises(ModelError, match=words):
            inputs(changed, model.features, model.texts)
