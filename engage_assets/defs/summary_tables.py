"""The summary tables of a service as assets: a family's tables are made in one step, batch after batch."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import groupby
from typing import Any, Final

import dagster as dg
import polars as pl

from engage_assets.defs.describe import file_metadata, markdown_table, mistakes_as_failures
from engage_assets.defs.desk import Result
from engage_assets.defs.partitions import DAILY, made_by, partition_date
from engage_assets.defs.summary_days import POOL, tell_days
from engage_assets.defs.summary_desk import Made, NotMade, ServiceDesk
from engage_assets.defs.summary_families import batches_of, owner_of
from engage_assets.defs.summary_sheets import (
    describe_table,
    group_of,
    schema_of,
    table_key,
    table_lineage,
    upstream_of,
)
from engage_assets.defs.summary_times import allowed, begins_at, cron
from engage_assets.domain.summary_spec import CommerceAnalytics, Family, Service, table_names
from engage_assets.home import Home
from engage_assets.lake import read_whole
from engage_assets.summaries.tables import FRAME, TABLES, SummaryTable

Batches = list[tuple[tuple[str, ...], timedelta]]
IN_TIME: Final = "batch_in_time"
_SHOWN: Final = 10
_SHORTEST, _LONGEST = timedelta(minutes=1), timedelta(hours=23)
"""Limits of a freshness policy that is looked at once a day."""


def table_assets(spec: CommerceAnalytics, service: Service, family: Family) -> dg.AssetsDefinition:
    """The family's tables of a service; any of them can be made by itself."""
    batches = batches_of(spec, family)

    @dg.multi_asset(
        name=f"{family}__{service.table_prefix}__tables",
        specs=[_spec(spec, service, name, number) for number, (tables, _) in enumerate(batches, 1) for name in tables],
        check_specs=[
            dg.AssetCheckSpec(
                IN_TIME,
                asset=table_key(service, name),
                description=f"Its batch took no longer than {_minutes(deadline)}.",
            )
            for tables, deadline in batches
            for name in tables
        ],
        can_subset=True,
        pool=POOL,
    )
    def make_tables(context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]) -> Iterator[Result]:
        desk, day = ServiceDesk(spec, service, home), partition_date(context)
        wanted = {key.path[-1] for key in context.selected_asset_keys}
        failed: list[NotMade] = []
        with mistakes_as_failures():
            tell_days(context, desk, desk.prepare(day))
            for deadline, batch in _by_batch(batches, desk.make(family, day, wanted)):
                took = sum(one.seconds for one in batch)
                for one in batch:
                    if isinstance(one, Made):
                        yield _result(context, desk, one, took, deadline)
                    else:
                        failed.append(one)
        if failed:
            why = "\n".join(f"{desk.table_name(one.table)}: {one.why}" for one in failed)
            raise dg.Failure(description=why, allow_retries=False)

    return make_tables


def _spec(spec: CommerceAnalytics, service: Service, name: str, batch: int) -> dg.AssetSpec:
    table = TABLES[name]
    begins, within = begins_at(spec, table.family, service), allowed(spec, table.family, service)
    called = table_names(service, table.family)[name]
    return dg.AssetSpec(
        table_key(service, name),
        deps=[*upstream_of(service, table)],
        description=describe_table(table, service, spec.window(name), called),
        group_name=group_of(service),
        kinds={"duckdb", "parquet"},
        owners=[owner_of(spec, table.family)],
        tags={"family": table.family, "batch": str(batch)},
        partitions_def=DAILY,
        code_version="1",
        freshness_policy=made_by(cron(begins + within), min(max(within, _SHORTEST), _LONGEST)),
        metadata={
            "dagster/column_schema": schema_of(table.columns),
            "dagster/column_lineage": table_lineage(service, table),
            "dagster/table_name": called,
            "sql": dg.MetadataValue.md(f"```sql\n{table.file.read_text(encoding='utf-8')}\n```"),
        },
    )


def _by_batch(batches: Batches, made: Iterable[Made | NotMade]) -> Iterator[tuple[timedelta, list[Made | NotMade]]]:
    """Batches that are done, each with its deadline."""
    number = {name: at for at, (tables, _) in enumerate(batches) for name in tables}
    for at, batch in groupby(made, lambda one: number[one.table]):
        yield batches[at][1], list(batch)


def _result(
    context: dg.AssetExecutionContext, desk: ServiceDesk, made: Made, took: float, deadline: timedelta
) -> dg.MaterializeResult[Any]:
    key = table_key(desk.service, made.table)
    frame = read_whole(made.path)
    in_time = dg.AssetCheckResult(
        passed=took <= deadline.total_seconds(),
        asset_key=key,
        check_name=IN_TIME,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"its batch took {took:.1f} s of {_minutes(deadline)}",
        metadata={"partition": context.partition_key, "seconds": round(took, 2)},
    )
    is_selected = dg.AssetCheckKey(key, IN_TIME) in context.selected_asset_check_keys
    return dg.MaterializeResult(
        asset_key=key,
        metadata={
            **file_metadata(made.path, made.rows),
            "seconds": round(made.seconds, 3),
            **_preview(frame, TABLES[made.table]),
        },
        check_results=[in_time] if is_selected else [],
    )


def _preview(frame: pl.DataFrame, table: SummaryTable) -> dict[str, dg.MetadataValue]:
    """Some rows, without what is the same in all: the first ranks, or the newest days."""
    is_by_day = frame.schema[table.key[0]] == pl.Date
    shown = (frame.tail(_SHOWN) if is_by_day else frame.head(_SHOWN)).drop(column.name for column in FRAME)
    words = "rows" if frame.height <= _SHOWN else f"{'last' if is_by_day else 'first'} {_SHOWN} rows"
    return {words: markdown_table(shown.with_columns(pl.col(pl.Date, pl.List).map_elements(_plain, pl.String)))}


def _plain(value: Any) -> str:
    """Maps as text."""
    if isinstance(value, pl.Series):
        return ", ".join(f"{pair['key']}: {pair['value']}" for pair in value)
    return str(value)


def _minutes(time: timedelta) -> str:
    return f"{int(time.total_seconds()) // 60} min"
