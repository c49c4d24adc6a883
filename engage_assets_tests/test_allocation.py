"""Memory is kept as said by whatever of ours is loaded first."""

import os
import subprocess
import sys

import pytest

from engage_assets.allocation import VARIABLE, keep_memory


def test_polars_allocator_is_told_before_it_is_loaded() -> None:
    code = (
        "import os, sys, engage_assets; assert 'polars' not in sys.modules;"
        f" os.environ[{VARIABLE!r}] += ',stats_print:true'; import polars"
    )
    environ = {name: value for name, value in os.environ.items() if name != VARIABLE}
    said = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True).stderr
    if "jemalloc" not in said:
        pytest.skip("Polars has another allocator on this system")
    arenas = max(1, (os.cpu_count() or 1) // 2)
    for line in (f"opt.narenas: {arenas}", "opt.dirty_decay_ms: 5000", "opt.oversize_threshold: 0"):
        assert line in said


def test_own_settings_are_left_alone() -> None:
    environ = {VARIABLE: "narenas:7"}
    keep_memory(environ, 32)
    assert environ == {VARIABLE: "narenas:7"}


def test_cycles_are_looked_for_seldom_unless_somebody_says_how_often() -> None:
    code = "import gc; gc.set_threshold({}, 7, 7); import engage_assets; print(*gc.get_threshold())"
    for before, after in ((700, "50000 7 7"), (90_000, "90000 7 7"), (0, "0 7 7")):
        said = subprocess.run([sys.executable, "-c", code.format(before)], capture_output=True, text=True, check=True)
        assert said.stdout.strip() == after


def test_arenas_grow_with_cores() -> None:
    found = []
    for cores in (1, 2, 32):
        environ: dict[str, str] = {}
        keep_memory(environ, cores)
        found.append(environ[VARIABLE].partition(",")[0])
    assert found == ["narenas:1", "narenas:1", "narenas:16"]
