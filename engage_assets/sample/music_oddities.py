"""What is broken or awkward in the synthetic plays, how often, and what the music program says of it.

A record holds at most one oddity. Each kind of record is there in every week of the world; people are odd for good.
"""

from typing import Final

from engage_assets.sample.oddities import ODDITIES, Oddity

FRESH_ODDITIES: Final[dict[str, Oddity]] = {
    "late": Oddity(0.02, None),
    "too_late": Oddity(0.002, None),
}
"""Kinds of records of tracks that are still new when a later batch reads them."""

PLAY_ODDITIES: Final[dict[str, Oddity]] = {
    # Records that break the contract.
    "key_null": Oddity(0.003, "KEY_MISSING"),
    "key_blank": Oddity(0.002, "KEY_MISSING"),
    "date_null": Oddity(0.001, "DATE_INVALID"),
    "date_unparseable": Oddity(0.002, "DATE_INVALID"),
    "date_before_2000": Oddity(0.001, "DATE_INVALID"),
    "date_in_future": Oddity(0.002, "DATE_INVALID"),
    "release_in_future": Oddity(0.002, "DATE_INVALID"),
    "plays_null": Oddity(0.001, "VALUE_INVALID"),
    "plays_zero": Oddity(0.002, "VALUE_INVALID"),
    "plays_negative": Oddity(0.001, "VALUE_INVALID"),
    "completion_above_one": Oddity(0.002, "VALUE_INVALID"),
    "engagement_out_of_range": Oddity(0.002, "VALUE_INVALID"),
    "unknown_customer": Oddity(0.004, "UNKNOWN_CUSTOMER"),
    "duplicate": Oddity(0.02, "DUPLICATE"),
    "row_repeated": Oddity(0.002, "DUPLICATE"),
    # Records that are odd and keep the contract.
    "engagement_null": Oddity(0.004, "ENGAGEMENT_LOW"),
    "engagement_nan": Oddity(0.002, "ENGAGEMENT_LOW"),
    "genre_null": Oddity(0.004, None),
    "artist_null": Oddity(0.004, None),
    "arrival_null": Oddity(0.004, None),
    # Records that no batch reads.
    "release_null": Oddity(0.002, None),
    "date_and_arrival_null": Oddity(0.001, None),
    # Feedback and tracks.
    "feedback_before": Oddity(0.03, "ALREADY_ANSWERED"),
    "feedback_undated": Oddity(0.001, "ALREADY_ANSWERED"),
    "feedback_after": Oddity(0.02, None),
    "track_closed": Oddity(0.02, "SUBJECT_CLOSED"),
    "track_unknown": Oddity(0.003, "SUBJECT_CLOSED"),
}
"""Kinds of other records of new tracks, heard in full."""

UNREAD: Final = frozenset({"too_late", "release_null", "date_and_arrival_null"})
"""Kinds that are records of no batch."""

BOTS: Final = ("bot_many", "bot_regular", "bot_devices")
"""More than 500 plays a day; 20 or more plays of one track at equal gaps; three devices at one instant."""
NEAR_BOTS: Final = ("near_many", "near_regular", "near_devices")
"""500 plays a day; 19 plays at equal gaps; two devices at one instant and a third right after."""

LISTENER_REASONS: Final[dict[str, str]] = {
    **{
        kind: ODDITIES[kind].reason or ""
        for kind in (
            "foreign_marketplace", "test_account", "suspended", "closed", "no_trust_row", "low_trust",
            "trust_score_null", "high_fraud", "opted_out", "opted_out_undated",
        )
    },
    **dict.fromkeys(BOTS, "BOT_ACTIVITY"),
    "opted_out_here": "OPTED_OUT",
}  # fmt: skip
"""Kinds of people whose records are refused, and why. Who is odd as a customer only is ordinary as a listener."""

REASONS: Final[dict[str, str | None]] = {
    **{kind: oddity.reason for kind, oddity in (FRESH_ODDITIES | PLAY_ODDITIES).items()},
    **LISTENER_REASONS,
}
"""What the music program as documented records, by kind of record or person; None: no refusal for this."""
