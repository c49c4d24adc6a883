"""Listeners and tracks by number while an update is made: what is joined many times is joined by numbers.

Keys are as long as they like in a warehouse; an update joins a million answers about ten times.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import polars as pl

from engage_assets.defs.batch import as_frame
from engage_assets.domain.facts import Frame
from engage_assets.playlists import answers as given

_DAYS_AT_ONCE: Final = 30
"""Days whose listeners' rows are held at a time while tracks are counted from the first answer on."""
_WHO: Final = ("customer_id", "listener_id")


@dataclass(frozen=True)
class People:
    """Listeners who have a say: `number`, `customer_id` and `marketplace`; numbers rise by one in their order."""

    known: pl.DataFrame

    @classmethod
    def of(cls, customers: pl.LazyFrame, marketplaces: tuple[str, ...]) -> "People":
        """The listeners out of the table of customers."""
        is_served = pl.col("marketplace").is_in(list(marketplaces))
        found = customers.select("customer_id", "marketplace").filter(is_served).collect()
        # Which keys repeat is asked only where some do: numbers are told apart in a fraction of the time of texts.
        if found["customer_id"].hash().n_unique() < found.height:
            found = given.listeners(as_frame(found.lazy()), marketplaces).to_native().collect()
        place = pl.col("marketplace").cast(pl.Enum(sorted(marketplaces)))
        return cls(found.with_columns(place).with_row_index("number"))

    def among(self, numbers: pl.Series) -> "People":
        """Those with these numbers."""
        is_theirs = np.zeros(int(self.known.select(pl.col("number").max() + 1).item() or 0), dtype=np.bool_)
        is_theirs[numbers.to_numpy()] = True
        return People(self.known.filter(pl.Series(is_theirs).gather(self.known["number"])))

    def numbered(self, table: pl.LazyFrame, *more: str) -> pl.LazyFrame:
        """The rows of these listeners, by number, with `more` columns of theirs.

        A table that has no column for who it is about is left as it is.
        """
        there = table.collect_schema().names()
        who = next((name for name in _WHO if name in there), None)
        if who is None:
            return table
        own = self.known.lazy().select("customer_id", "number", *more)
        joined = table.join(own, left_on=who, right_on="customer_id", how="inner")
        return joined.drop(who).rename({"number": who}).select(*there, *more)

    def named(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with customer ids and texts instead of numbers and words of a list."""
        names = self.known.lazy().select("number", name="customer_id")
        joined = rows.lazy().join(names, left_on="customer_id", right_on="number", how="left", maintain_order="left")
        texts = pl.selectors.enum().cast(pl.String)
        return joined.with_columns(pl.col("name").alias("customer_id"), texts).select(rows.columns).collect()


def in_turns(
    pairs: pl.DataFrame, tables: Mapping[str, pl.LazyFrame]
) -> Iterator[tuple[date, pl.DataFrame, dict[str, Frame]]]:
    """By day of `pairs` (customer_id, counted_on): those of the day, and the rows about them of each table.

    The tables are read once for so many days, and parted by them: who is asked about day by day, from the first
    answer on, would else read them hundreds of times.
    """
    days = pairs["counted_on"].unique().sort().to_list()
    if len(days) == 1:
        yield days[0], pairs, {name: as_frame(table) for name, table in tables.items()}
        return
    for first in range(0, len(days), _DAYS_AT_ONCE):
        chunk = days[first : first + _DAYS_AT_ONCE]
        own = pairs.filter(pl.col("counted_on").is_in(chunk))
        of_days = own.partition_by("counted_on", as_dict=True)
        parted = {name: _parted(table, own) for name, table in tables.items()}
        for day in chunk:
            rows = {name: as_frame(parts.get((day,), parts[None]).lazy()) for name, parts in parted.items()}
            yield day, of_days[(day,)], rows


def _parted(table: pl.LazyFrame, pairs: pl.DataFrame) -> dict[Any, pl.DataFrame]:
    """The table's rows by day of `pairs`; by None those of other days: all where the table is about nobody."""
    there = table.collect_schema().names()
    who = next((name for name in _WHO if name in there), None)
    if who is None:
        return {None: table.collect()}
    joined = table.join(pairs.lazy(), left_on=who, right_on="customer_id", how="inner").collect()
    parts: dict[Any, pl.DataFrame] = dict(joined.partition_by("counted_on", as_dict=True, include_key=False))
    return {**parts, None: joined.clear().drop("counted_on")}
