"""The gate's figures against scikit-learn's, and its rules one by one."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from engage_assets.scoring.bootstrap import METRICS, metric_of, resampled
from engage_assets.scoring.calibration import MOST_ERROR, calibration_error, chance_error
from engage_assets.scoring.evaluation import Verdict, _tail, evaluate

THEIRS = {"roc_auc": roc_auc_score, "average_precision": average_precision_score, "log_loss": log_loss}


def crowd(rows=3000, seed=1, strength=1.0):
    """Calibrated probabilities that tell something, labels, and customers of one to several rows."""
    rng = np.random.default_rng(seed)
    log_odds = strength * rng.standard_normal(rows) - 2
    probabilities = np.round(1 / (1 + np.exp(-log_odds)), 6)
    customers = pl.Series([f"c{number}" for number in rng.integers(0, rows // 2, rows)])
    return probabilities, rng.random(rows) < probabilities, customers


def blunted(probabilities, seed=2, noise=1.5):
    """The same model with noise on its log odds."""
    rng = np.random.default_rng(seed)
    log_odds = np.log(probabilities / (1 - probabilities)) + noise * rng.standard_normal(len(probabilities))
    return np.round(1 / (1 + np.exp(-log_odds)), 6)


PROBABILITIES, LABELS, CUSTOMERS = crowd()
BLUNT = blunted(PROBABILITIES)
CONSTANT = np.full(len(LABELS), 0.15)


def judged(challenger=PROBABILITIES, champion=BLUNT, baseline=BLUNT, labels=LABELS, **more):
    return evaluate(
        challenger, champion, baseline, labels, CUSTOMERS, **{"metric": "roc_auc", "seed": 3, "resamples": 300} | more
    )


@pytest.mark.parametrize("metric", METRICS)
def test_metrics_equal_those_of_scikit_learn(metric):
    for given in (PROBABILITIES, np.round(PROBABILITIES, 1).clip(0.05), CONSTANT):
        assert metric_of(metric, LABELS, given) == pytest.approx(THEIRS[metric](LABELS, given), abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_a_resample_is_the_metric_with_weights(metric):
    rng = np.random.default_rng(9)
    codes = CUSTOMERS.rank("dense").to_numpy().astype(int) - 1
    weights = np.bincount(rng.integers(0, codes.max() + 1, codes.max() + 1), minlength=codes.max() + 1)[codes]
    ours = resampled(metric, LABELS, CUSTOMERS, {"a": np.round(PROBABILITIES, 2)}, seed=9, resamples=1)["a"]
    theirs = THEIRS[metric](LABELS, np.round(PROBABILITIES, 2).clip(5e-7), sample_weight=weights)
    assert ours[0] == pytest.approx(theirs, abs=1e-12)


def test_resamples_follow_from_the_seed_alone(monkeypatch):
    def drawn(seed=5):
        return resampled("roc_auc", LABELS, CUSTOMERS, {"a": PROBABILITIES}, seed=seed, resamples=30)["a"]

    whole = drawn()
    assert not np.array_equal(drawn(6), whole)
    monkeypatch.setattr("engage_assets.scoring.bootstrap._AT_ONCE", 1)
    assert np.allclose(drawn(), whole, rtol=0, atol=1e-12)


def test_a_person_with_many_rows_is_one_draw():
    """Repeating every row makes nothing surer."""

    def spread(times):
        given = {"a": np.tile(PROBABILITIES, times)}
        customers = pl.concat([CUSTOMERS] * times)
        return resampled("roc_auc", np.tile(LABELS, times), customers, given, seed=1, resamples=200)["a"].std()

    assert spread(4) == pytest.approx(spread(1), rel=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_a_better_model_is_deployed(metric):
    verdict = judged(metric=metric)
    assert verdict.deploy, verdict.reasons
    assert verdict.figures["champion_gain_low"] > 0
    assert not judged(BLUNT, PROBABILITIES, metric=metric).deploy


def test_a_gain_that_chance_explains_is_not_enough():
    pair = [blunted(PROBABILITIES, seed, noise=0.3) for seed in (2, 3)]
    worse, better = sorted(pair, key=lambda given: roc_auc_score(LABELS, given))
    verdict = judged(better, worse)
    assert verdict.figures["champion_gain_low"] < 0 < verdict.figures["champion_gain"]
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["not surely better than the champion"]


def test_few_customers_move_the_bounds_outwards():
    def tail(customers):
        labels = np.arange(2 * customers) < customers
        return _tail(labels, pl.Series([f"c{number}" for number in range(2 * customers)]))

    assert tail(10) < tail(100) < tail(10_000) == pytest.approx(2.5, abs=0.01)
    assert tail(100) == pytest.approx(2.31, abs=0.01)  # by hand: t = 1.9842, times √(100/99) = 1.9942


def test_an_equal_model_is_not_deployed():
    verdict = judged(PROBABILITIES, PROBABILITIES, BLUNT)
    assert not verdict.deploy
    assert verdict.reasons[0].startswith("not surely better than the champion: roc_auc 0.")


def test_a_model_below_its_baseline_is_not_deployed():
    verdict = judged(blunted(PROBABILITIES, noise=0.5), BLUNT, PROBABILITIES, metric="roc_auc")
    assert [reason.split(":")[0] for reason in verdict.reasons if "worse" in reason] == ["worse than the baseline"]
    assert not verdict.deploy


def test_the_first_model_must_beat_a_constant_and_not_lose_to_the_baseline():
    assert judged(champion=None).deploy
    assert judged(champion=None, baseline=PROBABILITIES).deploy  # equals it
    guessing = np.random.default_rng(4).permutation(PROBABILITIES)
    assert judged(guessing, None, guessing).reasons[0].startswith("not surely better than a constant")
    assert judged(BLUNT, None, PROBABILITIES).reasons[0].startswith("surely worse than the baseline")


def test_a_badly_calibrated_model_is_not_deployed():
    verdict = judged(PROBABILITIES * 0.6)
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["badly calibrated"]


def test_faults_are_reasons():
    assert judged(faults=("price is out of its contract",)).reasons == ("price is out of its contract",)


def test_too_few_rows_decide_nothing():
    few = np.arange(len(LABELS)) < 19
    verdict = judged(labels=few)
    assert not verdict.deploy
    assert verdict.reasons[0].startswith("only 19 rows with and 2981 without an answer")
    empty = evaluate(
        np.empty(0), None, np.empty(0), np.empty(0, bool), pl.Series(dtype=pl.String), metric="log_loss", seed=1
    )
    assert empty.reasons[0].startswith("only 0 rows with and 0 without")


def test_a_verdict_survives_its_file():
    for verdict in (judged(), judged(champion=None, faults=("x",))):
        assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict


def test_chance_alone_explains_what_few_rows_show():
    """Of perfectly calibrated models about one in forty lies above the limit, however few the rows."""
    rng = np.random.default_rng(8)
    for rows in (500, 4000):
        probabilities = crowd(rows, seed=rows)[0]
        limit = chance_error(probabilities, rng)
        errors = [calibration_error(rng.random(rows) < probabilities, probabilities) for _ in range(800)]
        assert 0.005 < np.mean(np.array(errors) > limit) < 0.05
    assert chance_error(np.full(500, 0.1), rng) > MOST_ERROR > chance_error(np.full(50_000, 0.1), rng)
