"""The update of a program's playlists: 20,000 new answers, 200,000 tracks, 10,000,000 earlier answers.

usage: python bench/playlists.py make FOLDER [ANSWERS]   the warehouse, and the update of a day that has none before
       python bench/playlists.py first FOLDER            that update alone
       python bench/playlists.py ours FOLDER             the update of a day after it, as the job runs it, with Dagster
       python bench/playlists.py duckdb FOLDER           the rival: one plain SQL script over all answers

`ours` reads of the warehouse the answers about the tracks that the day touched (1.2 million), listener and day of all
others, customers, customer_trust, the plays of a week, tracks; and of the lake the scores of the day before (1.2
million). It writes scores, brigades, playlists, changes and the playlists' files. `update_seconds` is the wall time of
the job's steps; all other figures are of the whole process, Dagster's own work included. The rival counts every answer
of trusted listeners anew, and knows neither newcomers, floods, surges nor reasons of changes; its trust is the latest
row of customer_trust alone; it writes the playlists.
"""

import os
import shutil
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

from measure import report

DAY, PROGRAM = date(2026, 11, 20), "music-feedback"
LISTENERS, TRACKS, NEW = 1_000_000, 200_000, 20_000
GENRES, ARTISTS = 20, 40_000
MARKETPLACES = ["US", "UK", "DE", "FR", "JP", "IN"]


def make(folder: Path, answers: int) -> None:
    """Write the warehouse; three of four tracks are older than 90 days, and newer ones are answered about more."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(1)
    (folder / "warehouse" / "crm").mkdir(parents=True, exist_ok=True)
    (folder / "warehouse" / "streaming").mkdir(parents=True, exist_ok=True)
    crm, streaming = folder / "warehouse" / "crm", folder / "warehouse" / "streaming"
    people = pl.int_range(LISTENERS, eager=True)
    names = ("c-" + people.cast(pl.String).str.zfill(7)).alias("customer_id")
    places = pl.Series("marketplace", np.array(MARKETPLACES)[rng.integers(0, 6, LISTENERS)])
    pl.DataFrame([names, places]).write_parquet(crm / "customers.parquet")
    update = datetime.combine(DAY + timedelta(days=1), datetime.min.time()) + timedelta(hours=18)
    known = np.datetime64(update - timedelta(days=500), "us") - rng.integers(0, 10**6, LISTENERS).astype("m8[s]")
    standing = {
        "known_at": known,
        "account_status": np.where(rng.random(LISTENERS) < 0.03, "suspended", "active"),
        "trust_score": np.round(rng.beta(8, 2, LISTENERS), 4),
        "fraud_score": np.round(rng.beta(2, 12, LISTENERS), 4),
    }
    pl.DataFrame({"customer_id": names, **standing}).write_parquet(crm / "customer_trust.parquet")
    age = np.sort(np.where(rng.random(TRACKS) < 0.25, rng.integers(0, 90, TRACKS), rng.integers(90, 1000, TRACKS)))
    tracks = pl.DataFrame(
        {
            "track_id": [f"t-{one:06d}" for one in range(TRACKS)],
            "name": [f"Track {one}" for one in range(TRACKS)],
            "artist_id": [f"a-{one:05d}" for one in rng.integers(0, ARTISTS, TRACKS)],
            "genre": [f"genre-{one:02d}" for one in rng.integers(0, GENRES, TRACKS)],
            "release_date": [DAY - timedelta(days=int(days)) for days in age],
        }
    )
    tracks.write_parquet(streaming / "tracks.parquet")
    quality = rng.beta(6, 3, TRACKS)
    track = (rng.random(answers + NEW) ** 1.5 * TRACKS).astype(np.int64)
    back = np.concatenate([rng.integers(24 * 3600, 400 * 24 * 3600, answers), rng.integers(0, 24 * 3600, NEW)])
    pl.DataFrame(
        {
            "listener_id": names.gather(rng.integers(0, LISTENERS, answers + NEW)),
            "track_id": tracks["track_id"].gather(track),
            "given_at": np.datetime64(update, "us") - back.astype("m8[s]"),
            "thumbs_up": rng.random(answers + NEW) < quality[track],
        }
    ).write_parquet(streaming / "feedback.parquet")
    plays = 1_000_000
    pl.DataFrame(
        {
            "listener_id": names.gather(rng.integers(0, LISTENERS, plays)),
            "track_id": tracks["track_id"].gather(rng.integers(0, TRACKS, plays)),
            "played_at": np.datetime64(update, "us") - rng.integers(0, 30 * 24 * 3600, plays).astype("m8[s]"),
            "play_count": rng.integers(1, 4, plays),
            "completion_rate": rng.random(plays).round(2),
            "track_release_date": [DAY] * plays,
        }
    ).write_parquet(streaming / "track_plays.parquet")


def update(folder: Path, day: date = DAY) -> None:
    """The job of the playlists of a day, as `engage playlists --make` and the schedule run it."""
    from engage_assets.defs.launch import Launcher

    now = datetime.combine(day + timedelta(days=1), datetime.min.time()) + timedelta(hours=18)
    home = {"ENGAGE_HOME": str(folder), "ENGAGE_NOW": now.isoformat(), "DAGSTER_HOME": ""}
    launcher = Launcher({**os.environ, **home})
    program = launcher.program(PROGRAM)
    result = launcher.run(f"{program.key}_playlists", day)
    steps = [event for event in result.all_node_events if event.event_type_value == "STEP_SUCCESS"]
    seconds = sum(step.step_success_data.duration_ms for step in steps) / 1000
    scores = launcher.lake.scan((program.key, "track_scores"), day.isoformat()).select("counted_on", "track_id")
    anew = scores.filter(counted_on=day).collect()["track_id"].n_unique()
    rows = launcher.lake.rows((program.key, "playlists"), day.isoformat())
    load = round(os.getloadavg()[0], 1)
    report(update_seconds=round(seconds, 2), load=load, tracks=TRACKS, counted_anew=anew, rows=rows)


def duckdb(folder: Path) -> None:
    """All answers in one statement."""
    import duckdb as engine

    db = engine.connect()
    place = folder / "warehouse"
    update = f"TIMESTAMP '{DAY + timedelta(days=1)} 18:00:00'"
    db.execute(f"""
    COPY (
      WITH trusted AS (
        SELECT customer_id FROM (SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY known_at DESC) AS n
          FROM '{place}/crm/customer_trust.parquet' WHERE known_at <= {update})
        WHERE n = 1 AND account_status = 'active' AND trust_score >= 0.5 AND fraud_score <= 0.5),
      latest AS (
        SELECT listener_id, track_id, arg_max(thumbs_up, given_at) AS up
        FROM '{place}/streaming/feedback.parquet' WHERE given_at <= {update} GROUP BY ALL),
      counts AS (
        SELECT marketplace, genre, track_id, artist_id, release_date, count(*) AS n, sum(up::INT) AS ups
        FROM latest JOIN '{place}/crm/customers.parquet' c ON c.customer_id = listener_id
        JOIN trusted USING (customer_id) JOIN '{place}/streaming/tracks.parquet' USING (track_id) GROUP BY ALL),
      priors AS (SELECT marketplace, genre, sum(ups) / sum(n) AS p FROM counts GROUP BY ALL),
      scores AS (SELECT *, (ups + 10 * p) / (n + 10) AS score FROM counts JOIN priors USING (marketplace, genre)),
      fresh AS (
        SELECT *, row_number() OVER (
            PARTITION BY marketplace, genre, artist_id ORDER BY score DESC, n DESC, track_id) AS nth
        FROM scores WHERE n >= 5 AND release_date >= {update} - INTERVAL 90 DAY),
      placed AS (SELECT *, row_number() OVER (
            PARTITION BY marketplace, genre ORDER BY score DESC, n DESC, track_id) AS place
        FROM fresh WHERE nth <= 2)
      SELECT * FROM placed WHERE place <= 50 ORDER BY marketplace, genre, place
    ) TO '{folder}/rival.parquet' (FORMAT parquet)
    """)
    report(rows=db.execute(f"SELECT count(*) FROM '{folder}/rival.parquet'").fetchone()[0])


def first(folder: Path) -> None:
    """The update of a day before which there was none: every answer's track is counted as of its own day."""
    shutil.rmtree(folder / "lake", ignore_errors=True)
    update(folder)


if __name__ == "__main__":
    what, place = sys.argv[1], Path(sys.argv[2]).absolute()
    if what == "make":
        make(place, int(sys.argv[3]) if len(sys.argv) > 3 else 10_000_000)
        first(place)
    else:
        {"first": first, "ours": update, "duckdb": duckdb}[what](place)
