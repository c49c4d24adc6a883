"""Exploration: places of a list that go by lot, so that models can be judged on people whom no model chose.

The lot orders a day's records by a hash of program, partition and record. It knows neither scores nor the order of
rows, and is the same in every process and version.
"""

import hashlib
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Final

import polars as pl

_SEPARATOR: Final = "\x1f"


@dataclass(frozen=True)
class Exploration:
    """Which share of a list goes by lot, and whose lot it is: each program and partition has its own."""

    program: str
    partition: date
    share: float

    def places(self, *, listed: int, eligible: int, limit: int | None) -> int:
        """Places for rows drawn by lot: ⌊share × N⌋, with N the rows that the list is expected to hold.

        `listed` of the `eligible` rows would be listed by score alone. A drawn row is one of those with probability
        listed ÷ eligible, and else makes the list longer by one, until the limit: so N = min(limit, listed ÷
        (1 − share × (1 − listed ÷ eligible))). Computed in fractions: a share of 0.29 of 100 places is 29.
        """
        if not listed:
            return 0
        share = Fraction(str(self.share))
        rows = listed / (1 - share * (1 - Fraction(listed, eligible)))
        return int(share * (rows if limit is None else min(rows, Fraction(limit))))

    def in_drawn_order(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows in the order of their lots: BLAKE2b of 16 bytes over program, partition and `record_id`."""
        lot = hashlib.blake2b(_SEPARATOR.join([self.program, self.partition.isoformat(), ""]).encode(), digest_size=16)
        lots = [_lot(lot, record) for record in rows["record_id"].to_list()]
        return rows.with_columns(_lot=pl.Series(lots, dtype=pl.Binary)).sort("_lot", "record_id").drop("_lot")


def _lot(of_the_day: "hashlib.blake2b", record: str) -> bytes:
    lot = of_the_day.copy()
    lot.update(record.encode())
    return lot.digest()
