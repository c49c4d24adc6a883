"""The batch job of a program about tracks, on a small world: from the warehouse to decisions, and old days again."""

from collections import Counter
from datetime import date, datetime, time, timedelta
from pathlib import Path

import polars as pl
import pytest

from engage_assets.defs import scoring_stages, training_stages
from engage_assets.defs.batch import Batch
from engage_assets.defs.launch import Launcher
from engage_assets.defs.model_assets import training_config
from engage_assets.domain.errors import EngageError
from engage_assets.programs import load_folder
from engage_assets.sample.music_world import generate_music
from engage_assets.scoring import registry
from engage_assets.scoring.combined import save_combination
from engage_assets_tests.defs.homes import FIRST, PROGRAMS, at, digests
from engage_assets_tests.sample import music_rules
from engage_assets_tests.sample.worlds import tables

PROGRAM, KEY = "music-feedback", "music_feedback"
DAY, BACKFILL = FIRST + timedelta(days=6), 30
TRUST_AND_BEFORE = ("contract", "duplicate", "trust")


def make_home(root: Path, *, days: int) -> Path:
    generate_music(
        root / "warehouse",
        seed=5,
        first_day=FIRST,
        days=days,
        history_days=40,
        customers=450,
        marketplaces=load_folder(PROGRAMS).marketplaces,
    )
    train(at(root, FIRST))
    return root


def train(launcher: Launcher) -> None:
    """Both models as of FIRST, in use: a small world may be too small for the gate."""
    program, models = launcher.program(PROGRAM), launcher.home.models
    try:
        launcher.run(f"{KEY}_training", config=training_config(program, FIRST))
    except EngageError as refused:
        if "promote a version that is there" not in str(refused):
            raise
    for model in (one.model_id for one in program.scoring_models):
        waiting = registry.challenger(models / PROGRAM, model)
        if waiting:
            now = launcher.clock.now()
            registry.promote(models / PROGRAM, model, waiting.version, who="a test", at=now, why="a small world")
    batch = Batch(program, FIRST, launcher.folder.marketplaces, launcher.parts["warehouse"])
    keys = [f"{one.key}_examples" for one in program.scoring_models]
    given = [pl.read_parquet(launcher.home.lake / KEY / key / f"{FIRST}.parquet") for key in keys]
    members = scoring_stages.members_of(models, program)
    save_combination(training_stages.combine(batch, members, given), models / PROGRAM)


def lake(home: Path, name: str, day: date) -> pl.DataFrame:
    return pl.read_parquet(home / "lake" / KEY / name / f"{day}.parquet")


def run_day(home: Path, day: date, now: date) -> None:
    launcher = at(home, datetime.combine(now, time(2)))
    launcher.run_partition(launcher.program(PROGRAM), day, jobs=["batch"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("listening"), days=12)


def test_a_day_is_decided_by_its_job_and_an_old_one_sees_what_was_new_then(home):
    for day in (DAY, FIRST):  # the older one is rebuilt, days later
        run_day(home, day, DAY + timedelta(days=1))
        raw, decisions = lake(home, "raw_track_plays", day), lake(home, "decisions", day)
        assert sorted(decisions["record_id"]) == sorted(raw["record_id"])
        assert raw["track_release_date"].min() >= day - timedelta(days=6)
        found = Counter(decisions.filter(pl.col("stage").is_in(TRUST_AND_BEFORE))["reason"])
        expected = music_rules.reasons(tables(home / "warehouse"), day)
        assert found == {code: count for code, count in expected.items() if code != "accepted"}
        listed = lake(home, "email_list", day)
        assert listed.height == (decisions["reason"] == "LISTED").sum() > 0
        assert listed.group_by("customer_id").len()["len"].max() <= 2
        assert listed["score"].min() >= 0.6


@pytest.mark.soak
def test_a_backfill_of_thirty_days_closes_and_is_the_same_again_and_sends_nothing(tmp_path):
    home = make_home(tmp_path, days=BACKFILL)
    days = [FIRST + timedelta(days=ahead) for ahead in range(BACKFILL)]
    after = days[-1] + timedelta(days=1)

    def backfill() -> dict[str, str]:
        for day in days:
            run_day(home, day, after)
            decisions = lake(home, "decisions", day)
            assert sorted(decisions["record_id"]) == sorted(lake(home, "raw_track_plays", day)["record_id"])
            assert decisions["reason"].null_count() == 0
        return digests(home / "lake" / KEY)

    assert backfill() == backfill()
    assert sum(lake(home, "email_list", day).height for day in days) > 0
    assert not list((home / "outbox").rglob("*.eml"))
