"""A program's SQL: read in its own dialect, bound on the syntax tree, turned into the engine's dialect.

Values never pass through text. `CURRENT_DATE`, `NOW()` and their relatives mean the batch instant
(spec, decision 19); a query that asks for chance is refused, as a partition must give the same rows again.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from engage_assets.domain.errors import QueryError

DIALECTS: Final = {"athena": "athena", "redshift": "redshift", "snowflake": "snowflake", "duckdb": "duckdb"}
_NOW: Final = (exp.CurrentTimestamp, exp.CurrentDatetime, exp.Localtimestamp)
_TIMES_OF_DAY: Final = (exp.CurrentTime, exp.Localtime)
_NOW_NAMES: Final = frozenset({"getdate", "sysdate", "now", "systimestamp", "current_timestamp", "localtimestamp"})
_CHANCE: Final = (exp.Rand, exp.Randn, exp.Uuid)
FIRST_DAY: Final = date(2000, 1, 1)
"""Days before this one are implausible: `DATE_INVALID`."""


def parse(query: str, connector_type: str) -> exp.Select:
    """One SELECT statement as a tree. Raises QueryError with the place and the remedy."""
    try:
        statements = sqlglot.parse(query, read=DIALECTS[connector_type])
    except SqlglotError as error:
        raise QueryError(f"the query is not valid {connector_type} SQL: {error}") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Select):
        kinds = ", ".join(type(statement).__name__.upper() for statement in statements)
        raise QueryError(f"the query must be one SELECT statement, found {kinds or 'nothing'}")
    chance = next(iter(statements[0].find_all(*_CHANCE)), None)
    if chance is not None:
        raise QueryError(f"the query uses {chance.sql()}: a partition must give the same rows again; remove it")
    return statements[0]


def instant_literal(value: datetime) -> exp.Expression:
    """`value` as a typed literal."""
    return exp.cast(exp.Literal.string(value.isoformat(sep=" ", timespec="microseconds")), exp.DataType.Type.TIMESTAMP)


def date_literal(value: date) -> exp.Expression:
    """`value` as a typed literal."""
    return exp.cast(exp.Literal.string(value.isoformat()), exp.DataType.Type.DATE)


def bind_now(tree: exp.Select, instant: datetime) -> exp.Select:
    """Replace everything that asks what time it is by the batch instant."""

    def bound(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.AtTimeZone) and isinstance(node.this, _NOW) and node.args["zone"].name.upper() == "UTC":
            return instant_literal(instant)
        if isinstance(node, exp.CurrentDate):
            return date_literal(instant.date())
        if isinstance(node, _NOW) or (isinstance(node, exp.Anonymous) and node.name.lower() in _NOW_NAMES):
            return instant_literal(instant)
        if isinstance(node, _TIMES_OF_DAY):
            return exp.cast(exp.Literal.string(instant.time().isoformat()), exp.DataType.Type.TIME)
        return node

    bound_tree = tree.transform(bound)
    assert isinstance(bound_tree, exp.Select)
    return bound_tree


def bind_day(
    tree: exp.Select, *, column: str, day: date, window: Callable[[str | None], exp.Expression] | None
) -> exp.Select:
    """Bind every `?` to `day` and make the query return the records of the partition.

    `column = ?` becomes `window(qualifier)`; where the query does not compare the day column so, the
    window is added with AND, the query's own condition in parentheses. Without a window the query's own
    comparison is kept, and one is added where the query has none.
    Raises QueryError where late records could be lost: a window, and `?` compared in another way.
    """
    found = False
    for node in list(tree.find_all(exp.EQ)):
        left, right = (node.left, node.right) if isinstance(node.right, exp.Placeholder) else (node.right, node.left)
        if isinstance(right, exp.Placeholder) and isinstance(left, exp.Column) and left.name.lower() == column.lower():
            found = True
            own_day = exp.EQ(this=left, expression=date_literal(day))
            node.replace(exp.paren(window(left.table or None)) if window else own_day)
    others = list(tree.find_all(exp.Placeholder))
    if others and window and not found:
        raise QueryError(
            f"the query compares ? otherwise than as {column} = ?, so late records would be lost:"
            f" write {column} = ?, or remove arrivalColumn from the program"
        )
    for placeholder in others:
        placeholder.replace(date_literal(day))
    if found or (others and not window):
        return tree
    condition = window(None) if window else exp.EQ(this=exp.column(column), expression=date_literal(day))
    own = tree.args.get("where")
    if own is not None:
        own.this.replace(exp.paren(own.this.copy()))
    return tree.where(exp.paren(condition))


def add_to_projection(tree: exp.Select, columns: list[str]) -> exp.Select:
    """Add columns that the contract needs and the projection lacks.

    Raises QueryError where that would change the rows (DISTINCT, GROUP BY).
    """
    names = {projection.alias_or_name.lower() for projection in tree.expressions}
    missing = [column for column in columns if column.lower() not in names]
    if "*" in names or not missing:
        return tree
    if tree.args.get("distinct") or tree.args.get("group"):
        raise QueryError(
            f"the query must return {', '.join(missing)}, which its contract needs; with DISTINCT or GROUP BY"
            " they cannot be added without changing the rows: add them to the query"
        )
    return tree.select(*(exp.column(column, quoted=True) for column in missing))


def rename_tables(tree: exp.Select, view_of: Callable[[exp.Table], str]) -> exp.Select:
    """Point every table of the query (not its WITH names) to the view that `view_of` makes for it."""
    defined = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in list(tree.find_all(exp.Table)):
        if not table.db and table.name.lower() in defined:
            continue
        view = exp.Table(this=exp.to_identifier(view_of(table), quoted=True))
        table.replace(exp.alias_(view, table.alias or table.name, table=True))
    return tree
