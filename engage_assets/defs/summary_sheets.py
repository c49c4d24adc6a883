"""The assets of summaries as an analyst sees them: keys, grains, columns, and where columns come from."""

from collections.abc import Mapping, Sequence
from typing import Final

import dagster as dg

from engage_assets.defs.partitions import DAILY
from engage_assets.defs.summary_columns import ROLL_UP_COLUMNS, SHEETS, Sheet
from engage_assets.domain.summary_spec import Service, Window
from engage_assets.summaries.dashboard_words import title
from engage_assets.summaries.relations import SHARED_VIEWS
from engage_assets.summaries.tables import TABLES, Column, SummaryTable

_ROLL_UP_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "month_user": ("user_day",),
    "month_order": ("purchase_ledger",),
    "month_total": ("session_day", "user_day"),
}
"""Roll-ups, and the atoms that they add up."""
_LOOKED_UP: Final = {"user_first_seen": "month_user", "order_first_seen": "month_order"}
"""Relations that are made of a roll-up as a table is made."""
_PARTS: Final[Mapping[str, Sequence[str]]] = {
    "productId": ["product_id"],
    "productName": ["product_name"],
    "unique_users": ["user_id"],
    "unique_sessions": ["session_id"],
    "unique_purchasers": ["user_id"],
    "unique_products": ["product_id"],
    "total_quantity": ["quantity"],
    "avg_sale_price": ["price", "quantity"],
    "avg_price": ["price", "quantity"],
    "total_cart_value": ["price", "quantity"],
    "total_value": ["price", "quantity"],
    "invalid_value_count": ["invalid_values"],
    "zero_result_searches": ["result_count"],
    "zero_result_rate": ["result_count"],
    "search_sessions": ["session_id"],
    "clicked_sessions": ["session_id"],
    "click_through_rate": ["session_id"],
    "hour": ["business_hour", "start_hour"],
    "purchase_date": ["date"],
    "total_revenue": ["amount"],
    "avg_order_value": ["amount"],
    "payment_method_counts": ["payment_method"],
    "orderless_purchases": ["order_id"],
    "invalid_amount_count": ["is_amount_invalid"],
    "monthly_active_users": ["active_users"],
    "total_sessions": ["sessions", "session_id"],
    "total_events": ["events"],
    "daily_active_users": ["user_id"],
    "rolling_mau_30d": ["user_id"],
    "daily_sessions": ["session_id"],
    "daily_events": ["events"],
    "retained_users": ["user_id"],
    "base_users": ["user_id"],
    "product_view_sessions": ["has_view"],
    "cart_add_sessions": ["has_cart"],
    "cart_sessions": ["has_cart"],
    "purchase_sessions": ["session_id"],
    "cart_users": ["cart_users"],
    "purchasing_users": ["user_id"],
    "user_count": ["user_id"],
    "active_last_7d": ["user_id"],
    "avg_events_per_session": ["events"],
    "max_events_per_session": ["events"],
    "median_events_per_session": ["events"],
    "p90_events_per_session": ["events"],
    "avg_event_types_per_session": ["event_types"],
    "avg_duration_seconds": ["first_time", "last_time"],
    "bounce_rate": ["events"],
}
"""Columns of silver, atoms and roll-ups that a table's column is counted or summed from, where names differ."""


def day_key(service: Service, name: str) -> dg.AssetKey:
    """The asset of a service's days called `name`."""
    return dg.AssetKey(["services", service.table_prefix, name])


def table_key(service: Service, table: str) -> dg.AssetKey:
    """The asset of a summary table."""
    return dg.AssetKey([TABLES[table].family, service.table_prefix, table])


def group_of(service: Service) -> str:
    """The group of a service's assets."""
    return service.table_prefix


def schema_of(columns: Sequence[Column]) -> dg.TableSchema:
    """The columns with Trino's types and what they mean."""
    return dg.TableSchema([dg.TableColumn(one.name, one.type, description=one.description) for one in columns])


def day_specs(service: Service) -> list[dg.AssetSpec]:
    """The external asset of raw logs, and the specs of SHEETS."""
    return [_day_spec(service, name, sheet) for name, sheet in SHEETS.items()]


def logs_spec(service: Service) -> dg.AssetSpec:
    """The raw logs, which others write."""
    return dg.AssetSpec(
        day_key(service, "logs"),
        description=f"Raw log events of {service.service}.\n\n**Grain:** one OpenTelemetry log record. Files"
        f" `warehouse/logs/{service.service}/<day>.ndjson` (or `.json`, `.parquet`, or a folder of such) by UTC day of"
        " arrival; whoever ships the logs writes them.",
        group_name=group_of(service),
        kinds={"opentelemetry", "json"},
        owners=["team:product"],
    )


def _day_spec(service: Service, name: str, sheet: Sheet) -> dg.AssetSpec:
    upstream = SHEETS[sheet.made_of].columns if sheet.made_of in SHEETS else ()
    known = {column.name for column in upstream} | ({"date"} if upstream else set())
    source = day_key(service, sheet.made_of)
    lineage = {
        column.name: [dg.TableColumnDep(source, "business_date" if column.name == "date" else column.name)]
        for column in sheet.columns
        if column.name in known and name != "quality"
    }
    return dg.AssetSpec(
        day_key(service, name),
        deps=[source],
        description=f"{sheet.words}\n\n**Grain:** {sheet.grain}. **Partition:** business date in {service.time_zone}.",
        group_name=group_of(service),
        kinds={"duckdb", "parquet"},
        owners=["team:product"],
        partitions_def=DAILY,
        code_version="1",
        metadata={
            "dagster/column_schema": schema_of(sheet.columns),
            **({"dagster/column_lineage": dg.TableColumnLineage(lineage)} if lineage else {}),
            "dagster/table_name": f"services.{service.table_prefix}_{name}",
        },
    )


def upstream_of(service: Service, table: SummaryTable) -> dict[dg.AssetKey, set[str]]:
    """The assets that a table reads, and their columns."""
    found: dict[dg.AssetKey, set[str]] = {}
    for read in table.reads:
        shared = SHARED_VIEWS.get(read.relation)
        for name in shared.reads if shared else (read.relation,):
            asset = _LOOKED_UP.get(name, name)
            for one in (asset, *_ROLL_UP_OF.get(asset, ())):
                columns = SHEETS[one].columns if one in SHEETS else ROLL_UP_COLUMNS[one]
                found.setdefault(day_key(service, one), {column.name for column in columns})
    return found


def roll_up_specs(service: Service) -> list[dg.AssetSpec]:
    """What months keep, so that figures may look further back than the atoms kept."""
    words = {
        "month_user": "one user of a month (first seen)",
        "month_order": "one order of a month (first event per order)",
        "month_total": "one month (monthly active users)",
    }
    return [
        dg.AssetSpec(
            day_key(service, name),
            deps=[day_key(service, atom) for atom in atoms],
            description="Roll-up of months that can change no more, for figures that look over all logs.\n\n**Grain:**"
            f" {words[name]}. **Partition:** the calculation date on which a month became final; its file is"
            " `YYYY-MM`.",
            group_name=group_of(service),
            kinds={"duckdb", "parquet"},
            owners=["team:product"],
            partitions_def=DAILY,
            code_version="1",
            metadata={
                "dagster/column_schema": schema_of(ROLL_UP_COLUMNS[name]),
                "dagster/table_name": f"services.{service.table_prefix}_{name}",
            },
        )
        for name, atoms in _ROLL_UP_OF.items()
    ]


def table_lineage(service: Service, table: SummaryTable) -> dg.TableColumnLineage:
    """Each column's parts: of the same name, or of _PARTS; the first asset that has one counts."""
    upstream = upstream_of(service, table)
    lineage: dict[str, list[dg.TableColumnDep]] = {}
    for column in table.columns:
        for part in _PARTS.get(column.name, [column.name]):
            key = next((key for key, names in upstream.items() if part in names), None)
            if key is not None:
                lineage.setdefault(column.name, []).append(dg.TableColumnDep(key, part))
    return dg.TableColumnLineage(lineage)


def describe_table(table: SummaryTable, service: Service, window: Window, name: str) -> str:
    """What an analyst reads first."""
    days = f"{window.days} days up to and including the partition" if window.days else "as its rows say"
    kept = f" The first {window.top} rows are kept." if window.top else ""
    return (
        f"{title(table.name)} of {service.service}, a {table.family} table.\n\n**Grain:** {table.grain}. **Window:**"
        f" {days}.{kept} **Partition:** calculation date.\n\nIn `engage sql` `{name}` is the newest calculation date,"
        f" `history.{name}` all of them."
    )
