"""The weekly batch job of a program about events, on a tiny world: from profiles to decisions, and again."""

from collections import Counter
from datetime import date, datetime, time, timedelta
from pathlib import Path

import polars as pl
import pytest

from engage_assets.defs import scoring_stages, training_stages
from engage_assets.defs.batch import Batch
from engage_assets.defs.launch import Launcher
from engage_assets.defs.model_assets import training_config
from engage_assets.defs.training_stages import Past
from engage_assets.domain.errors import EngageError
from engage_assets.domain.registrations import Register, Seats
from engage_assets.ledger.registrations import SqlRegistrations
from engage_assets.scoring import registry, training
from engage_assets.scoring.combined import save_combination
from engage_assets.scoring.evaluation import Verdict
from engage_assets_tests.defs.homes import at, digests
from engage_assets_tests.defs.small_events import add_version, make_events

PROGRAM, KEY = "event-invitations", "event_invitations"
MONDAY = date(2026, 11, 23)
SUNDAY = MONDAY - timedelta(days=1)
FULL, OPEN = "e26-0", "e26-1"


def train(launcher: Launcher) -> None:
    """Both models as of SUNDAY, in use, as the training job makes them but for what it tells of them."""
    program, models = launcher.program(PROGRAM), launcher.home.models / PROGRAM
    batch = Batch(program, SUNDAY, launcher.folder.marketplaces, launcher.parts["warehouse"])
    frames = []
    for model in program.scoring_models:
        found, label = training_stages.chosen_examples(batch, model, SUNDAY, Past(None, None, None, None))
        given = training_stages.with_features(batch, found, model).with_columns(label_kind=pl.lit(label))
        trained = training.train(model.model_copy(update={"label": label}), given, as_of=SUNDAY)
        verdict = Verdict(True, "roc_auc", ("a tiny world",), {})
        registry.register(models, trained, verdict, who="a test", at=launcher.clock.now())
        launcher.lake.write((KEY, f"{model.key}_examples"), SUNDAY.isoformat(), given)
        frames.append(given)
    save_combination(training_stages.combine(batch, scoring_stages.members_of(models.parent, program), frames), models)


def examples(lake: Path, model: str) -> pl.DataFrame:
    return pl.read_parquet(lake / KEY / f"{model}_examples" / f"{SUNDAY}.parquet")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("events")
    make_events(root / "warehouse", last_monday=MONDAY)
    train(at(root, SUNDAY))
    return root


def made(home: Path, name: str, monday: date = MONDAY) -> pl.DataFrame:
    return pl.read_parquet(home / "lake" / KEY / name / f"{monday}.parquet")


def run_week(home: Path, monday: date = MONDAY, *, days_later: int = 0) -> None:
    launcher = at(home, datetime.combine(monday, time(2)) + timedelta(days=days_later))
    launcher.run_partition(launcher.program(PROGRAM), monday, jobs=["batch"])


def reasons(home: Path) -> Counter[tuple[str, str]]:
    return Counter(made(home, "decisions").select("subject_id", "reason").iter_rows())


def test_both_models_learn_their_own_label_from_past_mondays(home):
    given = [examples(home / "lake", model) for model in ("event_attendance_v3", "interest_affinity_v2")]
    assert [one["label_kind"].unique().to_list() for one in given] == [["attended_unasked"], ["interested_unasked"]]
    came, registered = (one.filter("label").select("customer_id", "subject_id") for one in given)
    past = pl.read_parquet(home / "warehouse/events/past_registrations.parquet")
    attended = past.filter("attended").rename({"event_id": "subject_id"})
    assert came.height == came.join(attended, on=["customer_id", "subject_id"], how="semi").height > 50
    assert registered.height > came.height
    for one in given:
        assert one["as_of"].dt.weekday().unique().to_list() == [1], "Mondays"
        assert one["as_of"].max() + timedelta(days=14) <= datetime.combine(SUNDAY, time())
    assert set(given[0]["interest_affinity"].unique()) == {1.0}, "whom the interest filter accepts"
    assert set(given[1]["event_topic"].unique()) == {
        "cloud-computing",
        "devops",
        "serverless",
        "machine-learning",
        "sql",
        "statistics",
    }


def test_nothing_is_learned_from_an_event_that_was_called_off_after_its_batch(tmp_path):
    make_events(tmp_path / "warehouse", last_monday=MONDAY, weeks=8)
    called_off = "e03-0"
    launcher = at(tmp_path, SUNDAY)
    model = launcher.program(PROGRAM).scoring_models[0]

    def learned_from() -> set[str]:
        batch = Batch(launcher.program(PROGRAM), SUNDAY, launcher.folder.marketplaces, launcher.parts["warehouse"])
        found, _ = training_stages.chosen_examples(batch, model, SUNDAY, Past(None, None, None, None))
        return set(found["subject_id"])

    before = learned_from()
    assert called_off in before
    at_night = datetime.combine(MONDAY - timedelta(days=7 * 5 - 3), time())
    add_version(tmp_path / "warehouse", called_off, known_at=at_night, status="cancelled")
    assert learned_from() == before - {called_off}


def test_a_week_is_decided_by_its_job_and_is_the_same_again(home):
    run_week(home)
    raw, decisions = made(home, "raw_customer_profiles"), made(home, "decisions")
    assert sorted(decisions["record_id"]) == sorted(raw["record_id"])
    assert raw["event_id"].unique().sort().to_list() == [FULL, OPEN]
    found = reasons(home)
    assert found[OPEN, "LISTED"] > 0
    assert found[FULL, "LISTED"] > 0
    listed = made(home, "email_list")
    assert listed.group_by("customer_id").len()["len"].max() <= 2
    assert listed["score"].min() >= 0.5
    assert {len(one.split(":")) for one in listed["campaign_id"]} == {6}, "marketplace, event and zone"
    assert listed["slot_at"].min() == datetime(2026, 11, 23, 9), "10:00 in Berlin"  # noqa: DTZ001
    subjects = made(home, "email_campaigns")["subject"]
    assert subjects.str.contains(
        "am 1. Dezember 2026|on December 1, 2026|am 2. Dezember 2026|on December 2, 2026"
    ).all()
    banners, verdicts = made(home, "in_app_banners"), made(home, "list_verdicts")
    wanted = verdicts.filter(channel="in-app", reason="LISTED")
    assert sorted(banners["record_id"]) == sorted(wanted["record_id"]) != []
    assert banners["score"].min() >= 0.6
    assert banners["slot_local"].dt.hour().unique().to_list() == [14]
    assert banners["slot_at"].min() > listed["slot_at"].min()
    assert (banners["ends_at"] <= banners["slot_at"] + timedelta(days=7)).all()
    assert banners.filter(locale="en")["title"].str.starts_with("Join All about ").all()
    before = digests(home / "lake" / KEY)
    run_week(home, days_later=3)
    assert digests(home / "lake" / KEY) == before


def test_a_full_and_a_cancelled_event_are_closed_and_who_registered_has_answered(home, tmp_path):
    first = made(home, "email_list").filter(subject_id=OPEN)["customer_id"][0]
    then = datetime.combine(SUNDAY, time(12))
    launcher = at(home, then)
    seats = SqlRegistrations(launcher.parts["ledger"].database)
    one = Seats(PROGRAM, FULL, 1, then + timedelta(days=9))
    seats.take([Register(one, "somebody", "DE")], then)
    seats.take([Register(Seats(PROGRAM, OPEN, 9, then + timedelta(days=9)), first, "DE")], then)
    add_version(home / "warehouse", FULL, known_at=then, capacity=1)
    run_week(home)
    found = reasons(home)
    assert found[FULL, "LISTED"] == 0
    assert found[FULL, "SUBJECT_CLOSED"] > 0
    verdict = made(home, "decisions").filter(subject_id=OPEN, customer_id=first)["reason"].to_list()
    assert verdict == ["ALREADY_ANSWERED"]
    add_version(home / "warehouse", OPEN, known_at=then, status="cancelled")
    run_week(home)
    assert made(home, "email_list").is_empty()
    assert made(home, "decisions")["reason"].null_count() == 0


def test_a_partition_is_a_monday(home):
    with pytest.raises(EngageError, match="they are Mondays from"):
        run_week(home, MONDAY + timedelta(days=1))


@pytest.mark.soak
def test_the_training_job_makes_both_models(tmp_path):
    make_events(tmp_path / "warehouse", last_monday=MONDAY)
    launcher = at(tmp_path, SUNDAY)
    program = launcher.program(PROGRAM)
    with pytest.raises(EngageError, match="promote a version that is there"):  # a tiny world is too small for the gate
        launcher.run(f"{KEY}_training", config=training_config(program, SUNDAY))
    for model in program.scoring_models:
        assert registry.versions(launcher.home.models / PROGRAM, model.model_id)
