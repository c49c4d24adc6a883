"""What a query of a person may be: its syntax tree, as DuckDB itself reads it, tells."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import duckdb

from engage_assets.domain.errors import QueryError

_SOURCES: Final = frozenset({"range", "generate_series", "unnest"})
"""Functions that may stand in a table's place: they read nothing."""
_QUERIES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_EXPLAIN: Final = re.compile(r"\s*EXPLAIN\s+(ANALYZE\s+|\([^()]*\)\s*)?", re.IGNORECASE)
_PATH: Final = re.compile(r"[/\\:]|\.\w+$")


def refuse_unless_read_only(connection: duckdb.DuckDBPyConnection, query: str) -> bool:
    """Check what the query is; says whether it is an EXPLAIN. Raises QueryError with the remedy."""
    statements = _statements(connection, query)
    if len(statements) != 1:
        raise QueryError(f"one statement at a time, found {len(statements)}")
    kind = statements[0].type
    inside = query
    if kind == duckdb.StatementType.EXPLAIN:
        inside = _EXPLAIN.sub("", _without_comments(query), count=1)
        if [one.type for one in _statements(connection, inside)] != [duckdb.StatementType.SELECT]:
            raise QueryError("EXPLAIN is for a SELECT; nothing can be changed here")
    elif kind != duckdb.StatementType.SELECT:
        name = str(kind).rpartition(".")[2].replace("_", " ")
        hint = "; PIVOT needs its values: ON column IN (…)" if name == "MULTI" else ""
        raise QueryError(f"only SELECT, WITH, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN are taken, found {name}{hint}")
    _refuse_parts(_tree(connection, inside))
    return kind == duckdb.StatementType.EXPLAIN


def _without_comments(query: str) -> str:
    """The query from its first word on."""
    return re.sub(r"\A(\s|--[^\n]*\n|/\*.*?\*/)+", "", query, flags=re.DOTALL)


def _tree(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchone()
    assert row is not None
    tree = json.loads(row[0])
    if tree["error"]:
        raise QueryError("the query has a form that cannot be checked; write it as a plain SELECT")
    return tree


def _refuse_parts(tree: Any) -> None:
    """Refuse what would change something or read anything but views."""
    for node in _nodes(tree):
        kind = node.get("type")
        if isinstance(kind, str) and kind.endswith("_NODE") and kind not in _QUERIES:
            raise QueryError(
                f"the query changes something ({kind.removesuffix('_NODE').lower()}); only SELECT is taken"
            )
        if kind == "TABLE_FUNCTION" and node["function"].get("function_name", "").lower() not in _SOURCES:
            name = node["function"].get("function_name") or "a function"
            raise QueryError(f"the query reads {name}(…); it may read tables only: SHOW TABLES lists them")
        if kind == "BASE_TABLE" and _PATH.search(node["table_name"]):
            raise QueryError("the query reads a file; it may read tables only: SHOW TABLES lists them")


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _statements(connection: duckdb.DuckDBPyConnection, query: str) -> list[duckdb.Statement]:
    try:
        return connection.extract_statements(query)
    except duckdb.Error as error:
        raise QueryError(f"the query is not valid SQL: {str(error).strip().splitlines()[0]}") from None
