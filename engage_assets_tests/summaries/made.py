"""The product's tables of a service and day, all the way from raw log files."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from engage_assets.domain.summary_spec import CommerceAnalytics, Service
from engage_assets.lake import Lake
from engage_assets.summaries.engine import Engine
from engage_assets.summaries.silver_days import ServiceDays, service_days
from engage_assets.summaries.tables import TABLES, values

DAILY = ("events", "session_day", "user_day", "purchase_ledger")
Row = dict[str, Any]


def build_days(folder: Path, service: str, zone: str, wanted: Iterable[date]) -> ServiceDays:
    """Silver and atoms of days, out of the logs in `folder/logs`."""
    spec = CommerceAnalytics(services=(Service(service=service, time_zone=zone),))
    days = service_days(Lake(folder / "lake"), folder / "logs", spec, service)
    for day in wanted:
        days.build(day)
    return days


def tables(days: ServiceDays, day: date) -> dict[str, list[Row]]:
    """All 16 tables, as plain rows."""
    days.roll_up(day)
    known = [one for one in days.days() if one <= day]
    daily = {name: [days.path(name, one) for one in known] for name in DAILY}
    service = days.names.service
    with Engine({**daily, **days.rollup_views(day)}) as engine:
        return {
            name: [plain(row) for row in engine.result(table, values(table, service, day)).to_pylist()]
            for name, table in TABLES.items()
        }


def plain(row: Mapping[str, Any]) -> Row:
    return {name: dict(value) if isinstance(value, list) else value for name, value in row.items()}


def differences(name: str, made: list[Row], wanted: list[Row]) -> list[str]:
    """Rows of a table that are not there twice, or not the same, by key; in words."""
    key = TABLES[name].key
    ours, theirs = ({tuple(row[column] for column in key): row for row in rows} for rows in (made, wanted))
    found = [
        f"{name} has {len(rows)} rows of {len(own)} keys" for rows, own in ((made, ours),) if len(rows) != len(own)
    ]
    for place in sorted(ours.keys() | theirs.keys(), key=str):
        mine, other = ours.get(place), theirs.get(place)
        if mine is None or other is None:
            found.append(f"{name} {place}: only the {'naive one' if mine is None else 'product'} has it")
        elif wrong := [
            f"{column} {mine[column]!r}, naively {other[column]!r}"
            for column in mine
            if unlike(mine[column], other[column])
        ]:
            found.append(f"{name} {place}: {'; '.join(wrong)}")
    return found


def unlike(one: Any, other: Any) -> bool:
    """Whether two values differ; averages may in the last bits."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) > 1e-12 * max(1.0, abs(one))
    return one != (other if not isinstance(one, Decimal) or other is None else Decimal(other))
