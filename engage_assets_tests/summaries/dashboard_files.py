"""The committed dashboards, and what is wrong with a query of theirs, found on its syntax tree."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import sqlglot
from sqlglot import exp

from engage_assets.domain.summary_spec import Service, table_names
from engage_assets.summaries.tables import TABLES

FOLDER = Path(__file__).parents[2] / "dashboards"
FILES = sorted(FOLDER.glob("*.json"))
SERVICES = ("theshop-brand", "theshop-pharmacy")
CHOSEN = {"service": "theshop_brand", "action": "smart_order_open", "category": "health"}
_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}")
_DISTINCT = re.compile(r"unique_\w+|\w+_users|\w+_sessions|\w+_purchasers|sessions|rolling_mau_30d|place_count")
_OF_ONE_DAY = {"total_sessions", "product_view_sessions", "cart_add_sessions", "purchase_sessions"}
"""Distinct counts by day of which everyone is in one day alone: the day on which the session starts."""
_OF_ONE_COHORT = {"base_users", "retained_users"}
"""Distinct counts by cohort of which everyone is in one alone, where basis is 'new'."""
_RATIOS = {
    column.name.lower()
    for table in TABLES.values()
    for column in table.figures
    if column.type == "DOUBLE" or column.name.startswith("avg_")
}


class Query(NamedTuple):
    """A query of a dashboard, as Grafana stores it, and the panel that shows it; none for a variable."""

    place: str
    sql: str
    panel: dict[str, Any] | None


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def queries() -> Iterator[Query]:
    for path in FILES:
        dashboard = load(path)
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()):
                yield Query(f"{path.stem}: {panel['title']}", target["rawSQL"], panel)
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                yield Query(f"{path.stem}: ${variable['name']}", variable["query"]["rawSQL"], None)


def filled(sql: str, chosen: Mapping[str, str] | None = None) -> str:
    """The query with its variables' values, as Grafana puts them in."""
    values = {**CHOSEN, **(chosen or {})}

    def value(found: re.Match[str]) -> str:
        name, form = found.groups()
        assert form in (None, "sqlstring"), f"{found[0]}: unknown form"
        return values[name] if form is None else "'" + values[name].replace("'", "''") + "'"

    return _VARIABLE.sub(value, sql)


def parsed(sql: str, chosen: Mapping[str, str] | None = None) -> exp.Query:
    (tree,) = sqlglot.parse(filled(sql, chosen), read="athena")
    assert isinstance(tree, exp.Query)
    return tree


def catalogue(service: str) -> dict[str, str]:
    """Table by physical name."""
    names = {name: table for family in ("commerce", "behaviour") for table, name in _names(service, family)}
    assert set(names.values()) == set(TABLES)
    return names


def _names(service, family):
    return table_names(Service(service=service), family).items()


def tables_read(tree: exp.Query) -> set[str]:
    return {table.name for table in tree.find_all(exp.Table) if table.db != "information_schema"}


def faults(tree: exp.Query) -> list[str]:
    """What makes a figure wrong: added distinct counts, averaged ratios, several calculation dates."""
    found = []
    for total in tree.find_all(exp.Sum, exp.Avg):
        columns = _columns(tree, total.this)
        found += [f"adds up ratio {name}" for name in columns & _RATIOS]
        found += [f"averages {name}" for name in columns if isinstance(total, exp.Avg)]
        if isinstance(total, exp.Sum):
            found += [f"adds up distinct count {name}" for name in columns if _is_distinct(name, tree)]
    known = catalogue(SERVICES[0])
    for table in tree.find_all(exp.Table):
        if table.name in known and not _is_of_one_date(table):
            found.append(f"{table.name}: not its newest calculation date alone")
        elif table.name not in known and table.db != "information_schema":
            found.append(f"{table.name}: no such table")
    decimals = [one.name for one in tree.find_all(exp.Literal) if not one.is_string and not one.is_int]
    return found + [f"{number}: a decimal, which Grafana gets as text" for number in decimals]


def _columns(tree: exp.Query, node: exp.Expr, seen: frozenset[str] = frozenset()) -> set[str]:
    """Names of the columns below a node, those behind aliases too."""
    names = {column.name.lower() for column in node.find_all(exp.Column)}
    behind = {
        name
        for alias in tree.find_all(exp.Alias)
        if alias.alias.lower() in names - seen
        for name in _columns(tree, alias.this, seen | {alias.alias.lower()})
    }
    return names | behind


def _is_distinct(name: str, tree: exp.Query) -> bool:
    if name in _OF_ONE_COHORT:
        return not any(same.sql() == "basis = 'new'" for same in tree.find_all(exp.EQ))
    return bool(_DISTINCT.fullmatch(name)) and name not in _OF_ONE_DAY


def _is_of_one_date(table: exp.Table) -> bool:
    select = table.find_ancestor(exp.Select)
    newest = f"(SELECT MAX(calculation_date) FROM {table.name})"
    if f"({select.sql('athena')})" == newest:
        return True
    if select.args.get("distinct") and "calculation_date" in select.named_selects:
        return True
    where = select.args.get("where")
    conditions = where.this.flatten() if where and isinstance(where.this, exp.And) else [where.this] if where else []
    return any(one.sql("athena") == f"calculation_date = {newest}" for one in conditions)
