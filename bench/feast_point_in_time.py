"""The point-in-time join with Feast, on the data of bench/point_in_time.py: its DuckDB and its Dask store.

    .venv/bin/python bench/feast_point_in_time.py FOLDER [--entities N] [--rows N]

Feast goes into an environment of its own, FOLDER/feast-venv, made by the first run (it needs the network). Event time
is its timestamp, the time of knowledge its created timestamp. Prints one line of JSON per store, like
bench/point_in_time.py: `wrong` and `lost` are those of the same check.
"""

import datetime as dt
import json
import time
from pathlib import Path

import point_in_time
from measure import report
from point_in_time import COLUMNS, VIEWS, arguments, in_its_own_process

FEAST = "feast[duckdb]==0.67.0"
STORES = ("duckdb", "dask")


def python_with_feast(folder: Path) -> Path:
    """The interpreter of Feast's environment, made where it is not there."""
    import subprocess
    import venv

    home = folder / "feast-venv"
    if not (home / "ready").is_file():
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([home / "bin" / "pip", "install", "-q", "--disable-pip-version-check", FEAST], check=True)
        (home / "ready").touch()
    return home / "bin" / "python"


def join(folder: Path, store: str) -> None:
    """All features of all entities by one of Feast's stores into feast-<store>.parquet."""
    import pandas as pd
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
    from feast.repo_config import RepoConfig
    from feast.types import Float32

    began = time.process_time()
    registry = folder / f"registry-{store}.db"
    registry.unlink(missing_ok=True)
    feast = FeatureStore(
        config=RepoConfig(
            project="bench",
            provider="local",
            registry=str(registry),
            offline_store={"type": store},
            online_store=None,
            entity_key_serialization_version=3,
        )
    )
    customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.INT64)
    views = [
        FeatureView(
            name=view,
            entities=[customer],
            ttl=dt.timedelta(days=365),
            schema=[Field(name=name, dtype=Float32) for name in COLUMNS],
            source=FileSource(
                path=str((folder / f"{view}.parquet").absolute()),
                timestamp_field="event_time",
                created_timestamp_column="known_at",
            ),
        )
        for view in VIEWS
    ]
    feast.apply([customer, *views])
    entities = pd.read_parquet(folder / "entities.parquet").rename(columns={"as_of": "event_timestamp"})
    names = [f"{view}:{name}" for view in VIEWS for name in COLUMNS]
    found = feast.get_historical_features(entity_df=entities, features=names, full_feature_names=True).to_df()
    found = found.rename(columns={f"{view}__{name}": f"{view}_{name}" for view in VIEWS for name in COLUMNS})
    columns = ["row", *(f"{view}_{name}" for view in VIEWS for name in COLUMNS)]
    found.sort_values("row")[columns].to_parquet(folder / f"feast-{store}.parquet")
    report(join_cpu_seconds=round(time.process_time() - began, 2))


def main() -> None:
    """Each store, checked."""
    given = arguments()
    if given.step:
        join(given.folder, given.step[0])
        return
    python = python_with_feast(given.place)
    for store in STORES:
        used = in_its_own_process(__file__, given, store, python=python)
        checked = in_its_own_process(point_in_time.__file__, given, "check", f"feast-{store}.parquet")
        print(json.dumps({"way": f"feast {store}", **checked, **used}), flush=True)


if __name__ == "__main__":
    main()
