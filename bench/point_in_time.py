"""The point-in-time join of the feature store: 200,000 entities, 5 views of 4,000,000 rows, two times each.

    .venv/bin/python bench/point_in_time.py FOLDER [--entities N] [--rows N]

FOLDER holds the data; it is made where it is not there. One row in ten became known 1 to 20 days late. The join runs in
a process of its own; 1,500 entities of each view (7,500 cells of six features) are compared with a reference that reads
row by row. Prints JSON: `wrong` cells (`not_yet_known`: of these, with values that were not known then), `lost` rows,
CPU (`join_cpu_seconds`: without imports), wall and memory of the joining process, files and result included.
bench/feast_point_in_time.py does the same with Feast, on the same data.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from measure import report

VIEWS = [f"view{place}" for place in range(5)]
COLUMNS = [f"f{place}" for place in range(6)]
START = 1_750_000_000_000_000
CUSTOMERS_PER_ENTITY = 5
SAMPLED = 1500


def generate(folder: Path, entities: int, rows: int) -> None:
    """Views and entities as Parquet, from fixed seeds."""
    import numpy as np
    import polars as pl

    folder.mkdir(parents=True, exist_ok=True)
    instant = pl.Datetime("us", "UTC")
    customers = entities * CUSTOMERS_PER_ENTITY
    for place, view in enumerate(VIEWS):
        chance = np.random.default_rng(place)
        event = START + chance.integers(0, 180 * 86400, rows) * 1_000_000
        soon, late = chance.integers(60, 7200, rows), chance.integers(86400, 20 * 86400, rows)
        known = event + np.where(chance.random(rows) < 0.9, soon, late) * 1_000_000
        times = {"event_time": pl.Series(event).cast(instant), "known_at": pl.Series(known).cast(instant)}
        values = {name: chance.random(rows, dtype="f4") for name in COLUMNS}
        frame = pl.DataFrame({"customer_id": chance.integers(0, customers, rows), **times, **values})
        frame.write_parquet(folder / f"{view}.parquet", row_group_size=262144)
    chance = np.random.default_rng(99)
    asked = START + chance.integers(60 * 86400, 180 * 86400, entities) * 1_000_000
    keys = {"row": np.arange(entities), "customer_id": chance.integers(0, customers, entities)}
    pl.DataFrame({**keys, "as_of": pl.Series(asked).cast(instant)}).write_parquet(folder / "entities.parquet")


def join(folder: Path) -> None:
    """All features of all entities into ours.parquet."""
    import polars as pl

    from engage_assets.domain.feature_views import FeatureView
    from engage_assets.features.store import WarehouseFeatures

    began = time.process_time()
    views = {
        view: FeatureView.model_validate(
            {
                "view": view,
                "description": "A view of the benchmark.",
                "entity": "customer",
                "query": f"SELECT customer_id, event_time, known_at, {', '.join(COLUMNS)} FROM {view}",
                "eventTime": "event_time",
                "features": [{"name": f"{view}_{one}", "column": one, "description": one} for one in COLUMNS],
            }
        )
        for view in VIEWS
    }
    store = WarehouseFeatures(views, {view: pl.scan_parquet(folder / f"{view}.parquet") for view in VIEWS})
    entities = pl.read_parquet(folder / "entities.parquet").with_columns(
        pl.col("as_of").dt.replace_time_zone(None), subject_id=pl.lit(None, pl.String)
    )
    names = [f"{view}_{one}" for view in VIEWS for one in COLUMNS]
    store.join_in_turn(entities, names).select("row", *names).write_parquet(folder / "ours.parquet")
    report(join_cpu_seconds=round(time.process_time() - began, 2))


def check(folder: Path, result: str) -> dict[str, int]:
    """A result against the reference: in each view the row with the latest event that had happened and was known."""
    import polars as pl

    entities = pl.read_parquet(folder / "entities.parquet")
    sample = entities.sample(min(SAMPLED, entities.height), seed=3)
    found = pl.read_parquet(folder / result)
    rows = {row["row"]: row for row in found.filter(pl.col("row").is_in(sample["row"].implode())).rows(named=True)}
    counts = {"cells": 0, "known": 0, "wrong": 0, "not_yet_known": 0, "lost": entities.height - found["row"].n_unique()}
    for view in VIEWS:
        history = pl.scan_parquet(folder / f"{view}.parquet").filter(
            pl.col("customer_id").is_in(sample["customer_id"].unique().implode())
        )
        facts: dict[int, list[dict[str, Any]]] = {}
        for fact in history.collect().rows(named=True):
            facts.setdefault(fact["customer_id"], []).append(fact)
        for asked in sample.rows(named=True):
            known = [
                fact
                for fact in facts.get(asked["customer_id"], [])
                if fact["event_time"] <= asked["as_of"] and fact["known_at"] <= asked["as_of"]
            ]
            best = max(known, key=lambda fact: (fact["event_time"], fact["known_at"]), default=None)
            given = [_value(rows.get(asked["row"], {}).get(f"{view}_{one}")) for one in COLUMNS]
            is_known = [[fact[one] for one in COLUMNS] for fact in known]
            counts["cells"] += 1
            counts["known"] += best is not None
            counts["wrong"] += given != ([best[one] for one in COLUMNS] if best else [None] * len(COLUMNS))
            counts["not_yet_known"] += given[0] is not None and given not in is_known
    return counts


def _value(found: float | None) -> float | None:
    """NaN, which pandas writes for nothing, as nothing."""
    return None if found is None or found != found else found  # noqa: PLR0124


def in_its_own_process(
    script: str | Path, given: argparse.Namespace, *step: str, python: Path | str = sys.executable
) -> dict[str, Any]:
    """What one step of a script prints. The caller stays small: a process counts the memory of the one that made it."""
    sizes = ["--entities", str(given.entities), "--rows", str(given.rows)]
    command = [str(python), str(script), str(given.place), *sizes, "--step", *step]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def arguments() -> argparse.Namespace:
    """What the script was asked; the data are made where they are not there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", type=Path, metavar="FOLDER")
    parser.add_argument("--entities", type=int, default=200_000)
    parser.add_argument("--rows", type=int, default=4_000_000, help="of each view")
    parser.add_argument("--step", nargs="+", help="what the script asks of itself in a process of its own")
    given = parser.parse_args()
    given.folder = given.place / f"point-in-time-{given.entities}-{given.rows}"
    if not given.step and not (given.folder / "entities.parquet").is_file():
        in_its_own_process(Path(__file__), given, "generate")
    return given


def main() -> None:
    """Join, check, print."""
    given = arguments()
    if not given.step:
        used = in_its_own_process(__file__, given, "join")
        checked = in_its_own_process(__file__, given, "check", "ours.parquet")
        print(json.dumps({"way": "ours", **checked, **used}))
    elif given.step[0] == "generate":
        generate(given.folder, given.entities, given.rows)
        report()
    elif given.step[0] == "join":
        join(given.folder)
    else:
        print(json.dumps(check(given.folder, given.step[1])))


if __name__ == "__main__":
    main()
