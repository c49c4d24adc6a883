"""How changes of a candidate's status add up, whatever their order and however often they come."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import CandidateKey, StatusChange
from engage_assets.domain.statuses import RANK, may_follow

_UNDONE: Final = frozenset({"registered", "wait_listed", "cancelled"})
"""Statuses that may be left and entered again. Among them rank does not tell old from new: the instant does."""


@dataclass(frozen=True)
class Standing:
    """A candidate's status, and the instant of the change that made it; None: it was put so."""

    status: str
    since: datetime | None = None


def standing_after(standing: Standing, changes: Iterable[StatusChange]) -> Standing:
    """The standing after changes of one candidate, earliest first."""
    for change in changes:
        is_later = standing.since is None or change.at > standing.since
        is_due = is_later or not {standing.status, change.status} <= _UNDONE
        if is_due and may_follow(standing.status, change.status):
            standing = Standing(change.status, change.at)
    return standing


def by_candidate(changes: Sequence[StatusChange]) -> dict[CandidateKey, list[StatusChange]]:
    """Changes of each candidate, earliest first; candidates in the order of their keys, so that writers never cross.

    Raises EngageError for an unknown status.
    """
    unknown = {change.status for change in changes} - RANK.keys()
    if unknown:
        raise EngageError(f"no status {', '.join(map(repr, sorted(unknown)))}: one of {', '.join(RANK)}")
    ordered = sorted(changes, key=lambda change: (*vars(change.key).values(), change.at))
    return {key: list(its) for key, its in groupby(ordered, key=lambda change: change.key)}
