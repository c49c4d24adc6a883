import subprocess
import sys
from datetime import date

import numpy as np
import polars as pl
import pytest

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.pipelines import KINDS as PIPELINE_KINDS
from engage_assets.scoring.pipelines import calibration_error
from engage_assets.scoring.training import train
from engage_assets_tests.scoring.synthetic import AS_OF, KINDS, learnable_examples, scoring_model, trained


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
from engage_assets.scoring import bands, examples, features, local, model_files, trained_model, training
from engage_assets_tests.scoring.synthetic import trained
print(sorted({"sklearn", "skops"} & set(sys.modules)), trained().version)
"""
    printed = subprocess.check_output([sys.executable, "-c", code], text=True).strip()
    assert printed == f"[] {trained().version}"
