"""What a put is given: frames checked, without what has expired, and counted on their way into the database."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import polars as pl

from engage_assets.domain.errors import EngageError
from engage_assets.domain.tables import POLARS_TYPES
from engage_assets.stores.columns import FILLED_GIVEN, GIVEN, KEY_GIVEN

_INSTANTS: Final = pl.col(name for name, kind in GIVEN.items() if kind == "instant").cast(POLARS_TYPES["instant"])


class Incoming:
    """Iterating gives the live rows of each frame: the columns GIVEN, in key order.

    Raises EngageError when a frame lacks a column or a value that must be there.
    """

    def __init__(self, frames: Iterable[pl.DataFrame], now: datetime) -> None:
        self._frames = frames
        self._now = now
        self._hashes: list[pl.Series] = []
        self.expired = 0
        self.live = 0

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for frame in self._frames:
            _check_columns(frame)
            # A null expiry is no expired row but a broken one.
            live = frame.select(GIVEN.keys()).filter((pl.col("expires_at") > self._now).fill_null(True))
            _check_values(live)
            self.live += live.height
            self.expired += frame.height - live.height
            self._hashes.append(live.select(pl.struct(KEY_GIVEN).hash()).to_series())
            yield live.sort(KEY_GIVEN).with_columns(_INSTANTS)

    @property
    def may_repeat(self) -> bool:
        """False: surely no two live rows have the same key. True: the database must count."""
        return bool(self._hashes) and pl.concat(self._hashes).n_unique() < self.live


def repeated(repeats: int, rows: int, place: str) -> EngageError:
    """The error for rows with the key of another."""
    return EngageError(
        f"{place}: {repeats} of {rows} rows repeat the customer, marketplace and subject of another;"
        " store each candidate once"
    )


def _check_columns(frame: pl.DataFrame) -> None:
    missing = sorted(GIVEN.keys() - set(frame.columns))
    if missing:
        raise EngageError(f"candidates to store lack {', '.join(missing)}; scored candidates have these columns")


def _check_values(live: pl.DataFrame) -> None:
    for name in FILLED_GIVEN:
        if nulls := live[name].null_count():
            raise EngageError(
                f"candidates to store: {name} is null in {nulls} of {live.height} rows; it must be filled in every row"
            )
