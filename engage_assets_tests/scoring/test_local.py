from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from engage_assets.scoring.local import LocalScorer
from engage_assets_tests.scoring.synthetic import learnable_examples, trained


class Echo:
    """A pipeline whose probability is the feature itself."""

    def predict_proba(self, rows):
        values = rows["engagement_score"].to_numpy()
        return np.column_stack([1 - values, values])


def scores_of(*values, reference=(0.1, 0.2, 0.2)):
    model = replace(
        trained(), trees=None, opened=Echo, features=("engagement_score",), texts=(), reference=np.array(reference)
    )
    return LocalScorer(model, 2).score(
        pl.DataFrame({"engagement_score": values}, schema={"engagement_score": pl.Float64})
    )


def test_the_score_is_the_share_of_the_reference_strictly_below():
    scored = scores_of(0.0, 0.1, 0.15, 0.2, 0.3)
    assert scored["score"].to_list() == [0.0, 0.0, 0.333333, 0.333333, 1.0]


def test_probabilities_are_rounded_half_even_before_they_are_compared():
    scored = scores_of(0.2000004, 0.2000006, 0.5**7)
    assert scored["probability"].to_list() == [0.2, 0.200001, 0.007812]  # 0.5**7 is 0.0078125
    assert scored["score"].to_list() == [0.333333, 1.0, 0.0]


def test_many_rows_at_once_are_scored_as_few_are():
    rows = learnable_examples(rows=6_000, seed=5)
    assert LocalScorer(trained()).score(rows).equals(LocalScorer(trained(), 1000).score(rows))  # in several threads


@pytest.mark.parametrize("kind", [pl.Int64, pl.Float32, pl.UInt8])
def test_any_kind_of_number_is_a_number(kind):
    rows = learnable_examples(rows=20).with_columns(review_history=pl.Series(range(20), dtype=kind))
    expected = LocalScorer(trained()).score(rows.with_columns(pl.col("review_history").cast(pl.Float64)))
    assert LocalScorer(trained()).score(rows).equals(expected)


def test_a_column_of_which_nothing_is_known_may_have_any_type():
    rows = learnable_examples(rows=20).with_columns(category=None, trust_score=None)
    typed = rows.with_columns(category=pl.lit(None, pl.String), trust_score=pl.lit(None, pl.Float64))
    assert LocalScorer(trained()).score(rows).equals(LocalScorer(trained()).score(typed))
