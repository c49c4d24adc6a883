"""What playlists came to: how many changes, and whether their listeners play more than before an update."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

import narwhals as nw
import polars as pl

from engage_assets.domain.playlist_tables import CHANGE_REASONS, PLAYLIST_CHANGES, PLAYLISTS
from engage_assets.outcomes.attribution import NIGHT
from engage_assets.outcomes.own import Frame, Given
from engage_assets.outcomes.rows import Figure, count, missing, ratio

CHANGES: Final = ("came", "went", "moved")
CAVEAT: Final = "this is no experiment: whatever else changed in these days is in it too"
IMPROVEMENT: Final = ("playlist_plays_before", "playlist_plays_after", "playlist_improvement")
COUNTS: Final = ("playlists", "playlist_tracks", "playlist_changes")

_NO_SECTION: Final = "the program file has no section playlists"
_NOT_MADE: Final = "the partition's playlists are not made"


@dataclass(frozen=True)
class Listening:
    """Plays of the same listeners in as many whole days before and after an update."""

    days: int
    listeners: int
    before: int
    after: int
    needed_from: date
    known_from: date | None
    """The day of the first play that is known; None: none is."""


def playlist_figures(given: Given) -> Iterator[Figure]:
    """Counts of the partition's playlists and of their changes, and the improvement."""
    rules = given.program.playlists
    cause = _NO_SECTION if rules is None else _NOT_MADE
    playlists, changes = given.made.get(PLAYLISTS.name), given.made.get(PLAYLIST_CHANGES.name)
    if rules is None or playlists is None or changes is None:
        yield from (missing(metric, cause) for metric in (*COUNTS, *IMPROVEMENT))
        return
    yield from _counts(playlists, changes)
    update = rules.instant(given.partition).date()
    until = update + timedelta(days=rules.improvement_days)
    lacking = _lacking(given, until)
    if lacking:
        yield from (missing(metric, lacking) for metric in IMPROVEMENT)
        return
    night = datetime.combine(given.as_of, NIGHT)
    plays, customers = given.tables["track_plays"], given.tables["customers"]
    listening = compare_listening(plays, customers, playlists, update=update, days=rules.improvement_days, night=night)
    yield from improvement(listening)


def _lacking(given: Given, until: date) -> str | None:
    """What the improvement cannot be measured without; None: all is there."""
    absent = [name for name in ("track_plays", "customers") if name not in given.tables]
    if absent:
        return f"the warehouse has no table {' and no table '.join(absent)}"
    if given.as_of < until:
        return f"the days after the update are not over: it can be measured from the night of {until} on"
    return None


def _counts(playlists: Frame, changes: Frame) -> Iterator[Figure]:
    places = playlists.select("playlist_id").collect("polars").to_polars()
    yield count("playlists", places["playlist_id"].n_unique(), "playlists of the partition's update")
    yield count("playlist_tracks", places.height, "places in these playlists")
    counted = changes.group_by("change", "reason").agg(tracks=nw.len()).collect("polars").to_polars()
    counted = counted.cast({"tracks": pl.Int64})
    yield count(
        "playlist_changes", int(counted["tracks"].sum()), "tracks that came, went or moved since the day before"
    )
    for change in CHANGES:
        tracks = int(counted.filter(pl.col("change") == change)["tracks"].sum())
        yield count("playlist_changes", tracks, f"tracks that {change}", "change", change)
    for change, reason, tracks in counted.select("change", "reason", "tracks").sort("change", "reason").iter_rows():
        note = CHANGE_REASONS.get(str(reason), "changes with this reason")
        yield count("playlist_changes", int(tracks), note, "change_reason", f"{change}/{reason}")


def compare_listening(
    plays: Frame, customers: Frame, playlists: Frame, *, update: date, days: int, night: datetime
) -> Listening:
    """Plays of who played a track of a playlist of their marketplace, in `days` whole days before or after `update`.

    The day of the update belongs to neither side. Who is looked at is chosen by both sides alike, so that nobody is
    counted for playing after the update alone. `plays`: `track_plays`; what arrived after `night` is not known yet.
    """
    first, last = update - timedelta(days=days), update + timedelta(days=days)
    recent = plays.filter(nw.col("played_at") >= datetime.combine(first, time()))
    near = _known(recent, night).filter(nw.col("day") <= last, nw.col("day") != update)
    listed = playlists.select("marketplace", "track_id").unique(["marketplace", "track_id"], keep="any")
    lives = customers.select(nw.col("customer_id").alias("listener_id"), "marketplace").unique(
        ["listener_id"], keep="any"
    )
    pairs = near.select("listener_id", "track_id").unique(["listener_id", "track_id"], keep="any")
    heard = pairs.join(lives, on="listener_id").join(listed, on=["marketplace", "track_id"], how="semi")
    listeners = heard.select("listener_id").unique(["listener_id"], keep="any")
    own = near.join(listeners, on="listener_id", how="semi").with_columns(
        before=nw.when(nw.col("day") < update).then(nw.col("play_count")).otherwise(nw.lit(0)),
        after=nw.when(nw.col("day") > update).then(nw.col("play_count")).otherwise(nw.lit(0)),
    )
    each = own.group_by("listener_id").agg(nw.col("before").sum(), nw.col("after").sum())
    sums = each.select(listeners=nw.len(), before=nw.col("before").sum(), after=nw.col("after").sum())
    found = sums.collect("polars").to_polars().row(0, named=True)
    begin = _known(plays, night).select(nw.col("day").min()).collect("polars").to_polars().item()
    return Listening(days, int(found["listeners"]), int(found["before"] or 0), int(found["after"] or 0), first, begin)


def _known(plays: Frame, night: datetime) -> Frame:
    """listener_id, track_id, day and play_count of the plays that are known at `night`."""
    if "arrived_at" in plays.collect_schema().names():
        plays = plays.filter((nw.col("arrived_at") <= night).fill_null(value=True))
    own = plays.filter(nw.col("played_at") <= night)
    return own.select("listener_id", "track_id", "play_count", day=nw.col("played_at").dt.date())


def improvement(listening: Listening) -> Iterator[Figure]:
    """Plays per listener and day on both sides, and the change between them."""
    if listening.known_from is None or listening.known_from > listening.needed_from:
        begin = listening.known_from or "no day"
        note = f"plays are needed from {listening.needed_from} on; they are known from {begin} on"
        yield from (missing(metric, note) for metric in IMPROVEMENT)
        return
    days, person_days = listening.days, listening.listeners * listening.days
    nobody = "nobody played a track of the playlists in these days"
    for side in ("before", "after"):
        note = (
            f"plays ÷ listeners and days, over {days} whole days {side} the update, of who played a playlist's tracks"
        )
        plays = listening.before if side == "before" else listening.after
        yield ratio(f"playlist_plays_{side}", plays, person_days, note, nobody)
    note = f"plays in {days} whole days after the update ÷ the same listeners' plays before it − 1; {CAVEAT}"
    gain = listening.after - listening.before
    yield ratio(
        "playlist_improvement", gain, listening.before, note, "these listeners played nothing before the update"
    )
