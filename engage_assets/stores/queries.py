"""What readers ask, as SQL that SQLite and PostgreSQL both read; `:name` is a value. One index serves each question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

from engage_assets.domain.channel_specs import CHANNEL_TYPES
from engage_assets.domain.statuses import ACTIVE
from engage_assets.stores.columns import KEY, KEY_GIVEN, STORED, flag_of, listed
from engage_assets.stores.cursors import PLACE

BY_SCORE: Final = "candidates_by_score"
BY_STATUS: Final = "candidates_by_status"
_ROW: Final = f"SELECT {listed(STORED)} FROM candidates"  # noqa: S608 – our own names
_TIES: Final = PLACE[2:]
_BY_EVENT: Final = f"event_at DESC NULLS LAST, {listed(KEY_GIVEN)}"
_THIS: Final = " AND ".join(f"{name} = :{name}" for name in KEY)

GET: Final = f"{_ROW} WHERE {_THIS} AND expires_at > :now"
STATUS: Final = f"SELECT status FROM candidates WHERE {_THIS} AND expires_at > :now"  # noqa: S608 – our own names
DELETE: Final = f"DELETE FROM candidates WHERE {_THIS}"  # noqa: S608 – our own names
OF_CUSTOMER: Final[dict[tuple[bool, str | None], str]] = {
    (of_program, channel): f"{_ROW} WHERE customer_id = :customer_id{' AND program = :program' if of_program else ''}"
    f" AND expires_at > :now{f' AND {flag_of(channel)}' if channel else ''}"
    f" ORDER BY score DESC NULLS LAST, event_at DESC NULLS LAST, subject_id, program, marketplace, subject_type"
    " LIMIT :limit"
    for of_program in (False, True)
    for channel in (None, *CHANNEL_TYPES)
}
"""By whether a program is named, and by channel."""
OF_PARTITION: Final = (
    "SELECT customer_id, marketplace, subject_id, score FROM candidates"
    " WHERE program = :program AND partition_date = :partition"
    " ORDER BY customer_id, marketplace, subject_type, subject_id"
)
EXPIRED: Final = f"{_ROW} WHERE expires_at <= :now LIMIT :limit"
DELETE_EXPIRED: Final = "DELETE FROM candidates WHERE expires_at <= :now"


class Range(NamedTuple):
    """A part of the score index: which rows, and the order of what differs among them."""

    condition: str
    order: str


ALL: Final = Range("score >= :min_score", f"score DESC NULLS LAST, event_at DESC NULLS LAST, {listed(_TIES)}")


def ranges(place: Mapping[str, Any] | None) -> list[Range]:
    """What lies after `place`, as ranges of the score index, one behind the other.

    A comparison of the whole place at once would be no range: its directions differ.
    """
    if place is None:
        return [ALL]
    same, ties = "score = :score", listed(_TIES)
    # That event_at is null everywhere is nothing that PostgreSQL concludes an order from.
    dated = f"event_at DESC NULLS LAST, {ties}"
    after = f"({ties}) > ({', '.join(f':{name}' for name in _TIES)})"
    below = Range("score < :score AND score >= :min_score", ALL.order)
    if place["event_at"] is None:
        return [Range(f"{same} AND event_at IS NULL AND {after}", dated), below]
    return [
        Range(f"{same} AND event_at = :event_at AND {after}", ties),
        Range(f"{same} AND event_at < :event_at", dated),
        Range(f"{same} AND event_at IS NULL", dated),
        below,
    ]


@dataclass(frozen=True)
class Dialect:
    """How a database is made to merge branches, each read off its index in order, instead of sorting them."""

    names_index: bool
    """SQLite: each branch names its index."""
    limits_branches: bool
    """PostgreSQL: each branch has the order and the limit of the whole."""

    def merged(self, branches: Sequence[str], order: str) -> str:
        """The branches, merged in order."""
        if len(branches) == 1 and self.limits_branches:
            return branches[0]
        return f"{' UNION ALL '.join(branches)} ORDER BY {order} LIMIT :limit"

    def branch(self, index: str | None, condition: str, order: str) -> str:
        """One branch; without an index the database finds its own way."""
        hint = f" INDEXED BY {index}" if index and self.names_index else ""
        rows = f"{_ROW}{hint} WHERE program = :program AND {condition} AND expires_at > :now"
        return f"({rows} ORDER BY {order} LIMIT :limit)" if self.limits_branches else rows


SQLITE: Final = Dialect(names_index=True, limits_branches=False)
POSTGRES: Final = Dialect(names_index=False, limits_branches=True)


@cache
def of_lanes(dialect: Dialect, lanes: tuple[int, ...], part: Range) -> str:
    """The candidates of some lanes in a range, best first."""
    branches = [dialect.branch(BY_SCORE, f"lane = {lane} AND {part.condition}", part.order) for lane in lanes]
    return dialect.merged(branches, part.order)


@cache
def of_statuses(dialect: Dialect, statuses: tuple[str, ...], *, on_a_day: bool) -> str:
    """A program's candidates in some statuses, newest event first."""
    day = " AND event_at >= :begin AND event_at < :end" if on_a_day else ""
    branches = [
        dialect.branch(None, f"status = '{status}'{day}", _BY_EVENT)
        if status == ACTIVE
        # As the index says it: active candidates are not in it.
        else dialect.branch(BY_STATUS, f"status = '{status}' AND status <> '{ACTIVE}'{day}", _BY_EVENT)
        for status in statuses
    ]
    return dialect.merged(branches, _BY_EVENT)
