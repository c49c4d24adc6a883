"""What the service knows of events: the catalogue, who registered elsewhere, and the person who reads a page."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

import polars as pl

from engage_assets.connectors.fresh import FreshTable
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.domain.attendance import Attendances
from engage_assets.domain.events import EVENTS, PAST_REGISTRATIONS, Event
from engage_assets.domain.notices import SurveyAnswers
from engage_assets.domain.registrations import DietaryPreferences, Registrations
from engage_assets.domain.tables import CUSTOMERS
from engage_assets.events.catalogue import Catalogue

_NOBODY: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True)
class Person:
    """The customer as the page greets him."""

    name: str | None = field(default=None, repr=False)
    time_zone: str | None = None


class EventFacts(Protocol):
    """What the warehouse says of events and people."""

    def versions(self, event_id: str, now: datetime) -> Sequence[Event]:
        """Versions of an event that are known at `now`, oldest first."""

    def events(self, now: datetime) -> Mapping[str, Event]:
        """Every event as it is known at `now`."""

    def elsewhere(self, event_id: str, now: datetime) -> frozenset[str]:
        """Customers who registered for an event outside of this system by `now`."""

    def person(self, customer_id: str) -> Person:
        """A customer's name and zone, looked up at this moment; empty where they are not known."""

    def customers_at(self, addresses: Collection[str]) -> Mapping[str, str]:
        """Keys of customers by e-mail address in lower case; an address of several is nobody's."""


@dataclass(frozen=True)
class EventServices:
    """What pages and queries about events work with."""

    registrations: Registrations
    dietary: DietaryPreferences
    facts: EventFacts
    surveys: SurveyAnswers | None = None
    """None: nobody is asked how it was."""
    attendances: Attendances | None = None
    """None: no event platform tells who joins and leaves."""


class WarehouseFacts:
    """EventFacts out of a warehouse; events, and who registered elsewhere, are kept while the files do not change."""

    def __init__(self, warehouse: Warehouse, seconds: Callable[[], float] = time.monotonic) -> None:
        self._warehouse = warehouse
        self._versions = FreshTable(warehouse, EVENTS, _by_event, seconds)
        self._elsewhere = FreshTable(warehouse, PAST_REGISTRATIONS, _Elsewhere, seconds)

    def versions(self, event_id: str, now: datetime) -> Sequence[Event]:
        """See EventFacts."""
        return [one for one in self._versions.get().get(event_id, ()) if one.known_at <= now]

    def events(self, now: datetime) -> Mapping[str, Event]:
        """See EventFacts."""
        known = {event: self.versions(event, now) for event in self._versions.get()}
        return {event: versions[-1] for event, versions in known.items() if versions}

    def elsewhere(self, event_id: str, now: datetime) -> frozenset[str]:
        """See EventFacts."""
        return self._elsewhere.get().of(event_id, now)

    def person(self, customer_id: str) -> Person:
        """See EventFacts."""
        table = self._warehouse.scan(CUSTOMERS, str(CUSTOMERS.database))
        if table is None:
            return Person()
        there = [name for name in ("name", "time_zone") if name in table.collect_schema().names()]
        found = table.filter(pl.col("customer_id") == customer_id).select(there).head(1).collect()
        return Person(**next(found.iter_rows(named=True), {}))

    def customers_at(self, addresses: Collection[str]) -> Mapping[str, str]:
        """See EventFacts."""
        table = self._warehouse.scan(CUSTOMERS, str(CUSTOMERS.database)) if addresses else None
        if table is None or "email" not in table.collect_schema().names():
            return {}
        address = pl.col("email").str.strip_chars().str.to_lowercase()
        found = table.select(address, "customer_id").filter(pl.col("email").is_in(sorted(addresses))).drop_nulls()
        return dict(found.unique().collect().unique("email", keep="none").iter_rows())


class _Elsewhere:
    """Registrations of other systems, by event as they are asked for."""

    def __init__(self, table: pl.LazyFrame | None) -> None:
        self._table = table
        self._known: dict[str, tuple[frozenset[str], list[tuple[datetime, str]]]] = {}

    def of(self, event_id: str, now: datetime) -> frozenset[str]:
        """Customers who had registered by `now`; an unknown instant is long ago."""
        if self._table is None:
            return _NOBODY
        if event_id not in self._known:
            self._known[event_id] = self._read(self._table, event_id)
        everybody, later = self._known[event_id]
        if not later or later[-1][0] <= now:
            return everybody
        return everybody - {customer for at, customer in later if at > now}

    def _read(self, table: pl.LazyFrame, event_id: str) -> tuple[frozenset[str], list[tuple[datetime, str]]]:
        at = pl.col("registered_at")
        of_event = table.filter(pl.col("event_id") == event_id).drop_nulls("customer_id")
        first = pl.when(at.is_null().any()).then(None).otherwise(at.min()).alias("registered_at")
        firsts = of_event.group_by("customer_id").agg(first).collect()
        dated = firsts.drop_nulls().select("registered_at", "customer_id").sort("registered_at", "customer_id")
        return frozenset(firsts["customer_id"]), dated.rows()


def _by_event(table: pl.LazyFrame | None) -> dict[str, tuple[Event, ...]]:
    """Versions of each event, oldest first."""
    found: dict[str, tuple[Event, ...]] = {}
    for one in Catalogue.of(table.collect()).versions if table is not None else ():
        found[one.event_id] = (*found.get(one.event_id, ()), one)
    return found
