"""A program's SQL: read in its own dialect, bound on the syntax tree, turned into the engine's dialect.

Values never pass through text. `CURRENT_DATE`, `NOW()` and their relatives mean the batch instant
(docs/decisions.md, 19); a query that asks for chance is refused, as a partition must give the same rows again.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.optimizer.scope import traverse_scope

from engage_assets.domain.errors import QueryError
from engage_assets.domain.slots import known_zones

DIALECTS: Final = {"athena": "athena", "redshift": "redshift", "snowflake": "snowflake", "duckdb": "duckdb"}
_NOW: Final = (
    exp.CurrentTimestamp,
    exp.CurrentTimestampLTZ,
    exp.CurrentDatetime,
    exp.Localtimestamp,
    exp.UtcTimestamp,
)
_TODAY: Final = (exp.CurrentDate, exp.UtcDate)
_TIMES_OF_DAY: Final = (exp.CurrentTime, exp.Localtime, exp.UtcTime)
# Functions that sqlglot reads as unknown ones, by dialect: Redshift, Snowflake, DuckDB.
_NOW_NAMES: Final = frozenset(
    {
        "getdate",
        "sysdate",
        "now",
        "systimestamp",
        "current_timestamp",
        "localtimestamp",
        "transaction_timestamp",
        "statement_timestamp",
        "clock_timestamp",
        "get_current_timestamp",
    }
)
_TIME_NAMES: Final = frozenset({"current_localtime"})
_CHANCE: Final = (exp.Rand, exp.Randn, exp.Randstr, exp.Uuid, exp.Shuffle, exp.TableSample, exp.NextValueFor)
_CHANCE_NAMES: Final = frozenset(
    {
        "uuidv4",
        "uuidv7",
        "setseed",
        "nextval",
        "timeofday",
        "txid_current",
        "current_connection_id",
        "current_query_id",
        "current_transaction_id",
    }
)
_DAY_OF: Final = (exp.Paren, exp.Date, exp.TsOrDsToDate)
HOLDS_ANY: Final = "HOLDS_ANY"
"""The function that `column CONTAINS ?` becomes."""


def parse(query: str, connector_type: str) -> exp.Select:
    """One SELECT statement as a tree. Raises QueryError with the place and the remedy.

    `column CONTAINS ?`, which no dialect reads, becomes a call of HOLDS_ANY before it is parsed (`bind_holding`).
    """
    dialect = DIALECTS[connector_type]
    try:
        statements = sqlglot.parse(_readable(query, dialect), read=dialect)
    except SqlglotError as error:
        raise QueryError(f"the query is not valid {connector_type} SQL: {_complaint(error)}") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Select):
        kinds = ", ".join(type(statement).__name__.upper() for statement in statements)
        raise QueryError(f"the query must be one SELECT statement, found {kinds or 'nothing'}")
    tree = statements[0]
    for node in tree.walk():
        if isinstance(node, _CHANCE) or (isinstance(node, exp.Anonymous) and node.name.lower() in _CHANCE_NAMES):
            raise QueryError(
                f"the query uses {node.sql(dialect=dialect).strip()}: a partition must give the same rows again;"
                " remove it"
            )
        if isinstance(node, exp.Limit | exp.Offset | exp.Fetch) and node.parent and not node.parent.args.get("order"):
            raise QueryError(
                f"the query uses {node.sql(dialect=dialect).strip()} without ORDER BY, so which rows it returns is left"
                " to chance: add an order that is total, or remove it"
            )
    return tree


def _readable(query: str, dialect: str) -> str:
    """The query with `column CONTAINS ?` as `HOLDS_ANY(column, ?)`; texts and comments stay as they are."""
    tokens = sqlglot.tokenize(query, read=dialect)
    written = query
    for place in range(len(tokens) - 2, 0, -1):
        word, asked = tokens[place], tokens[place + 1]
        named = tokens[place - 1].token_type in (TokenType.VAR, TokenType.IDENTIFIER)
        if word.text.upper() != "CONTAINS" or asked.token_type != TokenType.PLACEHOLDER or not named:
            continue
        first = place - 1
        while first > 1 and tokens[first - 1].token_type == TokenType.DOT:
            first -= 2
        column = query[tokens[first].start : tokens[place - 1].end + 1]
        written = f"{written[: tokens[first].start]}{HOLDS_ANY}({column}, ?){written[asked.end + 1 :]}"
    return written


def held_columns(tree: exp.Select) -> list[str]:
    """Names of the columns that the query asks whether they hold any of the words."""
    return sorted({node.expressions[0].name.lower() for node in _holding(tree)})


def bind_holding(tree: exp.Select, values: Mapping[str, Sequence[str]]) -> exp.Select:
    """The query with each `HOLDS_ANY(column, ?)` asking whether the array holds any of the column's values."""

    def bound(node: exp.Expression) -> exp.Expression:
        if not _is_holding(node):
            return node
        column = node.expressions[0]
        words = exp.Array(expressions=[exp.Literal.string(one) for one in values[column.name.lower()]])
        return exp.ArrayOverlaps(this=column.copy(), expression=exp.cast(words, "VARCHAR[]", dialect="duckdb"))

    bound_tree = tree.transform(bound)
    assert isinstance(bound_tree, exp.Select)
    return bound_tree


def is_row_by_row(tree: exp.Select) -> bool:
    """Whether the query picks columns of rows that its WHERE lets through, one by one, and does nothing else."""
    clauses = {name for name, value in tree.args.items() if value} - {"expressions", "from", "from_", "joins", "where"}
    is_single = not any(node is not tree for node in tree.find_all(exp.Select))
    return (
        is_single and not clauses and all(isinstance(one.unalias(), exp.Column | exp.Star) for one in tree.expressions)
    )


def add_numbers(tree: exp.Select, name: str, versions: Sequence[exp.Select]) -> exp.Select:
    """The row-by-row query with a list of the numbers, from 1, of the `versions` that have the row, nulls between them.

    Versions of the query differ in their WHERE alone. Rows that none has are left out.
    """
    wheres = [one.args.get("where") for one in versions]
    conditions = [where.this if where else exp.true() for where in wheres]
    numbers = [
        exp.Case().when(asked.copy(), exp.cast(exp.Literal.number(number), exp.DataType.Type.SMALLINT))
        for number, asked in enumerate(conditions, start=1)
    ]
    some = exp.or_(*(asked.copy() for asked in conditions))
    return tree.where(some, append=False).select(exp.alias_(exp.Array(expressions=numbers), name, quoted=True))


def _holding(tree: exp.Select) -> list[exp.Anonymous]:
    return [node for node in tree.find_all(exp.Anonymous) if _is_holding(node)]


def _is_holding(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and node.name.upper() == HOLDS_ANY


def _complaint(error: SqlglotError) -> str:
    """What the parser says, in one line and without the terminal's colours."""
    if isinstance(error, ParseError) and error.errors:
        found = error.errors[0]
        return f"line {found['line']}, column {found['col']}: {found['description']}"
    return re.sub(r"\x1b\[\d*m", "", str(error).splitlines()[0])


def instant_literal(value: datetime) -> exp.Expression:
    """`value` as a typed literal."""
    return exp.cast(exp.Literal.string(value.isoformat(sep=" ", timespec="microseconds")), exp.DataType.Type.TIMESTAMP)


def date_literal(value: date) -> exp.Expression:
    """`value` as a typed literal."""
    return exp.cast(exp.Literal.string(value.isoformat()), exp.DataType.Type.DATE)


def bind_now(tree: exp.Select, instant: datetime) -> exp.Select:
    """Replace everything that asks what time it is by the batch instant.

    At a time zone that the query names, it is what the clocks there show.
    """

    def bound(node: exp.Expression) -> exp.Expression:
        name = node.name.lower() if isinstance(node, exp.Anonymous) else ""
        if isinstance(node, exp.AtTimeZone) and isinstance(node.this, _NOW) and node.args["zone"].is_string:
            return instant_literal(_shown(instant, node.args["zone"].name))
        if isinstance(node, _TODAY):
            return date_literal(instant.date())
        if isinstance(node, _NOW) or name in _NOW_NAMES:
            return instant_literal(instant)
        if isinstance(node, _TIMES_OF_DAY) or name in _TIME_NAMES:
            return exp.cast(exp.Literal.string(instant.time().isoformat()), exp.DataType.Type.TIME)
        return node

    bound_tree = tree.transform(bound)
    assert isinstance(bound_tree, exp.Select)
    return bound_tree


def _shown(instant: datetime, zone: str) -> datetime:
    """What the clocks of `zone` show at `instant`."""
    if zone not in known_zones() | {"UTC"}:
        raise QueryError(f"the query names the time zone {zone!r}; write an IANA zone such as Europe/Berlin")
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def bind_all_days(tree: exp.Select, day: date) -> exp.Select:
    """Bind every `?` to `day`; all rows belong to the partition."""
    for placeholder in list(tree.find_all(exp.Placeholder)):
        placeholder.replace(date_literal(day))
    return tree


def bind_day(
    tree: exp.Select,
    *,
    column: str,
    day: date,
    table: str,
    window: Callable[[str | None], exp.Expression] | None,
) -> exp.Select:
    """Bind every `?` to `day` and make the query return the records of the partition.

    `column = ?`, also with either side cast to a date, becomes `window(qualifier)`. Where the query does not
    compare the day column so, the window is added with AND for `table`, the query's own condition in
    parentheses. Without a window, the day of `column` is compared instead.
    Raises QueryError where late records could be lost: a window, and `?` compared in another way.
    """

    def condition(qualifier: str | None) -> exp.Expression:
        if window:
            return exp.paren(window(qualifier))
        own = exp.cast(exp.column(column, table=qualifier, quoted=True), exp.DataType.Type.DATE)
        return exp.EQ(this=own, expression=date_literal(day))

    found = False
    for node in list(tree.find_all(exp.EQ)):
        sides = _without_casts(node.left), _without_casts(node.right)
        left = next((side for side in sides if isinstance(side, exp.Column)), None)
        is_asked = any(isinstance(side, exp.Placeholder) for side in sides) and node.find_ancestor(exp.Where, exp.Join)
        if is_asked and left is not None and left.name.lower() == column.lower():
            found = True
            node.replace(condition(left.table or None))
    others = list(tree.find_all(exp.Placeholder))
    if others and window and not found:
        raise QueryError(
            f"the query compares ? otherwise than as {column} = ?, so late records would be lost:"
            f" write {column} = ?, or remove arrivalColumn from the program"
        )
    for placeholder in others:
        placeholder.replace(date_literal(day))
    if found or others:
        return tree
    return tree.where(condition(qualifier_of(tree, table)))  # which puts the query's own OR in parentheses


def _without_casts(node: exp.Expr) -> exp.Expr:
    """What is compared, without parentheses and casts to a date around it."""
    while isinstance(node, _DAY_OF) or (isinstance(node, exp.Cast) and node.is_type(exp.DataType.Type.DATE)):
        node = node.this
    return node


def qualifier_of(tree: exp.Select, table: str) -> str | None:
    """The name by which the outer query calls `table`; None where it does not read it itself."""
    origin = tree.find(exp.From)
    relations = [join.this for join in tree.args.get("joins") or []] + ([origin.this] if origin else [])
    names = [found for found in relations if isinstance(found, exp.Table) and found.name.lower() == table.lower()]
    return names[-1].alias_or_name if names else None


def reads_only(tree: exp.Select, table: str, window: Callable[[str | None], exp.Expression]) -> bool:
    """Whether the query reads `table` once and itself, and no row of it outside `window`."""
    places = [place for place in tree.find_all(exp.Table) if place.name.lower() == table.lower()]
    where = tree.args.get("where")
    if len(places) != 1 or places[0].parent_select is not tree or where is None:
        return False
    asked = where.this.flatten() if isinstance(where.this, exp.And) else [where.this]
    wanted = [window(qualifier) for qualifier in (None, qualifier_of(tree, table))]
    return any(one.unnest() in wanted for one in asked)


def add_to_projection(tree: exp.Select, columns: list[str], table: str) -> exp.Select:
    """Add the columns of `table` that the contract needs and the projection lacks.

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
    qualifier = qualifier_of(tree, table)
    return tree.select(*(exp.column(column, table=qualifier, quoted=True) for column in missing))


def rename_tables(tree: exp.Select, view_of: Callable[[exp.Table], str]) -> exp.Select:
    """Point every table of the query (not its WITH names) to the view that `view_of` makes for it.

    Raises QueryError for a function in a table's place: a program reads tables of the warehouse only.
    """
    for function in (table for table in tree.find_all(exp.Table) if not isinstance(table.this, exp.Identifier)):
        raise QueryError(f"the query reads {function.sql()}; it may only read tables of the warehouse")
    tables = [
        table
        for scope in traverse_scope(tree)
        for table in scope.tables
        if isinstance(scope.sources.get(table.alias_or_name), exp.Table)
    ]
    for table in {id(table): table for table in tables}.values():
        view = exp.Table(this=exp.to_identifier(view_of(table), quoted=True))
        table.replace(exp.alias_(view, table.alias or table.name, table=True))
    for column in tree.find_all(exp.Column):
        column.set("db", None)  # database.table.column: the table now goes by its own name
        column.set("catalog", None)
    return tree
