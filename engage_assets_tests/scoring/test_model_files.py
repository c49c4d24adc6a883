import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.local import LocalScorer
from engage_assets.scoring.model_files import load, save
from engage_assets.scoring.trained_model import archive_of, version_of
from engage_assets_tests.scoring.synthetic import KINDS, learnable_examples, trained

MODEL_ID = "review-propensity-v2"


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_model_predicts_what_it_predicted(kind, tmp_path):
    model = trained(kind)
    save(model, tmp_path)
    loaded = load(tmp_path, MODEL_ID)
    rows = learnable_examples(rows=500, seed=11)
    assert LocalScorer(loaded, 100).score(rows).equals(LocalScorer(model, 100).score(rows))
    assert loaded.metrics == model.metrics
    assert (loaded.version, loaded.as_of, loaded.features, loaded.texts) == (
        model.version,
        model.as_of,
        model.features,
        model.texts,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_model_gives_the_same_bytes(kind, tmp_path):
    def files(folder):
        return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}

    first, again, reloaded = (tmp_path / name for name in ("first", "again", "reloaded"))
    save(trained(kind), first)
    save(trained(kind), again)
    save(load(first, MODEL_ID), reloaded)
    assert len(files(first)) == 3  # model.skops, model.json and the pointer; nothing temporary
    assert files(first) == files(again) == files(reloaded)


def test_a_missing_model_says_how_to_get_one(tmp_path):
    with pytest.raises(ModelError, match=r"review-propensity-v2 does not hold a trained model.*run `engage train "):
        load(tmp_path, MODEL_ID)
    save(trained(), tmp_path)
    with pytest.raises(ModelError, match=r"does not hold version 0123456789ab .*run `engage train "):
        load(tmp_path, MODEL_ID, "0123456789ab")


def test_an_older_model_does_not_come_into_use(tmp_path):
    newer, older = trained(KINDS[0]), replace(trained(KINDS[1]), as_of=trained().as_of - timedelta(days=1))
    save(newer, tmp_path)
    save(older, tmp_path)
    assert load(tmp_path, MODEL_ID).version == newer.version
    assert load(tmp_path, MODEL_ID, older.version).as_of == older.as_of


def _with_pipeline(pipeline):
    model = trained()
    version = version_of(archive_of(pipeline), model.features, model.texts, model.reference)
    return replace(model, pipeline=pipeline, version=version)


def test_a_type_that_is_not_ours_is_refused(tmp_path):
    from functools import partial
    from os import system

    own = save(_with_pipeline([partial(system, "true")]), tmp_path)
    with pytest.raises(ModelError, match=r"holds .*functools\.partial.*posix\.system.*not loaded") as refused:
        load(tmp_path, MODEL_ID)
    assert str(own / "model.skops") in str(refused.value)


@pytest.mark.parametrize("damage", ["changed", "missing", "reference"])
def test_files_that_do_not_belong_together_are_refused(damage, tmp_path):
    own = save(trained(), tmp_path)
    match damage:
        case "changed":
            (own / "model.skops").write_bytes(archive_of(trained("logistic-regression").pipeline))
        case "missing":
            (own / "model.skops").unlink()
        case "reference":
            described = json.loads((own / "model.json").read_text())
            (own / "model.json").write_text(json.dumps(described | {"reference": np.linspace(0, 1, 9).tolist()}))
    with pytest.raises(ModelError, match="do not belong together"):
        load(tmp_path, MODEL_ID)


def test_another_release_of_scikit_learn_is_refused(tmp_path):
    model = trained()
    save(replace(model, libraries=model.libraries | {"scikit-learn": "0.9.9"}), tmp_path)
    with pytest.raises(ModelError, match=r"was trained with scikit-learn 0\.9\.9, and .* run `engage train "):
        load(tmp_path, MODEL_ID)
