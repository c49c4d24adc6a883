"""Notices: what single people are told about an event outside of lists, and surveys of those who came.

A notice is a send that solicits nothing: no cap counts it, suppression and opt-outs from everything hold it back, and
it is told at most once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, Literal, Protocol

import polars as pl

from engage_assets.domain.registrations import Status
from engage_assets.domain.slots import SEND_WINDOW
from engage_assets.domain.tables import Column, Table

Kind = Literal["confirmation", "wait_listed", "promoted", "withdrawn", "moved", "called_off", "reminder", "survey"]
KINDS: Final[tuple[Kind, ...]] = (
    "confirmation",  # a seat was taken
    "wait_listed",  # a place in line was taken
    "promoted",  # a seat got free, and is the person's now
    "withdrawn",  # the person gave seat or place back
    "moved",  # time, zone or length of the event changed
    "called_off",  # the event is cancelled
    "reminder",  # it starts soon
    "survey",  # how it was: to who attended
)
"""Every kind; the order of a day."""
TOLD_IN: Final[Mapping[str, frozenset[Status]]] = MappingProxyType(
    {
        "confirmation": frozenset({"registered"}),
        "wait_listed": frozenset({"wait_listed"}),
        "promoted": frozenset({"registered"}),
        "withdrawn": frozenset({"cancelled"}),
        "moved": frozenset({"registered", "wait_listed"}),
        "called_off": frozenset({"registered", "wait_listed"}),
        "reminder": frozenset({"registered"}),
        "survey": frozenset({"attended"}),
    }
)
"""The statuses of the person's registration in which a notice is told, asked in the transaction that claims it."""
OF_ONE_CHANGE: Final = frozenset({"confirmation", "wait_listed", "promoted", "withdrawn"})
"""Kinds that tell one change of the registration, whose sequence theirs is: after the next change they tell nothing."""
PAGES: Final[Mapping[str, str]] = MappingProxyType({"survey": "survey"})
"""Pages to which notices lead; the others lead to the program's form."""
SURVEY_OPEN: Final = timedelta(days=30)
"""So long after an event's end answers are taken."""
_WINDOW: Final = timedelta(hours=24)


def window_of(kind: str | None) -> timedelta:
    """How late a send of this kind may be (None: no notice); later it is skipped as SEND_WINDOW_MISSED.

    Reminders, like what solicits, are worth nothing later; what happened to a registration or an event still is.
    """
    return SEND_WINDOW if kind in (None, "reminder") else _WINDOW


SURVEY_LOG = Table(
    "survey_answers",
    "one row per answer of who attended an event; what was written stays in the operational database",
    (
        Column("program", "text", "programId."),
        Column("event_id", "key", "About which event."),
        Column("customer_id", "key", "Who."),
        Column("marketplace", "text", "Where the customer shops."),
        Column("send_id", "key", "The survey's send; null: not known."),
        Column("rating", "integer", "1 to 5."),
        Column("has_text", "flag", "Whether something was written."),
        Column("at", "instant", "When it was given."),
        Column("received_at", "instant", "When it was recorded."),
    ),
)


@dataclass(frozen=True)
class SurveyAnswer:
    """What somebody who attended says of an event: one answer each, the first stands."""

    program: str
    event_id: str
    customer_id: str
    marketplace: str
    rating: int
    """1 to 5."""
    at: datetime
    send_id: str | None = None
    text: str | None = field(default=None, repr=False)
    """Stays in the operational database."""


@dataclass(frozen=True)
class Waiting:
    """A notice that is planned: what its message is made of."""

    send_id: str
    campaign_id: str
    customer_id: str
    marketplace: str
    subject_type: str
    subject_id: str
    channel: str
    slot_at: datetime
    kind: Kind
    sequence: int


class Notices(Protocol):
    """The sends of the ledger that are notices."""

    def told(self, program: str, event_id: str, customer_ids: Sequence[str]) -> dict[str, int]:
        """By customer, the last version of an event that he was told of, or may have been (`moved`, `called_off`)."""

    def asked(self, program: str, event_id: str, customer_ids: Sequence[str]) -> set[str]:
        """Customers who are, were, or may have been asked how an event was; not those who were skipped."""

    def waiting(self, program: str, until: datetime) -> list[Waiting]:
        """Planned notices whose slot has come, the oldest first."""

    def ends(self, send_ids: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        """State, and its reason, of those among some sends that the ledger knows."""


class SurveyAnswers(Protocol):
    """Answers of surveys."""

    def keep(self, answer: SurveyAnswer, now: datetime) -> Literal["new", "unchanged", "not_attended"]:
        """Keep the first answer of a person who is recorded as `attended`, in one transaction."""

    def of(self, program: str, event_id: str, customer_id: str) -> SurveyAnswer | None:
        """The answer of one person."""

    def ratings(self, program: str, event_ids: Sequence[str]) -> dict[str, dict[int, int]]:
        """How many gave each rating, by event."""

    def changes(self, after: datetime | None, until: datetime) -> pl.DataFrame:
        """SURVEY_LOG rows with `received_at` in (after, until], sorted; waits for writers up to `until`."""


class PushSubscriptions(Protocol):
    """Where apps and browsers of customers take notifications."""

    def keep(self, customer_id: str, address: str, now: datetime) -> None:
        """Keep a PushSubscription (JSON, as browsers write it) of a customer; of another one before, it is his now."""

    def of(self, customer_ids: Sequence[str]) -> dict[str, list[str]]:
        """Addresses that are not gone, by customer, the newest first; who has none is left out."""

    def gone(self, address: str, now: datetime) -> None:
        """Its push service says that it is no more."""
