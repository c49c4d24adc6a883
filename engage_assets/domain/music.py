"""Music: the tables that a program about tracks reads, and its source, the plays of a listener's day."""

from datetime import datetime
from typing import Final

import narwhals as nw

from engage_assets.domain.source import Answers, Source, Subjects
from engage_assets.domain.tables import Column, Table, needed

TRACK_PLAYS = Table(
    "track_plays",
    "one row per listener, track, day and device",
    (
        needed("listener_id", "key", "Who listened: a customer_id."),
        needed("track_id", "key", "To what."),
        needed("played_at", "instant", "Start of the last play of the day: its UTC day is the partition's."),
        needed("play_count", "integer", "Plays on the day; at least 1 counts."),
        needed("completion_rate", "number", "Share of the track that the best play reached, 0 to 1."),
        needed("track_release_date", "date", "When the track came out."),
        Column("engagement_score", "number", "How engaged the listener is, 0 to 1."),
        Column("genre", "text", "Genre, where the tracks table has none."),
        Column("artist_id", "key", "Artist, where the tracks table has none."),
        Column("device_id", "key", "The device."),
        Column("arrived_at", "instant", "When the row reached the warehouse (usable as arrivalColumn)."),
    ),
)
TRACKS = Table(
    "tracks",
    "one row per track",
    (
        needed("track_id", "key", "The track."),
        Column("name", "text", "Name shown in messages."),
        Column("artist_id", "key", "Who made it."),
        Column("artist_name", "text", "The artist's name, shown in messages."),
        Column("genre", "text", "Genre."),
        Column("release_date", "date", "When it came out."),
        Column("is_open_for_feedback", "flag", "Whether feedback is taken."),
    ),
)
FEEDBACK = Table(
    "feedback",
    "one row per feedback",
    (
        needed("listener_id", "key", "Who gave it."),
        needed("track_id", "key", "About what."),
        needed("given_at", "instant", "When; null counts as long ago."),
        Column("thumbs_up", "flag", "Thumbs up or down."),
        Column("comment", "text", "Words, at most 200 characters."),
        Column("genre_tags", "texts", "Genres that the listener named."),
        Column("channel", "text", "email or voice-assistant."),
    ),
)
PLAYS = Table(
    "plays",
    "one row per single play",
    (
        needed("listener_id", "key", "Who listened."),
        needed("track_id", "key", "To what."),
        needed("device_id", "key", "On which device."),
        needed("started_at", "instant", "When the play began."),
        needed("ended_at", "instant", "When it ended."),
    ),
)
ARTIST_RATINGS = Table(
    "artist_ratings",
    "one row per rating that an artist gave",
    (
        needed("artist_id", "key", "Who rated."),
        needed("rated_at", "instant", "When; null does not count."),
        needed("rating", "integer", "How satisfied the artist is, 1 to 5; others do not count."),
    ),
)
TABLES: Final = (TRACK_PLAYS, TRACKS, FEEDBACK, PLAYS, ARTIST_RATINGS)


def _release_is_invalid(instant: datetime) -> nw.Expr:
    """A release that is unknown, or still to come on the batch's date."""
    return (nw.col("track_release_date") > instant.date()).fill_null(True)


def _value_is_invalid(instant: datetime) -> nw.Expr:  # noqa: ARG001 - rules are called alike
    """No whole play, or a share that is none."""
    wrong = (nw.col("play_count") < 1).fill_null(True)
    for name in ("completion_rate", "engagement_score"):
        wrong |= ((nw.col(name) < 0) | (nw.col(name) > 1)).fill_null(False)
    return wrong


WHOLE_PLAY: Final = 0.95
"""Completion from which on a play counts as whole."""
NEW_DAYS: Final = 7
"""Days before the batch's date within which a track is new."""


def _is_whole_and_new() -> nw.Expr:
    """A whole play of a new track: of its day, the batch's date is the next."""
    day = nw.col("played_at").cast(nw.Date)
    age = (day - nw.col("track_release_date").cast(nw.Date)).dt.total_minutes() // 1440
    return (nw.col("completion_rate") >= WHOLE_PLAY) & (nw.col("play_count") >= 1) & age.is_between(-1, NEW_DAYS - 1)


SOURCE: Final = Source(
    table=TRACK_PLAYS,
    record_key=None,
    customer="listener_id",
    subject="track_id",
    subject_type="track",
    day="played_at",
    event="played_at",
    carried=("engagement_score", "genre", "artist_id"),
    subjects=Subjects(TRACKS, key="track_id", is_open="is_open_for_feedback", maker="artist_name"),
    answers=Answers(
        FEEDBACK, customer="listener_id", subject="track_id", at="given_at", word="feedback", is_positive="thumbs_up"
    ),
    form="feedback",
    is_offered=_is_whole_and_new,
    tables=TABLES,
    own_rules={"DATE_INVALID": _release_is_invalid, "VALUE_INVALID": _value_is_invalid},
    described={"genre": "genre", "artist_id": "artist_id"},
    segments=("genre",),
)
