from dataclasses import replace

import numpy as np
import polars as pl

from engage_assets.scoring.local import LocalScorer
from engage_assets_tests.scoring.synthetic import trained


class Echo:
    """A pipeline whose probability is the feature itself."""

    def predict_proba(self, rows):
        values = rows["engagement_score"].to_numpy()
        return np.column_stack([1 - values, values])


def scores_of(*values, reference=(0.1, 0.2, 0.2)):
    model = replace(trained(), pipeline=Echo(), features=("engagement_score",), texts=(), reference=np.array(reference))
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
