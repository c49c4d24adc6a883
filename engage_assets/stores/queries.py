"""What readers ask, as SQL that SQLite and PostgreSQL both read; `:name` is a value. One index serves each question."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from engage_assets.domain.channel_specs import CHANNEL_TYPES
from engage_assets.domain.statuses import ACTIVE
from engage_assets.stores.columns import KEY, KEY_GIVEN, STORED, flag_of, listed
from engage_assets.stores.cursors import PLACE

BY_SCORE: Final = "candidates_by_score"
BY_STATUS: Final = "candidates_by_status"
_ROW: Final = f"SELECT {listed(STORED)} FROM candidates"  # noqa: S608 – our own names
_TIES: Final = PLACE[2:]
_IN_ORDER: Final = f"score DESC NULLS LAST, event_at DESC NULLS LAST, {listed(_TIES)}"
_BY_EVENT: Final = f"event_at DESC NULLS LAST, {listed(KEY_GIVEN)}"
_THIS: Final = " AND ".join(f"{name} = :{name}" for name in KEY)

GET: Final = f"{_ROW} WHERE {_THIS} AND expires_at > :now"
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
DELETE_EXPIRED: Final = "DELETE FROM candidates WHERE expires_at <= :now"


def ranges(place: Mapping[str, Any] | None) -> list[str]:
    """What lies after `place`, as conditions that are each one range of the score index, in order.

    A comparison of the whole place at once would be no range: its directions differ.
    """
    if place is None:
        return ["score >= :min_score"]
    after = f"({listed(_TIES)}) > ({', '.join(f':{name}' for name in _TIES)})"
    below = "score < :score AND score >= :min_score"
    if place["event_at"] is None:
        return [f"score = :score AND event_at IS NULL AND {after}", below]
    return [
        f"score = :score AND event_at = :event_at AND {after}",
        "score = :score AND event_at < :event_at",
        "score = :score AND event_at IS NULL",
        below,
    ]


@cache
def of_lanes(lanes: tuple[int, ...], condition: str, hint: str = "") -> str:
    """The candidates of some lanes, merged in order; `hint` follows the table's name."""
    branches = (
        f"{_ROW}{hint} WHERE program = :program AND lane = {lane} AND {condition} AND expires_at > :now"
        for lane in lanes
    )
    return f"{' UNION ALL '.join(branches)} ORDER BY {_IN_ORDER} LIMIT :limit"


@cache
def of_statuses(statuses: tuple[str, ...], *, on_a_day: bool, hint: str = "") -> str:
    """A program's candidates in some statuses, newest event first; `hint` is for all statuses but active."""
    day = " AND event_at >= :begin AND event_at < :end" if on_a_day else ""
    branches = (
        f"{_ROW}{'' if status == ACTIVE else hint} WHERE program = :program AND {_of_status(status)}{day}"
        " AND expires_at > :now"
        for status in statuses
    )
    return f"{' UNION ALL '.join(branches)} ORDER BY {_BY_EVENT} LIMIT :limit"


def _of_status(status: str) -> str:
    """Also as the index by status says it: active candidates are not in it."""
    return f"status = '{status}'" + ("" if status == ACTIVE else f" AND status <> '{ACTIVE}'")
