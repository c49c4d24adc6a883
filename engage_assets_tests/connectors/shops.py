"""A warehouse folder of a few rows, and the reviews program that reads it."""

from copy import deepcopy
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from engage_assets.connectors.duckdb import DuckDBConnector
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.domain.program import Program
from engage_assets.domain.purchases import DELIVERIES
from engage_assets_tests.builders import PRODUCT_REVIEWS, rows_of

DAY = date(2026, 11, 19)


def a_reader(dialect: str = "athena", **config: Any) -> Program:
    """The reviews program whose connector is of another type and configuration."""
    block = deepcopy(PRODUCT_REVIEWS)
    block["dataConnectors"][0] |= {"type": dialect}
    block["dataConnectors"][0]["config"] |= config
    return Program.model_validate(block)


@dataclass(frozen=True)
class Shop:
    """Tables below a folder."""

    root: Path

    def put(self, frame: pl.DataFrame, name: str = "deliveries", database: str = "ecommerce", form: str = "parquet"):
        """Write a table as `parquet`, `csv`, or in two `parquet parts` or `csv parts`."""
        kind, *parts = form.split()
        place = self.root / database
        files = {place / f"{name}.{kind}": frame}
        if parts:
            cut = frame.height // 2
            files = {place / name / f"part-{n}.{kind}": part for n, part in enumerate([frame[:cut], frame[cut:]])}
        for path, part in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "csv":
                part.write_csv(path)
            else:
                part.write_parquet(path)

    def deliver(self, *rows: dict[str, Any], form: str = "parquet", **columns: pl.DataType):
        """Write deliveries; `columns` are cast to other types."""
        self.put(
            rows_of(DELIVERIES, *rows).with_columns(pl.col(name).cast(to) for name, to in columns.items()), form=form
        )

    def read(self, partition: date = DAY, dialect: str = "athena", **config: Any) -> pl.DataFrame:
        """The records of a partition."""
        batches = DuckDBConnector(Warehouse(self.root)).read(a_reader(dialect, **config), partition)
        return pl.concat([pl.DataFrame(pl.from_arrow(batch)) for batch in batches])

    def unread(self, partition: date = DAY, **config: Any) -> dict[str, int]:
        """Rows that no batch reads."""
        return DuckDBConnector(Warehouse(self.root)).unread(a_reader(**config), partition)
