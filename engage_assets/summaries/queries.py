"""A table's SQL file, bound to a service and a day, with the views that it shares and the files that it needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple, cast

from sqlglot import exp

from engage_assets.domain.errors import QueryError
from engage_assets.summaries import dialect
from engage_assets.summaries.dialect import Value
from engage_assets.summaries.relations import RELATIONS, SESSION_REACH, SHARED_VIEWS
from engage_assets.summaries.tables import Read, SummaryTable

NAMES = frozenset((*RELATIONS, *SHARED_VIEWS))


class Span(NamedTuple):
    """The days of a relation that a table reads, both included."""

    first: date
    last: date


@dataclass(frozen=True)
class Plan:
    """A table's query with typed columns, bound to a service and a day.

    `views` are the shared views that it reads; `spans` are the days of daily relations, None for roll-ups, of the query
    and of its views.
    """

    query: exp.Query
    views: Mapping[str, exp.Query]
    spans: Mapping[str, Span | None]


def plan(table: SummaryTable, values: Mapping[str, Value]) -> Plan:
    """What to run for a table. `values` are those of `tables.values`.

    Raises QueryError where the SQL file is outside the subset, lacks a value or makes other columns than the table has.
    """
    views = {
        read.relation: _bound(SHARED_VIEWS[read.relation].file, {**values, "window_start": _start(read, table, values)})
        for read in table.reads
        if read.relation in SHARED_VIEWS
    }
    query = _typed(_bound(table.file, values), table)
    return Plan(query, views, spans(table, values))


def inlined(todo: Plan) -> exp.Query:
    """The plan as one statement: its shared views are common table expressions."""
    query = todo.query.copy()
    for name, view in todo.views.items():
        query = query.with_(name, as_=view.copy(), copy=False)
    if clause := query.args.get("with_"):
        own = len(clause.expressions) - len(todo.views)
        # first, since those after them read them
        clause.set("expressions", [*clause.expressions[own:], *clause.expressions[:own]])
    return query


def spans(table: SummaryTable, values: Mapping[str, Value]) -> dict[str, Span | None]:
    """The days of each relation whose files a table needs; None for a roll-up."""
    last = cast("date", values["calculation_date"])
    found: dict[str, Span | None] = {}
    for read in _all_reads(table):
        if RELATIONS[read.relation].day is None:
            found[read.relation] = None
            continue
        first = _start(read, table, values) - timedelta(days=read.days_before)
        known = found.get(read.relation)
        found[read.relation] = Span(min(first, known.first) if known else first, last)
    return found


def _all_reads(table: SummaryTable) -> list[Read]:
    """The table's reads of files, and those of its shared views, which look at days before the window too."""
    direct = [read for read in table.reads if read.relation in RELATIONS]
    shared = [read for read in table.reads if read.relation in SHARED_VIEWS]
    return direct + [
        Read(name, read.of, SESSION_REACH) for read in shared for name in SHARED_VIEWS[read.relation].reads
    ]


def _start(read: Read, table: SummaryTable, values: Mapping[str, Value]) -> date:
    return cast("date", values[f"{read.of or table.name}_start"])


def _bound(file: Path, values: Mapping[str, Value]) -> exp.Query:
    return dialect.bind(_parsed(file), values, file.name)


@cache
def _parsed(file: Path) -> exp.Query:
    return dialect.parse(file.read_text(encoding="utf-8"), file.name, NAMES)


def _typed(query: exp.Query, table: SummaryTable) -> exp.Query:
    """The query with its columns cast to the table's types: engines differ in what a sum of integers is."""
    found, declared = query.named_selects, [column.name for column in table.columns]
    if found != declared:
        raise QueryError(
            f"{table.file.name} makes the columns {', '.join(found)}, but summaries/tables.py declares"
            f" {', '.join(declared)}: make both alike"
        )
    query.set(
        "expressions",
        [
            exp.alias_(exp.cast(made.unalias(), exp.DataType.build(column.type, dialect="athena")), column.name)
            for made, column in zip(query.selects, table.columns, strict=True)
        ],
    )
    return query
