"""Event invitations on real data: Meetup's groups of Montana, where they lie beside the project."""

import importlib
import os
import re
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from engage_assets.defs.batch import Batch
from engage_assets.defs.event_examples import unasked_examples
from engage_assets.defs.launch import Launcher
from engage_assets.defs.model_assets import training_config
from engage_assets.ledger.ledger import SqlLedger
from engage_assets_tests.defs.homes import Light

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "meetup"
SOURCE = Path(os.environ.get("MEETUP_DATA") or ROOT.parent / "shared" / "data" / "meetup_montana")
MONDAY = date(2014, 3, 3)
TRAINED_ON = date(2014, 1, 1)

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(
        not SOURCE.is_dir(),
        reason=f"needs Meetup's data in {SOURCE}: docs/meetup/README.md; name another folder in MEETUP_DATA",
    ),
]


@pytest.fixture(scope="module")
def scripts():
    """The modules beside the document."""
    sys.path.insert(0, str(FOLDER))
    names = ("map_meetup", "judge_meetup")
    yield {name: importlib.import_module(name) for name in names}
    sys.path.remove(str(FOLDER))
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def home(scripts, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("meetup")
    scripts["map_meetup"].main(SOURCE, root / "warehouse")
    return root


def launched(home: Path) -> Launcher:
    return Light({"ENGAGE_HOME": str(home), "ENGAGE_PROGRAMS": str(FOLDER / "programs")})


def table(home: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(home / "warehouse" / f"{name}.parquet")


def test_tables_keep_their_contracts_and_yeses_are_as_many_as_the_source_has(scripts, home):
    mapping, warehouse = scripts["map_meetup"], launched(home).parts["warehouse"]
    made = mapping.tables(mapping.read_source(SOURCE))
    assert {one.name: rows.height for one, rows in made} == {
        "customers": 1757, "customer_trust": 1757, "customer_profiles": 1757, "events": 1396, "topics": 129,
        "past_registrations": 7616,
    }  # fmt: skip
    for one, rows in made:
        assert warehouse.scan(one, "meetup", required=True).collect().height == rows.height
    later = after_their_batch(mapping, home)
    assert (later.height, int(later["is_later"].sum())) == (3589, 2348)
    tags = table(home, "meetup/customer_profiles")["interest_tags"]
    assert (tags.list.len() == 0).sum() > 400, "members without an interest"
    assert tags.explode().drop_nulls().n_unique() == 1893, "interests"


def after_their_batch(mapping, home: Path) -> pl.DataFrame:
    """Yeses to events of 2014 to 2016 that are over, and whether each came after the batch that invites for it."""
    events, given = table(home, "events/events"), table(home, "events/past_registrations")
    over = pl.col("starts_at") <= given["registered_at"].max()
    in_time = mapping.local_date("starts_at").dt.year().is_between(2014, 2016)
    instants = events.filter(over, in_time).select("event_id", instant=mapping.inviting_instant("starts_at"))
    joined = given.join(instants, on="event_id")
    return joined.with_columns(is_later=pl.col("registered_at") > pl.col("instant"))


def test_examples_are_of_members_who_had_joined_and_not_said_yes(home):
    launcher = launched(home)
    program = launcher.program("meetup-invitations")
    day = date(2013, 7, 1)
    model = program.scoring_models[0].model_copy(update={"history_days": 120})
    batch = Batch(program, day, launcher.folder.marketplaces, launcher.parts["warehouse"])
    found = unasked_examples(batch, model, day).collect().join(table(home, "crm/customer_trust"), on="customer_id")
    assert found.height > 2000
    assert found.filter(pl.col("known_at") > pl.col("as_of")).is_empty()
    given = table(home, "events/past_registrations").rename({"event_id": "subject_id"})
    said = found.join(given, on=["customer_id", "subject_id"])
    assert said.filter(pl.col("registered_at") <= pl.col("as_of")).is_empty()
    within = pl.col("registered_at") <= pl.col("as_of") + timedelta(days=model.label_days)
    assert said.filter(within).height == found["label"].sum() > 50
    assert found["as_of"].max() <= datetime.combine(day, datetime.min.time()) - timedelta(days=model.label_days)


@pytest.mark.soak
def test_a_real_week_is_decided_and_closes(scripts, home):
    launcher = launched(home)
    program = launcher.program("meetup-invitations")
    launcher.run("meetup_invitations_training", config=training_config(program, TRAINED_ON))
    launcher.run_partition(program, MONDAY, jobs=["batch", "metrics"], tags={"dagster/backfill": "meetup"})
    raw, decided = (
        launcher.lake.scan(("meetup_invitations", name), MONDAY.isoformat()).collect()
        for name in ("raw_customer_profiles", "decisions")
    )
    assert sorted(decided["record_id"]) == sorted(raw["record_id"])
    assert decided["reason"].null_count() == 0
    assert {"ACCOUNT_STATUS", "ALREADY_ANSWERED", "BELOW_MIN_SCORE", "LISTED"} <= set(decided["reason"])
    assert not (home / "outbox").exists()
    assert SqlLedger(launcher.home.ledger_url).first_event_at() is None
    found = scripts["judge_meetup"].main(home)
    assert found["records"] == decided.height
    assert found["rankings"]["with the group's history"]["auc"] > 0.7


def test_a_ranking_is_judged_by_hand(scripts):
    rows = pl.DataFrame(
        [("e-1", "a", True), ("e-1", "b", False), ("e-1", "c", True), ("e-2", "a", False), ("e-2", "b", False)],
        schema=["subject_id", "customer_id", "label"],
        orient="row",
    )
    found = scripts["judge_meetup"].judgement(rows, pl.Series([0.9, 0.5, 0.1, 0.2, 0.8]))
    # Pairs: 0.9 beats all three noes, 0.1 none; in e-1 one of two; its first two of three hold one yes.
    assert found == {"auc": 0.5, "auc in events": 0.5, "recall@20": 1.0, "precision@k": 0.5}
    tied = scripts["judge_meetup"].judgement(rows, pl.Series([1, 1, 1, 1, 1]))
    assert (tied["auc"], tied["auc in events"], tied["precision@k"]) == (0.5, 0.5, 0.5)


@pytest.mark.skipif("MEETUP_HOME" not in os.environ, reason="needs a home with all batches, named in MEETUP_HOME")
def test_the_page_has_the_figures_of_the_batches(scripts):
    found = scripts["judge_meetup"].main(Path(os.environ["MEETUP_HOME"]))
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    table = page[page.index("| ranking | AUC") :].split("\n\n")[0]
    for name, figures in found["rankings"].items():
        (line,) = re.findall(rf"^\| {re.escape(name)} \|(.*)\|$", table, re.MULTILINE)
        assert [float(one) for one in re.findall(r"\d\.\d+", line)] == pytest.approx(list(figures.values()), abs=0.002)
