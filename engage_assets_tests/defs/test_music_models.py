"""Two models of one program: each learns its own label, both scores are kept, and the score is a rank."""

import re
import shutil
from datetime import date

import polars as pl
import pytest

from engage_assets.defs import scoring_stages, training_stages
from engage_assets.defs.batch import Batch
from engage_assets.defs.feature_stages import view_features
from engage_assets.defs.model_assets import training_config
from engage_assets.domain.errors import ModelError
from engage_assets.domain.feature_views import missing_flag
from engage_assets.domain.sources import SOURCES
from engage_assets.scoring import registry
from engage_assets_tests.defs.homes import PROGRAMS, at
from engage_assets_tests.defs.music_taste import make_warehouse

PROGRAM, JOB = "music-feedback", "music_feedback_training"
TRAINED, DAY = date(2026, 11, 22), date(2026, 11, 20)
MODELS = ["feedback-propensity-v3", "music-affinity-v2"]


def examples_path(home, model):
    return home / f"lake/music_feedback/{model.replace('-', '_')}_examples/{TRAINED}.parquet"


def of(home):
    """The home's launcher; its programs' models are quickly trained."""
    return at(home, TRAINED, ENGAGE_PROGRAMS=str(home / "programs"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with both models trained, put into use by the gate, and joined."""
    root = tmp_path_factory.mktemp("music")
    make_warehouse(root / "warehouse", last_day=TRAINED)
    shutil.copytree(PROGRAMS, root / "programs")
    path = root / "programs" / f"{PROGRAM}.yaml"
    few = "hyperparameters: {maxIterations: 30}"
    path.write_text(re.sub(r"^( +)(label: .*)$", rf"\1\2\n\1{few}", path.read_text(), flags=re.MULTILINE))
    launcher = of(root)
    assert {one.hyperparameters["maxIterations"] for one in launcher.program(PROGRAM).scoring_models} == {30}
    launcher.run(JOB, config=training_config(launcher.program(PROGRAM), TRAINED))
    return root


def batch_of(home):
    launcher = of(home)
    return Batch(launcher.program(PROGRAM), DAY, launcher.folder.marketplaces, launcher.parts["warehouse"])


@pytest.fixture(scope="module")
def scored(home):
    batch = batch_of(home)
    batch.check()
    plays = pl.read_parquet(home / "warehouse/streaming/track_plays.parquet")
    accepted = (
        plays.filter(pl.col("played_at").dt.date() == DAY)
        .select(customer_id="listener_id", subject_id="track_id", engagement_score="engagement_score")
        .unique(["customer_id", "subject_id"])
        .sort("customer_id", "subject_id")
        .with_columns(genre=pl.lit("jazz"))  # a candidate's own column, which is no feature
        .lazy()
    )
    features = {view.view: pl.concat(view_features(batch, accepted, view)).lazy() for view in batch.program.used_views}
    scorer = scoring_stages.scorer_of(home / "models", batch.program)
    return pl.concat(scoring_stages.score(batch, accepted, features, scorer)), scorer, features


def test_each_model_has_learned_its_own_label(home):
    for model, kind in zip(MODELS, ("reviewed", "liked_unasked"), strict=True):
        examples = pl.read_parquet(examples_path(home, model))
        assert examples["label_kind"].unique().to_list() == [kind]
        assert examples.height > 100
    given = pl.read_parquet(home / "warehouse/streaming/feedback.parquet")
    liked = pl.read_parquet(examples_path(home, MODELS[1]))
    joined = liked.join(given, left_on=["customer_id", "subject_id"], right_on=["listener_id", "track_id"])
    first = (
        joined.filter(pl.col("given_at") > pl.col("as_of"))
        .sort("given_at")
        .unique(["customer_id", "subject_id"], keep="first")
    )
    assert first.height == liked.height, "only who answered is an example"
    assert (first["label"] == first["thumbs_up"]).all()


def test_both_models_are_better_than_chance_on_later_rows(home):
    for model in MODELS:
        found = registry.versions(home / "models" / PROGRAM, model)[-1]
        assert found.verdict.figures["challenger"] > 0.6, (model, found.verdict)
        assert registry.champion(home / "models" / PROGRAM, model) == found


def test_both_models_scores_are_kept_and_the_score_is_the_rank_of_their_mean(scored):
    rows, scorer, _ = scored
    stems = [model.replace("-", "_") for model in MODELS]
    assert {f"{stem}_{name}" for stem in stems for name in ("probability", "score")} <= set(rows.columns)
    mean = sum(rows[f"{stem}_score"] for stem in stems) / 2
    reference = pl.Series(scorer.combination.reference)
    expected = [(reference < value).mean() for value in mean.round(6)]
    assert rows["score"].to_list() == pytest.approx(expected, abs=1e-6)
    assert rows["score"].is_between(0, 1).all()
    assert rows["model_version"][0].startswith(f"{MODELS[0]}:")
    assert rows.height > 20


def test_a_feature_named_as_a_candidates_column_stands_beside_it(scored, home):
    rows, _, features = scored
    assert rows["genre"].unique().to_list() == ["jazz"]
    assert rows["genre_feature"].dtype == pl.Float64
    taste = features["taste"].collect()
    assert taste.select("music_taste_profile", "genre").max().row(0) <= (1.0, 1.0)
    assert taste[missing_flag("genre")].mean() < 0.5
    columns = SOURCES["track_plays"].feature_columns(["genre", "engagement_score", "feedback_history"])
    assert columns == {
        "genre": "genre_feature",
        "engagement_score": "engagement_score_feature",
        "feedback_history": "feedback_history",
    }


def test_what_is_scored_is_what_a_training_would_see(scored, home):
    rows, scorer, _ = scored
    batch = batch_of(home)
    entities = rows.select("customer_id", "subject_id", as_of=pl.lit(batch.instant).cast(pl.Datetime("us")))
    learned = batch.features.join_in_turn(entities, list(scorer.features))
    stored = batch.source.feature_columns(scorer.features)
    shown = rows.select(pl.col(column).alias(name) for name, column in stored.items())
    assert learned.select(scorer.features).equals(shown)


def test_without_feedback_there_is_nothing_to_learn_from(home, tmp_path):
    batch = batch_of(home)
    batch.tables.pop("feedback")
    past = training_stages.Past(None, None, None, None)
    with pytest.raises(ModelError, match=r"music-affinity-v2 learns from streaming\.feedback"):
        training_stages.chosen_examples(batch, batch.program.scoring_models[1], TRAINED, past)
