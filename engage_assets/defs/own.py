"""What only one source's batches do before the stages that all share: whom records meet, what tables state then."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import (
    event_calendar,
    event_examples,
    event_features,
    event_measures,
    event_stages,
    event_upkeep,
)
from engage_assets.domain import events
from engage_assets.domain.program import Program, ScoringModel
from engage_assets.domain.source import Asked
from engage_assets.features.store import Maker
from engage_assets.lake import Lake

if TYPE_CHECKING:
    from engage_assets.defs.batch import Batch
    from engage_assets.defs.outcome_assets import Logs

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
    last_said: Callable[[Program, Warehouse, datetime], Callable[[date], datetime | None]]
    """When the last message about a partition is due that is on none of its lists, as known at an instant; None: there
    is none."""
    measured: Callable[["Batch", "Logs", Lake], Mapping[str, pl.LazyFrame]]
    """What its own figures are made of, by name, beside the warehouse's tables and the lake's (outcomes.own)."""


OWN: Final[Mapping[str, OwnStages]] = {
    events.SOURCE.table.name: OwnStages(
        asked=event_stages.asked,
        stated=event_stages.stated,
        explain=event_stages.explain,
        enclosed=event_calendar.invitations,
        examples=event_examples.unasked_examples,
        makers={"interest-match": event_features.interest_maker},
        columns=frozenset({f"{events.EVENTS.name}.{events.SOURCE.subjects.is_open}"}),
        last_said=event_upkeep.last_said,
        measured=event_measures.measured,
    )
}
"""By source table; other sources have nothing of their own."""
