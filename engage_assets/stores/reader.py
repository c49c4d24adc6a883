"""The store as the serving service asks it: questions become statements here, whatever the database."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

import polars as pl

from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import CandidateKey
from engage_assets.domain.statuses import RANK
from engage_assets.stores import queries
from engage_assets.stores.columns import KEY, STORED, TYPES, flag_of, lanes_of
from engage_assets.stores.cursors import cursor_of, place_of

Row = tuple[Any, ...]


class Reader(ABC):
    """See CandidateReader. What expires exactly at `now` has expired; a wrong channel or status raises EngageError."""

    @abstractmethod
    def _ask(self, statement: str, values: Mapping[str, Any]) -> list[Row]:
        """Rows in the order of `columns`: instants and dates as such, flags as booleans."""

    @abstractmethod
    def _ask_in_parts(self, statement: str, values: Mapping[str, Any]) -> Iterator[pl.DataFrame]:
        """The same as frames of `columns` from one snapshot, some thousand at a time. Threads may take turns at it."""

    @abstractmethod
    def version(self) -> Hashable | None:
        """See CandidateReader."""

    @property
    @abstractmethod
    def _dialect(self) -> queries.Dialect:
        """How this database is asked."""

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        """See CandidateReader."""
        return TYPES

    def of_customer(
        self, customer_id: str, program_id: str | None, now: datetime, *, channel: str | None = None, limit: int = 1000
    ) -> list[dict[str, Any]]:
        """See CandidateReader. By score, newest event, subject."""
        if channel is not None:
            flag_of(channel)
        values = {"customer_id": customer_id, "now": now, "limit": limit}
        if program_id is not None:
            values["program"] = program_id
        return _as_dictionaries(self._ask(queries.OF_CUSTOMER[program_id is not None, channel], values))

    def expired(self, now: datetime, limit: int) -> list[CandidateKey]:
        """See CandidateReader."""
        rows = _as_dictionaries(self._ask(queries.EXPIRED, {"now": now, "limit": limit}))
        return [CandidateKey(*(row[name] for name in KEY)) for row in rows]

    def page(
        self,
        program_id: str,
        channel: str,
        min_score: float,
        limit: int,
        now: datetime,
        *,
        exclude: frozenset[str] = frozenset(),
        after: str | None = None,
    ) -> tuple[list[Row], str | None]:
        """See CandidateReader. By score, newest event, subject, customer; `min_score` is inclusive."""
        lanes = tuple(lanes_of(channel, exclude))
        place = place_of(after) if after is not None else None
        if limit < 1 or not lanes or (place and place["score"] < min_score):
            return [], None
        values = {"program": program_id, "min_score": min_score, "now": now, **(place or {})}
        rows: list[Row] = []
        for part in queries.ranges(place):
            statement = queries.of_lanes(self._dialect, lanes, part)
            # One more than asked for tells whether there is another page.
            rows += self._ask(statement, values | {"limit": limit + 1 - len(rows)})
            if len(rows) > limit:
                return rows[:limit], cursor_of(dict(zip(STORED, rows[limit - 1], strict=True)))
        return rows, None

    def stream(
        self,
        program_id: str,
        channel: str,
        min_score: float,
        limit: int,
        now: datetime,
        *,
        exclude: frozenset[str] = frozenset(),
    ) -> Iterator[pl.DataFrame]:
        """See CandidateReader. Threads may take turns at it; close it when it is left early."""
        lanes = tuple(lanes_of(channel, exclude))
        if limit < 1 or not lanes:
            return iter(())
        statement = queries.of_lanes(self._dialect, lanes, queries.ALL)
        values = {"program": program_id, "min_score": min_score, "now": now, "limit": limit}
        return self._ask_in_parts(statement, values)

    def with_status(
        self, program_id: str, statuses: frozenset[str], on: date | None, limit: int, now: datetime
    ) -> list[dict[str, Any]]:
        """See CandidateReader. Newest event first; the day is that of UTC. Only `active` is slow: no index holds it."""
        unknown = statuses - RANK.keys()
        if unknown:
            raise EngageError(f"no status {', '.join(map(repr, sorted(unknown)))}: one of {', '.join(RANK)}")
        if not statuses:
            return []
        values: dict[str, Any] = {"program": program_id, "now": now, "limit": limit}
        if on is not None:
            begin = datetime.combine(on, time())
            values |= {"begin": begin, "end": begin + timedelta(days=1)}
        statement = queries.of_statuses(self._dialect, tuple(sorted(statuses)), on_a_day=on is not None)
        return _as_dictionaries(self._ask(statement, values))

    def get(self, key: CandidateKey, now: datetime) -> dict[str, Any] | None:
        """See CandidateReader."""
        rows = self._ask(queries.GET, {**vars(key), "now": now})
        return dict(zip(STORED, rows[0], strict=True)) if rows else None


def _as_dictionaries(rows: list[Row]) -> list[dict[str, Any]]:
    names = tuple(STORED)
    return [dict(zip(names, row, strict=True)) for row in rows]
