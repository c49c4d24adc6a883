"""The stages of playlists: an update, what stands in the playlists, whether their rules are kept. Knows no Dagster."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import repeat
from typing import Final

import polars as pl

from engage_assets.defs.batch import Batch, as_frame
from engage_assets.defs.playlist_curation import Curation, rules_hash
from engage_assets.domain.facts import stated_once
from engage_assets.domain.music import TRACKS
from engage_assets.domain.playlist_spec import Playlists
from engage_assets.domain.playlist_tables import TRACK_SCORES
from engage_assets.domain.ports import Ledger
from engage_assets.domain.program import Program
from engage_assets.domain.tables import empty_frame
from engage_assets.lake import Lake, ParquetFile
from engage_assets.playlists.brigades import find_brigades
from engage_assets.playlists.filling import IN_PLAYLIST, deciding, fill_playlists, is_eligible, with_deciding
from engage_assets.playlists.scores import COUNTS

_DAY: Final = timedelta(days=1)
_TRACK: Final = ["marketplace", "track_id"]


def curation_of(batch: Batch, rules: Playlists, partition: date, ledger: Ledger) -> Curation:
    """The curation of a partition of a batch's program."""
    database = batch.program.connector.config.place
    source = batch.warehouse.scan(batch.source.table, database)
    tables = {**batch.tables, **({batch.source.table.name: source} if source is not None else {})}
    responses = ledger.responses(None, rules.instant(partition)).lazy()
    return Curation(batch.program, rules, partition, tables, batch.available, responses)


@dataclass(frozen=True)
class Update:
    """What a partition's update makes."""

    scores: pl.DataFrame
    brigades: pl.DataFrame
    answers: pl.DataFrame
    """The day's answers with `void`."""
    is_incremental: bool
    """Whether the counts of the day before were taken over."""


def update_of(batch: Batch, rules: Playlists, lake: Lake, ledger: Ledger, file: ParquetFile) -> Update:
    """TRACK_SCORES and BRIGADES of the batch's partition; the scores are added to `file` as they are made."""
    curation = curation_of(batch, rules, batch.partition, ledger)
    before = counts_of(_made(batch.program, lake, batch.partition - _DAY), rules_hash(batch.program))
    judged = curation.count(before)
    parts = []
    for part in curation.scores(judged.counts):
        file.add(part)
        parts.append(part)
    scores = pl.concat(parts)
    return Update(scores, find_brigades(judged.answers, scores, rules), judged.answers, before is not None)


def make_day_before(batch: Batch, rules: Playlists, lake: Lake, ledger: Ledger) -> date | None:
    """Write TRACK_SCORES of the partition before the batch's where the lake lacks it: that day, else None.

    What an update begins with, and what its playlists are compared with, is thus there in any order of partitions.
    """
    day = batch.partition - _DAY
    if _made(batch.program, lake, day) is not None:
        return None
    curation = curation_of(batch, rules, day, ledger)
    lake.write((batch.program.key, TRACK_SCORES.name), day.isoformat(), curation.scores(curation.count(None).counts))
    return day


def _made(program: Program, lake: Lake, day: date) -> pl.LazyFrame | None:
    """A partition of TRACK_SCORES that is in the lake."""
    path = lake.path((program.key, TRACK_SCORES.name), day.isoformat())
    return pl.scan_parquet(path) if path.is_file() else None


def fill(scores: pl.LazyFrame, rules: Playlists, partition: date) -> pl.DataFrame:
    """TRACK_SCORES with `standing` and `place`, as of the partition's update."""
    today = rules.instant(partition).date()
    filled: pl.DataFrame = fill_playlists(as_frame(scores), rules, today).to_native().collect()
    return filled


def fill_listed(scores: pl.LazyFrame, rules: Playlists, partition: date) -> pl.DataFrame:
    """The rows of `fill` that stand in a playlist."""
    return _listed(_ranked(scores, rules, partition), rules, partition)


def fill_both(
    then: tuple[pl.LazyFrame, date], now: tuple[pl.LazyFrame, date], rules: Playlists
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of `fill` of two partitions' scores for all tracks that stand in a playlist of either, and some more.

    Both are looked at side by side: most steps of it keep one core busy.
    """
    (scores, days), same = zip(then, now, strict=True), repeat(rules)
    with ThreadPoolExecutor(2) as pool:
        ranked = list(pool.map(_ranked, scores, same, days))
        listed = pl.concat(rows.select(_TRACK) for rows in pool.map(_listed, ranked, same, days)).unique()
        filled = pool.map(_standing, scores, ranked, same, days, repeat(listed))
        return next(filled), next(filled)


def _listed(ranked: pl.DataFrame, rules: Playlists, day: date) -> pl.DataFrame:
    """The rows of `fill` that stand in a playlist, out of those that may."""
    return fill(deciding(ranked).lazy(), rules, day).filter(pl.col("standing") == IN_PLAYLIST)


def _standing(
    scores: pl.LazyFrame, ranked: pl.DataFrame, rules: Playlists, day: date, listed: pl.DataFrame
) -> pl.DataFrame:
    """The rows of `fill` for the tracks `listed`, and some more."""
    own = fill(deciding(ranked, listed["track_id"].unique()).lazy(), rules, day)
    barred = listed.join(own, on=_TRACK, how="anti")["track_id"].unique()
    if barred.is_empty():
        return own
    others = fill(scores.filter(pl.col("track_id").is_in(barred.implode())), rules, day)
    return pl.concat([own, others.join(own, on=_TRACK, how="anti")])


def _ranked(scores: pl.LazyFrame, rules: Playlists, partition: date) -> pl.DataFrame:
    """The rows of TRACK_SCORES that may stand in a playlist, as `with_deciding` has them."""
    is_so = is_eligible(rules, rules.instant(partition).date())
    rows: pl.DataFrame = as_frame(scores).filter(is_so).to_native().collect()
    return with_deciding(rows, rules)


def counts_of(scores: pl.LazyFrame | None, rules: str) -> pl.LazyFrame | None:
    """The counts of an earlier partition's TRACK_SCORES, if the same rules made them."""
    if scores is None:
        return None
    others = scores.filter(pl.col("rules_hash") != rules).head(1).collect()
    return None if others.height else scores.select(*COUNTS)


def track_names(batch: Batch, playlists: pl.DataFrame) -> pl.DataFrame:
    """track_id, name and artist_name of the tracks that stand in playlists; null where they are not known."""
    wanted = playlists.lazy().select("track_id").unique()
    tracks = batch.tables.get(TRACKS.name)
    there = tracks.collect_schema().names() if tracks is not None else []
    named = (tracks if tracks is not None else empty_frame(TRACKS).lazy()).select(
        "track_id",
        *(pl.col(name) if name in there else pl.lit(None, pl.String).alias(name) for name in ("name", "artist_name")),
    )
    listed = named.filter(pl.col("track_id").is_in(playlists["track_id"].unique().implode()))
    once: pl.LazyFrame = stated_once(as_frame(listed), "track_id").to_native()
    return wanted.join(once, on="track_id", how="left").sort("track_id").collect()
