"""The interest match of many profiles and a few events: ours beside a hand-written script, CPU seconds of each.

    python bench/interests.py [--profiles 3000000] [--events 4]

Each side runs in a process of its own on the same profiles, and both give the same matches. Prints JSON.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import narwhals as nw
import polars as pl

from engage_assets.domain.events import Event
from engage_assets.domain.topics import Topics
from engage_assets.filters import interests
from engage_assets.filters.asking import Asking
from engage_assets.programs import read_program

NOW = datetime(2026, 11, 23, 2)  # noqa: DTZ001 - UTC without a zone attached
AT_ONCE = 600_000
"""Pairs of a range, as a batch works through them (defs.batch.RANGE_ROWS)."""
PROGRAM = Path(__file__).parent.parent / "programs" / "event-invitations.yaml"


def tree() -> list[dict[str, object]]:
    """Ten branches of twelve topics, each with a synonym."""
    rows: list[dict[str, object]] = [
        {"topic": f"branch-{branch}", "parent": None, "synonyms": []} for branch in range(10)
    ]
    rows += [
        {"topic": f"topic-{branch}-{leaf}", "parent": f"branch-{branch}", "synonyms": [f"T{branch} {leaf}"]}
        for branch in range(10)
        for leaf in range(12)
    ]
    return rows


def events(count: int) -> list[Event]:
    return [
        Event(f"e-{place}", NOW, "", (f"topic-{place}-0", f"topic-{place}-1", f"topic-{place + 1}-2"), NOW, "UTC", 60)
        for place in range(count)
    ]


def forms() -> list[str]:
    """Interests as people write them: each leaf of the tree in three ways, and hobbies that it lacks."""
    leaves = [(branch, leaf) for branch in range(10) for leaf in range(12)]
    written = [form for b, leaf in leaves for form in (f"topic-{b}-{leaf}", f"Topic_{b} {leaf} ", f"t{b}_{leaf}")]
    return written + [f"hobby {place}" for place in range(200)]


def make_profiles(path: Path, count: int) -> None:
    drawn = random.Random(7)
    written = forms()
    lists = [drawn.sample(written, drawn.randint(0, 8)) for _ in range(50_000)]
    chosen = pl.Series([drawn.randrange(len(lists)) for _ in range(count)])
    tags = pl.Series(lists, dtype=pl.List(pl.String)).gather(chosen)
    pl.DataFrame({"customer_id": pl.int_range(count, eager=True).cast(pl.String), "interest_tags": tags}).write_parquet(
        path
    )


def ours(path: Path, count: int) -> pl.DataFrame:
    """As the filter does it: in ranges of pairs, through the function that every engine shares."""
    topics, these = Topics.of(tree()), events(count)
    near = nw.from_native(interests.likeness(these, topics).lazy())
    means = nw.from_native(interests.matches(these, topics).lazy())
    asking = Asking(read_program(PROGRAM), NOW, lambda frame: nw.from_native(frame.to_native().collect().lazy()))
    ids = pl.LazyFrame({"subject_id": [one.event_id for one in these]})
    found, profiles, step = [], pl.scan_parquet(path), AT_ONCE // count
    for start in range(0, profiles.select(pl.len()).collect().item(), step):
        pairs = profiles.slice(start, step).join(ids, how="cross").collect()
        found.append(interests.matched(nw.from_native(pairs.lazy()), asking, near, means).to_native().collect())
    return pl.concat(found)


def by_hand(path: Path, count: int) -> pl.DataFrame:
    """What one would write for Polars alone, whole and lazy."""
    topics, these = Topics.of(tree()), events(count)
    near, sizes = (
        interests.likeness(these, topics).lazy(),
        {one.event_id: len(topics.distinct(one.topics)) for one in these},
    )
    tags = (
        pl.scan_parquet(path)
        .explode("interest_tags")
        .drop_nulls()
        .with_columns(tag=pl.col("interest_tags").str.replace_all("[_-]", " ").str.strip_chars().str.to_lowercase())
    )
    return (
        tags.join(near, on="tag")
        .group_by("customer_id", "subject_id", "topic")
        .agg(pl.col("tenths").max())
        .group_by("customer_id", "subject_id")
        .agg(pl.col("tenths").sum())
        .with_columns(interest_match=(pl.col("tenths") / 10 / pl.col("subject_id").replace_strict(sizes)).round(6))
        .select("customer_id", "subject_id", "interest_match")
        .collect(engine="streaming")
    )


SIDES: dict[str, Callable[[Path, int], pl.DataFrame]] = {"ours": ours, "by_hand": by_hand}


def run_side(name: str, path: Path, count: int, result: Path) -> None:
    start = time.perf_counter()
    before = time.process_time()
    found = SIDES[name](path, count)
    cpu, wall = time.process_time() - before, time.perf_counter() - start
    found.sort("customer_id", "subject_id").write_parquet(result)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu_seconds": round(cpu, 2), "seconds": round(wall, 2), "peak_mib": round(peak)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profiles", type=int, default=3_000_000)
    parser.add_argument("--events", type=int, default=4)
    parser.add_argument("--side", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        name, path, result = given.side
        run_side(name, Path(path), given.events, Path(result))
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "profiles.parquet"
        make_profiles(path, given.profiles)
        figures, frames = {}, []
        for name in SIDES:
            result = Path(folder) / f"{name}.parquet"
            command = [sys.executable, __file__, "--events", str(given.events), "--side", name, str(path), str(result)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            figures[name] = json.loads(done.stdout)
            frames.append(pl.read_parquet(result))
        ratio = figures["ours"]["cpu_seconds"] / figures["by_hand"]["cpu_seconds"]
        figures |= {"profiles": given.profiles, "events": given.events, "cpu_ratio": round(ratio, 2)}
        figures |= {"matches": frames[0].height, "equal": frames[0].equals(frames[1])}
        print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
