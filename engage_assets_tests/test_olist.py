"""The program on real data: Olist's deliveries, where they lie beside the project."""

import os
import runpy
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from engage_assets.ledger.ledger import SqlLedger
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
    step = "olist_reviews__train_review_propensity_olist_model"
    launcher.run("olist_reviews_training", config={"ops": {step: {"config": {"as_of": "2018-01-01"}}}})

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
