"""Small worlds of listeners, tracks and answers; listeners are known for long and trusted where a test says nothing."""

from copy import deepcopy
from datetime import date, datetime, timedelta
from typing import Any

import narwhals as nw
import polars as pl

from engage_assets.defs.playlist_curation import Curation, Judged, rules_hash
from engage_assets.defs.playlist_stages import counts_of, fill
from engage_assets.domain.facts import Frame
from engage_assets.domain.music import FEEDBACK, TRACK_PLAYS, TRACKS
from engage_assets.domain.playlist_spec import Playlists
from engage_assets.domain.program import Program
from engage_assets.domain.tables import CUSTOMER_TRUST, CUSTOMERS, RESPONSES_LOG, Table, declared
from engage_assets.playlists.changes import compare
from engage_assets.playlists.filling import playlists_of
from engage_assets_tests.builders import PRODUCT_REVIEWS, instant

DAY = date(2026, 11, 20)
"""The partition: its playlists are made on the 21st at 18:00."""
UPDATE = instant("2026-11-21 18:00")
TICK = timedelta(microseconds=1)
LONG_AGO = instant("2026-01-01")
Rows = list[dict[str, Any]]


def a_music_program(**rules: Any) -> Program:
    """A program about tracks in the US and DE whose chain is the trust filter; `rules` are its playlists' keys."""
    block = deepcopy(PRODUCT_REVIEWS)
    config = {"database": "streaming", "query": "SELECT * FROM track_plays"}
    block |= {
        "programId": "new-tracks",
        "marketplaces": ["US", "DE"],
        "dataConnectors": [{"connectorId": "streams", "type": "redshift", "config": config}],
        "filterChain": [{"filterId": "trust", "type": "trust", "order": 1}],
        "playlists": rules,
    }
    return Program.model_validate(block)


def framed(table: Table, rows: Rows) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in table.names} for row in rows], schema=table.schema)


def an_answer(listener: str, track: str, at: datetime, *, up: bool = True) -> dict[str, Any]:
    """A row of feedback."""
    return {"listener_id": listener, "track_id": track, "given_at": at, "thumbs_up": up}


def a_response(listener: str, track: str, at: datetime, *, up: bool = True, received_at: datetime | None = None) -> Any:
    """A version in the ledger's log."""
    return {
        "program": "new-tracks", "customer_id": listener, "subject_id": track, "is_positive": up, "at": at,
        "changed_at": at, "received_at": received_at or at,
    }  # fmt: skip


def a_track(track: str, genre: str = "indie", artist: str | None = None, released: date = DAY) -> dict[str, Any]:
    return {"track_id": track, "genre": genre, "artist_id": artist or f"by {track}", "release_date": released}


def known(listener: str, at: datetime = LONG_AGO, marketplace: str = "US", **trust: Any) -> tuple[Any, Any]:
    """A listener's rows of customers and of customer_trust."""
    standing = {"account_status": "active", "trust_score": 0.9, "fraud_score": 0.1, **trust}
    return {"customer_id": listener, "marketplace": marketplace}, {"customer_id": listener, "known_at": at, **standing}


class World:
    """Tables of a warehouse and a ledger, from which the playlists of any day can be made."""

    def __init__(
        self,
        tracks: Rows,
        feedback: Rows = (),
        responses: Rows = (),
        plays: Rows = (),
        people: dict[str, tuple[Any, Any]] | None = None,
        **rules: Any,
    ) -> None:
        names = {row["listener_id"] for row in (*feedback, *plays)} | {row["customer_id"] for row in responses}
        everybody = {name: known(name) for name in sorted(names)} | (people or {})
        given = {
            "customers": framed(CUSTOMERS, [row for row, _ in everybody.values()]),
            "customer_trust": framed(CUSTOMER_TRUST, [row for _, row in everybody.values() if row]),
            "tracks": framed(TRACKS, list(tracks)),
            "feedback": framed(FEEDBACK, list(feedback)),
            "track_plays": framed(TRACK_PLAYS, list(plays)),
        }
        self.tables = {name: frame.lazy() for name, frame in given.items()}
        self.responses = framed(RESPONSES_LOG, list(responses))
        self.program = a_music_program(**rules)
        self.at_once = 1_000

    @property
    def rules(self) -> Playlists:
        assert self.program.playlists
        return self.program.playlists

    def curation(self, day: date = DAY) -> Curation:
        until = self.rules.instant(day)
        available = declared({name: frame.collect_schema().names() for name, frame in self.tables.items()})
        responses = self.responses.filter(pl.col("received_at") <= until).lazy()
        return Curation(self.program, self.rules, day, self.tables, available, responses, self.at_once)

    def judged(self, day: date = DAY) -> Judged:
        return self.curation(day).count(None)

    def scores(self, day: date = DAY, before: pl.DataFrame | None = None) -> pl.DataFrame:
        """TRACK_SCORES; with those of the day before, only what the day's answers touch is counted."""
        curation = self.curation(day)
        counts = counts_of(before.lazy() if before is not None else None, rules_hash(self.program))
        return pl.concat(curation.scores(curation.count(counts).counts))

    def filled(self, day: date = DAY) -> pl.DataFrame:
        return fill(self.scores(day).lazy(), self.rules, day)

    def playlists(self, day: date = DAY) -> pl.DataFrame:
        return playlists_of(self.filled(day))

    def changes(self, day: date = DAY) -> pl.DataFrame:
        return compare(self.filled(day - timedelta(days=1)), self.filled(day))


def on_polars(frame: pl.DataFrame) -> Frame:
    return nw.from_native(frame.lazy())
