"""Which summary tables there are, of which day, with how many rows, and which are missing. Knows nothing of Dagster."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow.parquet as pq

from engage_assets.defs.summary_desk import ServiceDesk
from engage_assets.defs.summary_families import FAMILIES, batches_of, owner_of
from engage_assets.defs.summary_services import desks
from engage_assets.defs.summary_times import expected_day
from engage_assets.domain.summary_spec import CommerceAnalytics, Family
from engage_assets.home import Home
from engage_assets.summaries.tables import Column

COLUMNS: Final = (
    Column("table_name", "VARCHAR", "The table's name in the catalogue."),
    Column("service", "VARCHAR", "Its service."),
    Column("family", "VARCHAR", "commerce or behaviour."),
    Column("owner", "VARCHAR", "Who owns it."),
    Column("last_date", "DATE", "Newest calculation date that has begun; null where there is none."),
    Column("expected_date", "DATE", "Calculation date that must be there by now."),
    Column("is_missing", "BOOLEAN", "Whether there is no table of the expected date."),
    Column(
        "gaps", "BIGINT", "Dates before the expected one, from the first of its family on, of which there is no table."
    ),
    Column("last_gap", "DATE", "The newest of them; null where there is none."),
    Column("last_run", "TIMESTAMP", "When the newest calculation date was made (UTC)."),
    Column("row_count", "BIGINT", "Rows of the newest calculation date."),
    Column("dates_kept", "BIGINT", "Calculation dates that are kept."),
)
"""Columns of the monitoring table."""
_DAY: Final = timedelta(days=1)
_TYPES: Final[Mapping[str, pl.DataType]] = {
    "VARCHAR": pl.String(),
    "DATE": pl.Date(),
    "BOOLEAN": pl.Boolean(),
    "TIMESTAMP": pl.Datetime("us"),
    "BIGINT": pl.Int64(),
}


def table_states(spec: CommerceAnalytics, home: Home, now: datetime) -> pl.DataFrame:
    """One row (COLUMNS) for each table that the program file asks for, in its order, as of `now` (UTC)."""
    rows = [
        row
        for desk in desks(spec, home)
        for family in FAMILIES
        for row in _states(desk, family, expected_day(spec, family, desk.service, now), now)
    ]
    schema = {column.name: _TYPES[column.type] for column in COLUMNS}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _states(desk: ServiceDesk, family: Family, expected: date, now: datetime) -> Iterator[dict[str, Any]]:
    names = [name for tables, _ in batches_of(desk.spec, family) for name in tables]
    found = {name: desk.dates(name) for name in names}
    first = min((dates[0] for dates in found.values() if dates), default=expected)
    for name, dates in found.items():
        begun = [day for day in dates if desk.has_begun(day, now)]
        newest = desk.path(name, begun[-1]) if begun else None
        gaps = sorted({first + number * _DAY for number in range((expected - first).days)} - set(dates))
        yield {
            "table_name": desk.table_name(name),
            "service": desk.service.service,
            "family": family,
            "owner": owner_of(desk.spec, family),
            "last_date": begun[-1] if begun else None,
            "expected_date": expected,
            "is_missing": expected not in dates,
            "gaps": len(gaps),
            "last_gap": gaps[-1] if gaps else None,
            "last_run": _made_at(newest) if newest else None,
            "row_count": pq.read_metadata(newest).num_rows if newest else None,
            "dates_kept": len(dates),
        }


def _made_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None, microsecond=0)
