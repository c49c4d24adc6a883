"""Trained models before their judge: better ones pass, shuffled and equal ones do not."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta
from multiprocessing import get_context

import numpy as np
import polars as pl
import pytest

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.gate import features_of, judge, judged_rows
from engage_assets.scoring.model_files import load, save
from engage_assets.scoring.training import train
from engage_assets_tests.scoring.synthetic import AS_OF, learnable_examples, scoring_model

ROWS = learnable_examples(6000, seed=41)
WEAK = scoring_model(features=("review_history", "trust_score"), kind="logistic-regression")
STRONG = scoring_model(kind="logistic-regression")
TREES = scoring_model(hyperparameters={"maxIterations": 30})


def shuffled(rows, seed):
    return rows.with_columns(label=pl.Series(np.random.default_rng(seed).permutation(rows["label"].to_numpy())))


@pytest.fixture(scope="module")
def weak():
    return train(WEAK, ROWS, as_of=AS_OF)


@pytest.fixture(scope="module")
def strong():
    return train(STRONG, ROWS, as_of=AS_OF)


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "log_loss"])
def test_a_truly_better_challenger_is_deployed(metric, weak, strong):
    verdict = judge(strong, weak, ROWS, metric=metric)
    assert verdict.deploy, verdict.reasons
    assert verdict.against == weak.version
    assert judge(strong, weak, ROWS.sample(fraction=1, shuffle=True, seed=1), metric=metric) == verdict
    assert not judge(weak, strong, ROWS, metric=metric).deploy


def test_the_first_model_is_deployed_when_it_learned_something(strong):
    verdict = judge(strong, None, ROWS, metric="roc_auc")
    assert verdict.deploy, verdict.reasons
    assert verdict.against is None


@pytest.mark.parametrize("seed", range(3))
def test_a_model_of_shuffled_labels_is_never_deployed(seed, weak):
    model = train(TREES, shuffled(ROWS, seed), as_of=AS_OF)
    assert not judge(model, weak, ROWS, metric="roc_auc").deploy
    assert not judge(model, None, shuffled(ROWS, seed), metric="roc_auc").deploy


def test_rows_are_compared_that_neither_model_learned_from(weak, strong):
    rows = judged_rows(ROWS, None, strong)
    assert rows["as_of"].min() > strong.fitting_end
    assert rows.height == strong.metrics["rows"]
    ahead = replace(weak, fitting_end=strong.fitting_end + timedelta(days=9))
    assert judged_rows(ROWS, ahead, strong)["as_of"].min() > ahead.fitting_end
    unseen = replace(weak, fitting_end=ROWS["as_of"].max())
    verdict = judge(strong, unseen, ROWS, metric="roc_auc")
    assert not verdict.deploy
    assert verdict.reasons[0].startswith("only 0 rows with and 0 without an answer came later")


def test_rows_drawn_at_random_are_compared_where_they_are_enough(weak, strong):
    explored = ROWS.with_columns(is_exploration=pl.col("customer_id").str.contains("[0-4]$"))
    verdict = judge(strong, weak, explored, metric="roc_auc")
    later = judged_rows(explored, weak, strong)
    assert verdict.population == "explored"
    assert verdict.figures["rows"] == later["is_exploration"].sum() < later.height
    few = ROWS.with_columns(is_exploration=pl.col("customer_id").str.ends_with("7"))
    assert judge(strong, weak, few, metric="roc_auc") == judge(strong, weak, ROWS, metric="roc_auc")
    assert judge(strong, weak, ROWS, metric="roc_auc").population == "all"


def test_a_champion_whose_features_are_gone_cannot_be_compared(strong, weak):
    assert features_of(strong, weak, None) == STRONG.features
    verdict = judge(weak, strong, ROWS.drop("category"), metric="roc_auc")
    assert not verdict.deploy
    assert verdict.reasons[0].startswith(f"the champion {strong.version} takes category, which the examples lack")


def test_a_model_out_of_a_file_has_no_baseline_to_be_judged_by(strong, tmp_path):
    save(strong, tmp_path)
    with pytest.raises(ModelError, match="has no baseline beside it"):
        judge(load(tmp_path, strong.model_id, strong.version), None, ROWS, metric="roc_auc")


def an_equal_pair(seed):
    """Two models of one kind, trained on different customers of one world that bends, and the examples of both."""
    rng = np.random.default_rng(seed)
    rows, start = 2000, datetime.fromisoformat("2026-01-01T02:00")
    one, other = rng.standard_normal((2, rows))
    days = np.sort(rng.integers(0, 100, rows))
    world = pl.DataFrame(
        {
            "customer_id": [f"c{number}" for number in rng.integers(0, rows // 2, rows)],
            "subject_id": [f"p{number}" for number in range(rows)],
            "as_of": [start + timedelta(days=int(day)) for day in days],
            "label": rng.random(rows) < 1 / (1 + np.exp(2.2 - 1.5 * np.abs(one) - other)),
            "one": one,
            "other": other,
        }
    )
    is_first = pl.col("customer_id").str.slice(1).cast(pl.Int64) % 2 == 0
    settings = {"maxIterations": 12, "minSamplesPerLeaf": 40, "learningRate": 0.2}
    model = scoring_model(features=("one", "other"), hyperparameters=settings)
    return *(train(model, world.filter(half), as_of=date(2026, 6, 1)) for half in (is_first, ~is_first)), world


def equal_passes(seed):
    challenger, champion, world = an_equal_pair(seed)
    return judge(challenger, champion, world, metric="roc_auc", seed=seed).deploy


@pytest.mark.soak
def test_of_equal_challengers_no_more_pass_than_chance_allows():
    """At most 2.5 % of 1,000 pass: 35 is the 97.5 % point of that binomial distribution."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        passed = sum(processes.map(equal_passes, range(1000), chunksize=20))
    print("deployed of 1,000 equal challengers:", passed)  # noqa: T201
    assert 0 < passed <= 35
