"""What every scorer promises; one line in SCORERS adds another."""

from datetime import datetime, timedelta
from functools import cache

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.domain.errors import ModelError
from engage_assets.domain.ports import Scorer
from engage_assets.scoring.cached import CachingScorer
from engage_assets.scoring.combined import CombinedScorer, Member, combine_reference
from engage_assets.scoring.local import LocalScorer
from engage_assets.stores.score_cache import SqliteScoreCache
from engage_assets_tests.scoring.synthetic import KINDS, learnable_examples, trained

NOW = datetime.fromisoformat("2026-11-20 02:00")


def members(size):
    return tuple(
        Member(kind, weight, LocalScorer(trained(kind), size)) for kind, weight in zip(KINDS, (3.0, 1.0), strict=True)
    )


@cache
def combination():
    return combine_reference(members(1000), learnable_examples(rows=500, seed=19))


def combined(size):
    return CombinedScorer(members(size), combination())


def cached(scorer, folder):
    return CachingScorer(scorer, SqliteScoreCache(folder / "scores.db"), lambda: NOW, timedelta(days=7))


def half_cached(scorer, folder):
    """Behind a cache that holds every other row of `features` already."""
    behind = cached(scorer, folder)
    behind.score(strange_rows().gather_every(2))
    return behind


SCORERS = {
    **{f"local {kind}": (lambda size, _, kind=kind: LocalScorer(trained(kind), size)) for kind in KINDS},
    "combined": lambda size, _: combined(size),
    "cached": lambda size, folder: cached(LocalScorer(trained(), size), folder),
    "cached, combined, asked before": lambda size, folder: half_cached(combined(size), folder),
}


def strange_rows():
    """Unseen rows with nulls, an unknown category and an infinite number."""
    rows = learnable_examples(rows=400, seed=23)
    strange = rows.head(3).with_columns(category=pl.Series(["tools", None, "toys"]), trust_score=pl.lit(float("inf")))
    return pl.concat([rows, strange])


@pytest.fixture(params=SCORERS)
def scorer_of(request, tmp_path):
    """A scorer that predicts so many rows at once."""
    return lambda size: SCORERS[request.param](size, tmp_path)


@pytest.fixture
def features():
    return strange_rows()


def test_one_probability_and_one_score_per_row(scorer_of, features):
    scorer: Scorer = scorer_of(100)
    scored = scorer.score(features)
    assert scored.schema == dict.fromkeys(scorer.columns, pl.Float64())
    assert scorer.columns[:2] == ("probability", "score")
    assert scored.height == features.height
    for column in scored.columns:
        assert scored[column].is_between(0, 1).all()
        assert scored[column].equals(scored[column].round(6))
    assert scored["score"].n_unique() > 20
    assert len(scorer.version) >= 12


def test_a_higher_probability_never_has_a_lower_score(scorer_of, features):
    scored = scorer_of(100).score(features)
    models = {name.removesuffix("probability") for name in scored.columns if name.endswith("probability")}
    for model in models if len(models) == 1 else models - {""}:  # a combined score ranks a mean, not a probability
        ranked = scored.select(probability=f"{model}probability", score=f"{model}score").sort("probability", "score")
        assert ranked["score"].is_sorted()
        assert ranked.group_by("probability").agg(pl.col("score").n_unique())["score"].max() == 1


def test_no_rows_give_no_rows(scorer_of, features):
    scorer = scorer_of(10)
    scored = scorer.score(features.clear())
    assert scored.is_empty()
    assert scored.schema == dict.fromkeys(scorer.columns, pl.Float64())


@given(st.integers(2, 30), st.randoms(use_true_random=False))
@settings(max_examples=4, deadline=None)
@pytest.mark.parametrize("name", SCORERS)
def test_batch_size_and_order_change_nothing(name, tmp_path_factory, size, random):
    rows = learnable_examples(rows=25, seed=29)
    order = list(range(rows.height))
    random.shuffle(order)
    folder = tmp_path_factory.mktemp("scores")
    whole = SCORERS[name](1000, folder).score(rows)
    assert SCORERS[name](size, folder).score(rows[order]).equals(whole[order])


def test_a_missing_feature_is_refused_by_name(scorer_of, features):
    with pytest.raises(ModelError, match=r"\) takes engagement_score, .*they have .*trust_score"):
        scorer_of(100).score(features.drop("engagement_score"))


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pl.col("trust_score").cast(pl.String), "trust_score is String, and the model learned it as a number"),
        (pl.lit(7).alias("category"), "category is Int32, and the model learned it as a text"),
    ],
)
def test_a_feature_of_another_type_is_refused(scorer_of, features, column, said):
    with pytest.raises(ModelError, match=said):
        scorer_of(100).score(features.with_columns(column))


def test_columns_that_the_model_does_not_take_change_nothing(scorer_of, features):
    scorer = scorer_of(100)
    more = features.with_columns(answer=pl.lit(1))
    assert scorer.score(more.select(sorted(more.columns))).equals(scorer.score(features))


def test_an_unseen_category_is_scored_as_unknown_and_counted(scorer_of, features):
    scorer = scorer_of(100)
    unseen = features.head(40).with_columns(category=pl.lit("tools"))
    assert scorer.unseen_categories(features) == {"category": 1}
    assert scorer.unseen_categories(unseen) == {"category": 40}
    again = unseen.with_columns(category=pl.lit("no such thing"))
    assert scorer.score(unseen).equals(scorer.score(again))
