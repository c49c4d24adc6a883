from math import exp, log

import numpy as np
import polars as pl
import pytest

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.explanations import METHODS, explain
from engage_assets.scoring.local import LocalScorer, fitted_pipeline
from engage_assets_tests.scoring.synthetic import KINDS, learnable_examples, trained

ROWS = learnable_examples(rows=15, seed=31)


def row_of(**changes) -> pl.DataFrame:
    """A usual row; `changes` replace features."""
    usual = dict(trained("logistic-regression").background)
    schema = {name: ROWS.schema[name] for name in usual}
    return pl.DataFrame({name: [value] for name, value in (usual | changes).items()}, schema=schema)


def added(explanation) -> dict[str, float]:
    return {one.feature: one.log_odds for one in explanation.contributions}


@pytest.mark.parametrize("kind", KINDS)
def test_base_and_contributions_add_up_to_the_probability(kind):
    model = trained(kind)
    strange = ROWS.head(3).with_columns(
        category=pl.Series(["tools", None, "toys"]), trust_score=pl.Series([None, float("inf"), 0.5])
    )
    rows = pl.concat([ROWS, strange])
    scored = LocalScorer(model).score(rows)
    for place, row in enumerate(rows.iter_slices(1)):
        found = explain(model, row)
        log_odds = found.base + sum(added(found).values())
        assert 1 / (1 + exp(-log_odds)) == pytest.approx(scored["probability"][place], abs=2e-6)
        assert (found.probability, found.score) == scored.row(place)
        assert found.method == METHODS[kind]
        assert {one.feature for one in found.contributions} == set(model.features)
        sizes = [abs(one.log_odds) for one in found.contributions]
        assert sizes == sorted(sizes, reverse=True)


def test_the_linear_models_contributions_are_coefficient_times_distance():
    model = trained("logistic-regression")
    pipeline, calibrator = fitted_pipeline(model)
    names = [name.partition("__")[2] for name in pipeline[0].get_feature_names_out()]
    coefficient = dict(zip(names, pipeline[-1].coef_[0], strict=True))
    scale = dict(zip(names[len(names) - len(pipeline[0].named_transformers_["number"][-1].scale_) :],
                     pipeline[0].named_transformers_["number"][-1].scale_, strict=True))  # fmt: skip
    usual = model.background["engagement_score"]
    found = explain(model, row_of(engagement_score=0.9, category="toys"))
    stretch = -calibrator.a_
    expected = stretch * coefficient["engagement_score"] * (0.9 - usual) / scale["engagement_score"]
    assert added(found)["engagement_score"] == pytest.approx(expected, abs=1e-6)
    assert added(found)["review_history"] == added(found)["trust_score"] == 0
    other = stretch * (coefficient["category_toys"] - coefficient[f"category_{model.background['category']}"])
    assert added(found)["category"] == pytest.approx(other, abs=1e-6)


def test_a_usual_row_is_the_base_of_the_linear_model():
    found = explain(trained("logistic-regression"), row_of())
    assert set(added(found).values()) == {0.0}
    assert found.base == pytest.approx(log(found.probability / (1 - found.probability)), abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_what_speaks_for_an_answer_is_above_zero(kind):
    eager, idle = (explain(trained(kind), row_of(engagement_score=value, category="toys")) for value in (1.0, 0.0))
    assert added(eager)["engagement_score"] > 0.2 > -0.2 > added(idle)["engagement_score"]
    assert max(added(eager), key=lambda name: added(eager)[name]) in {"engagement_score", "category"}


def test_the_trees_means_are_those_of_their_training_rows():
    """Over the rows that the trees were fitted on, the moves of each tree cancel out: the base is the mean."""
    model = trained()
    rows = learnable_examples()
    fitted = rows.sort("as_of", "customer_id", "subject_id").filter(pl.col("as_of") <= model.fitting_end)
    pipeline, calibrator = fitted_pipeline(model)
    inputs = fitted.select(model.features)
    decisions = -(calibrator.a_ * pipeline.decision_function(inputs) + calibrator.b_)
    assert explain(model, rows.head(1)).base == pytest.approx(float(np.mean(decisions)), abs=1e-5)


def test_values_are_shown_as_they_were_given():
    found = explain(trained(), row_of(category=None, engagement_score=0.3))
    values = {one.feature: (one.value, one.usual) for one in found.contributions}
    assert values["category"] == (None, trained().background["category"])
    assert values["engagement_score"] == (0.3, trained().background["engagement_score"])


def test_only_one_row_of_the_right_schema_can_be_explained():
    with pytest.raises(ModelError, match="of one row, and 2 were given"):
        explain(trained(), ROWS.head(2))
    with pytest.raises(ModelError, match=r"takes category, .* the rows lack"):
        explain(trained(), row_of().drop("category"))
