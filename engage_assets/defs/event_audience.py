"""Whom an event would reach, before its batch runs: the batch's own stages on its draft, and nothing of it is kept."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import stages
from engage_assets.defs.batch import Batch, not_evaluated
from engage_assets.defs.event_stages import config_of, topics_of
from engage_assets.domain.errors import EngageError
from engage_assets.domain.events import EVENTS, Event
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.ports import Connector, Ledger
from engage_assets.domain.program import Program
from engage_assets.domain.source import Asked
from engage_assets.domain.tables import Table, frame_schema
from engage_assets.events.catalogue import batch_of, frame_of
from engage_assets.filters import clauses_of


@dataclass(frozen=True)
class DraftWarehouse(Warehouse):
    """A warehouse whose catalogue has one version more."""

    draft: Event

    def scan(self, table: Table, database: str, *, required: bool = False) -> pl.LazyFrame | None:
        """See Warehouse."""
        found = super().scan(table, database, required=required and table is not EVENTS)
        if table is not EVENTS:
            return found
        mine = frame_of([self.draft]).lazy()
        return mine if found is None else pl.concat([found, mine], how="diagonal")


@dataclass(frozen=True)
class Audience:
    """Whom the filters would let pass for one event, by what is known now."""

    event: Event
    monday: date
    """Of the batch that invites for it."""
    records: int
    """Profiles that the program's query returns for it."""
    refused: tuple[tuple[str, str, int], ...]
    """What each stage takes away, in the order of the chain: contract, duplicate or filterId; reason; customers."""
    reached: pl.DataFrame
    """Who is left: `region`, `time_zone`, `email_eligible` and the other channels' flags, no keys."""
    not_evaluated: tuple[tuple[str, str], ...]
    """Clauses that this deployment cannot evaluate: reason, facts that lack."""

    def by_region(self) -> list[tuple[str, int]]:
        """Customers by region, most first; `unknown` where none is known."""
        return _counted(self.reached["region"])

    def by_zone(self) -> list[tuple[str, time | None, int]]:
        """Customers by time zone, most first, with the local time at which the event starts there."""
        return [(zone, _starts(self.event, zone), count) for zone, count in _counted(self.reached["time_zone"])]


def audience(
    program: Program,
    draft: Event,
    *,
    warehouse: Warehouse,
    connector: Connector,
    ledger: Ledger,
    marketplaces: Mapping[str, Marketplace],
    now: datetime,
) -> Audience:
    """Whom the batch of a draft would find, by what is known at `now`; scores, minScore and limits come after that.

    Raises EngageError where no batch invites for it, WarehouseError where a table lacks.
    """
    monday = batch_of(draft, config_of(program).invite_lead_days)
    if monday is None:
        first, last = config_of(program).invite_lead_days
        raise EngageError(f"no Monday lies {first} to {last} days before {draft.event_id}: no batch invites for it")
    instant = program.cadence.batch_instant(monday)
    event = replace(draft, known_at=instant)
    batch = Batch(program, monday, marketplaces, DraftWarehouse(warehouse.root, event))
    asked = Asked(event.event_id, topics_of(batch).words(event.topics))
    raw = _read(connector, batch, asked)
    checked = pl.concat(stages.check_records(batch, raw.lazy()))
    candidates = stages.candidates_of(batch, checked)
    until = min(now, instant)
    ledgers = (ledger.send_events(None, until), ledger.opt_outs(until), ledger.responses(None, until))
    logs = [*(log.lazy() for log in ledgers), ledger.registrations(until).lazy()]
    judged = pl.concat(stages.judge_candidates(batch, candidates.lazy(), *logs))
    return Audience(
        event=event,
        monday=monday,
        records=raw.height,
        refused=tuple(_refused(batch, checked, judged)),
        reached=_reached(stages.accepted_of(batch, judged)),
        not_evaluated=tuple(not_evaluated(batch)),
    )


def _read(connector: Connector, batch: Batch, asked: Asked) -> pl.DataFrame:
    """The records of the draft."""
    found = [pl.DataFrame(part) for part in connector.read(batch.program, batch.partition, [asked])]
    return pl.concat([pl.DataFrame(schema=frame_schema(batch.source.raw_columns)), *found], how="vertical_relaxed")


def _refused(batch: Batch, checked: pl.DataFrame, judged: pl.DataFrame) -> Iterator[tuple[str, str, int]]:
    """What is taken away, stage by stage."""
    aside = Counter(checked["reason"].drop_nulls())
    for reason, count in sorted(aside.items()):
        yield "duplicate" if reason == "DUPLICATE" else "contract", reason, count
    counts = Counter(judged["reason"].drop_nulls())
    for filter_id, clauses in clauses_of(batch.program, batch.available).items():
        for code in dict.fromkeys(clause.code for clause in clauses):
            if code in counts:
                yield filter_id, code, counts.pop(code)


def _reached(accepted: pl.DataFrame) -> pl.DataFrame:
    flags = [name for name in accepted.columns if name.endswith("_eligible")]
    return accepted.select(region=pl.col("geographic_region"), time_zone=pl.col("time_zone"), **{n: n for n in flags})


def _counted(values: pl.Series) -> list[tuple[str, int]]:
    counts = values.fill_null("unknown").value_counts(name="customers")
    rows = counts.rows()
    return sorted(((str(name), int(count)) for name, count in rows), key=lambda one: (-one[1], one[0]))


def _starts(event: Event, zone: str) -> time | None:
    """The clock there when the event starts; None for an unknown zone."""
    return None if zone == "unknown" else event.starts_at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).time()
