"""The desk of one run: where an asset's partition is read, written and reported."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.batch import Batch
from engage_assets.defs.describe import file_metadata
from engage_assets.defs.partitions import partition_date
from engage_assets.defs.sheets import Key
from engage_assets.domain.program import Program
from engage_assets.lake import Frames, Lake, ParquetFile

Result = dg.MaterializeResult[Any]


class Desk:
    """One partition of one program in the lake."""

    def __init__(self, context: dg.AssetExecutionContext, lake: Lake, program: Program) -> None:
        self.partition: date = partition_date(context)
        self._key = context.partition_key
        self._lake = lake
        self._program = program

    def batch(self, warehouse: Warehouse, marketplaces: Any) -> Batch:
        """The batch of this partition."""
        return Batch(self._program, self.partition, marketplaces, warehouse)

    def read(self, name: str) -> pl.LazyFrame:
        """This partition of one of the program's assets."""
        return self._lake.scan((self._program.key, name), self._key)

    def read_shared(self, key: Key) -> pl.LazyFrame:
        """An asset that programs share, as of the batch instant: they have a partition for each day."""
        return self._lake.scan(key, self._program.cadence.last_day(self.partition).isoformat())

    def history(self, key: Key) -> pl.LazyFrame | None:
        """All days up to the batch instant of an asset that programs share."""
        return self._lake.history(key, self._program.cadence.last_day(self.partition))

    def write(self, name: str, frames: Frames) -> int:
        """Write this partition of an asset; returns its rows."""
        return self._lake.write((self._program.key, name), self._key, frames)

    def open(self, name: str) -> AbstractContextManager[ParquetFile]:
        """This partition of an asset, to be filled frame by frame."""
        return self._lake.open((self._program.key, name), self._key)

    def path(self, name: str) -> Path:
        """The file of this partition of an asset."""
        return self._lake.path((self._program.key, name), self._key)

    def rows(self, name: str) -> int:
        """Rows of this partition of an asset."""
        return self._lake.rows((self._program.key, name), self._key)

    def result(
        self, name: str, metadata: Mapping[str, Any] | None = None, checks: Sequence[dg.AssetCheckResult] = ()
    ) -> Result:
        """What Dagster is told about a partition that was written."""
        return dg.MaterializeResult(
            asset_key=dg.AssetKey([self._program.key, name]),
            metadata={**file_metadata(self.path(name), self.rows(name)), **(metadata or {})},
            check_results=list(checks),
        )

    def check(
        self, asset: str, name: str, *, passed: bool, metadata: Mapping[str, Any] | None = None, warn: bool = False
    ) -> dg.AssetCheckResult:
        """The result of a check of one of the program's assets; `warn`: it deserves a look, and stops nothing."""
        return dg.AssetCheckResult(
            passed=passed,
            asset_key=dg.AssetKey([self._program.key, asset]),
            check_name=name,
            severity=dg.AssetCheckSeverity.WARN if warn else dg.AssetCheckSeverity.ERROR,
            metadata={"partition": self._key, **(metadata or {})},
        )
