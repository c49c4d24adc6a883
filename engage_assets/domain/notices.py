"""Notices: what single people are told about an event outside of lists, and surveys of those who came.

A notice is a send that solicits nothing: no cap counts it, suppression and opt-outs from everything hold it back, and
it is told at most once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, Protocol

import polars as pl

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


class SurveyAnswers(Protocol):
    """Answers of surveys."""

    def keep(self, answer: SurveyAnswer, now: datetime) -> Literal["new", "unchanged", "not_attended"]:
        """Keep the first answer of a person who is recorded as `attended`, in one transaction."""

    def of(self, program: str, event_id: str, customer_id: str) -> SurveyAnswer | None:
        """The answer of one person."""

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
