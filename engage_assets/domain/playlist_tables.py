"""Tables in the lake of programs that fill playlists."""

from typing import Final

from engage_assets.domain.tables import Column, Table

_PLACE = (
    Column("marketplace", "text", "Whose listeners answered."),
    Column("genre", "text", "The track's genre; unknown where nothing states it."),
    Column("track_id", "key", "The track."),
)
_SCORE = (
    Column("track_score", "number", "(ups + w · genre_approval) ÷ (answers + w), 6 decimals; w is priorWeight."),
    Column("answers", "integer", "Counted answers: each listener's latest."),
    Column("ups", "integer", "Those with thumbs up, or yes."),
)
TRACK_SCORES: Final = Table(
    "track_scores",
    "one row per marketplace and track with an answer up to the partition's update",
    (
        *_PLACE,
        Column("artist_id", "key", "The artist; unknown where nothing states it."),
        Column("release_date", "date", "When it came out; null: not known."),
        *_SCORE,
        Column(
            "genre_approval",
            "number",
            "Share of ups among the counted answers about all tracks of the genre in the marketplace, 6 decimals.",
        ),
        Column("counted_on", "date", "The partition whose answers made its counts; earlier ones were kept."),
        Column(
            "rules_hash", "text", "What decided: the program's keys of playlists, its trust filter and marketplaces."
        ),
    ),
)
PLAYLISTS: Final = Table(
    "playlists",
    "one row per playlist (marketplace and genre) and place",
    (
        Column("playlist_id", "text", "marketplace:genre."),
        Column("version", "text", "12 hex digits that change with the tracks or their order, and with nothing else."),
        Column("place", "integer", "1 is the first."),
        *_PLACE,
        Column("artist_id", "key", "The artist."),
        Column("release_date", "date", "When it came out."),
        *_SCORE,
    ),
)
PLAYLIST_CHANGES: Final = Table(
    "playlist_changes",
    "one row per playlist and track that came, went or moved since the day before",
    (
        Column("playlist_id", "text", "marketplace:genre."),
        *_PLACE,
        Column("change", "text", "came, went or moved."),
        Column("reason", "text", "Why."),
        Column("place", "integer", "Its place; null: it went."),
        Column("place_before", "integer", "Its place the day before; null: it came."),
        Column("track_score", "number", "Its score; null: it has none any more."),
        Column("score_before", "number", "Its score the day before; null: it had none."),
        Column("answers", "integer", "Its counted answers; null: as above."),
        Column("answers_before", "integer", "The day before; null: as above."),
    ),
)
BRIGADES: Final = Table(
    "brigades",
    "one row per track or listener whose answers of the day look concerted, and do not count",
    (
        Column("kind", "text", "NEWCOMERS, FLOOD or SURGE."),
        Column("marketplace", "text", "Whose listeners."),
        Column("track_id", "key", "The track; null: a flood, which is one listener's."),
        Column("customer_id", "key", "The listener; null: a newcomers' brigade or a surge, which are many."),
        Column("given", "integer", "Answers of the day about the track, or of the listener."),
        Column("not_counted", "integer", "Those of them that do not count for this reason."),
        Column("up_share", "number", "Share of ups among those; 6 decimals."),
        Column("track_score", "number", "The track's score; null: a flood, or a track without one."),
        Column("score_if_counted", "number", "What the score would be if they counted; null: as above."),
    ),
)
TABLES: Final = (TRACK_SCORES, PLAYLISTS, PLAYLIST_CHANGES, BRIGADES)

CHANGE_REASONS: Final[dict[str, str]] = {
    "NEW": "came: the day before it was not eligible (too few answers, or not out yet)",
    "ROSE": "came or moved up: its score rose",
    "ROOM_MADE": "came: others left, or fell behind it",
    "OTHERS_FELL": "moved up, though its score did not rise",
    "FELL": "moved down: its score fell",
    "OVERTAKEN": "moved down, though its score did not fall",
    "AGED_OUT": "went: it was released too long ago",
    "BELOW_MINIMUM": "went: too few of its answers count by now",
    "ARTIST_LIMIT": "went: better tracks of its artist fill the artist's places",
    "OUT_RANKED": "went: better tracks fill the playlist",
    "GENRE_CHANGED": "came or went: it is of another genre now",
    "WITHDRAWN": "went: it has no score any more, or is not out",
}
"""Why a track came, went or moved."""
VOID_REASONS: Final[dict[str, str]] = {
    "NEWCOMER": "the account was known for fewer than newcomerDays when it answered",
    "FLOOD": "the listener answered about more than mostAnswersPerDay tracks in that day",
    "SURGE": "the track got far more answers than usual that day, and no play of it by this listener is known",
}
"""Why an answer does not count, in the order in which they are asked; who is not trusted is left out beside."""
