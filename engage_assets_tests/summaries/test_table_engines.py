"""The same SQL files on DuckDB and on PySpark: row-identical, over random events that engines may see differently."""

import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from engage_assets.summaries.dialect import write
from engage_assets.summaries.engine import Engine
from engage_assets.summaries.queries import inlined, plan
from engage_assets.summaries.relations import RELATIONS
from engage_assets.summaries.tables import TABLES, values
from engage_assets_tests.summaries.builders import DAY, SERVICE, event, write_inputs

STRANGE = [None, "a", "Z", "ä", "a\u0308", "가", "🎁", "'", '"', "\\", "%", "$1", "a,b"]
"""Texts that engines may order, quote or compare differently."""
PRICES = [None, "0.00", "0.01", "0.02", "1.00", "19.99", "999999999999.99", "999999999999.98"]
KINDS = [
    "session_start",
    "product_view",
    "cart_add",
    "purchase",
    "search",
    "result_click",
    "button_click",
    "page_change",
]


def random_event(rng: random.Random) -> dict[str, Any]:
    kind = rng.choice([*KINDS, "login", None])
    session = rng.choice([None, *(f"s{number}" for number in range(900))])
    # A session stays within a few hours of its own place in time, many of them around midnight.
    place = hash_of(session) % 120 if session else rng.randrange(120)
    clock = rng.choice(["23:59:59.999999", "00:00:00", "00:00:00.000001", f"{rng.randrange(24):02}:30"])
    return event(
        kind,
        rng.choice([None, *(f"u{number}" for number in range(40))]),
        session,
        f"{rng.choice([-place, min(0, 1 - place)])} {clock}",
        action=rng.choice(STRANGE),
        menu_name=rng.choice(STRANGE[:4]),
        page=rng.choice(STRANGE[:4]),
        product_id=rng.choice(STRANGE),
        product_name=rng.choice(STRANGE),
        category=rng.choice(STRANGE),
        seller=rng.choice(STRANGE),
        source=rng.choice(STRANGE[:5]),
        search_term=rng.choice(STRANGE),
        quantity=rng.choice([None, 1, 2, 3, 9999]),
        price=rng.choice(PRICES),
        result_count=rng.choice([None, 0, 0, 5]),
        order_id=rng.choice([None, *(f"o{number}" for number in range(60))]),
        amount=rng.choice(PRICES),
        payment_method=rng.choice(STRANGE[:6]),
        from_path=rng.choice(STRANGE[:6]),
        to_path=rng.choice(STRANGE[:6]),
        invalid_values=rng.choice([0, 0, 1, 2]),
        is_amount_invalid=rng.random() < 0.1,
        service=rng.choice([SERVICE, SERVICE, SERVICE, "theshop-pharmacy"]),
    )


def hash_of(text: str) -> int:
    return random.Random(text).randrange(10_000)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    rng = random.Random(5)
    return write_inputs(tmp_path_factory.mktemp("inputs"), [random_event(rng) for _ in range(3000)])


@pytest.fixture(scope="module")
def duckdb_rows(inputs):
    with Engine(inputs) as engine:
        return {
            name: engine.result(table, values(table, SERVICE, DAY)).to_pylist(maps_as_pydicts="strict")
            for name, table in TABLES.items()
        }


def test_the_events_reach_every_table(duckdb_rows):
    lacking = [
        name for name, rows in duckdb_rows.items() if not rows or not any(list(row.values())[-1] for row in rows)
    ]
    assert not lacking


@pytest.fixture(scope="module")
def on_spark(spark, inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("spark")
    for name in RELATIONS:  # one file each: opening many is what takes Spark's time
        pl.read_parquet(inputs[name]).write_parquet(folder / f"{name}.parquet")
        spark.read.parquet(str(folder / f"{name}.parquet")).createOrReplaceTempView(name)
    quick = {"spark.sql.codegen.wholeStage": "false", "spark.sql.adaptive.enabled": "false"}
    before = {name: spark.conf.get(name) for name in quick}
    for name, value in quick.items():
        spark.conf.set(name, value)
    yield spark
    for name, value in before.items():
        spark.conf.set(name, value)


@pytest.mark.spark
@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_pyspark_gives_the_same_rows(on_spark, duckdb_rows, table):
    text = write(inlined(plan(table, values(table, SERVICE, DAY))), "spark")
    assert [row.asDict() for row in on_spark.sql(text).collect()] == duckdb_rows[table.name]
