"""The program on real data: Olist's deliveries, where they lie beside the project."""

import importlib
import os
import re
import runpy
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from engage_assets.defs.model_assets import training_config
from engage_assets.domain.program import Program
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.scoring import registry
from engage_assets_tests.defs.homes import Light

ROOT = Path(__file__).parent.parent
SOURCE = Path(os.environ.get("OLIST_DATA") or ROOT.parent / "shared" / "data" / "olist")
DAYS = [date(2018, 2, 11), date(2018, 3, 28)]
"""A Sunday with few deliveries, and a day with a duplicate."""

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(
        not SOURCE.is_dir(),
        reason=f"needs the Olist data in {SOURCE}: get them (docs/olist/README.md) and name the folder in OLIST_DATA",
    ),
]


def test_real_deliveries_are_decided_and_close(tmp_path):
    runpy.run_path(str(ROOT / "docs/olist/map_olist.py"))["main"](SOURCE, tmp_path / "warehouse")
    folder = ROOT / "docs" / "olist" / "programs"
    launcher = Light({"ENGAGE_HOME": str(tmp_path), "ENGAGE_PROGRAMS": str(folder)})
    program = launcher.program("olist-reviews")
    launcher.run("olist_reviews_training", config=training_config(program, date(2018, 1, 1)))
    use_what_the_gate_refused(launcher, program)

    for day, jobs in zip(DAYS, (["batch"], ["batch", "metrics"]), strict=True):
        launcher.run_partition(program, day, jobs=jobs, tags={"dagster/backfill": "olist"})

    deliveries = pl.read_parquet(tmp_path / "warehouse" / "olist" / "deliveries.parquet")
    for day in DAYS:
        decided = launcher.lake.scan(("olist_reviews", "decisions"), day.isoformat()).collect()
        assert decided["record_id"].sort().to_list() == (
            deliveries.filter(delivery_date=day)["delivery_id"].sort().to_list()
        )
        assert decided["reason"].null_count() == 0
    last = launcher.lake.scan(("olist_reviews", "decisions"), DAYS[-1].isoformat()).collect()
    assert {"DUPLICATE", "ALREADY_ANSWERED", "BELOW_MIN_SCORE", "LISTED"} <= set(last["reason"])
    assert not {"ACCOUNT_STATUS", "RETURNED", "CHANNEL_INELIGIBLE", "SUBJECT_CLOSED"} & set(last["reason"])
    assert not (tmp_path / "outbox").exists()
    assert SqlLedger(launcher.home.ledger_url).first_event_at() is None


def use_what_the_gate_refused(launcher: Light, program: Program) -> None:
    """The program's features say next to nothing about who comments: the gate says so, and a person decides."""
    folder, [model] = launcher.home.models / program.program_id, program.scoring_models
    [made] = registry.versions(folder, model.model_id)
    assert made.verdict
    assert not made.verdict.deploy
    assert any("not surely better than a constant" in reason for reason in made.verdict.reasons)
    assert registry.champion(folder, model.model_id) is None
    now = launcher.clock.now()
    registry.promote(folder, model.model_id, made.version, who="ada", at=now, why="to see the lists")


@pytest.fixture
def survey_training(monkeypatch):
    """The modules beside the documents that make surveys of the source and train on them."""
    monkeypatch.syspath_prepend(ROOT / "docs" / "olist")
    return importlib.import_module("train_olist")


def test_a_model_of_surveys_is_judged_on_months_that_it_did_not_see(survey_training):
    found = survey_training.main(SOURCE)
    learned, judged = found["learned"], found["judged"]
    trained_on = date.fromisoformat(found["trained_on"])
    assert date.fromisoformat(learned["last"]) <= trained_on - timedelta(days=14)
    assert trained_on <= date.fromisoformat(judged["first"])
    assert min(learned["surveys"], judged["surveys"]) > 3000

    model, constant = found["model"], found["base_rate"]
    assert model["low"] > 0.5
    assert model["log_loss"] < constant["log_loss"]
    assert model["calibration_error"] <= found["calibration_limit"]

    page = (ROOT / "docs/olist/README.md").read_text(encoding="utf-8")
    for name in ("model", "logistic_regression", "base_rate"):
        row = re.search(rf"^\| `{name}` \|(.*)\|$", page, re.MULTILINE)
        assert row, f"docs/olist/README.md: no row {name}"
        documented = [float(number) for number in re.findall(r"\d\.\d+", row[1])]
        figures = [found[name][figure] for figure in ("roc_auc", "low", "high", "log_loss", "calibration_error")]
        assert documented == pytest.approx(figures, abs=0.002), name


def test_nothing_after_the_training_date_changes_what_is_learned(survey_training):
    known = survey_training.surveys.tables(survey_training.surveys.read(SOURCE))
    day = date(2017, 9, 1)
    learned = survey_training.examples(known, day)
    assert learned["label"].sum() > 500

    assert survey_training.examples(changed_after(known, day), day).equals(learned)
    assert not survey_training.examples(changed_after(known, day - timedelta(days=30)), day).equals(learned)


def changed_after(known: dict[str, pl.LazyFrame], cut: date) -> dict[str, pl.LazyFrame]:
    """The tables, with everything that happened after the cut made another: answers, deliveries, new orders."""
    happened = {"answered_at": ["rating", "has_comment"], "delivered_at": ["delivery_days", "delay_days"]}
    happened["ordered_at"] = ["promised_days", "state"]
    changed = dict(known)
    for name in ("orders", "surveys"):
        for at, columns in happened.items():
            if at in known[name].collect_schema():
                later = pl.col(at) > pl.lit(cut)
                changed[name] = changed[name].with_columns(
                    pl.when(later).then(pl.col(column).reverse()).otherwise(column).alias(column) for column in columns
                )
    new = known["orders"].filter(pl.col("ordered_at") > pl.lit(cut)).select("order_id")
    for name in ("order_items", "payments"):
        changed[name] = changed[name].join(new, on="order_id", how="anti")
    return changed
