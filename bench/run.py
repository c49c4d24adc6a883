"""The benchmark: figures against rivals, as ratios of one run. `make bench` calls it; the docs hold its table.

Each figure is the median of three fresh processes (one at 5,000,000 deliveries). CPU is user plus system time of the
process, imports included. Data lie in .bench/ and are made once (bench/generate.py).
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PARTITION = "2026-11-20"
REPEATS = 3
# Bytecode is kept, as on any machine in use: else each process compiles its libraries again.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def run(script: str, *arguments: str, repeats: int = REPEATS) -> list[dict[str, Any]]:
    """What each of some fresh processes reported."""
    found = []
    for place in range(repeats):
        print(f"  {script} {' '.join(Path(one).name for one in arguments)} ({place + 1}/{repeats})", file=sys.stderr)
        done = subprocess.run(
            [sys.executable, f"bench/{script}", *arguments],
            cwd=ROOT, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        found.append(json.loads(done.stdout.strip().splitlines()[-1]))
    return found


def home_of(deliveries: int) -> Path:
    """The benchmark's home with so many deliveries, made if it is not there."""
    done = subprocess.run(
        [sys.executable, "bench/generate.py", ".bench", "--deliveries", str(deliveries)],
        cwd=ROOT, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return (ROOT / done.stdout.strip().splitlines()[-1]).absolute()


def median(runs: list[dict[str, Any]], key: str) -> float:
    """Median over the runs."""
    return statistics.median(one[key] for one in runs)


def equal(one: Path, other: Path) -> bool:
    """Whether two results hold the same rows."""
    import polars as pl

    columns = [
        "record_id",
        "reason",
        "refused_by_trust",
        "refused_by_eligibility",
        "refused_by_frequency_cap",
        "quota_left",
    ]
    frames = [pl.read_parquet(path).select(columns).sort("record_id") for path in (one, other)]
    return frames[0].equals(frames[1])


def row(name: str, runs: list[dict[str, Any]], ratio: str = "") -> str:
    """One line of the table."""
    return (
        f"| {name} | {median(runs, 'cpu_seconds'):.1f} | {median(runs, 'wall_seconds'):.1f}"
        f" | {max(one['max_rss_mib'] for one in runs):,.0f} | {ratio} |"
    )


def filters(home: Path, out: Path) -> list[str]:
    """The filter stage against hand-written Polars and pandas."""
    places = [str(home / "warehouse"), str(home / "lake" / "ledger" / "send_events"), PARTITION]
    ours, polars, pandas = out / "ours.parquet", out / "polars.parquet", out / "pandas.parquet"
    raw = str(out / "raw.parquet")
    run("filter_ours.py", "prepare", places[0], raw, repeats=1)
    run("filter_ours.py", *places, str(ours), raw, repeats=1)  # reads the files into memory once, for all
    results = {
        "ours": run("filter_ours.py", *places, str(ours), raw),
        "polars": run("filter_polars.py", *places, str(polars)),
        "pandas": run("filter_pandas.py", *places, str(pandas)),
    }
    assert equal(ours, polars), "our filter stage and the hand-written Polars script differ"
    assert equal(ours, pandas), "our filter stage and the hand-written pandas script differ"
    cpu = {name: median(runs, "cpu_seconds") for name, runs in results.items()}
    return [
        row("filter stage, ours", results["ours"]),
        row("filter stage, hand-written Polars", results["polars"], f"ours ÷ this = {cpu['ours'] / cpu['polars']:.2f}"),
        row("filter stage, hand-written pandas", results["pandas"], f"ours ÷ this = {cpu['ours'] / cpu['pandas']:.2f}"),
    ]


def partition(home: Path) -> list[str]:
    """Raw to rendered campaigns, through Dagster and without it."""
    run("partition.py", "model", str(home), PARTITION, repeats=1)
    run("partition.py", "dagster", str(home), PARTITION, repeats=1)  # sets up Dagster's database
    direct, dagster = (run("partition.py", way, str(home), PARTITION) for way in ("direct", "dagster"))
    over = median(dagster, "cpu_seconds") / median(direct, "cpu_seconds") - 1
    wall = median(dagster, "wall_seconds") / median(direct, "wall_seconds") - 1
    stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in direct[0]["stages"].items())
    return [
        row(f"whole partition, functions called directly ({stages} s)", direct),
        row("whole partition, one run through Dagster", dagster, f"over direct: {over:+.0%} CPU, {wall:+.0%} wall"),
    ]


def large(home: Path, small: Path) -> list[str]:
    """Ten times the deliveries: memory must stay bounded."""
    if not (home / "models").exists():
        (home / "models").symlink_to(small / "models")
    runs = run("partition.py", "dagster", str(home), PARTITION, repeats=1)
    return [row("whole partition of 5,000,000 deliveries, one run through Dagster", runs)]


def main() -> None:
    """Print the table."""
    small, big = home_of(500_000), home_of(5_000_000)
    out = small / "results"
    out.mkdir(exist_ok=True)
    lines = [
        "| 500,000 deliveries, 3 M customers, 5 M sends, 10 M reviews | CPU s | wall s | peak MiB | ratio |",
        "|---|---:|---:|---:|---|",
        *filters(small, out),
        *partition(small),
        *large(big, small),
    ]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
