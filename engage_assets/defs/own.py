"""What only one source's batches do before the stages that all share: whom records meet, what tables state then."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from engage_assets.defs import event_calendar, event_examples, event_features, event_stages
from engage_assets.domain import events
from engage_assets.domain.program import ScoringModel
from engage_assets.domain.source import Asked
from engage_assets.features.store import Maker

if TYPE_CHECKING:
    from engage_assets.defs.batch import Batch

Stated = Callable[["Batch", datetime, pl.LazyFrame | None, Sequence[str] | None], Mapping[str, pl.LazyFrame]]


@dataclass(frozen=True)
class OwnStages:
    """Of one source."""

    asked: Callable[["Batch"], Sequence[Asked]]
    """The subjects that every record meets."""
    stated: Stated
    """Tables as of an instant, laid over the warehouse's: called with the batch, the instant, what REGISTRATIONS_LOG
    holds up to then, and the subjects that are meant (None: those that records meet)."""
    examples: Callable[["Batch", ScoringModel, date], pl.LazyFrame]
    """What models learn from before a program sends: see scoring.examples."""
    makers: Mapping[str, Callable[["Batch"], Maker]]
    """What makes features that no aggregate gives, by a view's madeBy."""
    explain: Callable[["Batch", Mapping[str, Any]], list[str]]
    """What a raw record comes to that the filters' reasons do not tell, in lines."""
    enclosed: Callable[["Batch", datetime], event_calendar.Enclosing]
    """Calendar files that go with its messages, as of an instant (channels with includeCalendarInvite)."""
    columns: frozenset[str]
    """`table.column` that filters may ask about once the subjects' table is there."""


OWN: Final[Mapping[str, OwnStages]] = {
    events.SOURCE.table.name: OwnStages(
        asked=event_stages.asked,
        stated=event_stages.stated,
        explain=event_stages.explain,
        enclosed=event_calendar.invitations,
        examples=event_examples.unasked_examples,
        makers={"interest-match": event_features.interest_maker},
        columns=frozenset({f"{events.EVENTS.name}.{events.SOURCE.subjects.is_open}"}),
    )
}
"""By source table; other sources have nothing of their own."""
