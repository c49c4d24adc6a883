"""Assets over all services: the dashboard of a calculation date, and which tables there are."""

from collections.abc import Iterator
from typing import Final

import dagster as dg
import polars as pl

from engage_assets.defs.describe import file_metadata, markdown_table, mistakes_as_failures
from engage_assets.defs.desk import Result
from engage_assets.defs.partitions import DAILY, partition_date
from engage_assets.defs.summary_dashboard import NAME, write_dashboard
from engage_assets.defs.summary_desk import FOLDER
from engage_assets.defs.summary_families import FAMILIES, owner_of
from engage_assets.defs.summary_sheets import schema_of, table_key
from engage_assets.defs.summary_state import COLUMNS, table_states
from engage_assets.domain.ports import Clock, Operations
from engage_assets.domain.summary_spec import CommerceAnalytics
from engage_assets.home import Home
from engage_assets.lake import Lake
from engage_assets.summaries.tables import TABLES

DASHBOARD: Final = dg.AssetKey([NAME])
MONITORING: Final = dg.AssetKey([FOLDER, "monitoring"])
ALL_THERE: Final = "every_table_is_there"


def watch_assets(spec: CommerceAnalytics) -> list[dg.AssetsDefinition]:
    """The dashboard and the monitoring table."""
    tables = [table_key(service, name) for service in spec.services for name in TABLES]
    owners = sorted({owner_of(spec, family) for family in FAMILIES})
    return [_dashboard(spec, tables, owners), _monitoring(spec, tables, owners)]


def _dashboard(spec: CommerceAnalytics, tables: list[dg.AssetKey], owners: list[str]) -> dg.AssetsDefinition:
    @dg.asset(
        key=DASHBOARD,
        deps=tables,
        group_name=FOLDER,
        owners=owners,
        code_version="1",
        partitions_def=DAILY,
        kinds={"html"},
        description="All tables of all services with their pictures, on one page that asks for nothing: open the file,"
        " or send it on.\n\n**Grain:** one page. **Partition:** calculation date; the page offers the days before it"
        " too. A table that was not made is shown as such.",
    )
    def commerce_dashboard(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> Result:
        with mistakes_as_failures():
            path = write_dashboard(spec, home, partition_date(context))
        return dg.MaterializeResult(
            metadata={"page": dg.MetadataValue.path(str(path)), "size_kib": round(path.stat().st_size / 1024, 1)}
        )

    return commerce_dashboard


def _monitoring(spec: CommerceAnalytics, tables: list[dg.AssetKey], owners: list[str]) -> dg.AssetsDefinition:
    @dg.asset(
        key=MONITORING,
        deps=tables,
        group_name=FOLDER,
        owners=owners,
        code_version="1",
        kinds={"polars", "parquet"},
        description="Every table that the program file asks for: newest calculation date, last run, rows, and whether"
        " it, or a date before, is missing.\n\n**Grain:** one table of one service. In `engage sql`"
        " `summaries.monitoring`.",
        metadata={
            "dagster/column_schema": schema_of(COLUMNS),
            "dagster/column_lineage": dg.TableColumnLineage({}),
            "dagster/table_name": "summaries.monitoring",
        },
        check_specs=[
            dg.AssetCheckSpec(
                ALL_THERE,
                asset=MONITORING,
                description="No table is missing of the newest day whose deadline has passed, nor of a day between"
                " that one and the first of its family.",
            )
        ],
    )
    def monitoring(
        home: dg.ResourceParam[Home], clock: dg.ResourceParam[Clock], operations: dg.ResourceParam[Operations]
    ) -> Iterator[Result]:
        now = clock.now()
        with mistakes_as_failures():
            found = table_states(spec, home, now)
            rows = Lake(home.lake).write(tuple(MONITORING.path), None, found)
        missing, gaps = found.filter("is_missing"), found.filter(pl.col("gaps") > 0)
        if words := _words(missing):
            cause = f"summaries:missing:{now.date()}"
            operations.raise_alert(cause, f"summary tables are missing: {words}; see the runs of their job", now)
        if between := _gap_words(gaps):
            cause = f"summaries:gaps:{gaps.select(pl.col('last_gap').max()).item()}"
            operations.raise_alert(cause, f"dates of summary tables are missing: {between}; backfill their job", now)
        yield dg.MaterializeResult(
            metadata={
                **file_metadata(Lake(home.lake).path(tuple(MONITORING.path), None), rows),
                "missing": missing.height,
                "gaps": int(found["gaps"].sum()),
                "tables": markdown_table(found.with_columns(pl.col(pl.Date, pl.Datetime).cast(pl.String))),
            },
            check_results=[
                dg.AssetCheckResult(
                    passed=missing.is_empty() and gaps.is_empty(),
                    check_name=ALL_THERE,
                    description="; ".join(filter(None, (words, between))) or f"{found.height} tables",
                )
            ],
        )

    return monitoring


def _words(missing: pl.DataFrame) -> str:
    """Which tables are missing of which day, the first five by name."""
    named = [f"{name} of {day}" for name, day in missing.select("table_name", "expected_date").head(5).iter_rows()]
    return _listed(named, missing.height)


def _gap_words(gaps: pl.DataFrame) -> str:
    """Of which tables dates before the newest are missing, likewise."""
    found = gaps.select("table_name", "gaps", "last_gap").head(5)
    return _listed([f"{name}: {count} dates, the newest {day}" for name, count, day in found.iter_rows()], gaps.height)


def _listed(named: list[str], count: int) -> str:
    more = f" and {count - len(named)} more" if count > len(named) else ""
    return f"{', '.join(named)}{more}"
