"""The benchmark compares like with like: our filter stage and its rivals give the same rows."""

import io
import runpy
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import polars as pl
import pytest

BENCH = Path(__file__).parent.parent / "bench"
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
    """The last line that a script prints; it runs as `python bench/…` would, but in this process."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(said):
        patched.setattr(sys, "argv", [name, *map(str, arguments)])
        patched.syspath_prepend(str(BENCH))
        runpy.run_path(str(BENCH / name), run_name="__main__")
    return said.getvalue().strip().splitlines()[-1]


def test_ours_and_the_rivals_give_equal_rows(tmp_path):
    home = Path(script("generate.py", tmp_path / "bench", "--scale", "0.02"))
    prepared = tmp_path / "raw.parquet"
    script("filter_ours.py", "prepare", home / "warehouse", prepared)

    def result(name: str, *more: object) -> pl.DataFrame:
        out = tmp_path / f"{name}.parquet"
        log = home / "lake" / "ledger" / "send_events"
        script(f"filter_{name}.py", home / "warehouse", log, PARTITION, out, *more)
        return pl.read_parquet(out).select(COLUMNS).sort("record_id")

    ours = result("ours", prepared)
    assert ours.height == 10_000
    assert ours["reason"].n_unique() > 12
    assert ours.equals(result("polars"))
    assert ours.equals(result("pandas"))


def test_a_rival_in_an_environment_of_its_own_does_without_ours():
    """Feast is measured by an interpreter that has neither this package nor what it needs."""
    alone = "import sys; sys.path.insert(0, 'bench'); sys.modules['engage_assets'] = None; import feast_point_in_time"
    subprocess.run([sys.executable, "-I", "-S", "-c", alone], check=True, cwd=BENCH.parent)
