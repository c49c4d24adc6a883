"""The SQL of panels, in Athena's dialect: physical names around `$service`, and the newest calculation date alone.

Athena's data source hands DECIMAL and MAP to Grafana as text, so queries cast money to DOUBLE and take maps apart.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final

from engage_assets.domain.summary_spec import CommerceAnalytics, Family, Service, run_instant, table_names
from engage_assets.summaries.tables import TABLES

DATABASE: Final = "log_db"
"""Athena's database of the summary tables."""
_ANY: Final = Service(service="s")
_NEVER: Final = "1970-01-01"
_SEASONS: Final = (date(2025, 1, 15), date(2025, 7, 15))
"""Days on either side of every zone's change of clocks."""


def physical(table: str) -> str:
    """The catalogue's name of a table, for the service that the dashboard shows."""
    name = table_names(_ANY, TABLES[table].family)[table]
    return "${service}" + name.removeprefix(_ANY.table_prefix)


def family_tables(family: Family) -> tuple[str, ...]:
    """The tables of a family, in the registry's order."""
    return tuple(name for name, table in TABLES.items() if table.family == family)


def latest(table: str, columns: str, *, where: str = "", group: str = "", order: str = "", join: str = "") -> str:
    """SELECT over the rows of a table's newest calculation date."""
    name = physical(table)
    lines = [
        f"SELECT {columns}",
        f"FROM {name}{' ' + join if join else ''}",
        f"WHERE calculation_date = (SELECT MAX(calculation_date) FROM {name})",  # noqa: S608 - names come from the registry
    ]
    lines += [f"  AND {where}"] if where else []
    lines += [f"GROUP BY {group}"] if group else []
    lines += [f"ORDER BY {order}"] if order else []
    return "\n".join(lines)


def over_all_keys(table: str, columns: str) -> str:
    """SELECT of what a commerce table would say over all its keys, from period_totals."""
    return latest("period_totals", columns, where=f"table_name = '{table}'")


def pooled(numerator: str, denominator: str) -> str:
    """A rate in percent, from its numerator and denominator."""
    return f"100 * CAST({numerator} AS DOUBLE) / NULLIF({denominator}, 0)"


def last_runs(tables: Sequence[str]) -> str:
    """One row per table: its newest calculation date, and how many rows it has of it."""
    columns = "'{}' AS table_name, MAX(calculation_date) AS last_calculation_date, COUNT(*) AS row_count"
    return "\nUNION ALL\n".join(latest(table, columns.format(table)) for table in tables)


def last_runs_sorted(tables: Sequence[str]) -> str:
    """`last_runs`, by name, with dates as text for a table of their own."""
    return _over(
        last_runs(tables),
        "table_name, CAST(last_calculation_date AS VARCHAR) AS last_calculation_date, row_count",
        "ORDER BY table_name",
    )


def days_behind(tables: Sequence[str], due: timedelta) -> str:
    """How many days the oldest table is behind, `due` after each day's end in UTC; and how many tables are empty.

    Where all are empty they are behind since 1970, which no threshold takes for good.
    """
    today = f"CAST(CURRENT_TIMESTAMP - INTERVAL '{int(due.total_seconds()) // 60}' MINUTE AS DATE)"
    columns = (
        f"GREATEST(DATE_DIFF('day', COALESCE(MIN(last_calculation_date), DATE '{_NEVER}'), {today}) - 1, 0)"
        " AS days_behind,"
        " SUM(CASE WHEN row_count = 0 THEN 1 ELSE 0 END) AS empty_tables"
    )
    return _over(last_runs(tables), columns)


def runs_by_date(tables: Sequence[str]) -> str:
    """How many of the tables there are of each calculation date that the catalogue still shows."""
    dates = (f"SELECT DISTINCT '{table}' AS table_name, calculation_date FROM {physical(table)}" for table in tables)  # noqa: S608 - names come from the registry
    columns = "CAST(calculation_date AS VARCHAR) AS calculation_date, COUNT(*) AS tables"
    return _over("\nUNION ALL\n".join(dates), columns, "GROUP BY calculation_date\nORDER BY calculation_date")


def missing_tables(tables: Iterable[str]) -> str:
    """The expected tables that the catalogue does not have."""
    expected = ", ".join(f"('{physical(table)}')" for table in tables)
    return "\n".join(
        (
            "SELECT expected.table_name",
            f"FROM (VALUES {expected}) AS expected(table_name)",
            "LEFT JOIN information_schema.tables AS found",
            f"  ON found.table_schema = '{DATABASE}' AND found.table_name = expected.table_name",
            "WHERE found.table_name IS NULL",
            "ORDER BY expected.table_name",
        )
    )


def due_after(spec: CommerceAnalytics, family: Family) -> timedelta:
    """How long after a day's end in UTC its tables are there for every service, one service being made at a time."""
    run = spec.behaviour if family == "behaviour" else spec.commerce
    starts = (
        run_instant(day, one.time_zone, run.at) - datetime.combine(day + timedelta(days=1), time())
        for day in _SEASONS
        for one in spec.services
    )
    return max(starts) + one_service(spec, family) * len(spec.services)


def one_service(spec: CommerceAnalytics, family: Family) -> timedelta:
    """How long a family may take for one service."""
    if family == "behaviour":
        return spec.behaviour.deadline
    return sum((batch.deadline for batch in spec.commerce.batches), timedelta())


def _over(query: str, columns: str, rest: str = "") -> str:
    inner = "\n".join(f"  {line}" for line in query.splitlines())
    return f"SELECT {columns}\nFROM (\n{inner}\n) AS runs" + (f"\n{rest}" if rest else "")
