"""Killed at any step: nothing partial is visible, and the run again completes with the same bytes."""

import subprocess
import sys

import polars as pl

from engage_assets_tests.defs.homes import DAY, at, batch_instant, copy_home, digests

FILES = 12
"""Files that a batch makes visible: two mirrors of the ledger, and ten of the program."""


def test_a_kill_at_any_step_leaves_nothing_partial(world, decided, tmp_path):
    homes = [copy_home(world, tmp_path / f"home{number}") for number in range(1, FILES + 2)]
    said = subprocess.run(
        [sys.executable, "-m", "engage_assets_tests.defs.crash", *map(str, homes)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    ).stdout
    whole = digests(decided / "lake")

    ends = [line.split()[1] for line in said.splitlines()]
    assert ends == ["killed"] * FILES + ["ended"], "the last home sees the whole batch: FILES is its number of files"
    for home in homes:
        visible = [path for path in (home / "lake").rglob("*.parquet") if not path.name.startswith(".")]
        for path in visible:
            pl.read_parquet(path)
        kept = digests(home / "lake")
        assert {str(path.relative_to(home / "lake")) for path in visible} <= whole.keys()
        assert all(kept[name] == whole[name] for name in kept if name in whole)
    for home in homes[:FILES:4]:
        at(home, batch_instant()).run("product_reviews_batch", DAY)
        again = digests(home / "lake")
        assert {name: again[name] for name in whole if not name.startswith("product_reviews/daily_")} == {
            name: digest for name, digest in whole.items() if not name.startswith("product_reviews/daily_")
        }
