"""Homes for tests of whole batches: a small world, a trained model, a launcher on a declared clock."""

import hashlib
import shutil
from datetime import date, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path

import dagster as dg

from engage_assets.defs.abilities import load_programs
from engage_assets.defs.build import definitions_of, with_resources
from engage_assets.defs.launch import Launcher
from engage_assets.defs.model_assets import training_config
from engage_assets.programs import ProgramFolder, load_folder
from engage_assets.sample.world import generate
from engage_assets.scoring import registry

PROGRAMS = Path(__file__).parent.parent.parent / "programs"
PROGRAM = "product-reviews"
FIRST = date(2026, 10, 1)
DAY = FIRST + timedelta(days=8)


def make_home(root: Path) -> Path:
    """A world of 14 days with a model as of its first day."""
    generate(
        root / "warehouse",
        seed=5,
        first_day=FIRST,
        days=14,
        history_days=120,
        customers=700,
        products=60,
        marketplaces=load_folder(PROGRAMS).marketplaces,
    )
    train(at(root, FIRST))
    return root


def train(launcher: Launcher) -> None:
    """Train the program's model as of FIRST, and use it: a small world may be too small for the gate."""
    program = launcher.program(PROGRAM)
    launcher.run("product_reviews_training", config=training_config(program, FIRST))
    models, (model,) = launcher.home.models / PROGRAM, program.scoring_models
    waiting = registry.challenger(models, model.model_id)
    if waiting:
        at_once = launcher.clock.now()
        registry.promote(models, model.model_id, waiting.version, who="a test", at=at_once, why="a small world")


def copy_home(home: Path, root: Path) -> Path:
    """The same warehouse and models in a home of its own, with nothing decided yet."""
    for name in ("warehouse", "models"):
        shutil.copytree(home / name, root / name)
    return root


class Light(Launcher):
    """A launcher whose Dagster keeps its events in memory, which halves the time of a run; assets are built once."""

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.ephemeral()

    @cached_property
    def folder(self) -> ProgramFolder:
        return _folder(self.folder_path)

    @cached_property
    def _definitions(self) -> dg.Definitions:
        return with_resources(_definitions(self.folder_path), self.parts)


_folder = cache(load_programs)
_definitions = cache(lambda path: definitions_of(_folder(path)))


def at(home: Path, now: date | datetime | None = None, *, light: bool = True, **environment: str) -> Launcher:
    """A launcher on `home` whose clock stands at `now`; None: the real clock. Not light: Dagster's files are there."""
    declared = {"ENGAGE_NOW": now.isoformat()} if now else {}
    given = {"ENGAGE_HOME": str(home), "ENGAGE_PROGRAMS": str(PROGRAMS), **declared, **environment}
    return (Light if light else Launcher)(given)


def batch_instant(day: date = DAY) -> datetime:
    return datetime.combine(day + timedelta(days=1), datetime.min.time()) + timedelta(hours=2)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by relative path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
