"""A view's SQL: what it reads of which tables, found on the syntax tree, and its rows as a lazy frame of Polars.

A query is refused whose rows depend on other rows, or on the time at which it runs. Where it joins tables, its
`known_at` is to be the time at which the last part of a row became known.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final, Literal

import polars as pl
import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.optimizer.scope import Scope, traverse_scope

from engage_assets.domain.errors import ModelError
from engage_assets.domain.feature_views import FeatureView
from engage_assets.domain.sources import INPUT_TABLES

Tables = Mapping[str, pl.LazyFrame]
Part = Literal["query", "groups"]
"""The key of a view's section that holds the SQL."""
_DIALECT: Final = "postgres"
"""The one nearest to what Polars reads."""
_ACROSS_ROWS: Final = (
    exp.AggFunc,
    exp.Window,
    exp.Group,
    exp.Having,
    exp.Limit,
    exp.Offset,
    exp.Fetch,
    exp.Except,
    exp.Intersect,
)
_CHANGING: Final = (
    exp.CurrentTimestamp,
    exp.CurrentDate,
    exp.CurrentTime,
    exp.CurrentDatetime,
    exp.Localtime,
    exp.Localtimestamp,
    exp.Rand,
    exp.Uuid,
    exp.TableSample,
)


def columns_read(view: FeatureView, columns: Collection[str], part: Part = "query") -> frozenset[str]:
    """`table.column` of everything that the view's SQL reads in order to give `columns`.

    Of the outermost SELECT only those columns count; of queries inside it, all. Raises ModelError, naming the view,
    where the query cannot be read, lacks one of `columns`, or is one whose rows depend on each other: a row must not
    tell what became known after it.
    """
    tree = _parse(view, part)
    branches = list(_branches(tree))
    given = _columns_given(branches)
    if given is not None:
        require(view, given, columns, part)
        if _keeps_rows_apart(tree, branches):
            _prune(branches, [place for place, name in enumerate(given) if name in columns])
    scopes = [scope for scope in traverse_scope(tree) if isinstance(scope.expression, exp.Select)]
    return frozenset(found for scope in scopes for found in _read_in(view, scope))


def run(view: FeatureView, tables: Tables, part: Part = "query") -> pl.LazyFrame:
    """The rows of the view's SQL over `tables`, as a plan: filters and columns are pushed down into the tables.

    A column that a table lacks is null: whoever takes a feature made of it has been refused before. Raises ModelError
    where Polars cannot read the query or its tables do not fit it.
    """
    read = columns_read(view, _columns_given(list(_branches(_parse(view, part)))) or (), part)
    context = pl.SQLContext({name: _completed(name, table, read) for name, table in tables.items()})
    try:
        frame = context.execute(_sql(view, part), eager=False)
        frame.collect_schema()
    except pl.exceptions.PolarsError as error:
        raise ModelError(
            f"feature view {view.view}: {part}: Polars cannot run it: {str(error).splitlines()[0]};"
            " correct the query in its YAML file"
        ) from None
    return frame


def require(view: FeatureView, given: Collection[str], columns: Collection[str], part: Part = "query") -> None:
    """Raise ModelError, naming the key of the view's section, where one of `columns` is not `given` by its SQL."""
    for column in sorted(set(columns) - set(given)):
        keys = [f"{key} {column}" for key in ("eventTime", "knownAt") if getattr(view, _FIELDS[key]) == column]
        keys += [f"entity {view.entity}"] if column in view.key_columns else []
        keys += [f"feature {one.name}" for one in view.features if one.source_column == column]
        raise ModelError(
            f"feature view {view.view}: {part}: gives no column {column}, which {' and '.join(keys) or 'it'} takes"
            f" (given: {', '.join(given)}); select it there"
        )


_FIELDS: Final = {"eventTime": "event_time", "knownAt": "known_at"}


def given_by(view: FeatureView) -> list[str]:
    """The columns that the view's query gives. Raises ModelError where it cannot be read."""
    return _columns_given(list(_branches(_parse(view, "query")))) or []


def gives(view: FeatureView, column: str, part: Part) -> bool:
    """Whether the view's SQL gives a column. Raises ModelError where it cannot be read."""
    return column in (_columns_given(list(_branches(_parse(view, part)))) or ())


def _sql(view: FeatureView, part: Part) -> str:
    return view.query if part == "query" else view.groups or ""


def _parse(view: FeatureView, part: Part) -> exp.Query:
    try:
        statements = sqlglot.parse(_sql(view, part), read=_DIALECT)
    except SqlglotError as error:
        raise ModelError(f"feature view {view.view}: {part}: not readable as SQL: {_complaint(error)}") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ModelError(f"feature view {view.view}: {part}: must be one SELECT statement; remove what else is there")
    tree = statements[0]
    for node in tree.walk():
        if isinstance(node, _CHANGING):
            reason = "would give other rows at another time"
        elif isinstance(node, _ACROSS_ROWS) or _is_condition(node):
            reason = "makes a row depend on rows that became known later; use a feature's aggregate, or a join"
        else:
            continue
        raise ModelError(f"feature view {view.view}: {part}: {node.sql(dialect=_DIALECT).strip()} {reason}")
    return tree


def _is_condition(node: exp.Expr) -> bool:
    """Whether other rows decide that a row is there: a query in WHERE, a semi or anti join."""
    if isinstance(node, exp.Join):
        return node.kind in ("SEMI", "ANTI")
    return isinstance(node, exp.Select) and node.find_ancestor(exp.Where) is not None


def _complaint(error: SqlglotError) -> str:
    """What the parser says, in one line and without the terminal's colours."""
    if isinstance(error, ParseError) and error.errors:
        found = error.errors[0]
        return f"line {found['line']}, column {found['col']}: {found['description']}"
    return re.sub(r"\x1b\[\d*m", "", str(error).splitlines()[0])


def _branches(tree: exp.Expr) -> Iterator[exp.Select]:
    """The outermost SELECTs: one, or those that UNION puts together."""
    if isinstance(tree, exp.SetOperation):
        yield from _branches(tree.left)
        yield from _branches(tree.right)
    elif isinstance(tree, exp.Select):
        yield tree
    else:
        yield from _branches(tree.unnest())


def _columns_given(branches: list[exp.Select]) -> list[str] | None:
    """The query's columns; None where a star stands for those of a query inside."""
    return None if any(one.is_star for one in branches) else branches[0].named_selects


def _keeps_rows_apart(tree: exp.Query, branches: list[exp.Select]) -> bool:
    """Whether leaving out columns leaves the rows as they are: no DISTINCT anywhere at the top."""
    unions = tree.find_all(exp.SetOperation)
    return not any(one.args.get("distinct") for one in (*unions, *branches))


def _prune(branches: list[exp.Select], places: list[int]) -> None:
    for select in branches:
        select.set("expressions", [one for place, one in enumerate(select.expressions) if place in places])


def _read_in(view: FeatureView, scope: Scope) -> Iterator[str]:
    tables = [source for source in scope.sources.values() if isinstance(source, exp.Table)]
    if tables and scope.expression.is_star:
        raise ModelError(
            f"feature view {view.view}: query: * stands for whatever columns {tables[0].name} has; name those that the"
            " view takes, so that it is known what it needs"
        )
    for join in scope.expression.args.get("joins") or ():
        yield from (f"{table.name}.{column.name}" for table in tables for column in join.args.get("using") or ())
    for column in scope.columns:
        source = _source_of(view, column, scope)
        if isinstance(source, exp.Table):
            yield f"{source.name}.{column.name}"


def _source_of(view: FeatureView, column: exp.Column, scope: Scope) -> exp.Table | Scope | None:
    """Where a column comes from: a table, a query inside, or (None) a query around."""
    if column.table:
        return scope.sources.get(column.table)
    if len(scope.sources) == 1:
        return next(iter(scope.sources.values()))
    holders = [source for source in scope.sources.values() if _holds(source, column.name)]
    if len(holders) != 1:
        raise ModelError(
            f"feature view {view.view}: query: column {column.name} may be of several tables; write it as table.column"
        )
    return holders[0]


def _holds(source: exp.Table | Scope, column: str) -> bool:
    if isinstance(source, Scope):
        return isinstance(source.expression, exp.Query) and column in source.expression.named_selects
    return source.name in INPUT_TABLES and column in INPUT_TABLES[source.name].names


def _completed(name: str, table: pl.LazyFrame, read: Collection[str]) -> pl.LazyFrame:
    """The table with a null column for each that the query reads and the table lacks."""
    wanted = sorted(column.removeprefix(f"{name}.") for column in read if column.startswith(f"{name}."))
    there = table.collect_schema().names() if wanted else []
    types = INPUT_TABLES[name].schema if name in INPUT_TABLES else {}
    lacking = [pl.lit(None, types.get(column, pl.Null())).alias(column) for column in wanted if column not in there]
    return table.with_columns(lacking) if lacking else table
