"""One small world for the tests of whole batches, made once."""

import shutil
from pathlib import Path

import pytest

from engage_assets_tests.defs.homes import DAY, PROGRAM, at, batch_instant, copy_home, make_home


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse and a model; tests copy it."""
    return make_home(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def decided(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which DAY was decided, measured and exported, as `engage` would do it; tests do not change it."""
    home = copy_home(world, tmp_path_factory.mktemp("decided"))
    launcher = at(home, batch_instant(), light=False)
    launcher.run_partition(launcher.program(PROGRAM), DAY, jobs=["batch", "metrics", "export"])
    return home


@pytest.fixture
def fresh(world: Path, tmp_path: Path) -> Path:
    """A home of one's own, nothing decided yet."""
    return copy_home(world, tmp_path / "home")


@pytest.fixture
def own(decided: Path, tmp_path: Path) -> Path:
    """A copy of the decided home that a test may change."""
    home = tmp_path / "home"
    shutil.copytree(decided, home)
    return home
