"""What kind of record a source table holds: which column is its key, its day, its customer, its subject.

A program differs from another by the source it names, never by an `if` on its id. A source is declared in a module
that says what it is about (`domain.purchases`, `domain.music`) and stands in `domain.sources`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal

import narwhals as nw

from engage_assets.domain.tables import CANDIDATES, Column, Table

UNKNOWN: Final = "unknown"
"""What a described column holds where neither table nor record states it."""


@dataclass(frozen=True)
class Subjects:
    """The table that describes what is asked about."""

    table: Table
    key: str
    is_open: str
    """The flag that says whether answers are taken."""
    name: str = "name"
    maker: str | None = None
    """Column with the name of who made it, for messages; None: messages name none."""
    starts: str | None = None
    """Column with the instant at which it begins; messages tell it on the recipient's clock. None: it has none."""
    closes: str | None = None
    """Column with the instant from which on no answers are taken; None: there is none."""


@dataclass(frozen=True)
class Answers:
    """The table of answers that were given elsewhere, before us or beside us."""

    table: Table
    customer: str
    subject: str
    at: str
    word: str
    """What one of them is called; also the first part of names of metrics, `review_volume`."""
    is_positive: str | None = None
    """The flag that says whether the answer was a good one; None: there is none."""
    is_rated: bool = True
    """Whether it holds a rating, where it has no such flag."""


@dataclass(frozen=True)
class Asked:
    """A subject about which every row of a source is asked, and the words for it that a query's `?` stands for."""

    subject_id: str
    words: tuple[str, ...]
    """Plain names, see domain.topics."""


@dataclass(frozen=True)
class Source:
    """A source table and the part that its columns play."""

    table: Table
    record_key: str | None
    customer: str
    subject: str
    subject_type: str
    day: str | None
    """The column whose UTC day is the partition's; a date or an instant. None: all rows belong to every partition, and
    no date of theirs is checked."""
    event: str
    """The instant of what happened; a null one is midnight of the day, where there is one."""
    carried: tuple[str, ...]
    """Columns that candidates keep because filters ask about them."""
    subjects: Subjects
    answers: Answers
    form: Literal["review", "feedback", "registration"]
    """The page on which people answer."""
    is_offered: Callable[[], nw.Expr] | None = None
    """Which records of the past had the customer know the subject, so that an answer could come unasked; None: all.
    Models learn from them before a program sends. A program's own query may ask for less."""
    added: tuple[Column, ...] = ()
    """Columns that the connector adds, as the table has none: the subject, where every row meets each that is asked
    about."""
    looked_up: tuple[str, ...] = ()
    """Candidate columns, beside keys and carried ones, by which facts are looked up."""
    tables: tuple[Table, ...] = ()
    """All tables that its programs read from the warehouse, beside those of customers."""
    own_rules: Mapping[str, Callable[[datetime], nw.Expr]] = field(default_factory=lambda: MappingProxyType({}))
    """Rules of the contract that hold for this table only, made at a batch instant, true where they refuse; by reason,
    in its documented order. A reason that every table has refuses for the common rule or for this one."""
    ordinary: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Reasons of the contract for which a sound table has records too, and what these are in words."""
    described: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Carried columns that the subjects' table states better than the record: by name, the column there. The record's
    own is taken where the table has none, `unknown` where neither has (docs/decisions.md)."""
    limits_per_subject: bool = False
    """Whether a channel's limit is the most candidates for each subject, not of the whole list."""
    segments: tuple[str, ...] = ()
    """Candidate columns by which campaigns are split beside the marketplace."""

    @property
    def raw_asset(self) -> str:
        """Name of the asset that holds its records, `raw_deliveries`."""
        return f"raw_{self.table.name}"

    @property
    def columns(self) -> tuple[Column, ...]:
        """What a record states: the declared columns, and those that the connector adds."""
        return (*self.table.columns, *self.added)

    @property
    def raw_columns(self) -> tuple[Column, ...]:
        """Columns of the raw asset: the declared ones, the record's id, lateness."""
        return (
            Column(
                "record_id", "key", "The declared key; repeats are numbered #2, #3; without a key, a hash of the row."
            ),
            *self.columns,
            Column("is_late", "flag", "Of an earlier day, arrived after that day's batch."),
        )

    def feature_columns(self, features: Iterable[str]) -> dict[str, str]:
        """By feature the column of scored candidates that holds it.

        That is its name, or `<name>_feature` where the candidates have a column of that name that says something else.
        """
        own = {column.name for column in self.candidate_columns}
        return {name: f"{name}_feature" if name in own else name for name in features}

    @property
    def candidate_columns(self) -> tuple[Column, ...]:
        """Columns of the candidates: the unified model and what is carried for the filters."""
        return (*CANDIDATES.columns, *(self.table[name] for name in self.carried))
