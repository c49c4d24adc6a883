"""The warehouse export: partitioned Parquet and a catalogue that says what lies there."""

import hashlib
import json
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest

from engage_assets.domain.tables import Column
from engage_assets.export import export_partition, write_catalogue

COLUMNS = (Column("customer_id", "key", "Whom to contact."), Column("day", "date", "The day."))
TABLES = {"candidates": ("one row per candidate", COLUMNS), "decisions": ("one row per record", ())}


def rows(*keys):
    return pl.LazyFrame({"customer_id": keys, "day": [date(2026, 11, 19)] * len(keys)})


def test_catalogue_says_what_lies_there_and_one_statement_reads_it(tmp_path):
    assert export_partition(tmp_path, "candidates", "2026-11-19", rows("c-1", "c-2")) == 2
    assert export_partition(tmp_path, "candidates", "2026-11-20", rows("c-3")) == 1
    catalogue = write_catalogue(tmp_path, TABLES)
    assert json.loads((tmp_path / "catalogue.json").read_text(encoding="utf-8")) == catalogue
    candidates, decisions = catalogue["tables"]
    assert candidates["columns"] == [
        {"name": "customer_id", "type": "String", "description": "Whom to contact."},
        {"name": "day", "type": "Date", "description": "The day."},
    ]
    assert [(part["partition_date"], part["rows"]) for part in candidates["partitions"]] == [
        ("2026-11-19", 2),
        ("2026-11-20", 1),
    ]
    for part in candidates["partitions"]:
        content = (tmp_path / part["path"]).read_bytes()
        assert (part["bytes"], part["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert (decisions["columns"], decisions["partitions"]) == ([], [])
    found = duckdb.sql(
        f"SELECT CAST(partition_date AS VARCHAR), customer_id FROM '{tmp_path / candidates['path']}' ORDER BY 2"
    ).fetchall()
    assert found == [("2026-11-19", "c-1"), ("2026-11-19", "c-2"), ("2026-11-20", "c-3")]


def test_only_partitions_that_are_new_or_changed_are_read_for_the_catalogue(tmp_path, monkeypatch):
    for day in ("2026-11-18", "2026-11-19"):
        export_partition(tmp_path, "candidates", day, rows("c-1"))
    before = write_catalogue(tmp_path, TABLES)["tables"][0]["partitions"]
    read, read_bytes = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.parent.name) or read_bytes(path))
    export_partition(tmp_path, "candidates", "2026-11-19", rows("c-2"))
    after = write_catalogue(tmp_path, TABLES)["tables"][0]["partitions"]
    assert read == ["partition_date=2026-11-19"]
    assert after[0] == before[0]
    assert after[1]["sha256"] != before[1]["sha256"]


def test_exporting_again_gives_the_same_bytes_and_a_failure_changes_nothing(tmp_path):
    export_partition(tmp_path, "candidates", "2026-11-19", rows("c-1"))
    first = json.dumps(write_catalogue(tmp_path, TABLES))
    export_partition(tmp_path, "candidates", "2026-11-19", rows("c-1"))
    assert json.dumps(write_catalogue(tmp_path, TABLES)) == first
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        export_partition(tmp_path, "candidates", "2026-11-19", rows("c-2").select("nothing"))
    assert json.dumps(write_catalogue(tmp_path, TABLES)) == first
    assert sorted(path.name for path in tmp_path.iterdir()) == [".catalogue.lock", "candidates", "catalogue.json"]
