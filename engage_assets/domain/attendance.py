"""Attendance: what event platforms tell of who joined and left, and how long who came was there."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

KEPT_MARKS: Final = timedelta(days=30)
"""Joins and leaves are erased so long after their event's end; who came, and for how long, stays."""


@dataclass(frozen=True, order=True)
class Mark:
    """One customer joined, or left."""

    at: datetime
    kind: Literal["joined", "left"]
    customer_id: str
    session: str = ""
    """The platform's name of the connection, where it gives one: joins and leaves of one belong together."""


@dataclass(frozen=True)
class Stay:
    """One stay of a person; without a leave it lasts to the event's end."""

    person: str = field(repr=False)
    """The key by which the platform knows the person: a customer's key, or an address."""
    joined_at: datetime
    left_at: datetime | None


class Attendances(Protocol):
    """Joins and leaves of an event's people. An import stands in place of what was told one by one."""

    def tell(self, program: str, event_id: str, marks: Sequence[Mark], now: datetime) -> set[Mark]:
        """Keep joins and leaves as they come, in any order, however often; gives those that are new."""

    def put(self, program: str, event_id: str, stays: Sequence[Stay], now: datetime) -> None:
        """Keep the stays of an import, in place of those of the imports before it."""

    def of(self, program: str, event_id: str, customer_ids: Collection[str] | None = None) -> list[Mark]:
        """What counts of some customers (None: of all), oldest first: the import's, else what was told."""

    def events(self) -> dict[tuple[str, str], datetime]:
        """By program and event of which anything is kept: when something was told last."""

    def erase(self, program: str, event_id: str) -> int:
        """Erase all that is kept of an event; returns how much it was."""
