"""The listeners of the synthetic world when they are asked: by mail, and by a voice assistant after a track.

Rates of `respond_by_mail`, as means over all listeners and tracks, of sends: opened by the person 30 %, clicked 18 %,
answered 15 %; opened by a machine 15 %. Of spoken questions three of four are answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import polars as pl

from engage_assets.sample.music_feedback import thumbs_up_chance
from engage_assets.sample.music_listens import liking
from engage_assets.sample.music_vocabulary import COMMENTS, GENRES
from engage_assets.sample.people import MACHINE_OPEN_RATE, delays_of, draws, logistic
from engage_assets.sample.visits import Form

_OPEN, _CLICK, _ANSWER = -0.95, 0.45, 1.75  # log odds of each step: 30 %, then 18 ÷ 30 %, then 15 ÷ 18 %
_WORDS: Final = 0.3
"""Share of the answers with a comment."""


@dataclass(frozen=True)
class Minds:
    """What each listener thinks of each track: one opinion, however he is asked."""

    listeners: pl.DataFrame
    tracks: pl.DataFrame
    seed: int

    def opinions(self, pairs: pl.DataFrame) -> pl.DataFrame:
        """`pairs` (listener_id, track_id) with `liked`, `is_up` and `comment` (null: none); null where unknown."""
        names = (pairs["listener_id"] + " " + pairs["track_id"]).to_list()
        chance, words, place = draws(names, self.seed, 3)
        liked = pl.Series("liked", liking(self.listeners, self.tracks, pairs)).fill_nan(None)
        up = chance < thumbs_up_chance(liked.fill_null(0.0).to_numpy())
        comments = [
            COMMENTS[bool(good)][int(at * len(COMMENTS[bool(good)]))] if said < _WORDS else None
            for good, said, at in zip(up, words, place, strict=True)
        ]
        told = pairs.with_columns(liked, is_up=pl.Series(up), comment=pl.Series(comments, dtype=pl.String))
        return told.with_columns(
            pl.when(pl.col("liked").is_not_null()).then(name).alias(name) for name in ("is_up", "comment")
        )


def respond_by_mail(minds: Minds, sends: pl.DataFrame) -> pl.DataFrame:
    """How listeners answer e-mails that ask about a track. One row per send, in the order of `sends`.

    `sends` needs send_id, customer_id, subject_id (a track) and slot_at (UTC). Columns: send_id; machine_opened_at,
    opened_at, clicked_at, answered_at (null: never) as `people.respond` has them; is_up and comment.
    An answer follows from the seed and the send's id alone. Unknown listeners and tracks never answer.
    """
    asked = sends.select("send_id", "slot_at", listener_id="customer_id", track_id="subject_id")
    minded = minds.opinions(asked).join(minds.listeners, on="listener_id", how="left", maintain_order="left")
    lean = 0.8 * minded["habit"].to_numpy() + 0.4 * minded["liked"].to_numpy()
    chosen = draws(sends["send_id"].to_list(), minds.seed, 7)
    opened = chosen[0] < logistic(_OPEN + 0.5 * lean)
    clicked = opened & (chosen[1] < logistic(_CLICK + 0.5 * lean))
    answered = clicked & (chosen[2] < logistic(_ANSWER + 0.5 * lean))
    return minded.with_columns(
        delays_of("to_open", chosen[3], timedelta(hours=6), timedelta(days=5)),
        delays_of("to_click", chosen[4], timedelta(minutes=8), timedelta(hours=2)),
        delays_of("to_answer", chosen[5], timedelta(minutes=4), timedelta(hours=1)),
        delays_of("to_scan", chosen[6] / MACHINE_OPEN_RATE % 1.0, timedelta(seconds=20), timedelta(minutes=1)),
        opened=opened,
        clicked=clicked,
        answered=answered,
        scanned=chosen[6] < MACHINE_OPEN_RATE,
    ).select(
        "send_id",
        machine_opened_at=pl.when("scanned").then(pl.col("slot_at") + pl.col("to_scan")),
        opened_at=pl.when("opened").then(pl.col("slot_at") + pl.col("to_open")),
        clicked_at=pl.when("clicked").then(pl.col("slot_at") + pl.col("to_open") + pl.col("to_click")),
        answered_at=pl.when("answered").then(
            pl.col("slot_at") + pl.col("to_open") + pl.col("to_click") + pl.col("to_answer")
        ),
        is_up="is_up",
        comment="comment",
    )


def feedback_forms(answers: pl.DataFrame, genres: Mapping[str, str | None]) -> dict[str, Form]:
    """What is typed into the page of feedback, by send_id: a thumb, words for some, the track's genre for most.

    `genres` is the genre of the track of each send.
    """
    forms: dict[str, Form] = {}
    given = answers.filter(pl.col("answered_at").is_not_null())
    for number, (send_id, is_up, comment) in enumerate(given.select("send_id", "is_up", "comment").iter_rows()):
        genre = genres.get(send_id)
        tags = ([genre] if genre and number % 5 else []) + ([GENRES[number % len(GENRES)]] if number % 7 == 0 else [])
        fields = [("thumb", "up" if is_up else "down"), ("comment", comment or "")]
        forms[send_id] = (*fields, *(("tags", tag) for tag in dict.fromkeys(tags)))
    return forms
