"""Homes for tests of weeks of events: the synthetic world's guests, and both models put into use."""

from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl

from engage_assets.defs import scoring_stages, training_stages
from engage_assets.defs.batch import Batch
from engage_assets.defs.launch import Launcher
from engage_assets.defs.training_stages import Past
from engage_assets.sample.events_world import generate_events
from engage_assets.scoring import registry, training
from engage_assets.scoring.combined import save_combination
from engage_assets.scoring.evaluation import Verdict
from engage_assets_tests.defs.homes import PROGRAMS, at, load_folder

PROGRAM, KEY = "event-invitations", "event_invitations"
MONDAY = date(2026, 10, 5)
"""The first of the world: in its week an event moves, and another is called off."""
EVE = MONDAY - timedelta(days=4)
SEED = 3


def make_event_home(root: Path, *, weeks: int, customers: int = 700, history_weeks: int = 16, eve: date = EVE) -> Path:
    """So many Mondays of a small world, with models as of the day before the first partition's week."""
    marketplaces = load_folder(PROGRAMS).marketplaces
    generate_events(
        root / "warehouse",
        seed=SEED,
        first_day=eve,
        days=7 * weeks,
        customers=customers,
        event_history_weeks=history_weeks,
        marketplaces=marketplaces,
    )
    train_events(at(root, eve), eve)
    return root


def train_events(launcher: Launcher, as_of: date) -> None:
    """Both models as of a day, in use whatever a gate would say: a small world is too small for it."""
    program, models = launcher.program(PROGRAM), launcher.home.models / PROGRAM
    batch = Batch(program, as_of, launcher.folder.marketplaces, launcher.parts["warehouse"])
    frames = []
    for model in program.scoring_models:
        found, label = training_stages.chosen_examples(batch, model, as_of, Past(None, None, None, None))
        given = training_stages.with_features(batch, found, model).with_columns(label_kind=pl.lit(label))
        trained = training.train(model.model_copy(update={"label": label}), given, as_of=as_of)
        verdict = Verdict(True, "roc_auc", ("a small world",), {})
        registry.register(models, trained, verdict, who="a test", at=launcher.clock.now())
        frames.append(given)
    save_combination(training_stages.combine(batch, scoring_stages.members_of(models.parent, program), frames), models)


def batch_instant(monday: date) -> datetime:
    return datetime.combine(monday, datetime.min.time()) + timedelta(hours=2)
