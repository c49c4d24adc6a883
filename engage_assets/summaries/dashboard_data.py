"""What the dashboard's page holds: tables as JSON, column by column, with the words that explain them."""

import math
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

import polars as pl

from engage_assets.domain.errors import EngageError
from engage_assets.summaries.dashboard_words import COUNTED, NEEDS, STAND_INS, label, title
from engage_assets.summaries.tables import FRAME, TABLES, Column, SummaryTable

Frames = Mapping[str, Mapping[date, Mapping[str, pl.DataFrame]]]
"""By service, calculation date and table: the table's rows."""
Json = dict[str, Any]

_KINDS: Final = {
    "VARCHAR": "text",
    "BIGINT": "count",
    "INTEGER": "number",
    "DATE": "date",
    "BOOLEAN": "flag",
    "MAP(VARCHAR, BIGINT)": "counts",
}
_SHARED: Final = frozenset({"service", "calculation_date"})
_WINDOW: Final = frozenset({"window_start", "window_days"})
_OWN_WINDOWS: Final = frozenset({"mau", "period_totals"})
"""Tables whose rows have windows of their own."""
_DIGITS: Final = 4
"""Averages are shown with two digits; four are enough of them."""


def page_data(tables: Frames, *, dates: Sequence[date], quality: pl.DataFrame, generated_for: date) -> Json:
    """The page's JSON; see `dashboard.render` for the arguments."""
    wanted = sorted(set(dates), reverse=True)
    return {
        "generatedFor": generated_for.isoformat(),
        "tables": [_described(table) for table in TABLES.values()],
        "services": {
            service: {str(day): _of_day(service, day, days[day]) for day in wanted if days.get(day)}
            for service, days in sorted(tables.items())
        },
        "quality": {service: _quality(quality, service, wanted) for service in sorted(tables)},
    }


def _described(table: SummaryTable) -> Json:
    return {
        "name": table.name,
        "title": title(table.name),
        "family": table.family,
        "grain": table.grain,
        "key": list(table.key),
        "firstCount": table.first_count,
        "isRanked": table.is_ranked,
        "counted": COUNTED.get(table.name),
        "columns": [
            {"name": column.name, "label": label(column.name), "kind": _kind(column), "means": column.description}
            for column in _shown(table)
        ],
        "needs": NEEDS.get(table.name, {}),
        "standIns": STAND_INS.get(table.name, {}),
    }


def _shown(table: SummaryTable) -> list[Column]:
    """Columns that are worth a column, figures before what else is known of a key: what all rows share is said once."""
    hidden = _SHARED if table.name in _OWN_WINDOWS else _SHARED | _WINDOW
    shown = [column for column in table.columns if column.name not in hidden]
    first = {*table.key, "productName"}
    return sorted(shown, key=lambda column: (column in FRAME, column.type == "VARCHAR" and column.name not in first))


def _kind(column: Column) -> str:
    if column.type == "DOUBLE":
        return "percent" if ", in percent" in column.description else "average"
    return "money" if column.type.startswith("DECIMAL") else _KINDS[column.type]


def _of_day(service: str, day: date, frames: Mapping[str, pl.DataFrame]) -> Json:
    if unknown := sorted(frames.keys() - TABLES.keys()):
        raise EngageError(f"{service} of {day}: no table is called {unknown[0]!r} (there are: {', '.join(TABLES)})")
    return {name: _rows(table, service, day, frames[name]) for name, table in TABLES.items() if name in frames}


def _rows(table: SummaryTable, service: str, day: date, frame: pl.DataFrame) -> Json:
    if missing := [column.name for column in table.columns if column.name not in frame.columns]:
        raise EngageError(
            f"{table.name} of {service} of {day} has no column {', '.join(missing)}: make the table again"
        )
    whole = table.name not in _OWN_WINDOWS and not frame.is_empty()
    return {
        "windowStart": str(frame["window_start"][0]) if whole else None,
        "windowDays": frame["window_days"][0] if whole else None,
        "columns": [[_plain(value) for value in frame[column.name]] for column in _shown(table)],
    }


def _plain(value: Any) -> Any:
    """A value as JSON has it: sums of money as exact texts, maps as pairs."""
    match value:
        case bool() | int() | str() | None:
            return value
        case float():
            return round(value, _DIGITS) if math.isfinite(value) else None
        case Decimal() | date():
            return str(value)
        case Mapping():
            return [[key, count] for key, count in value.items()]
        case _:  # what older files hold a map as
            return [[pair["key"], pair["value"]] for pair in value]


def _quality(quality: pl.DataFrame, service: str, days: Sequence[date]) -> Json:
    own = quality.filter(pl.col("service") == service, pl.col("date").is_in(days)).sort("date", "measure", "name")
    made: Json = {}
    for day, *row in own.select("date", "measure", "name", "events", "found").iter_rows():
        made.setdefault(str(day), []).append(row)
    return made
