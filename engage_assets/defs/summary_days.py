"""Assets of a service's days: silver, atoms and quality of a business date, and roll-ups of months."""

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

import dagster as dg
import polars as pl
import pyarrow.parquet as pq

from engage_assets.defs.describe import file_metadata, markdown_table, mistakes_as_failures
from engage_assets.defs.desk import Result
from engage_assets.defs.partitions import partition_date
from engage_assets.defs.summary_columns import SHEETS
from engage_assets.defs.summary_desk import Prepared, ServiceDesk
from engage_assets.defs.summary_quality import CHECKS, judged
from engage_assets.defs.summary_sheets import day_key, day_specs, roll_up_specs
from engage_assets.domain.summary_spec import CommerceAnalytics, Service
from engage_assets.home import Home
from engage_assets.lake import read_whole
from engage_assets.summaries.atoms import MONTHLY

POOL: Final = "summaries"
"""Dagster runs one step of a pool at a time unless told otherwise, so one service is made at a time."""
RETRY: Final = dg.RetryPolicy(max_retries=1, delay=30)


def day_assets(spec: CommerceAnalytics, service: Service) -> dg.AssetsDefinition:
    """SHEETS of a service. Whoever runs first makes them; a day whose logs did not change since is left as it is."""

    @dg.multi_asset(
        name=f"services__{service.table_prefix}__days",
        specs=day_specs(service),
        check_specs=[
            dg.AssetCheckSpec(name, asset=day_key(service, "events"), description=words)
            for name, words in CHECKS.items()
        ],
        pool=POOL,
        retry_policy=RETRY,
    )
    def make_days(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> Iterator[Result]:
        desk, day = ServiceDesk(spec, service, home), partition_date(context)
        with mistakes_as_failures():
            prepared = desk.prepare(day, anew=not _is_scheduled(context))
            tell_days(context, desk, prepared, but=day)
            checks = judged(desk, day)
        for name in SHEETS:
            yield dg.MaterializeResult(
                asset_key=day_key(service, name),
                metadata=_metadata(desk, name, day, prepared),
                data_version=dg.DataVersion(desk.made_of(day)),
                check_results=checks if name == "events" else [],
            )

    return make_days


def _is_scheduled(context: dg.AssetExecutionContext) -> bool:
    """Whether a schedule or a backfill asked for the run; a person who asks for a day wants it made."""
    return bool({"dagster/schedule_name", "dagster/backfill"} & context.run.tags.keys())


def tell_days(
    context: dg.AssetExecutionContext, desk: ServiceDesk, prepared: Prepared, *, but: date | None = None
) -> None:
    """Tell the assets of days that were made, `but` one: missing ones, and those that late events re-opened."""
    for day in prepared.days:
        if day != but:
            for name in SHEETS:
                context.log_event(
                    dg.AssetMaterialization(
                        day_key(desk.service, name),
                        partition=day.isoformat(),
                        metadata=_metadata(desk, name, day, prepared),
                    )
                )
    if others := [day.isoformat() for day in prepared.days if day != but]:
        context.log.info("made, since their logs are new or have changed: %s", ", ".join(others))


def _metadata(desk: ServiceDesk, name: str, day: date, prepared: Prepared) -> dict[str, Any]:
    path = desk.days.path(name, day)
    found: dict[str, Any] = file_metadata(path, pq.read_metadata(path).num_rows)
    if name == "events":
        built = prepared.days.get(day)
        found["duplicates"] = built.duplicates if built else "was made before, and its logs did not change"
        kinds = read_whole(path, ["kind"]).group_by("kind").agg(events=pl.len()).sort("kind", nulls_last=True)
        found["kinds"] = markdown_table(kinds)
    if name == "quality":
        found["figures"] = markdown_table(read_whole(path).drop("service", "date"))
    return found


def roll_up_assets(spec: CommerceAnalytics, service: Service) -> dg.AssetsDefinition:
    """The roll-ups of months that are final on a calculation date."""

    @dg.multi_asset(
        name=f"services__{service.table_prefix}__months", specs=roll_up_specs(service), pool=POOL, retry_policy=RETRY
    )
    def make_months(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> Iterator[Result]:
        desk, day = ServiceDesk(spec, service, home), partition_date(context)
        with mistakes_as_failures():
            tell_days(context, desk, desk.prepare(day))
            months = [f"{month:%Y-%m}" for month in desk.days.parts(day).months]
        for name in MONTHLY:
            paths = [desk.days.path(name, month) for month in months]
            yield dg.MaterializeResult(
                asset_key=day_key(service, name),
                metadata={
                    "dagster/partition_row_count": sum(pq.read_metadata(path).num_rows for path in paths),
                    "months": ", ".join(months) or "no month is over and final yet: atoms are added up",
                    "folder": dg.MetadataValue.path(str(desk.days.path(name, "month").parent)),
                },
            )

    return make_months
