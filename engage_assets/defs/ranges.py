"""Ranges of customers, in which a large partition is worked through, some at a time, so that memory stays bounded.

Everything that crosses rows is keyed by customer. Knows nothing of Dagster.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Final, TypeVar

import polars as pl

AT_ONCE: Final = 2
"""Parts that are worked on at the same time. One part alone keeps a core busy and no more: many of its steps are too
small to be shared out."""

Part = TypeVar("Part")
Done = TypeVar("Done")


@dataclass(frozen=True)
class Range:
    """Customers from `first` (inclusive; None: from the start, nulls too) to `end` (exclusive; None: to the last)."""

    first: str | None
    end: str | None

    def of(self, frame: pl.LazyFrame, column: str = "customer_id") -> pl.LazyFrame:
        """The rows of `frame` whose customer lies in the range."""
        if self.first is not None:
            frame = frame.filter(pl.col(column) >= self.first)
        if self.end is not None:
            below = pl.col(column) < self.end
            frame = frame.filter(below if self.first is not None else below | pl.col(column).is_null())
        return frame


def customer_ranges(raw: pl.LazyFrame, column: str, rows: int) -> list[Range]:
    """Ranges of at most about `rows` records, of one size; `raw` is sorted by customer, nulls first."""
    total = raw.select(pl.len()).collect().item()
    rows = ceil(total / max(ceil(total / rows), 1))
    cuts = [raw.slice(place, 1).select(column).collect().item() for place in range(rows, total, max(rows, 1))]
    bounds = [None, *sorted({cut for cut in cuts if cut is not None}), None]
    return [Range(first, end) for first, end in pairwise(bounds)]


def in_turn(work: Callable[[Part], Done], parts: Iterable[Part], at_once: int = AT_ONCE) -> Iterator[Done]:
    """`work` of each part, in the order of the parts; `at_once` of them are under way or wait to be taken.

    A fault is raised in its part's turn, and no further part is begun.
    """
    waiting: deque[Future[Done]] = deque()
    with ThreadPoolExecutor(at_once, thread_name_prefix="range") as threads:
        try:
            for part in parts:
                waiting.append(threads.submit(work, part))
                if len(waiting) == at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()
