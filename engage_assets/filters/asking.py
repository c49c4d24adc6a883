"""Who asks for facts, as of when, and how a table is cut to the batch before anything is asked of it. On any engine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import narwhals as nw

from engage_assets.domain.facts import Frame, as_planned
from engage_assets.domain.program import Program
from engage_assets.domain.source import Source
from engage_assets.domain.sources import SOURCES

Tables = Mapping[str, Frame]


@dataclass(frozen=True)
class Asking:
    """Who asks, and as of when."""

    program: Program
    instant: datetime
    settle: Callable[[Frame], Frame] = as_planned
    """Applied to each table once it is cut to the batch: an engine that would otherwise read it several times, or
    hold all of them at once, may compute it here."""

    first: str | None = None
    """The least customer_id of the batch; None: not known."""
    end: str | None = None
    """A customer_id above all of the batch; None: not known."""

    def of_customers(self, table: Frame, key: str = "customer_id") -> Frame:
        """The rows whose customer lies between `first` and `end`; all where these are not known.

        An engine leaves out the others as it reads.
        """
        if self.first is not None:
            table = table.filter(nw.col(key) >= self.first)
        return table.filter(nw.col(key) < self.end) if self.end is not None else table

    has_few_subjects: bool = False
    """Whether the batch is about so few subjects that most of what was ever said and sent is about others."""

    def about(self, table: Frame, batch: Frame, subject: str) -> Frame:
        """Rows of `table` about the batch's subjects, where these are few: others then go first, by one short key."""
        if not self.has_few_subjects:
            return table
        return table.join(batch.select("subject_id").unique(), left_on=subject, right_on="subject_id", how="semi")

    @property
    def source(self) -> Source:
        """What the program's source table holds."""
        return SOURCES[self.program.source_table]


Fact = Callable[[Frame, Frame, Tables, Asking], Frame]
"""Adds its columns: called with the candidates joined so far, the candidates as given, the tables, and who asks.

Where a table lacks, it returns the candidates as they are.
"""


def before(column: str, instant: datetime) -> nw.Expr:
    """At or before the batch instant; an unknown time counts as before."""
    return (nw.col(column) <= instant).fill_null(True)


def cut(table: Frame, batch: Frame, key: str, *columns: str) -> Frame:
    """Rows of the batch's keys, with those of `columns` that the table has."""
    present = table.collect_schema().names()
    wanted = table.select(key, *(column for column in columns if column in present))
    return wanted.join(batch.select(key), on=key, how="semi")


def pairs(table: Frame, batch: Frame, key: str, subject: str, *, named: str | None = None) -> Frame:
    """The distinct pairs of `named` (default: `key`) and `subject_id` of `table` that stand in the batch.

    `key` and `subject` are the table's columns, `named` and `subject_id` the batch's.
    """
    named = named or key
    found = table.select(nw.col(key).alias(named), nw.col(subject).alias("subject_id"))
    return found.join(batch.select(named, "subject_id"), on=[named, "subject_id"], how="semi").unique()


def mark(joined: Frame, found: Frame, name: str, *keys: str) -> Frame:
    """`name`: whether the candidate's `keys` stand among the distinct rows of `found`."""
    marked = joined.join(found.with_columns(nw.lit(True).alias(name)), on=list(keys), how="left")
    return marked.with_columns(nw.col(name).fill_null(False).alias(name))
