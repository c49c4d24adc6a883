"""Write a seeded world for the benchmark of the music program: one day's listening records and their history.

    .venv/bin/python bench/generate_music.py [FOLDER] [--scale 0.1]

FOLDER (default `.bench`) gets an ENGAGE_HOME, `scale-1/music/`, whose path is the last line printed; a second call
finds it there. At full scale: 2 M records of the day, 1.5 M of them of different listener and track, 1 M listeners,
200 K tracks, 20 M rows of the 30 days before, 4 M single plays of a week, 5 M sends, 10 M feedbacks.

Shares follow the music document: of the unique records roughly 7 % are refused by trust, 27 % by eligibility, 33 % by
engagement and 20 % by the cap, 13 % pass.
"""

import argparse
import hashlib
import json
import shutil
import time
from datetime import date, timedelta
from pathlib import Path

import generate as shop
import numpy as np
import polars as pl
from generate import (
    DAY,
    MARKETS,
    PARTITION,
    SECOND,
    SLOT_HOURS_UTC,
    Ints,
    between,
    hexadecimal,
    ids,
    instants,
    micros,
    pick,
    save,
    skewed,
    some,
    stream,
    without,
)

PROGRAM = "music-feedback"
LISTENERS, TRACKS, NEW_TRACKS, ARTISTS = 1_000_000, 200_000, 3_000, 40_000
RECORDS, UNIQUE = 2_000_000, 1_500_000
EARLIER, EARLIER_DAYS = 20_000_000, 30
PLAYS, PLAY_DAYS = 4_000_000, 7
SENDS, FEEDBACKS = 5_000_000, 10_000_000
GENRES = ["Indie Rock", "Electronic", "Hip-Hop", "R&B / Soul", "Pop", "Folk"]
MARKET_SHARES = [0.36, 0.19, 0.18, 0.12, 0.10, 0.05]
CAPPED, ASKED, ANSWERED, CLOSED, BOTS = 0.60, 0.10, 0.11, 0.05, 0.002
"""Shares: of listeners without quota, of records asked and answered before, of tracks that are closed, of bots."""
NEEDED_BYTES = 4 * 2**30


class World:
    """What the tables have in common, as numbers; `scale` 1 is the full size."""

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.customers, self.tracks = self.of(LISTENERS), self.of(TRACKS)
        self.new = np.arange(self.of(NEW_TRACKS), dtype=np.int32)  # the first keys are those of the new tracks
        random = stream("music")
        self.market = random.choice(len(MARKETS), self.customers, p=MARKET_SHARES).astype(np.int8)
        back = random.integers(0, 7, self.new.size)
        self.released = np.concatenate([back, random.integers(7, 1500, self.tracks - self.new.size)]).astype(np.int32)
        """Days before the partition."""
        self.artist = skewed(random, self.tracks, self.of(ARTISTS), 1.4)
        # Pairs of the day: a listener and a new track, each once.
        wanted = self.of(UNIQUE)
        drawn = int(1.2 * wanted)
        pair = np.unique(
            skewed(random, drawn, self.customers, 1.2).astype(np.int64) * self.new.size
            + skewed(random, drawn, self.new.size, 1.2)
        )
        pair = random.permutation(pair)[:wanted]
        self.listener, self.track = (pair // self.new.size).astype(np.int32), (pair % self.new.size).astype(np.int32)
        self.bots = np.flatnonzero(some(random, self.customers, BOTS)).astype(np.int32)

    def of(self, full: int) -> int:
        """A number of the full size at this scale."""
        return max(10, int(full * self.scale))

    def genre(self, track: Ints) -> pl.Series:
        """Its genre."""
        return pick(GENRES, track % len(GENRES))

    def release(self, track: Ints) -> pl.Series:
        """When it came out."""
        return pl.Series(np.datetime64(PARTITION) - self.released[track].astype("timedelta64[D]")).cast(pl.Date)


def tracks(world: World, folder: Path) -> None:
    random = stream("tracks")
    number = np.arange(world.tracks, dtype=np.int32)
    key, rows = ids("t", number, 6), number.size
    save(
        folder / "warehouse/streaming/tracks.parquet",
        track_id=key,
        name="Track " + key,
        artist_id=ids("a", world.artist, 5),
        artist_name="Artist " + ids("a", world.artist, 5),
        genre=without(world.genre(number), some(random, rows, 0.001)),
        release_date=world.release(number),
        is_open_for_feedback=without(pl.Series(~some(random, rows, CLOSED)), some(random, rows, 0.002)),
    )


def rows_of(random: np.random.Generator, world: World, listener: Ints, track: Ints, day: date) -> dict[str, pl.Series]:
    """Columns of track_plays of one day without faults."""
    rows = listener.size
    start = DAY - (PARTITION - day)
    at = between(random, rows, start, start + timedelta(days=1))
    engagement = 0.24 + 0.76 * random.random(rows)  # just below half are under 0.6
    return {
        "listener_id": ids("c", listener, 7),
        "track_id": ids("t", track, 6),
        "played_at": instants(at),
        "play_count": pl.Series(random.geometric(0.6, rows)),
        "completion_rate": pl.Series((0.95 + 0.05 * random.random(rows)).round(3)),
        "track_release_date": world.release(track),
        "engagement_score": pl.Series(engagement.round(3)),
        "genre": world.genre(track),
        "artist_id": ids("a", world.artist[track], 5),
        "device_id": ids("d", (listener * 3 + random.integers(0, 2, rows)).astype(np.int32), 7),
        "arrived_at": instants(at + random.integers(0, 7200, rows) * SECOND),
    }


def day_records(world: World, folder: Path) -> None:
    """The day's records, with the defects that a warehouse has; each fourth pair or so was heard on two devices."""
    random, rows = stream("records"), world.of(RECORDS)
    again = random.choice(world.listener.size, rows - world.listener.size)
    order = random.permutation(rows)
    listener = np.concatenate([world.listener, world.listener[again]])[order]
    track = np.concatenate([world.track, world.track[again]])[order]
    strange = some(random, rows, 0.0005)
    columns = rows_of(random, world, listener, track, PARTITION)
    counts = columns["play_count"].to_numpy().copy()
    counts[np.isin(listener, world.bots[::2])] = 300
    for share, wrong in ((0.0003, 0), (0.0001, -1)):
        counts[some(random, rows, share)] = wrong
    completion = columns["completion_rate"].to_numpy().copy()
    completion[some(random, rows, 0.0003)] = 1.2
    strangers = (world.customers + random.integers(0, 1000, rows)).astype(np.int32)
    key = ids("c", np.where(strange, strangers, listener).astype(np.int32), 7)
    for blank in (None, " "):
        key = without(key, some(random, rows, 0.0003), blank)
    far = micros(DAY) + 40 * 86_400 * SECOND
    at = np.where(some(random, rows, 0.0003), far, columns["played_at"].cast(pl.Int64).to_numpy())
    columns |= {
        "listener_id": key,
        "track_id": without(columns["track_id"], some(random, rows, 0.0003), ""),
        "played_at": instants(at),
        "play_count": without(pl.Series(counts), some(random, rows, 0.0002)),
        "completion_rate": pl.Series(completion),
        "engagement_score": without(columns["engagement_score"], some(random, rows, 0.002)),
        "genre": without(columns["genre"], some(random, rows, 0.001)),
        "arrived_at": without(columns["arrived_at"], some(random, rows, 0.002)),
    }
    save(folder / f"warehouse/streaming/track_plays/{PARTITION}.parquet", **columns)


def earlier_records(world: World, folder: Path) -> None:
    """The rows of the days before: new tracks and old ones, heard in full and in part."""
    each = world.of(EARLIER) // EARLIER_DAYS
    for back in range(1, EARLIER_DAYS + 1):
        random = stream(f"earlier {back}")
        day = PARTITION - timedelta(days=back)
        listener = skewed(random, each, world.customers, 1.2)
        track = np.where(
            some(random, each, 0.4),
            skewed(random, each, world.new.size, 1.2),
            world.new.size + skewed(random, each, world.tracks - world.new.size, 1.3),
        ).astype(np.int32)
        track = np.where(world.released[track] < back, (track + world.new.size) % world.tracks, track)
        columns = rows_of(random, world, listener, track, day)
        part = some(random, each, 0.5)
        share = columns["completion_rate"].to_numpy()
        columns["completion_rate"] = pl.Series(np.where(part, random.random(each).round(3), share))
        save(folder / f"warehouse/streaming/track_plays/{day}.parquet", **columns)


def plays(world: World, folder: Path) -> None:
    """Single plays of a week; of the bots, half play one track at equal gaps, some on three devices at once."""
    random, rows = stream("plays"), world.of(PLAYS)
    start = DAY - timedelta(days=PLAY_DAYS - 1)
    listener, track = skewed(random, rows, world.customers, 1.2), skewed(random, rows, world.new.size, 1.2)
    at, device = between(random, rows, start, DAY + timedelta(days=1)), random.integers(0, 2, rows)
    regular, several = np.repeat(world.bots[1::4], 25), np.repeat(world.bots[3::4], 3)
    turn = np.tile(np.arange(25), world.bots[1::4].size)
    noon = micros(DAY) + 12 * 3600 * SECOND
    listener = np.concatenate([listener, regular, several])
    track = np.concatenate([track, regular % world.new.size, several % world.new.size]).astype(np.int32)
    at = np.concatenate([at, noon + turn * 40 * SECOND, np.full(several.size, noon)])
    device = np.concatenate([device, np.zeros(regular.size, np.int64), np.arange(several.size) % 3])
    order = np.argsort(at, kind="stable")
    save(
        folder / "warehouse/streaming/plays.parquet",
        listener_id=ids("c", listener[order].astype(np.int32), 7),
        track_id=ids("t", track[order], 6),
        device_id=ids("d", (listener * 3 + device)[order].astype(np.int32), 7),
        started_at=instants(at[order]),
        ended_at=instants(at[order] + 30 * SECOND),
    )


def feedback(world: World, folder: Path) -> None:
    """Some of the day's pairs were answered already; the others are of earlier tracks and years."""
    random, rows = stream("feedback"), world.of(FEEDBACKS)
    answered = np.flatnonzero(some(random, world.listener.size, ANSWERED))
    older = rows - answered.size
    listener = np.concatenate([world.listener[answered], skewed(random, older, world.customers, 1.3)])
    track = np.concatenate([world.track[answered], skewed(random, older, world.tracks, 1.3)])
    at = np.concatenate(
        [
            between(random, answered.size, DAY - timedelta(days=3), DAY + timedelta(days=1)),
            between(random, older, DAY - timedelta(days=700), DAY + timedelta(days=2)),
        ]
    )
    order = np.argsort(at, kind="stable")
    save(
        folder / "warehouse/streaming/feedback.parquet",
        listener_id=ids("c", listener[order], 7),
        track_id=ids("t", track[order], 6),
        given_at=without(instants(at[order]), some(random, rows, 0.0001)),
        thumbs_up=pl.Series(some(random, rows, 0.7)),
        channel=pick(["app", "email", "voice-assistant"], random.choice(3, rows, p=[0.6, 0.3, 0.1])),
    )


def sends(world: World, folder: Path) -> None:
    """The ledger's mirror: who has no quota left was asked twice in the week, the others are of the weeks before."""
    random, rows = stream("music sends"), world.of(SENDS)
    capped = np.repeat(np.flatnonzero(some(random, world.customers, CAPPED)).astype(np.int32), 2)
    asked = np.flatnonzero(some(random, world.listener.size, ASKED))
    older = rows - capped.size - asked.size
    listener = np.concatenate([capped, world.listener[asked], skewed(random, older, world.customers, 1.2)])
    track = np.concatenate(
        [
            world.new.size + skewed(random, capped.size, world.tracks - world.new.size, 1.3),
            world.track[asked],
            world.new.size + skewed(random, older, world.tracks - world.new.size, 1.3),
        ]
    ).astype(np.int32)
    back = np.concatenate(
        [
            random.integers(1, 7, capped.size),
            random.integers(1, 7, asked.size),
            random.integers(9, 34, older),  # slots of the days before the week
        ]
    )
    back[some(random, rows, 0.005)] = 0
    for days in range(33, -1, -1):
        chosen = np.flatnonzero(back == days)
        plan_day(stream(f"music sends {days}"), world, folder, days, listener[chosen], track[chosen])


def plan_day(random: np.random.Generator, world: World, folder: Path, days: int, listener: Ints, track: Ints) -> None:
    """Sends planned by the batch of the day `days` before the partition, in the mirror file of the next day."""
    partition, count = PARTITION - timedelta(days=days), listener.size
    midnight = micros(DAY) + (1 - days) * 86_400 * SECOND
    market, program = world.market[listener], pick([PROGRAM], np.zeros(count, dtype=np.int8))
    slot = midnight + SLOT_HOURS_UTC[market] * 3600 * SECOND
    planned = pl.DataFrame(
        {
            "send_id": hexadecimal(random, count),
            "program": program,
            "campaign_id": program + f":email:{partition}:" + pick(MARKETS, market) + ":Pop",
            "customer_id": ids("c", listener, 7),
            "subject_id": ids("t", track, 6),
            "channel": pick(["email"], np.zeros(count, dtype=np.int8)),
            "slot_at": instants(slot),
            "cap_scope": program,
            "is_solicitation": pl.Series(np.ones(count, dtype=bool)),
            "state": pick(["planned"], np.zeros(count, dtype=np.int8)),
            "at": instants(midnight + (2 * 3600 + random.integers(300, 3600, count)) * SECOND),
            "reason": pl.Series([None], dtype=pl.String).new_from_index(0, count),
        }
    )
    ended = np.flatnonzero(some(random, count, 0.02))
    closed = planned[ended].with_columns(
        state=pick(["failed", "skipped"], random.integers(0, 2, ended.size)),
        at=instants(slot[ended] + random.integers(1, 600, ended.size) * SECOND),
        reason=pick(["bounced"], np.zeros(ended.size, dtype=np.int8)),
    )
    events = pl.concat([planned, closed]).sort("at", "send_id", "state")
    save(folder / f"lake/ledger/send_events/{partition + timedelta(days=1)}.parquet", **events.to_dict(as_series=True))


def made_by() -> str:
    """The state of the scripts that make the world."""
    scripts = (Path(__file__), Path(shop.__file__))
    return json.dumps({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in scripts})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(".bench"))
    parser.add_argument("--scale", type=float, default=1.0, help="0.02 to 1; shrinks every table")
    args = parser.parse_args()
    if not 0.02 <= args.scale <= 1:
        parser.error(f"--scale {args.scale}: give a number from 0.02 to 1")
    home = args.folder / f"scale-{args.scale:g}" / "music"
    mark = home / "made_by.json"
    if not (mark.is_file() and mark.read_text() == made_by()):
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        free = shutil.disk_usage(home).free
        if free < NEEDED_BYTES * args.scale:
            parser.error(f"{home}: {free / 2**30:.1f} GiB are free, {NEEDED_BYTES * args.scale / 2**30:.1f} are needed")
        began = time.perf_counter()
        world = World(args.scale)
        for table in (shop.customers, shop.customer_trust, shop.opt_outs):
            table(world, home)  # type: ignore[arg-type]
        for own in (tracks, day_records, earlier_records, plays, feedback, sends):
            own(world, home)
        mark.write_text(made_by())
        print(f"{time.perf_counter() - began:.0f} s")
    print(home)


if __name__ == "__main__":
    main()
