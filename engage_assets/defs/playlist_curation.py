"""The stages of playlists, joined from the rooms below: answers, whose count, scores. Knows nothing of Dagster.

A track is counted anew in a partition whose day brought an answer about it that counts; its counts then stand until
the next such day. Where the partition before is in the lake with the same program, its counts are taken over; where
it is not, every track is counted as of its own day, which gives the same.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Final

import polars as pl

from engage_assets.defs.batch import as_frame
from engage_assets.defs.playlist_answers import Answers
from engage_assets.defs.playlist_people import People
from engage_assets.defs.playlist_trial import Trial
from engage_assets.domain.facts import stated_once
from engage_assets.domain.filter_specs import TrustFilter
from engage_assets.domain.music import TRACKS
from engage_assets.domain.playlist_spec import Playlists
from engage_assets.domain.program import Program
from engage_assets.domain.source import Source
from engage_assets.domain.sources import SOURCES
from engage_assets.domain.tables import empty_frame
from engage_assets.playlists.answers import latest_answers
from engage_assets.playlists.scores import COUNTS, UNKNOWN, score_tracks

_DAY: Final = timedelta(days=1)
_ROWS: Final = 2_000_000
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
    at_once: int = _ROWS
    """Answers that are judged at a time while tracks are counted from the first answer on."""

    @property
    def instant(self) -> datetime:
        """When the partition's playlists are made."""
        return self.rules.instant(self.partition)

    @property
    def source(self) -> Source:
        """What the program's source table holds."""
        return SOURCES[self.program.source_table]

    @cached_property
    def answers(self) -> Answers:
        """The answers of all listeners up to the update."""
        feedback = self.tables.get("feedback")
        if feedback is not None and "thumbs_up" not in feedback.collect_schema().names():
            feedback = None
        program, at = self.program, self.rules.update_time
        return Answers(program.program_id, at, self.instant, feedback, self.responses)

    @cached_property
    def people(self) -> People:
        """Everybody who has a say."""
        return People.of(self.tables["customers"], self.program.marketplaces)

    def count(self, counts_before: pl.LazyFrame | None) -> Judged:
        """Counts of every track as of the partition; without `counts_before` from the first answer on."""
        if counts_before is None:
            return self._count_all()
        # What keeps one core busy is done beside the rest.
        with ThreadPoolExecutor(2) as pool:
            given, of_busy, before = self._read_beside(pool, counts_before)
            trial = self._trial(self.people.among(given["customer_id"]))
            trial.read_standing()
            trusted = pool.submit(trial.trusted_at, self.partition)
            of_day, live = self._tried(trial, given, of_busy)
            counted_on = _last_days(live).filter(pl.col("counted_on") == self.partition)
            counts = trial.count(_latest(live), counted_on, trusted.result())
        anew = counted_on["track_id"].cast(pl.String)
        kept = before.result().filter(~pl.col("track_id").is_in(anew.implode()))
        return Judged(of_day, pl.concat([counts, kept]))

    def _read_beside(
        self, pool: ThreadPoolExecutor, counts_before: pl.LazyFrame
    ) -> tuple[pl.DataFrame, pl.LazyFrame, Future[pl.DataFrame]]:
        """`_about` the tracks that the day brought answers about; and the counts before, when they are read."""
        answers = self.answers
        counting, people = pool.submit(answers.count_days), pool.submit(lambda: self.people)
        before = pool.submit(counts_before.select(*COUNTS).collect)
        touched = answers.of_day(self.instant - _DAY).select("track_id").drop_nulls().unique().collect()
        tracks = touched["track_id"].sort()
        own = answers.about(tracks).collect()
        counting.result()
        people.result()
        return *self._numbered(own, tracks), before

    def _count_all(self) -> Judged:
        """Tracks are judged some at a time: of the others memory holds the latest answers alone."""
        trial, words = self._trial(self.people), pl.Enum(self.answers.tracks["track_id"])
        days, last, latest = [], [], []
        for tracks in self._some_tracks():
            of_day, live = self._tried(trial, *self._about(tracks))
            days.append(of_day)
            word = pl.col("track_id").cast(pl.String).cast(words)
            last.append(_last_days(live).with_columns(word))
            latest.append(_latest(live).with_columns(word, pl.col("up").cast(pl.Int8)))
        counts = trial.count(pl.concat(latest), pl.concat(last))
        return Judged(pl.concat(days), counts)

    def _some_tracks(self) -> Iterator[pl.Series]:
        """All tracks with an answer, so many at a time as have about `at_once` answers; at least once, though none."""
        counts = self.answers.tracks.with_columns(part=(pl.col("answers").cum_sum() - 1) // self.at_once)
        yield from (part["track_id"] for part in counts.partition_by("part", maintain_order=True))
        if counts.is_empty():
            yield counts["track_id"]

    def _about(self, tracks: pl.Series) -> tuple[pl.DataFrame, pl.LazyFrame]:
        """The answers about the tracks (distinct, sorted), and all of listeners who may have flooded, by number."""
        return self._numbered(self.answers.about(tracks).collect(), tracks)

    def _numbered(self, own: pl.DataFrame, tracks: pl.Series) -> tuple[pl.DataFrame, pl.LazyFrame]:
        busy = self.answers.of_busy(own, self.rules.most_answers_per_day)
        numbered = self.people.numbered(own.lazy(), "marketplace")
        given = numbered.with_columns(pl.col("track_id").cast(pl.Enum(tracks))).collect()
        return given, self.people.numbered(busy)

    def _trial(self, people: People) -> Trial:
        """Answers, subjects and opt-outs say nothing of who is trusted."""
        others = {self.source.answers.table.name, self.source.subjects.table.name, "opt_outs"}
        tables = {name: frame for name, frame in self.tables.items() if name not in others}
        plays = self.tables.get(self.source.table.name)
        if plays is not None:
            own = plays.select("track_id", customer_id="listener_id", at="played_at")
            plays = own.filter(pl.col("at") <= self.instant)
        return Trial(self.program, self.rules, self.instant, people, self.answers, tables, plays, self.available)

    def _tried(self, trial: Trial, given: pl.DataFrame, of_busy: pl.LazyFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Of the answers those of the day with `void`, by name, and by number all that count."""
        judged = trial.judge(given, of_busy)
        of_day = trial.people.named(judged.filter(pl.col("day") == self.partition))
        return of_day, judged.filter(pl.col("void").is_null()).drop("void")

    def tracks(self, counts: pl.DataFrame) -> pl.DataFrame:
        """track_id, genre, artist_id, release_date of the counted tracks: as their table states, else as a play."""
        wanted = counts.lazy().select("track_id").unique()
        once = stated_once(as_frame(self._stated("tracks", {})), "track_id").to_native()
        stated = wanted.join(once, on="track_id", how="left").collect()
        lacking = stated.filter(pl.any_horizontal(pl.col(name).is_null() for name in _DESCRIBED))
        if lacking.is_empty():
            return stated.sort("track_id")
        played = self._stated(self.source.table.name, {"release_date": "track_release_date"})
        played = played.join(lacking.lazy().select("track_id"), on="track_id", how="semi")
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

    def scores(self, counts: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """TRACK_SCORES by marketplace, genre and track; by marketplace, so that one is written while the next is made.

        No marketplace's scores ask for another's.
        """
        tracks = self.tracks(counts)
        # Words of a list are joined, grouped and sorted as numbers, in the order of the texts.
        words = {
            "marketplace": pl.Enum(counts["marketplace"].unique().sort()),
            "genre": pl.Enum(pl.concat([tracks["genre"].drop_nulls(), pl.Series([UNKNOWN])]).unique().sort()),
            "track_id": pl.Enum(tracks["track_id"]),
        }
        counted, described = (
            frame.with_columns(
                pl.col(name).cast(words[name]) for name in ("marketplace", "track_id") if name in frame.columns
            )
            for frame in (counts, tracks)
        )
        rules, facts = rules_hash(self.program), described.lazy()
        parts = sorted(counted.partition_by("marketplace"), key=lambda part: str(part["marketplace"][0]))
        for part in parts or [counted]:
            scored = score_tracks(as_frame(part.lazy()), as_frame(facts), self.rules, rules).to_native()
            made = scored.with_columns(pl.col("genre").cast(words["genre"])).sort(_in_order(words))
            yield made.with_columns(pl.selectors.enum().cast(pl.String)).collect()


def _in_order(words: Mapping[str, pl.Enum]) -> pl.Expr:
    """One number by which rows sort as by the columns of `words`, one after the other: a fraction of the work."""
    number = pl.lit(0, pl.UInt64)
    for name, word in words.items():
        number = number * len(word.categories) + pl.col(name).to_physical().cast(pl.UInt64)
    return number


def _last_days(live: pl.DataFrame) -> pl.DataFrame:
    """`track_id` and `counted_on`: the last day that brought an answer that counts."""
    return live.group_by("track_id").agg(counted_on=pl.col("day").max())


def _latest(live: pl.DataFrame) -> pl.DataFrame:
    """The answers as latest_answers has them; by number a listener and a track are one number, and quickly compared."""
    key = pl.col("customer_id").cast(pl.UInt64) * 2**32 + pl.col("track_id").to_physical()
    pairs = live.select(key).to_series()
    ordered = pairs.sort()
    again = ordered.filter(ordered == ordered.shift(1))
    is_again = pairs.is_in(again.implode())
    several: pl.DataFrame = latest_answers(as_frame(live.lazy().filter(is_again))).to_native().collect()
    single = live.filter(~is_again).select(*several.columns[:-1], up=pl.col("is_up").cast(several.schema["up"]))
    return pl.concat([single, several])
