"""The stages of playlists, joined from the rooms below: answers, whose count, scores. Knows nothing of Dagster.

A track is counted anew in a partition whose day brought an answer about it that counts; its counts then stand until
the next such day. Where the partition before is in the lake with the same program, its counts are taken over; where
it is not, every track is counted as of its own day, which gives the same.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Final

import narwhals as nw
import polars as pl

from engage_assets.defs.batch import as_frame
from engage_assets.domain.facts import Frame, stated_once
from engage_assets.domain.filter_specs import TrustFilter
from engage_assets.domain.music import TRACKS
from engage_assets.domain.playlist_spec import Playlists
from engage_assets.domain.program import Program
from engage_assets.domain.source import Source
from engage_assets.domain.sources import SOURCES
from engage_assets.domain.tables import CUSTOMER_TRUST, empty_frame
from engage_assets.filters import judge, refused_by
from engage_assets.filters.asking import Asking
from engage_assets.filters.facts import join_facts
from engage_assets.playlists import answers as given
from engage_assets.playlists import damping
from engage_assets.playlists.scores import COUNTS, count_answers, score_tracks

_DAY: Final = timedelta(days=1)
_DAYS_AT_ONCE: Final = 30
"""Days whose listeners' rows are held at a time while tracks are counted from the first answer on."""
_BUCKETS: Final = 1 << 23
"""Into how many parts listeners and days fall where answers are counted: few share one, in the largest tables."""
_DESCRIBED: Final = ("genre", "artist_id", "release_date")
"""What playlists ask of a track."""


def rules_hash(program: Program) -> str:
    """12 hex digits that change with what decides about counts: the playlists' keys, trust filter, marketplaces."""
    trust = [spec.model_dump(mode="json") for spec in program.filters if isinstance(spec, TrustFilter)]
    rules = program.playlists.model_dump(mode="json") if program.playlists else None
    text = json.dumps([program.program_id, sorted(program.marketplaces), trust, rules], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Judged:
    """What became of answers: with `void`, and the tracks' counts that they gave."""

    answers: pl.DataFrame
    counts: pl.DataFrame


@dataclass(frozen=True)
class Curation:
    """The answers of a program as of one partition's update."""

    program: Program
    rules: Playlists
    partition: date
    tables: Mapping[str, pl.LazyFrame]
    """The warehouse's tables that are there, by noun, the program's source among them."""
    available: frozenset[str]
    """`table.column` of every fact that the deployment declares."""
    responses: pl.LazyFrame
    """RESPONSES_LOG up to the update."""

    @property
    def instant(self) -> datetime:
        """When the partition's playlists are made."""
        return self.rules.instant(self.partition)

    @property
    def source(self) -> Source:
        """What the program's source table holds."""
        return SOURCES[self.program.source_table]

    @cached_property
    def answers(self) -> pl.LazyFrame:
        """ANSWER rows of all listeners up to the update."""
        program, at = self.program, self.rules.update_time
        found = [given.own_answers(as_frame(self.responses), program.program_id, at, self.instant)]
        feedback = self.tables.get("feedback")
        if feedback is not None and "thumbs_up" in feedback.collect_schema().names():
            found.append(given.warehouse_answers(as_frame(feedback), at, self.instant))
        joined: pl.LazyFrame = nw.concat(found, how="vertical").to_native()
        return joined

    @cached_property
    def plays(self) -> pl.LazyFrame | None:
        """customer_id, track_id and at of plays up to the update; None: there is no table."""
        plays = self.tables.get(self.source.table.name)
        if plays is None:
            return None
        own = plays.select("track_id", customer_id="listener_id", at="played_at")
        return own.filter(pl.col("at") <= self.instant)

    def judge(self, answers: pl.LazyFrame) -> pl.DataFrame:
        """`answers`, all there are about their tracks, with `marketplace` and `void`."""
        customers = as_frame(self.tables["customers"])
        placed = given.with_marketplace(as_frame(answers), customers, self.program.marketplaces)
        own: pl.DataFrame = placed.to_native().collect()
        busy: pl.DataFrame = damping.busy_days(as_frame(self._of_busy_days()), self.rules).to_native().collect()
        seen = self._first_seen(own)
        judged = damping.judge_answers(as_frame(own.lazy()), as_frame(busy.lazy()), as_frame(seen.lazy()), self.rules)
        found: pl.DataFrame = judged.to_native().collect()
        surging = damping.surges(as_frame(found.lazy()), self.rules).to_native().collect()
        if self.plays is None or surging.is_empty():
            return found
        judged = damping.without_surges(as_frame(found.lazy()), as_frame(surging.lazy()), as_frame(self.plays))
        left: pl.DataFrame = judged.to_native().collect()
        return left

    def _of_busy_days(self) -> pl.LazyFrame:
        """The answers of listeners on days with more than one may give, and of a few others.

        Counted by a part of a hash of listener and day, which costs a fraction of counting by both; who shares one is
        looked at for nothing, and nobody is missed.
        """
        bucket = (pl.col("customer_id").hash(1) + pl.col("day").hash(2)) % _BUCKETS
        counts = self.answers.group_by(bucket=bucket).agg(pl.len().alias("answers"))
        many = counts.filter(pl.col("answers") > self.rules.most_answers_per_day).select("bucket").collect()
        if many.is_empty():
            return self.answers.clear()
        chosen = self.answers.with_columns(bucket=bucket).join(many.lazy(), on="bucket", how="semi")
        return chosen.drop("bucket")

    def _first_seen(self, answers: pl.DataFrame) -> pl.DataFrame:
        """When each listener was first heard of; answers and plays are looked through for who would be a newcomer."""
        listeners = answers.lazy().select("customer_id").unique()
        trust = self.tables.get("customer_trust")
        if trust is None:
            trust = empty_frame(CUSTOMER_TRUST).lazy()
        known = trust.select("customer_id", at="known_at").filter(pl.col("at") <= self.instant)
        known = known.join(listeners, on="customer_id", how="semi")
        seen: pl.DataFrame = damping.first_seen(as_frame(known)).to_native().collect()
        beside = as_frame(answers.lazy().join(seen.lazy(), on="customer_id", how="left"))
        new = beside.filter(damping.is_newcomers(self.rules)).select("customer_id").unique().to_native().collect()
        if new.is_empty():
            return seen
        update = timedelta(days=1, hours=self.rules.update_time.hour, minutes=self.rules.update_time.minute)
        # An answer makes its listener known at the end of its day: what is recorded late changes no earlier verdict.
        others = [self.answers.select("customer_id", at=pl.col("day").cast(pl.Datetime("us")) + update)]
        others += [] if self.plays is None else [self.plays.select("customer_id", "at")]
        frames = [as_frame(frame.join(new.lazy(), on="customer_id", how="semi")) for frame in others]
        rest = seen.lazy().select("customer_id", at="seen_at")
        everything: pl.DataFrame = damping.first_seen(as_frame(rest), *frames).to_native().collect()
        return everything

    def count(self, counts_before: pl.LazyFrame | None) -> Judged:
        """Counts of every track as of the partition; without `counts_before` from the first answer on."""
        partition = self.partition
        wanted = self.answers
        if counts_before is not None:
            touched = self.answers.filter(pl.col("day") == partition).select("track_id").unique().collect()
            wanted = self.answers.join(touched.lazy(), on="track_id", how="semi").collect().lazy()
        judged = self.judge(wanted)
        live = judged.filter(pl.col("void").is_null()).drop("void")
        counted_on = live.group_by("track_id").agg(counted_on=pl.col("day").max())
        if counts_before is not None:
            counted_on = counted_on.filter(pl.col("counted_on") == partition)
        counts = self._counts(live, counted_on)
        if counts_before is not None:
            kept = counts_before.join(counted_on.lazy(), on="track_id", how="anti").select(*COUNTS).collect()
            counts = pl.concat([counts, kept])
        return Judged(judged.filter(pl.col("day") == partition), counts)

    def _counts(self, live: pl.DataFrame, counted_on: pl.DataFrame) -> pl.DataFrame:
        latest: pl.DataFrame = given.latest_answers(as_frame(live.lazy())).to_native().collect()
        pairs = latest.join(counted_on, on="track_id").select("customer_id", "counted_on").unique()
        trusted = list(self._trusted(pairs))
        nobody = pairs.clear()
        frames = (latest.lazy(), pl.concat([nobody, *trusted]).lazy(), counted_on.lazy())
        counts: pl.DataFrame = count_answers(*(as_frame(frame) for frame in frames)).to_native().collect()
        return counts

    def _trusted(self, pairs: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Those of `pairs` (customer_id, counted_on) whose listener was trusted at that partition's update.

        The tables are read once for so many days, and parted by them: who is asked about day by day, from the first
        answer on, would else read them hundreds of times.
        """
        days = pairs["counted_on"].unique().sort().to_list()
        if len(days) == 1:
            yield self.trusted(pairs, days[0], {name: as_frame(table) for name, table in self._standing.items()})
            return
        for first in range(0, len(days), _DAYS_AT_ONCE):
            chunk = days[first : first + _DAYS_AT_ONCE]
            own = pairs.filter(pl.col("counted_on").is_in(chunk))
            parted = {name: _parted(table, own) for name, table in self._standing.items()}
            for day in chunk:
                tables = {name: as_frame(part(day).lazy()) for name, part in parted.items()}
                yield self.trusted(own.filter(pl.col("counted_on") == day), day, tables)

    def trusted(self, listeners: pl.DataFrame, day: date, tables: Mapping[str, Frame]) -> pl.DataFrame:
        """Those of `listeners` whom the program's trust filter accepts at the update of `day`."""
        trust = tuple(spec for spec in self.program.filters if isinstance(spec, TrustFilter))
        if not trust:
            return listeners
        alone = self.program.model_copy(update={"filter_chain": trust, "channels": ()})
        named = as_frame(listeners.lazy().select("customer_id", subject_id=pl.lit(None, pl.String)))
        asking = Asking(alone, self.rules.instant(day), _collected)
        judged = judge(join_facts(_with_test_flag(named, tables), tables, asking), alone, self.available)
        kept = judged.filter(~nw.col(refused_by(trust[0].filter_id))).select("customer_id")
        accepted: pl.DataFrame = kept.to_native().collect()
        return accepted.with_columns(counted_on=pl.lit(day))

    @cached_property
    def _standing(self) -> dict[str, pl.LazyFrame]:
        """Tables that say who is trusted: not those of answers, subjects and opt-outs, which say nothing of it."""
        others = {self.source.answers.table.name, self.source.subjects.table.name, "opt_outs"}
        return {name: frame for name, frame in self.tables.items() if name not in others}

    def tracks(self, counts: pl.DataFrame) -> pl.DataFrame:
        """track_id, genre, artist_id, release_date of the counted tracks: as their table states, else as a play."""
        wanted = counts.lazy().select("track_id").unique()
        once = stated_once(as_frame(self._stated("tracks", {})), "track_id").to_native()
        stated = wanted.join(once, on="track_id", how="left").collect()
        lacking = stated.filter(pl.any_horizontal(pl.col(name).is_null() for name in _DESCRIBED)).lazy()
        played = self._stated(self.source.table.name, {"release_date": "track_release_date"})
        played = played.join(lacking.select("track_id"), on="track_id", how="semi")
        played = played.group_by("track_id").agg(pl.col(name).max().alias(f"{name}_played") for name in _DESCRIBED)
        joined = stated.lazy().join(played, on="track_id", how="left")
        described = [pl.coalesce(name, f"{name}_played").alias(name) for name in _DESCRIBED]
        return joined.select("track_id", *described).sort("track_id").collect()

    def _stated(self, table: str, names: Mapping[str, str]) -> pl.LazyFrame:
        """track_id and _DESCRIBED of a table, called there by `names`; what is not there is null."""
        frame = self.tables.get(table)
        if frame is None:
            return empty_frame(TRACKS).lazy().select("track_id", *_DESCRIBED)
        there = frame.collect_schema().names()
        columns = [
            pl.col(names.get(name, name)).alias(name)
            if names.get(name, name) in there
            else pl.lit(None, TRACKS.schema[name]).alias(name)
            for name in _DESCRIBED
        ]
        return frame.select("track_id", *columns)

    def scores(self, counts: pl.DataFrame) -> pl.DataFrame:
        """TRACK_SCORES, by marketplace, genre and track."""
        frames = (as_frame(counts.lazy()), as_frame(self.tracks(counts).lazy()))
        scored: pl.DataFrame = score_tracks(*frames, self.rules, rules_hash(self.program)).to_native().collect()
        return scored.sort("marketplace", "genre", "track_id")


def _with_test_flag(listeners: Frame, tables: Mapping[str, Frame]) -> Frame:
    """The listeners with `is_test`, where the customers' table states it."""
    customers = tables["customers"]
    if "is_test" not in customers.collect_schema().names():
        return listeners.with_columns(nw.lit(None).cast(nw.Boolean).alias("is_test"))
    cut = customers.select("customer_id", "is_test").join(listeners.select("customer_id"), on="customer_id", how="semi")
    return listeners.join(stated_once(cut, "customer_id"), on="customer_id", how="left")


def _parted(table: pl.LazyFrame, pairs: pl.DataFrame) -> Callable[[date], pl.DataFrame]:
    """The table's rows by day of `pairs` (customer_id, counted_on): of each day those of its listeners.

    A table that has no column for who it is about is there as a whole on each day.
    """
    there = table.collect_schema().names()
    who = next((name for name in ("customer_id", "listener_id") if name in there), None)
    if who is None:
        whole = table.collect()
        return lambda _: whole
    joined = table.join(pairs.lazy(), left_on=who, right_on="customer_id", how="inner").collect()
    by_day = joined.partition_by("counted_on", as_dict=True, include_key=False)
    nothing = joined.clear().drop("counted_on")
    return lambda day: by_day.get((day,), nothing)


def _collected(frame: Frame) -> Frame:
    """Facts are computed once each, cut to the listeners."""
    return as_frame(frame.to_native().collect().lazy())
