"""The benchmark compares like with like: our filter stage and its rivals give the same rows."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

ROOT = Path(__file__).parent.parent
PARTITION = "2026-11-20"
COLUMNS = [
    "record_id",
    "reason",
    "refused_by_trust",
    "refused_by_eligibility",
    "refused_by_frequency_cap",
    "quota_left",
]


def script(name: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, f"bench/{name}", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return Path(script("generate.py", tmp_path_factory.mktemp("bench"), "--scale", "0.02"))


def result(home: Path, name: str, folder: Path) -> pl.DataFrame:
    out = folder / f"{name}.parquet"
    raw = [folder / "raw.parquet"] if name == "ours" else []
    for prepared in raw:
        script("filter_ours.py", "prepare", home / "warehouse", prepared)
    script(f"filter_{name}.py", home / "warehouse", home / "lake" / "ledger" / "send_events", PARTITION, out, *raw)
    return pl.read_parquet(out).select(COLUMNS).sort("record_id")


def test_ours_and_the_rivals_give_equal_rows(home, tmp_path):
    ours = result(home, "ours", tmp_path)

    assert ours.height == 10_000
    assert ours["reason"].n_unique() > 12
    assert ours.equals(result(home, "polars", tmp_path))
    assert ours.equals(result(home, "pandas", tmp_path))
