import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.descriptions import KEYS
from engage_assets.scoring.local import LocalScorer
from engage_assets.scoring.model_files import load, save
from engage_assets.scoring.trained_model import archive_of, trees_file, version_of
from engage_assets_tests.scoring.synthetic import KINDS, learnable_examples, trained

MODEL_ID = "review-propensity-v2"


def reload(model, folder):
    save(model, folder)
    return load(folder, MODEL_ID, model.version)


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_model_predicts_what_it_predicted(kind, tmp_path):
    model = trained(kind)
    loaded = reload(model, tmp_path)
    rows = learnable_examples(rows=500, seed=11)
    assert LocalScorer(loaded, 100).score(rows).equals(LocalScorer(model, 100).score(rows))
    assert np.array_equal(loaded.reference, model.reference)
    for name in set(KEYS) - {"reference"}:
        assert getattr(loaded, name) == getattr(model, name), name


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_model_gives_the_same_bytes(kind, tmp_path):
    def files(folder):
        return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}

    first, again, reloaded = (tmp_path / name for name in ("first", "again", "reloaded"))
    save(trained(kind), again)
    save(reload(trained(kind), first), reloaded)
    # Nothing temporary, and nothing that puts it into use.
    trees = {"trees.json"} if kind == "gradient-boosted-trees" else set()
    assert {path.name for path in files(first)} == {"model.skops", "model.json"} | trees
    assert files(first) == files(again) == files(reloaded)


def test_a_missing_model_says_how_to_get_one(tmp_path):
    with pytest.raises(
        ModelError, match=r"does not hold a trained model of review-propensity-v2 in use; .*run `engage "
    ):
        load(tmp_path, MODEL_ID)
    save(trained(), tmp_path)
    with pytest.raises(ModelError, match=r"does not hold version 0123456789ab .*run `engage train "):
        load(tmp_path, MODEL_ID, "0123456789ab")


def _with_pipeline(pipeline, trees=None):
    model = trained()
    version = version_of(archive_of(pipeline), trees_file(trees), model.features, model.texts, model.reference)
    return replace(model, trees=trees, opened=lambda: pipeline, version=version)


def test_a_type_that_is_not_ours_is_refused(tmp_path):
    from functools import partial
    from os import system

    foreign = _with_pipeline([partial(system, "true")])
    with pytest.raises(ModelError, match=r"holds .*functools\.partial.*posix\.system.*not loaded") as refused:
        reload(foreign, tmp_path)
    assert str(tmp_path / MODEL_ID / foreign.version / "model.skops") in str(refused.value)


def test_trees_score_without_scikit_learn(tmp_path):
    model = save(trained(), tmp_path)
    rows = learnable_examples(rows=20, seed=11)
    rows.write_parquet(tmp_path / "rows.parquet")
    told = f"""
import sys
from pathlib import Path
import polars as pl
from engage_assets.scoring.local import LocalScorer
from engage_assets.scoring.model_files import load
scorer = LocalScorer(load(Path({str(tmp_path)!r}), {MODEL_ID!r}, {model.name!r}))
rows = pl.read_parquet({str(tmp_path / "rows.parquet")!r})
print(scorer.score(rows)["probability"].to_list(), scorer.unseen_categories(rows))
assert not {{"sklearn", "skops", "pandas"}} & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True)
    assert done.stdout.startswith(str(LocalScorer(trained()).score(rows)["probability"].to_list()))


def test_the_pipeline_beside_trees_is_checked_once_it_is_asked_for(tmp_path):
    from functools import partial
    from os import system

    loaded = reload(_with_pipeline([partial(system, "true")], trained().trees), tmp_path)
    with pytest.raises(ModelError, match=r"holds .*functools\.partial"):
        _ = loaded.pipeline


@pytest.mark.parametrize("damage", ["changed", "missing", "trees", "no trees", "reference", "version"])
def test_files_that_do_not_belong_together_are_refused(damage, tmp_path):
    own = save(trained(), tmp_path)
    described = json.loads((own / "model.json").read_text())
    match damage:
        case "changed":
            (own / "model.skops").write_bytes(archive_of(trained("logistic-regression").pipeline))
        case "missing":
            (own / "model.skops").unlink()
        case "trees":
            (own / "trees.json").write_text((own / "trees.json").read_text().replace("0.", "1.", 1))
        case "no trees":
            (own / "trees.json").unlink()
        case "reference":
            (own / "model.json").write_text(json.dumps(described | {"reference": np.linspace(0, 1, 9).tolist()}))
        case "version":
            (own / "model.json").write_text(json.dumps(described | {"version": "0123456789ab"}))
    with pytest.raises(ModelError, match="do not belong together"):
        load(tmp_path, MODEL_ID, trained().version)


def test_a_model_under_another_name_is_refused(tmp_path):
    own = save(trained(), tmp_path)
    own.rename(own.with_name("0123456789ab"))
    with pytest.raises(ModelError, match="do not belong together"):
        load(tmp_path, MODEL_ID, "0123456789ab")


def test_a_description_of_an_earlier_release_asks_for_training(tmp_path):
    own = save(trained(), tmp_path)
    described = json.loads((own / "model.json").read_text())
    of_before = ("model_id", "version", "kind", "as_of", "features", "texts", "metrics", "libraries", "reference")
    (own / "model.json").write_text(json.dumps({key: described[key] for key in of_before}))
    with pytest.raises(ModelError, match=r"model\.json lacks label, .*an earlier release wrote it.*run `engage train "):
        load(tmp_path, MODEL_ID, trained().version)


def test_another_release_of_scikit_learn_is_refused(tmp_path):
    model = trained()
    with pytest.raises(ModelError, match=r"was trained with scikit-learn 0\.9\.9, and .* run `engage train "):
        reload(replace(model, libraries={**model.libraries, "scikit-learn": "0.9.9"}), tmp_path)
