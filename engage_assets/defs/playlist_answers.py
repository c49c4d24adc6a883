"""A program's answers as its tables hold them, read narrowly: of one day, about some tracks, by some listeners.

What narrows is asked of the tables themselves, so that rows beside it are passed over while they are read.
"""

from dataclasses import dataclass
from datetime import datetime, time
from functools import cached_property
from typing import Final

import narwhals as nw
import numpy as np
import polars as pl

from engage_assets.defs.batch import as_frame
from engage_assets.playlists import answers as given

_BUCKETS: Final = 1 << 22
"""Into how many parts listeners and days fall where answers are counted: few share one, in the largest tables."""
_ROWS: Final = 2_500_000
"""Answers that are put into buckets at a time."""


@dataclass(frozen=True)
class Answers:
    """ANSWER rows of a program up to an update."""

    program_id: str
    update_time: time
    until: datetime
    feedback: pl.LazyFrame | None
    """FEEDBACK with thumbs; None: there is none."""
    responses: pl.LazyFrame
    """RESPONSES_LOG."""

    @cached_property
    def all(self) -> pl.LazyFrame:
        """Those of all listeners."""
        return self._read(self.feedback, self.responses)

    @cached_property
    def tracks(self) -> pl.DataFrame:
        """`track_id` and `answers` of each track with an answer, sorted."""
        counts = self.all.group_by("track_id").agg(answers=pl.len().cast(pl.Int64)).drop_nulls("track_id")
        return counts.sort("track_id").collect()

    def of_day(self, day: datetime) -> pl.LazyFrame:
        """Those of the day that begins after that instant, an update."""
        later = (pl.col("given_at") > day) | pl.col("given_at").is_null()
        feedback = self.feedback if self.feedback is None else self.feedback.filter(later)
        return self._read(feedback, self.responses).filter(pl.col("day") == day.date())

    def about(self, tracks: pl.Series) -> pl.LazyFrame:
        """Those about the tracks."""
        return self._where("track_id", "subject_id", tracks)

    def by(self, listeners: pl.Series) -> pl.LazyFrame:
        """Those of the listeners."""
        return self._where("listener_id", "customer_id", listeners)

    def _where(self, column: str, own: str, wanted: pl.Series) -> pl.LazyFrame:
        is_wanted = [pl.col(name).is_in(wanted.implode()) for name in (column, own)]
        feedback = self.feedback if self.feedback is None else self.feedback.filter(is_wanted[0])
        return self._read(feedback, self.responses.filter(is_wanted[1]))

    def _read(self, feedback: pl.LazyFrame | None, responses: pl.LazyFrame) -> pl.LazyFrame:
        found = [given.own_answers(as_frame(responses), self.program_id, self.update_time, self.until)]
        if feedback is not None:
            found.append(given.warehouse_answers(as_frame(feedback), self.update_time, self.until))
        joined: pl.LazyFrame = nw.concat(found, how="vertical").to_native()
        return joined

    def of_busy(self, answers: pl.DataFrame, most: int) -> pl.LazyFrame:
        """All answers of those listeners of `answers` who may have given more than `most` on a day; a few others too.

        Answers are counted by a part of a hash of listener and day, which costs a fraction of counting by both: who
        shares one is looked at for nothing, and nobody is missed.
        """
        many = np.flatnonzero(self._counts > most)
        if not many.size:
            return self.all.clear()
        is_busy = _bucket().is_in(pl.Series(many, dtype=pl.UInt32).implode())
        return self.by(answers.filter(is_busy)["customer_id"].unique())

    def count_days(self) -> None:
        """Count what `of_busy` asks for, which a thread may do beside other work."""
        _ = self._counts

    @cached_property
    def _counts(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Answers by bucket."""
        counts = np.zeros(_BUCKETS, dtype=np.int64)
        for part in self.all.select(_bucket()).collect_batches(maintain_order=False, chunk_size=_ROWS):
            counts += np.bincount(part.to_series().to_numpy(), minlength=_BUCKETS)
        return counts


def _bucket() -> pl.Expr:
    """The bucket of an answer's listener and day."""
    return ((pl.col("customer_id").hash(1) + pl.col("day").hash(2)) % _BUCKETS).cast(pl.UInt32)
