import json
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
import pytest

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.combined import (
    CombinedScorer,
    Member,
    combine_reference,
    load_combination,
    save_combination,
    versions_in,
)
from engage_assets.scoring.local import LocalScorer
from engage_assets_tests.scoring.synthetic import KINDS, learnable_examples, trained


@dataclass(frozen=True)
class Column:
    """A scorer that gives a column as it stands, half of it as probability; null refuses."""

    name: str
    version: str = "0123456789ab"
    columns: tuple[str, ...] = ("probability", "score")

    @property
    def features(self) -> tuple[str, ...]:
        return (self.name,)

    def score(self, features: pl.DataFrame) -> pl.DataFrame:
        return features.select(probability=pl.col(self.name) / 2, score=self.name)

    def unseen_categories(self, features: pl.DataFrame) -> dict[str, int]:
        return {"category": int(features[self.name].is_null().sum())}


def members(**weights: float) -> tuple[Member, ...]:
    return tuple(Member(f"model-{name}", weight, Column(name)) for name, weight in weights.items())


def rows(**columns: list[Any]) -> pl.DataFrame:
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Float64))


POPULATION = rows(a=[0.0, 0.2, 0.6, 1.0], b=[0.4, 0.2, 0.2, 1.0])


def test_the_score_is_the_rank_of_the_weighted_mean():
    two = members(a=3, b=1)
    combination = combine_reference(two, POPULATION)
    assert combination.reference.tolist() == [0.1, 0.2, 0.5, 1.0]
    scored = CombinedScorer(two, combination).score(rows(a=[0.0, 0.2, 0.21, 1.0], b=[0.0, 0.2, 0.2, 1.0]))
    assert scored.to_dict(as_series=False) == {
        "probability": [0.0, 0.1, 0.105, 0.5],  # the first model's
        "score": [0.0, 0.25, 0.5, 0.75],
        "model_a_probability": [0.0, 0.1, 0.105, 0.5],
        "model_a_score": [0.0, 0.2, 0.21, 1.0],
        "model_b_probability": [0.0, 0.1, 0.1, 0.5],
        "model_b_score": [0.0, 0.2, 0.2, 1.0],
    }


def test_a_row_that_one_model_refuses_has_no_score():
    two = members(a=1, b=1)
    scored = CombinedScorer(two, combine_reference(two, POPULATION)).score(rows(a=[0.4, None, 0.4], b=[None, 0.4, 0.4]))
    assert scored["score"].to_list() == [None, None, 0.5]
    assert scored["model_a_score"].to_list() == [0.4, None, 0.4]
    refused = combine_reference(two, pl.concat([POPULATION, rows(a=[None], b=[0.9])]))
    assert len(refused.reference) == POPULATION.height


def test_scores_in_the_reference_are_spread_evenly_however_the_weights_are():
    population = learnable_examples(rows=800, seed=3)
    both = tuple(Member(kind, 1, LocalScorer(trained(kind))) for kind in KINDS)
    scored = CombinedScorer(both, combine_reference(both, population)).score(population)
    assert abs(scored["score"].mean() - 0.5) < 0.03
    assert abs((scored["score"] >= 0.7).mean() - 0.3) < 0.03


def test_counts_of_unseen_categories_are_the_largest_of_the_models():
    two = members(a=1, b=1)
    scorer = CombinedScorer(two, combine_reference(two, POPULATION))
    assert scorer.unseen_categories(rows(a=[None, 1, None], b=[1, 1, None])) == {"category": 2}
    assert scorer.features == ("a", "b")


def test_a_combination_that_belongs_to_others_is_refused(tmp_path):
    two = members(a=3, b=1)
    combination = combine_reference(two, POPULATION)
    save_combination(combination, tmp_path / "product-reviews")
    newer = (two[0], replace(two[1], scorer=Column("b", version="ba9876543210")))
    for others in (newer, members(a=1, b=1), members(b=1, a=3)):
        with pytest.raises(ModelError, match=r"model-a 0123456789ab \(weight 3\).*stale.*`engage train`"):
            CombinedScorer(others, combination)
        with pytest.raises(ModelError, match=r"no reference population of model-.*run `engage train product-reviews`"):
            load_combination(tmp_path / "product-reviews", others)


def test_a_saved_combination_is_the_same(tmp_path):
    two = members(a=3, b=1)
    made = combine_reference(two, POPULATION)
    path = save_combination(made, tmp_path)
    content = path.read_bytes()
    found = load_combination(tmp_path, two)
    assert found.reference.tolist() == made.reference.tolist()
    assert CombinedScorer(two, found).version == CombinedScorer(two, made).version
    assert save_combination(found, tmp_path).read_bytes() == content
    path.write_text(json.dumps(json.loads(content) | {"reference": [0.1, 0.2, 0.3, 0.4]}))
    with pytest.raises(ModelError, match="was changed; delete it and run `engage train"):
        load_combination(tmp_path, two)


@pytest.mark.parametrize(
    ("some", "population", "said"),
    [
        (members(a=1), POPULATION, "two models or more"),
        (members(a=1, b=1), rows(a=[None, 0.1], b=[0.1, None]), "no row is scored by all of model-a, model-b"),
        (members(a=1, b=1), POPULATION.clear(), "no row is scored by all"),
    ],
)
def test_what_cannot_be_combined_is_an_error(some, population, said):
    with pytest.raises(ModelError, match=said):
        combine_reference(some, population)


def test_versions_can_be_read_out_of_a_scorers_version():
    two = members(a=3, b=1)
    version = CombinedScorer(two, combine_reference(two, POPULATION)).version
    assert versions_in(version, ["model-a", "model-b"]) == {"model-a": "0123456789ab", "model-b": "0123456789ab"}
    assert versions_in("ba9876543210", ["model-a"]) == {"model-a": "ba9876543210"}
    with pytest.raises(ModelError, match="model-b scored, but the program file has only model-a now"):
        versions_in(version, ["model-a"])
