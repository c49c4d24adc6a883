"""Whose answers count at an update: which are void, and which listeners the trust filter accepts."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Final

import narwhals as nw
import polars as pl

from engage_assets.defs.batch import as_frame, collected, held
from engage_assets.defs.playlist_answers import Answers
from engage_assets.defs.playlist_people import People, in_turns
from engage_assets.domain.facts import Frame, stated_once
from engage_assets.domain.filter_specs import TrustFilter
from engage_assets.domain.playlist_spec import Playlists
from engage_assets.domain.program import Program
from engage_assets.domain.tables import CUSTOMER_TRUST, empty_frame
from engage_assets.filters import judge, refused_by
from engage_assets.filters.asking import Asking
from engage_assets.filters.facts import join_facts
from engage_assets.playlists import damping
from engage_assets.playlists.scores import count_answers

_PAIR: Final = (
    pl.col("customer_id").cast(pl.UInt64) * 2**32 + pl.col("counted_on").cast(pl.Int32).cast(pl.UInt64)
).alias("pair")
"""A listener's number and a day in one number: asking for one is a fraction of the work of asking for two."""


@dataclass(frozen=True)
class Trial:
    """The answers of some listeners, and what is known of these. Listeners are named by number throughout."""

    program: Program
    rules: Playlists
    instant: datetime
    """The update."""
    people: People
    answers: Answers
    tables: Mapping[str, pl.LazyFrame]
    """Tables that say who is trusted."""
    plays: pl.LazyFrame | None
    """customer_id, track_id and at of plays up to the update; None: there is no table."""
    available: frozenset[str]
    """`table.column` of every fact that the deployment declares."""

    @cached_property
    def standing(self) -> dict[str, pl.LazyFrame]:
        """The tables' rows about these listeners. Versions of their standing are asked for twice, and so kept."""
        own = {name: self.people.numbered(table) for name, table in self.tables.items()}
        if CUSTOMER_TRUST.name in own:
            known = own[CUSTOMER_TRUST.name].filter(pl.col("known_at") <= self.instant)
            own[CUSTOMER_TRUST.name] = known.collect().lazy()
        return own

    def read_standing(self) -> None:
        """Read what several threads will ask for."""
        _ = self.standing

    def judge(self, given: pl.DataFrame, of_busy: pl.LazyFrame) -> pl.DataFrame:
        """The answers, all there are about their tracks, with `void`; `of_busy` are all of who may have flooded."""
        busy: pl.DataFrame = damping.busy_days(as_frame(of_busy), self.rules).to_native().collect()
        seen = self._first_seen(given)
        judged = damping.judge_answers(as_frame(given.lazy()), as_frame(busy.lazy()), as_frame(seen.lazy()), self.rules)
        found: pl.DataFrame = judged.to_native().collect()
        surging = damping.surges(as_frame(found.lazy()), self.rules).to_native().collect()
        if self.plays is None or surging.is_empty():
            return found
        track = pl.col("track_id").cast(given.schema["track_id"], strict=False)
        plays = self.people.numbered(self.plays).with_columns(track)
        judged = damping.without_surges(as_frame(found.lazy()), as_frame(surging.lazy()), as_frame(plays))
        left: pl.DataFrame = judged.to_native().collect()
        return left

    def _first_seen(self, given: pl.DataFrame) -> pl.DataFrame:
        """When each listener was first heard of; answers and plays are looked through for who would be a newcomer."""
        trust = self.standing.get(CUSTOMER_TRUST.name)
        if trust is None:
            trust = self.people.numbered(empty_frame(CUSTOMER_TRUST).lazy())
        known = trust.select("customer_id", at="known_at")
        seen: pl.DataFrame = damping.first_seen(as_frame(known)).to_native().collect()
        beside = as_frame(given.lazy().join(seen.lazy(), on="customer_id", how="left"))
        new = beside.filter(damping.is_newcomers(self.rules)).select("customer_id").unique().to_native().collect()
        if new.is_empty():
            return seen
        newcomers = self.people.among(new["customer_id"])
        update = timedelta(days=1, hours=self.rules.update_time.hour, minutes=self.rules.update_time.minute)
        # An answer makes its listener known at the end of its day: what is recorded late changes no earlier verdict.
        others = [self.answers.all.select("customer_id", at=pl.col("day").cast(pl.Datetime("us")) + update)]
        others += [] if self.plays is None else [self.plays.select("customer_id", "at")]
        frames = [as_frame(newcomers.numbered(frame)) for frame in others]
        rest = seen.lazy().select("customer_id", at="seen_at")
        everything: pl.DataFrame = damping.first_seen(as_frame(rest), *frames).to_native().collect()
        return everything

    def count(self, latest: pl.DataFrame, counted_on: pl.DataFrame, trusted: pl.Series | None = None) -> pl.DataFrame:
        """COUNTS of the tracks of `counted_on`, with the trust of those days; `latest` as latest_answers has them.

        `trusted`: `trusted_at` of the only day there is.
        """
        dated = latest.join(counted_on, on="track_id", how="inner")
        pairs = dated.select(_PAIR).to_series()
        if trusted is None:
            trusted = pl.concat([pairs.clear(), *self._trusted(pairs.unique())])
        weighed = dated.with_columns(is_trusted=pairs.is_in(trusted.implode()))
        counts: pl.DataFrame = count_answers(as_frame(weighed.lazy())).to_native().collect()
        return counts.with_columns(pl.selectors.enum().cast(pl.String))

    def trusted_at(self, day: date) -> pl.Series:
        """Of all listeners those whom the trust filter accepts at that day's update, as `count` asks for them."""
        everybody = self.people.known.select(customer_id="number", counted_on=pl.lit(day))
        tables = {name: as_frame(table) for name, table in self.standing.items()}
        return self._trusted_on(everybody, day, tables, collected).select(_PAIR).to_series()

    def _trusted(self, pairs: pl.Series) -> Iterator[pl.Series]:
        """Those of `pairs` whose listener was trusted at that partition's update."""
        number = (pairs // 2**32).cast(pl.UInt32)
        asked = pl.DataFrame({"customer_id": number, "counted_on": (pairs % 2**32).cast(pl.Int32).cast(pl.Date)})
        settle = collected if asked["counted_on"].n_unique() == 1 else held  # of many days each has few rows
        for day, listeners, tables in in_turns(asked, self.standing):
            yield self._trusted_on(listeners, day, tables, settle).select(_PAIR).to_series()

    def _trusted_on(
        self, listeners: pl.DataFrame, day: date, tables: Mapping[str, Frame], settle: Callable[[Frame], Frame]
    ) -> pl.DataFrame:
        """Those of `listeners` whom the program's trust filter accepts at the update of `day`."""
        trust = tuple(spec for spec in self.program.filters if isinstance(spec, TrustFilter))
        if not trust:
            return listeners
        alone = self.program.model_copy(update={"filter_chain": trust, "channels": ()})
        named = as_frame(listeners.lazy().select("customer_id", subject_id=pl.lit(None, pl.String)))
        asking = Asking(alone, self.rules.instant(day), settle)
        judged = judge(join_facts(_with_test_flag(named, tables), tables, asking), alone, self.available)
        kept = judged.filter(~nw.col(refused_by(trust[0].filter_id))).select("customer_id")
        accepted: pl.DataFrame = settle(kept).to_native().collect()
        return accepted.with_columns(counted_on=pl.lit(day))


def _with_test_flag(listeners: Frame, tables: Mapping[str, Frame]) -> Frame:
    """The listeners with `is_test`, where the customers' table states it."""
    customers = tables["customers"]
    if "is_test" not in customers.collect_schema().names():
        return listeners.with_columns(nw.lit(None).cast(nw.Boolean).alias("is_test"))
    cut = customers.select("customer_id", "is_test").join(listeners.select("customer_id"), on="customer_id", how="semi")
    return listeners.join(stated_once(cut, "customer_id"), on="customer_id", how="left")
