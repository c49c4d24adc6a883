"""The SQL of summaries: Trino's dialect (Athena's), within a subset that several engines read alike.

A file is parsed and linted, its `:name` placeholders are bound on the syntax tree, and the tree is written for an
engine. What Athena gets is what the file says; DuckDB and Spark get translations that the tests compare by execution.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Final, Literal, cast

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from engage_assets.domain.errors import QueryError

Dialect = Literal["athena", "duckdb", "spark"]
Value = str | int | date

_STRUCTURE: Final = (
    exp.Select,
    exp.Union,
    exp.With,
    exp.CTE,
    exp.From,
    exp.Join,
    exp.Where,
    exp.Group,
    exp.Having,
    exp.Order,
    exp.Ordered,
    exp.Subquery,
    exp.Table,
    exp.TableAlias,
    exp.Alias,
    exp.Column,
    exp.Identifier,
    exp.Paren,
    exp.Placeholder,
    exp.Literal,
    exp.Null,
    exp.Boolean,
    exp.Star,
    exp.Distinct,
    exp.Filter,
    exp.Window,
    exp.WindowSpec,
    exp.Values,
    exp.Tuple,
    exp.Unnest,
    exp.Lambda,
    exp.Interval,
    exp.Var,
    exp.DataType,
    exp.DataTypeParam,
)
_OPERATORS: Final = (
    exp.And,
    exp.Or,
    exp.Not,
    exp.EQ,
    exp.NEQ,
    exp.LT,
    exp.LTE,
    exp.GT,
    exp.GTE,
    exp.Is,
    exp.In,
    exp.Between,
    exp.Add,
    exp.Sub,
    exp.Mul,
    exp.Div,
    exp.Mod,
    exp.Neg,
    exp.Case,
    exp.If,
    exp.Cast,
)
_FUNCTIONS: Final = (
    exp.Count,
    exp.Sum,
    exp.Min,
    exp.Max,
    exp.ArgMax,
    exp.ArgMin,
    exp.LogicalOr,
    exp.Coalesce,
    exp.Nullif,
    exp.Floor,
    exp.Ceil,
    exp.Round,
    exp.Greatest,
    exp.RowNumber,
    exp.Lead,
    exp.DateAdd,
    exp.DateDiff,
    exp.DateTrunc,
    exp.TimestampTrunc,
    exp.GenerateSeries,
    exp.GenerateDateArray,
    exp.ArrayAgg,
    exp.ArrayDistinct,
    exp.ArraySize,
    exp.Flatten,
    exp.ArraySort,
    exp.MapFromEntries,
    exp.Struct,
    exp.Map,
    exp.TimeToUnix,
    exp.PropertyEQ,
)
ALLOWED: Final = frozenset((*_STRUCTURE, *_OPERATORS, *_FUNCTIONS))
"""Every kind of node that a file may hold. A new one is added here once the engines have been seen to agree on it."""
_TYPES: Final = frozenset({"DOUBLE", "BIGINT", "INT", "DECIMAL", "DATE", "VARCHAR", "MAP", "ARRAY"})
_REMEDIES: Final[Mapping[type[exp.Expr], str]] = {
    exp.AtTimeZone: "use business_date and business_hour, which silver computes in the service's zone",
    exp.Qualify: "rank in a subquery and filter outside of it",
    exp.Bracket: "use ELEMENT_AT, which gives null for a key that is not there",
    exp.TryCast: "values are guarded and typed in silver; use CAST",
    exp.Limit: "filter on a ROW_NUMBER over a total order",
    exp.Quantile: "take the row of that rank, which is the same on every engine",
    exp.PercentileCont: "take the row of that rank, which is the same on every engine",
    exp.ApproxDistinct: "use COUNT(DISTINCT …): distinct counts are exact",
    exp.AnyValue: "use MIN or MAX, which are the same on every engine and in every run",
}


def parse(text: str, file: str, relations: frozenset[str]) -> exp.Query:
    """The query of a file, linted. Raises QueryError that names file, line and remedy.

    `relations` are the tables that it may read, beside its own CTEs.
    """
    try:
        statements = sqlglot.parse(text, read="athena")
    except SqlglotError as error:
        raise QueryError(f"{file}: this is not SQL of Athena: {_complaint(error)}") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise QueryError(f"{file}: write one SELECT statement, and nothing beside it")
    tree = statements[0]
    for node, fault in _faults(tree, relations):
        raise QueryError(f"{file}, line {_line(node)}: {fault}")
    return tree


def bind(tree: exp.Query, values: Mapping[str, Value], file: str) -> exp.Query:
    """A copy with each placeholder as a typed literal. Raises QueryError for one without a value."""

    def bound(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Placeholder):
            return node
        if node.name not in values:
            raise QueryError(f"{file}: there is no value for :{node.name}; there are {', '.join(sorted(values))}")
        return literal(values[node.name])

    return cast("exp.Query", tree.copy().transform(bound))


def literal(value: Value) -> exp.Expr:
    """A value as a literal of its type; text is quoted by the writer of each dialect."""
    if isinstance(value, date):
        return exp.cast(exp.Literal.string(value.isoformat()), exp.DataType.Type.DATE)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise QueryError(f"a {type(value).__name__} cannot be bound; give text, an integer or a date")
    return exp.Literal.string(value) if isinstance(value, str) else exp.convert(value)


def write(tree: exp.Query, dialect: Dialect) -> str:
    """The query's text for an engine."""
    written = tree.copy().transform(_spark_seconds) if dialect == "spark" else tree
    return written.sql(dialect=dialect, pretty=True, comments=False)


def _spark_seconds(node: exp.Expr) -> exp.Expr:
    """TO_UNIXTIME with its fraction, which Spark's UNIX_TIMESTAMP cuts off."""
    if not isinstance(node, exp.TimeToUnix):
        return node
    micros = exp.func("UNIX_MICROS", exp.cast(node.this, exp.DataType.Type.TIMESTAMP))
    return exp.paren(exp.Div(this=exp.cast(micros, exp.DataType.Type.DOUBLE), expression=exp.Literal.number(1_000_000)))


def _faults(tree: exp.Query, relations: frozenset[str]) -> Iterator[tuple[exp.Expr, str]]:
    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    for node in tree.walk():
        if type(node) not in ALLOWED:
            yield node, _unknown(node)
        if isinstance(node, exp.Table) and node.name not in relations | own:
            yield node, f"{node.sql('athena')} cannot be read here; there are {', '.join(sorted(relations | own))}"
        for kind, fault in _RULES:
            if isinstance(node, kind) and (found := fault(node)):
                yield node, found


def _unknown(node: exp.Expr) -> str:
    said = " ".join(node.sql("athena").split())[:60]
    remedy = _REMEDIES.get(type(node), "see ALLOWED in summaries/dialect.py for what may be used")
    return f"{said} is not in the subset that all engines read alike: {remedy}"


def _star(node: exp.Expr) -> str | None:
    return None if isinstance(node.parent, exp.Count) else "name the columns instead of *"


def _division(node: exp.Expr) -> str | None:
    """Integers divided are an integer in Trino and a double in DuckDB; decimals differ on each engine."""
    left = node.this.unnest()
    is_double = isinstance(left, exp.Floor | exp.Div) or (isinstance(left, exp.Cast) and left.is_type("double"))
    return None if is_double else "divide CAST(… AS DOUBLE): engines divide integers and decimals each in its own way"


def _date_add(node: exp.Expr) -> str | None:
    is_cast = isinstance(node.parent, exp.Cast) and node.parent.is_type("date")
    return None if is_cast else "wrap DATE_ADD in CAST(… AS DATE): DuckDB makes a timestamp of it"


def _type(node: exp.Expr) -> str | None:
    name = cast("exp.DataType", node).this.name
    return None if name in _TYPES else f"type {name} is not among {', '.join(sorted(_TYPES))}"


def _group(node: exp.Expr) -> str | None:
    plain = {"expressions", "all"}
    extra = [key for key, value in node.args.items() if value and key not in plain]
    if node.args.get("all") or extra:
        return "name the columns of GROUP BY; ALL, CUBE, ROLLUP and GROUPING SETS differ between engines"
    return None


def _count_round(node: exp.Expr) -> str | None:
    return "ROUND with decimals differs between engines: round to an integer" if node.args.get("decimals") else None


def _qualified(node: exp.Expr) -> str | None:
    return "a table has its own name alone here, no catalogue or database" if node.args.get("db") else None


_RULES: Final[tuple[tuple[type[exp.Expr], Callable[[exp.Expr], str | None]], ...]] = (
    (exp.Star, _star),
    (exp.Div, _division),
    (exp.DateAdd, _date_add),
    (exp.DataType, _type),
    (exp.Group, _group),
    (exp.Round, _count_round),
    (exp.Table, _qualified),
)
"""What a kind of node that is allowed must also keep to."""


def _line(node: exp.Expr) -> int:
    """Line of the first name below the node, else of one above it."""
    for around in (node, *_ancestors(node)):
        for part in around.walk():
            if "line" in part.meta:
                return int(part.meta["line"])
    return 1


def _ancestors(node: exp.Expr) -> Iterator[exp.Expr]:
    while parent := node.parent:
        yield parent
        node = parent


def _complaint(error: SqlglotError) -> str:
    """What the parser says, in one line and without the terminal's colours."""
    if isinstance(error, ParseError) and error.errors:
        found = error.errors[0]
        return f"line {found['line']}, column {found['col']}: {found['description']}"
    return re.sub(r"\x1b\[\d*m", "", str(error).splitlines()[0])
