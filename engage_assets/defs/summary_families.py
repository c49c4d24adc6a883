"""The two families of summaries: who owns them, and in which batches their tables are made."""

from datetime import timedelta
from typing import Final

from engage_assets.domain.summary_spec import DOCUMENTED, CommerceAnalytics, Family

FAMILIES: Final[tuple[Family, ...]] = ("behaviour", "commerce")


def batches_of(spec: CommerceAnalytics, family: Family) -> list[tuple[tuple[str, ...], timedelta]]:
    """Tables that are made one batch after the other, and how long each batch may take."""
    if family == "behaviour":
        return [(tuple(DOCUMENTED["behaviour"]), spec.behaviour.deadline)]
    return [(batch.tables, batch.deadline) for batch in spec.commerce.batches]


def owner_of(spec: CommerceAnalytics, family: Family) -> str:
    """Who owns a family's tables, as Dagster writes it: an address, or `team:` and a name."""
    owner = (spec.behaviour if family == "behaviour" else spec.commerce).owner
    return owner if "@" in owner or owner.startswith("team:") else f"team:{owner}"
