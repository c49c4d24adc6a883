"""A day of the program about music in figures: its messages, its spoken questions, its playlists and its plays."""

from datetime import date, datetime, timedelta

import polars as pl

from engage_assets.domain.music import ARTIST_RATINGS, TRACK_PLAYS
from engage_assets.domain.playlist_tables import PLAYLIST_CHANGES, PLAYLISTS
from engage_assets.domain.tables import CUSTOMERS
from engage_assets.outcomes.metrics import measure
from engage_assets.outcomes.own import Given
from engage_assets_tests.filters.listening import MUSIC
from engage_assets_tests.outcomes.frames import A_DAY, NIGHT, PARTITION, on_polars, outcome_rows

UPDATE = PARTITION + timedelta(days=1)
"""Day of the partition's update."""
AFTER = UPDATE + timedelta(days=7)
"""The first night on which both sides of the update are known."""
UP, DOWN = {"outcome": "responded", "is_positive": True}, {"outcome": "responded", "is_positive": False}
ALOUD = {"channel": "voice-assistant"}
CAME = outcome_rows(
    {"customer_id": "c-1", "subject_id": "t-1", "human_opens": 1, "human_clicks": 1, **UP},
    {"customer_id": "c-2", "subject_id": "t-1", "human_opens": 1, "human_clicks": 1, **DOWN},
    {"customer_id": "c-3", "subject_id": "t-2", "human_opens": 1},
    {"customer_id": "c-4", "subject_id": "t-2"},
    {"customer_id": "c-5", "subject_id": "t-2", **ALOUD, **UP},
    {"customer_id": "c-6", "subject_id": "t-9", **ALOUD, **UP},
    {"customer_id": "c-7", "subject_id": "t-2", **ALOUD},
    {"customer_id": "c-8", "subject_id": "t-2", **ALOUD},
    {"customer_id": "c-9", "subject_id": "t-2", "outcome": "skipped", "reason": "OPTED_OUT"},
)
SCORED = pl.DataFrame(
    [
        {
            "customer_id": f"c-{number}",
            "subject_id": "t-1" if number < 3 else "t-2",
            "genre": "Folk" if number < 3 else "R&B / Soul",
            "feedback_propensity_v3_score": number / 10,
            "music_affinity_v2_score": 1.0,
        }
        for number in range(1, 10)
    ]
)


def plays(*rows: tuple) -> pl.DataFrame:
    """TRACK_PLAYS out of (listener, track, days after the update, plays or 1)."""
    made = [
        {
            "listener_id": who,
            "track_id": track,
            "played_at": datetime.combine(UPDATE + timedelta(days=days), datetime.min.time()),
            "play_count": count[0] if count else 1,
        }
        for who, track, days, *count in rows
    ]
    return pl.DataFrame(made, schema=TRACK_PLAYS.schema)


def customers(**marketplaces: str) -> pl.DataFrame:
    rows = [{"customer_id": who, "marketplace": where} for who, where in marketplaces.items()]
    return pl.DataFrame(rows, schema=CUSTOMERS.schema)


def playlists(*tracks: str, marketplace: str = "US") -> pl.DataFrame:
    rows = [
        {"playlist_id": f"{marketplace}:folk", "marketplace": marketplace, "track_id": track, "place": place}
        for place, track in enumerate(tracks, 1)
    ]
    return pl.DataFrame(rows, schema=PLAYLISTS.schema)


def ratings(*rows: tuple) -> pl.DataFrame:
    """ARTIST_RATINGS out of (artist, instant or nothing, rating)."""
    made = [
        {"artist_id": who, "rated_at": at and datetime.fromisoformat(at), "rating": rating} for who, at, rating in rows
    ]
    return pl.DataFrame(made, schema=ARTIST_RATINGS.schema)


CHANGES = pl.DataFrame(
    [
        {"change": "came", "reason": "NEW"},
        {"change": "moved", "reason": "ROSE"},
        {"change": "moved", "reason": "ROSE"},
        {"change": "went", "reason": "AGED_OUT"},
    ],
    schema=PLAYLIST_CHANGES.schema,
)
LISTENED = plays(("l-1", "t-1", -7, 10), ("l-1", "t-5", 1, 14), ("l-2", "t-1", 3, 2), ("l-3", "t-8", 2, 50))
TABLES = {
    "track_plays": LISTENED,
    "customers": customers(**{"l-1": "US", "l-2": "US", "l-3": "US"}),
    "artist_ratings": ratings(("a-1", "2026-11-01 10:00", 4), ("a-2", "2026-11-02 10:00", 5)),
}
MADE = {"playlists": playlists("t-1", "t-2"), "playlist_changes": CHANGES}


def given(as_of: date = AFTER, on=on_polars, tables=TABLES, made=MADE, program=MUSIC) -> Given:
    """What the program's own figures are made of."""
    put = [{name: on(frame) for name, frame in frames.items()} for frames in (tables, made)]
    return Given(program, PARTITION, as_of, *put)


def measured(came=CAME, on=on_polars, program=MUSIC, scored=SCORED, own=None, as_of=NIGHT, **more) -> pl.DataFrame:
    """METRICS of the day."""
    return measure(
        on(A_DAY.with_columns(program=pl.lit(program.program_id))),
        program=program,
        partition=PARTITION,
        as_of=as_of,
        sends=None,
        batch=(12.5, 10),
        outcomes=on(came),
        unsolicited=0,
        scored=on(scored),
        own=given(on=on) if own is None else own,
        **more,
    )
