"""Models in a home: trained, judged, put into use, rolled back, joined with others, and shown on their cards."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from engage_assets.cli import main
from engage_assets.defs.batch import Batch
from engage_assets.defs.model_assets import training_config
from engage_assets.domain.errors import EngageError
from engage_assets.scoring import registry
from engage_assets_tests.defs.homes import DAY, FIRST, PROGRAM, at, batch_instant, digests

LATER = FIRST + timedelta(days=7)
MODEL = "review-propensity-v2"
SECOND = """
  - modelId: "catalogue-affinity"
    endpoint: "local://catalogue-affinity"
    kind: "logistic-regression"
    features: ["category", "price"]
    weight: 0.5
filterChain:"""


def training(home: Path, day, **environment: str):
    launcher = at(home, day, **environment)
    return launcher.run("product_reviews_training", config=training_config(launcher.program(PROGRAM), day))


def told(result, asset: str):
    events = {event.asset_key.path[-1]: event for event in result.get_asset_materialization_events()}
    return {name: value.value for name, value in events[asset].materialization.metadata.items()}


def test_a_later_version_is_used_only_where_it_is_surely_better(fresh):
    models = fresh / "models" / PROGRAM
    first = registry.champion(models, MODEL)
    verdict = told(training(fresh, LATER), "review_propensity_v2_verdict")

    versions = registry.versions(models, MODEL)
    assert [one.as_of for one in versions] == [FIRST, LATER]
    assert verdict["put_into_use"] == verdict["passed"] == (verdict.get("champion_gain_low", 0) > 0)
    assert "champion" in verdict["reasons"]
    assert (registry.champion(models, MODEL) == first) == (not verdict["passed"])
    before = digests(models)
    training(fresh, LATER)
    assert digests(models) == before, "the same training gives the same files"


def test_the_examples_know_nothing_of_later_days(fresh):
    examples = fresh / "lake" / "product_reviews" / "review_propensity_v2_examples" / f"{LATER}.parquet"
    training(fresh, LATER)
    before = pl.read_parquet(examples)
    reviews = fresh / "warehouse" / "ecommerce" / "reviews.parquet"
    table = pl.read_parquet(reviews)
    later = pl.col("reviewed_at") >= pl.lit(LATER).cast(pl.Datetime("us"))
    shuffled = table.with_columns(
        product_id=pl.when(later).then(pl.col("product_id").reverse()).otherwise("product_id")
    )
    assert not shuffled.equals(table)
    shuffled.write_parquet(reviews)
    training(fresh, LATER)
    assert pl.read_parquet(examples).equals(before)


def test_a_person_promotes_and_rolls_back(fresh, monkeypatch):
    monkeypatch.setenv("ENGAGE_HOME", str(fresh))
    training(fresh, LATER)
    models = fresh / "models" / PROGRAM
    old, new = (one.version for one in registry.versions(models, MODEL))
    if registry.champion(models, MODEL).version == new:
        registry.roll_back(models, MODEL, who="a test", at=batch_instant())

    def said(*words: str) -> str:
        result = CliRunner().invoke(main, ["models", *words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    assert f"* {old}" in said("list", PROGRAM)
    said("promote", PROGRAM, new[:6], "--why", "it is newer")
    assert f"* {new}" in said("list", PROGRAM)
    assert "it is newer" in said("show", PROGRAM, new)
    said("rollback", PROGRAM)
    assert f"* {old}" in said("list", PROGRAM)


def test_a_card_opens_and_names_what_it_rests_on(fresh):
    card = told(training(fresh, LATER), "review_propensity_v2_card")
    page = Path(card["page"]).read_text(encoding="utf-8")
    for words in ("ROC", "calibration", "By marketplace", card["version"], "trust_score"):
        assert words in page, words
    assert "c-0000" not in page, "no customer is named"
    assert card["card"].count("data:image/svg+xml;base64,") == 5


@pytest.fixture
def two_models(tmp_path: Path) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir()
    shutil.copy("programs/marketplaces.yaml", folder)
    text = Path("programs/product-reviews.yaml").read_text().replace("filterChain:", SECOND, 1)
    (folder / "product-reviews.yaml").write_text(text)
    return folder


def test_several_models_are_joined_by_rank(fresh, two_models):
    environment = {"ENGAGE_PROGRAMS": str(two_models)}
    with pytest.raises(EngageError, match="catalogue-affinity"):
        at(fresh, batch_instant(), **environment).run("product_reviews_batch", DAY)
    with pytest.raises(EngageError, match="promote a version that is there"):
        training(fresh, FIRST, **environment)
    models = fresh / "models" / PROGRAM
    (made,) = registry.versions(models, "catalogue-affinity")
    registry.promote(models, made.model_id, made.version, who="a test", at=batch_instant(), why="a small world")
    training(fresh, FIRST, **environment)

    launcher = at(fresh, batch_instant(), **environment)
    launcher.run("product_reviews_batch", DAY)
    scored = pl.read_parquet(fresh / "lake" / "product_reviews" / "scored_candidates" / f"{DAY}.parquet")
    (combined,) = (models / "_combined").glob("*.json")
    reference = pl.Series(json.loads(combined.read_text())["reference"])
    mean = (scored["review_propensity_v2_score"] + 0.5 * scored["catalogue_affinity_score"]) / 1.5
    rank = [(reference < value).mean() for value in mean.round(6)]
    assert scored.height > 20
    assert scored["score"].to_list() == pytest.approx(rank, abs=1e-6)
    assert scored["probability"].equals(scored["review_propensity_v2_probability"], check_names=False)
    assert scored["model_version"].unique().to_list()[0].startswith(f"{MODEL}:")


def test_candidates_are_scored_with_the_features_that_a_training_would_see(decided):
    launcher = at(decided, batch_instant())
    program = launcher.program(PROGRAM)
    batch = Batch(program, DAY, launcher.folder.marketplaces, launcher.parts["warehouse"])
    names = list(program.scoring_models[0].features)
    scored = pl.read_parquet(decided / "lake" / "product_reviews" / "scored_candidates" / f"{DAY}.parquet")
    entities = scored.select("customer_id", "subject_id", as_of=pl.lit(batch.instant).cast(pl.Datetime("us")))

    learned = batch.features.join_in_turn(entities, names)

    assert scored.height > 20
    assert learned.select(names).equals(scored.select(names))


def test_scores_are_kept_where_the_deployment_keeps_them(fresh):
    hits = []
    for _ in range(2):
        result = at(fresh, batch_instant(), ENGAGE_SCORE_CACHE="on").run("product_reviews_batch", DAY)
        said = told(result, "scored_candidates")
        hits.append((said["score_cache_hits"], said["score_cache_misses"]))
    assert hits[0][0] == hits[1][1] == 0
    assert hits[0][1] == hits[1][0] > 20
    plain = fresh / "lake" / "product_reviews" / "scored_candidates" / f"{DAY}.parquet"
    kept = plain.read_bytes()
    at(fresh, batch_instant()).run("product_reviews_batch", DAY)
    assert plain.read_bytes() == kept, "a kept score is the score"
