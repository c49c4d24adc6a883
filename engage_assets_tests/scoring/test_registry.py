"""Versions, champions, and who put them into use."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from engage_assets.domain.errors import ModelError
from engage_assets.scoring import registry
from engage_assets.scoring.evaluation import Verdict
from engage_assets.scoring.model_files import load, save
from engage_assets_tests.scoring.synthetic import KINDS, trained

MODEL_ID = "review-propensity-v2"
NOW = datetime.fromisoformat("2026-03-01T05:00")
YES = Verdict(deploy=True, metric="roc_auc", reasons=("better",), figures={"rows": 100.0})
NO = replace(YES, deploy=False, reasons=("not surely better than the champion",))
FIRST, SECOND = trained(KINDS[1]), replace(trained(KINDS[0]), as_of=trained().as_of + timedelta(days=7))


def register(folder, model, verdict=YES):
    return registry.register(folder, model, verdict, who="engage", at=NOW)


def promote(folder, model, why="by hand"):
    return registry.promote(folder, MODEL_ID, model.version, who="ann", at=NOW, why=why)


def in_use(folder):
    return load(folder, MODEL_ID).version


def test_a_model_comes_into_use_by_its_verdict(tmp_path):
    assert registry.champion(tmp_path, MODEL_ID) is None
    assert not register(tmp_path, FIRST, NO).is_champion
    with pytest.raises(ModelError, match=r"does not hold a trained model .* in use; .*promote a version"):
        load(tmp_path, MODEL_ID)
    assert registry.challenger(tmp_path, MODEL_ID).version == FIRST.version
    assert register(tmp_path, FIRST).is_champion
    assert not register(tmp_path, SECOND, NO).is_champion
    assert in_use(tmp_path) == FIRST.version
    assert registry.challenger(tmp_path, MODEL_ID).verdict == NO
    assert register(tmp_path, SECOND).is_champion
    assert in_use(tmp_path) == SECOND.version
    assert registry.challenger(tmp_path, MODEL_ID) is None
    assert [reign.why for reign in registry.history(tmp_path, MODEL_ID)] == ["better", "better"]


def test_versions_tell_where_a_model_comes_from(tmp_path):
    register(tmp_path, FIRST)
    register(tmp_path, SECOND, NO)
    first, second = registry.versions(tmp_path, MODEL_ID)
    assert (first.version, first.is_champion, first.verdict) == (FIRST.version, True, YES)
    assert (second.version, second.is_champion, second.verdict) == (SECOND.version, False, NO)
    for field in ("as_of", "window", "examples", "data_hash", "code_version", "metrics", "label", "kind"):
        assert getattr(second, field) == getattr(SECOND, field)


def test_rebuilding_an_old_model_does_not_put_it_into_use(tmp_path):
    register(tmp_path, SECOND)
    assert not register(tmp_path, FIRST).is_champion
    assert in_use(tmp_path) == SECOND.version
    assert load(tmp_path, MODEL_ID, FIRST.version).as_of == FIRST.as_of
    assert registry.challenger(tmp_path, MODEL_ID) is None  # it is no newer than what is in use


def test_the_champion_made_again_changes_nothing(tmp_path):
    def files():
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    register(tmp_path, FIRST)
    before = files()
    assert register(tmp_path, FIRST, NO).is_champion
    assert promote(tmp_path, FIRST).why == "better"
    assert files() == before


def test_rolling_back_goes_one_champion_further_each_time(tmp_path):
    for model in (FIRST, SECOND):
        register(tmp_path, model)
    with pytest.raises(ModelError, match="does not hold version 0123456789ab"):
        registry.promote(tmp_path, MODEL_ID, "0123456789ab", who="ann", at=NOW, why="typed")
    promote(tmp_path, FIRST)
    assert in_use(tmp_path) == FIRST.version
    for expected in (SECOND, FIRST):
        reign = registry.roll_back(tmp_path, MODEL_ID, who="bob", at=NOW + timedelta(days=1))
        assert reign.version == in_use(tmp_path) == expected.version
    with pytest.raises(ModelError, match=rf"no champion before the present one \({FIRST.version} is the first\)"):
        registry.roll_back(tmp_path, MODEL_ID, who="bob", at=NOW)
    acts = [(reign.act, reign.who) for reign in registry.history(tmp_path, MODEL_ID)]
    assert acts == [("promote", "engage")] * 2 + [("promote", "ann")] + [("roll_back", "bob")] * 2
    assert registry.history(tmp_path, MODEL_ID)[-1].at == NOW + timedelta(days=1)


def test_nothing_to_roll_back(tmp_path):
    save(FIRST, tmp_path)
    with pytest.raises(ModelError, match="none is in use"):
        registry.roll_back(tmp_path, MODEL_ID, who="bob", at=NOW)


def test_what_cannot_be_loaded_is_not_put_into_use(tmp_path):
    register(tmp_path, FIRST)
    own = save(SECOND, tmp_path)
    described = json.loads((own / "model.json").read_text())
    (own / "model.json").write_text(json.dumps(described | {"texts": []}))
    with pytest.raises(ModelError, match="do not belong together"):
        promote(tmp_path, SECOND)
    assert in_use(tmp_path) == FIRST.version


def test_a_roll_back_to_what_cannot_be_loaded_changes_nothing(tmp_path):
    own = tmp_path / MODEL_ID / register(tmp_path, FIRST).version
    register(tmp_path, SECOND)
    (own / "model.skops").unlink()
    with pytest.raises(ModelError, match="do not belong together"):
        registry.roll_back(tmp_path, MODEL_ID, who="bob", at=NOW)
    assert in_use(tmp_path) == SECOND.version


def test_versions_of_an_earlier_release_are_not_listed(tmp_path):
    own = save(FIRST, tmp_path)
    described = json.loads((own / "model.json").read_text())
    del described["data_hash"], described["fitting_end"]
    (own / "model.json").write_text(json.dumps(described))
    assert registry.versions(tmp_path, MODEL_ID) == []
    with pytest.raises(ModelError, match=r"model\.json lacks data_hash, fitting_end: an earlier .*run `engage train"):
        promote(tmp_path, FIRST)
