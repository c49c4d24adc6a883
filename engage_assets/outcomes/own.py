"""What a program has beside the figures of all programs: its own figures, and a section of the report for them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any

import narwhals as nw

from engage_assets.domain.program import Program
from engage_assets.outcomes.figures import Figures
from engage_assets.outcomes.rows import Figure

Frame = nw.LazyFrame[Any]


@dataclass(frozen=True)
class Given:
    """What a program's own figures are made of, as of a night (23:59 UTC). What is not there cannot be measured."""

    program: Program
    partition: date
    as_of: date
    tables: Mapping[str, Frame] = field(default_factory=lambda: MappingProxyType({}))
    """Tables of the warehouse, by noun."""
    made: Mapping[str, Frame] = field(default_factory=lambda: MappingProxyType({}))
    """The partition's tables of the program in the lake, by name."""


@dataclass(frozen=True)
class OwnFigures:
    """Figures of the programs of one source."""

    made: tuple[str, ...]
    """Names of the tables in the lake that they need."""
    measure: Callable[[Given], Iterator[Figure]]
    labels: Mapping[str, str]
    """What a figure is called, in the order in which they are shown."""
    forms: Mapping[str, str]
    """How a value is written, where neither a count nor a share."""
    section: Callable[[Figures, int], Mapping[str, Any] | None]
    """What the template shows, for charts of a width; None: nothing of it was measured."""
    template: str
