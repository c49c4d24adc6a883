"""A batch that dies at one moment: when its n-th file is about to become visible, or while that file is written."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import sklearn.isotonic  # noqa: F401
import skops.io  # noqa: F401 - paid once, before the forks

import engage_assets.scoring.pipelines  # noqa: F401
from engage_assets.lake import ParquetFile
from engage_assets_tests.defs.homes import DAY, at, batch_instant


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def watch(lake: Path, moment: Callable[[], None]) -> Callable[[], None]:
    """Call `moment` before each file of the lake is whole, and before it becomes visible; returns how to stop that."""
    close, replace = ParquetFile.close, Path.replace

    def watched_close(self):
        if self._path.is_relative_to(lake):
            moment()  # rows are written, the footer is not
        close(self)

    def watched_replace(self, target):
        if self.is_relative_to(lake):
            moment()
        return replace(self, target)

    def stop():
        ParquetFile.close, Path.replace = close, replace

    ParquetFile.close, Path.replace = watched_close, watched_replace
    return stop


def run_and_die(home: Path, last: int) -> None:
    """Run the batch and die by SIGKILL at the `last` of its moments."""
    seen = 0

    def moment():
        nonlocal seen
        seen += 1
        if seen == last:
            die()

    watch(home / "lake", moment)
    at(home, batch_instant()).run("product_reviews_batch", DAY)
