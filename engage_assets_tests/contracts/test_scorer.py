"""What every scorer promises; one line in SCORERS adds another."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.domain.errors import ModelError
from engage_assets.domain.ports import Scorer
from engage_assets.scoring.local import LocalScorer
from engage_assets_tests.scoring.synthetic import KINDS, learnable_examples, trained

SCORERS = {f"local {kind}": (lambda size, kind=kind: LocalScorer(trained(kind), size)) for kind in KINDS}


@pytest.fixture(params=SCORERS)
def scorer_of(request):
    """A scorer of a batch size."""
    return SCORERS[request.param]


@pytest.fixture
def features():
    """Unseen rows with nulls, an unknown category and an infinite number."""
    rows = learnable_examples(rows=400, seed=23)
    strange = rows.head(3).with_columns(category=pl.Series(["tools", None, "toys"]), trust_score=pl.lit(float("inf")))
    return pl.concat([rows, strange])


def test_one_probability_and_one_score_per_row(scorer_of, features):
    scorer: Scorer = scorer_of(100)
    scored = scorer.score(features)
    assert scored.schema == {"probability": pl.Float64, "score": pl.Float64}
    assert scored.height == features.height
    for column in scored.columns:
        assert scored[column].is_between(0, 1).all()
        assert scored[column].equals(scored[column].round(6))
    assert scored["score"].n_unique() > 20
    assert len(scorer.version) == 12


def test_a_higher_probability_never_has_a_lower_score(scorer_of, features):
    ranked = scorer_of(100).score(features).sort("probability", "score")
    assert ranked["score"].is_sorted()
    assert ranked.group_by("probability").agg(pl.col("score").n_unique())["score"].max() == 1


def test_no_rows_give_no_rows(scorer_of, features):
    scored = scorer_of(10).score(features.clear())
    assert scored.is_empty()
    assert scored.schema == {"probability": pl.Float64, "score": pl.Float64}


@given(st.integers(1, 60), st.randoms(use_true_random=False))
@settings(max_examples=8, deadline=None)
@pytest.mark.parametrize("name", SCORERS)
def test_batch_size_and_order_change_nothing(name, size, random):
    rows = learnable_examples(rows=50, seed=29)
    order = list(range(rows.height))
    random.shuffle(order)
    whole = SCORERS[name](1000).score(rows)
    assert SCORERS[name](size).score(rows[order]).equals(whole[order])


def test_a_missing_feature_is_refused_by_name(scorer_of, features):
    scorer = scorer_of(100)
    with pytest.raises(ModelError, match=rf"{scorer.version}\) takes engagement_score, .*they have .*trust_score"):
        scorer.score(features.drop("engagement_score"))


def test_columns_that_the_model_does_not_take_change_nothing(scorer_of, features):
    scorer = scorer_of(100)
    more = features.reverse().reverse().select(pl.all().reverse()).reverse().with_columns(answer=pl.lit(1))
    assert scorer.score(more.select(sorted(more.columns))).equals(scorer.score(features))
