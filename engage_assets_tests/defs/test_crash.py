"""Killed at any step: nothing partial is visible, and the run again completes with the same bytes."""

import shutil
import signal

import polars as pl
import pytest

from engage_assets_tests.defs.crash import run_and_die, watch
from engage_assets_tests.defs.homes import DAY, at, batch_instant, copy_home, digests
from engage_assets_tests.processes import PROCESSES

LATER = ("product_reviews/daily_", "product_reviews/outcomes/")
"""What other jobs make of a decided partition."""


def visible(lake):
    return [path for path in lake.rglob("*") if path.is_file() and not path.name.startswith(".")]


def of_the_batch(lake):
    """Digests of the files that the batch makes."""
    return {
        name: digest
        for name, digest in digests(lake).items()
        if not name.startswith(LATER) and not name.split("/")[-1].startswith(".")
    }


@pytest.fixture(scope="module")
def moments(world, tmp_path_factory):
    """Copies of the lake as each moment of one batch finds it on the disk, and at its end."""
    home, kept = copy_home(world, tmp_path_factory.mktemp("watched")), tmp_path_factory.mktemp("moments")
    copies = []

    def keep():
        copies.append(kept / str(len(copies)))
        shutil.copytree(home / "lake", copies[-1])

    stop = watch(home / "lake", keep)
    at(home, batch_instant()).run("product_reviews_batch", DAY)
    stop()
    keep()
    return copies


def test_at_no_moment_is_anything_partial_visible(moments, decided):
    whole = of_the_batch(decided / "lake")
    seen = [of_the_batch(copy) for copy in moments]

    for copy in moments:
        for path in visible(copy):
            assert path.suffix != ".parquet" or pl.read_parquet(path) is not None
    assert all(files.items() <= whole.items() for files in seen)
    assert [len(files) for files in seen] == sorted(len(files) for files in seen)
    assert {len(files) for files in seen} == set(range(len(whole) + 1))


@pytest.mark.parametrize("part", [0.0, 0.45, 1.0])
def test_killed_it_leaves_what_was_there_and_completes_with_the_same_bytes(moments, world, decided, tmp_path, part):
    number = round(part * (len(moments) - 2))
    home = copy_home(world, tmp_path / "home")
    process = PROCESSES.Process(target=run_and_die, args=(home, number + 1))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert of_the_batch(home / "lake") == of_the_batch(moments[number])

    at(home, batch_instant()).run("product_reviews_batch", DAY)
    assert of_the_batch(home / "lake") == of_the_batch(decided / "lake")
