"""What filters ask of the records of one source only: its facts, and its clauses of the trust filter."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from engage_assets.domain import events, music
from engage_assets.domain import purchases as of_purchases
from engage_assets.domain.filter_specs import TrustParameters
from engage_assets.filters import geography, interests, plays, purchases
from engage_assets.filters.asking import Fact
from engage_assets.filters.clauses import Clause


def _no_clauses(parameters: TrustParameters) -> list[Clause]:  # noqa: ARG001 - called like those of other sources
    return []


@dataclass(frozen=True)
class Own:
    """Facts and clauses of one source."""

    facts: tuple[Fact, ...] = ()
    trust: Callable[[TrustParameters], list[Clause]] = _no_clauses
    changing: tuple[Fact, ...] = ()
    """Of the facts, those that may change between the list and the send."""


OWN: Final[Mapping[str, Own]] = {
    of_purchases.SOURCE.table.name: Own(purchases.FACTS, purchases.clauses, purchases.CHANGING),
    music.SOURCE.table.name: Own(plays.FACTS, plays.clauses),
    events.SOURCE.table.name: Own((interests.interest, geography.living)),
}
"""By source table."""


def own_of(source_table: str) -> Own:
    """What is asked of that source only; nothing where it is not in `OWN`."""
    return OWN.get(source_table, Own())
