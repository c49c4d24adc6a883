"""Tables of small events."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engage_assets.summaries.engine import Engine
from engage_assets.summaries.tables import TABLES, values
from engage_assets_tests.summaries.builders import DAY, SERVICE, write_inputs

Rows = list[dict[str, Any]]
Make = Callable[..., Rows]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """`make("mau", *events)` gives the table's rows; `columns` picks some of their columns, as tuples."""

    def made(name: str, *events: dict[str, Any], columns: str = "", service: str = SERVICE) -> Rows:
        inputs = write_inputs(tmp_path, events)
        with Engine(inputs) as engine:
            rows = engine.result(TABLES[name], values(TABLES[name], service, DAY)).to_pylist(maps_as_pydicts="strict")
        return [tuple(row[column] for column in columns.split()) for row in rows] if columns else rows

    return made
