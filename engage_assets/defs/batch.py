"""A batch: one partition of one program, and what its stages read. Knows nothing of Dagster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cached_property

import narwhals as nw
import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.own import OWN
from engage_assets.domain.channel_specs import EmailChannel, InAppChannel
from engage_assets.domain.errors import ModelError
from engage_assets.domain.facts import Frame
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.program import Program
from engage_assets.domain.source import Asked, Source
from engage_assets.domain.sources import SOURCES, tables_of
from engage_assets.domain.tables import CUSTOMERS, OPT_OUT_LOG, SENDS_LOG, declared
from engage_assets.features.store import WarehouseFeatures, unavailable
from engage_assets.filters import clauses_of, refused_by
from engage_assets.filters import not_evaluated as clauses_not_evaluated

RANGE_ROWS = 600_000
"""Records that are worked on at a time; more cost more memory."""
HISTORY_RANGES = 3
"""How many of these are worked on together where a stage holds their keys alone; fewer read the history more often.

One such range at a time: two of half the size would take as much memory, and read the history twice.
"""
SMALL_RANGES = 3
"""Into how many a stage may part a range that reads no history again, two of which are worked on at a time."""
MANY_PER_SUBJECT = 100
"""Candidates per subject from which on a range is about few subjects (see filters.asking.Asking)."""
ORDER = ["customer_id", "subject_id", "record_id"]
"""How every stage sorts its rows, nulls first, so that the same inputs give the same rows in the same order."""


@dataclass(frozen=True)
class Batch:
    """One partition of one program, and what its stages read."""

    program: Program
    partition: date
    marketplaces: Mapping[str, Marketplace]
    warehouse: Warehouse
    range_rows: int = RANGE_ROWS

    @property
    def history_range_rows(self) -> int:
        """Rows of a range of keys for which the history is read."""
        return self.range_rows * HISTORY_RANGES

    @property
    def small_range_rows(self) -> int:
        """Rows of a range for stages that read no history."""
        return max(self.range_rows // SMALL_RANGES, 1)

    @property
    def instant(self) -> datetime:
        """The batch instant."""
        return self.program.cadence.batch_instant(self.partition)

    @property
    def training_instant(self) -> datetime:
        """Midnight at which the partition's day begins: what models trained as of that day may know."""
        return datetime.combine(self.partition, time())

    @property
    def source(self) -> Source:
        """What the program's source table holds."""
        return SOURCES[self.program.source_table]

    @cached_property
    def tables(self) -> Mapping[str, pl.LazyFrame]:
        """The warehouse's tables that are there, by noun, the source's own history among them.

        Raises WarehouseError where one breaks its contract.
        """
        database = self.program.connector.config.place
        found = {
            table.name: self.warehouse.scan(table, database, required=table is CUSTOMERS)
            for table in tables_of(self.source)
        }
        return {name: frame for name, frame in found.items() if frame is not None}

    @cached_property
    def available(self) -> frozenset[str]:
        """`table.column` of every fact that this deployment declares; the ledger's are always there."""
        columns = {name: frame.collect_schema().names() for name, frame in self.tables.items()}
        source = self.warehouse.checked(self.source.table, self.program.connector.config.place, required=True)
        assert source is not None
        columns[self.source.table.name] = list(source.types)
        own = OWN.get(self.source.table.name)
        made = own.columns if own and self.source.subjects.table.name in columns else frozenset()
        return made | declared({**columns, "send_events": SENDS_LOG.names, "given_opt_outs": OPT_OUT_LOG.names})

    @property
    def asked(self) -> Sequence[Asked] | None:
        """The subjects that every record meets; None: records name their own. Raises WarehouseError."""
        own = OWN.get(self.source.table.name)
        return own.asked(self) if own else None

    def stated(
        self,
        instant: datetime,
        registrations: pl.LazyFrame | None = None,
        subjects: Sequence[str] | None = None,
    ) -> Mapping[str, pl.LazyFrame]:
        """The tables for filters as of `instant`: the warehouse's, and what the source's own stages lay over them.

        `registrations`: REGISTRATIONS_LOG up to then. `subjects`: those that are meant; None: those that records meet.
        """
        own = OWN.get(self.source.table.name)
        return {**self.tables, **(own.stated(self, instant, registrations, subjects) if own else {})}

    @cached_property
    def features(self) -> WarehouseFeatures:
        """Features of the program's views, as known at an instant."""
        own = self.warehouse.scan(self.source.table, self.program.connector.config.place, required=True)
        assert own is not None
        tables = {**self.tables, self.source.table.name: own}
        own_stages = OWN.get(self.source.table.name)
        makers = {name: make(self) for name, make in own_stages.makers.items()} if own_stages else {}
        return WarehouseFeatures({view.view: view for view in self.program.feature_views}, tables, makers)

    @property
    def flags(self) -> list[str]:
        """The filters' flag columns."""
        return [refused_by(spec.filter_id) for spec in self.program.filters]

    def check(self) -> None:
        """Stop before any work where a table, a filter or a feature cannot be had. Raises EngageError."""
        self.warehouse.checked(self.source.table, self.program.connector.config.place, required=True)
        clauses_of(self.program, self.available)
        for model in self.program.scoring_models:
            lacking = unavailable(self.program.feature_views, model.features, self.available)
            if lacking:
                needs = "; ".join(f"{feature} needs {', '.join(columns)}" for feature, columns in lacking.items())
                raise ModelError(
                    f"model {model.model_id} of {self.program.program_id} names features that this warehouse cannot"
                    f" give: {needs}; bring the tables, or remove the features from the program"
                )


def email_channel(program: Program) -> EmailChannel | None:
    """The program's e-mail channel, where it is enabled."""
    return next((channel for channel in program.enabled_channels if isinstance(channel, EmailChannel)), None)


def in_app_channel(program: Program) -> InAppChannel | None:
    """The program's channel in an app, where it is enabled."""
    return next((channel for channel in program.enabled_channels if isinstance(channel, InAppChannel)), None)


def not_evaluated(batch: Batch) -> list[tuple[str, str]]:
    """Clauses that this deployment cannot evaluate, with the facts that it does not declare.

    Beside those of the filters: channel eligibility, where no address is declared.
    """
    clauses = clauses_not_evaluated(batch.program, batch.available)
    if email_channel(batch.program) and "customers.email" not in batch.available:
        clauses.append(("CHANNEL_INELIGIBLE", "customers.email"))
    return clauses


def as_frame(frame: pl.LazyFrame) -> Frame:
    """A Polars frame as one of any engine."""
    return nw.from_native(frame)


def collected(frame: Frame) -> Frame:
    """Compute now: Polars would otherwise read a table once per use, and hold all tables of a plan at the same time."""
    rows: pl.DataFrame = frame.to_native().collect()
    return as_frame(rows.lazy())


def held(frame: Frame) -> Frame:
    """Compute now what belongs to one part of many, and so is small; see `in_memory`."""
    return as_frame(in_memory(frame).lazy())


def in_memory(frame: Frame) -> pl.DataFrame:
    """A part's rows. This engine joins small frames in less time than the streaming one, and keeps their order."""
    rows: pl.DataFrame = frame.to_native().collect(engine="in-memory")
    return rows
