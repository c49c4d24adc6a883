"""Figures of a batch as of one night, the report on them, and the export to the warehouse."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta

import dagster as dg
import narwhals as nw
import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import scoring_stages
from engage_assets.defs.batch import Batch, as_frame, not_evaluated
from engage_assets.defs.describe import file_metadata, markdown_table, mistakes_as_failures, picture
from engage_assets.defs.desk import Desk, Result
from engage_assets.defs.outcome_assets import Logs, NightConfig, night_of, night_path, outcomes_asset
from engage_assets.defs.own import OWN
from engage_assets.defs.sheets import asset_specs, program_sheets
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.ports import Clock, Ledger, Operations
from engage_assets.domain.program import Program
from engage_assets.domain.tables import DECISIONS, METRICS, OUTCOMES
from engage_assets.export import export_partition, write_catalogue
from engage_assets.home import Home
from engage_assets.lake import Lake, replacing
from engage_assets.outcomes.by_source import own_figures
from engage_assets.outcomes.metrics import measure
from engage_assets.outcomes.own import Given
from engage_assets.outcomes.report import render_report, report_pictures
from engage_assets.outcomes.service import service_figures

TREND_DAYS = 30


def report_assets(program: Program, marketplaces: Mapping[str, Marketplace]) -> list[dg.AssetsDefinition]:
    """`outcomes`, `daily_metrics`, `daily_report` and `warehouse_export` of `program`."""
    return [outcomes_asset(program), _measure(program, marketplaces), _report(program, marketplaces), _export(program)]


def _measure(program: Program, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    key = program_sheets(program)[METRICS.name].asset_key

    @dg.multi_asset(name=f"{program.key}__measure", specs=asset_specs(program, METRICS.name))
    def measure_batch(
        context: dg.AssetExecutionContext,
        config: NightConfig,
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
        ledger: dg.ResourceParam[Ledger],
        operations: dg.ResourceParam[Operations],
        clock: dg.ResourceParam[Clock],
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        with mistakes_as_failures():
            as_of = night_of(config, program, desk.partition)
            logs = Logs(program, desk.partition, as_of, ledger, clock)
            found = pl.scan_parquet(night_path(lake, program, OUTCOMES.name, desk.partition, as_of, ".parquet"))
            has_sends = found.head(1).collect().height > 0
            day = datetime.combine(as_of, time())
            minutes = operations.service_minutes(day, day + timedelta(days=1))
            batch = desk.batch(warehouse, marketplaces)
            figures = measure(
                nw.from_native(desk.read(DECISIONS.name)),
                program=program,
                partition=desk.partition,
                as_of=as_of,
                sends=None,
                batch=ledger.batch(program.program_id, desk.partition),
                outcomes=nw.from_native(found) if has_sends else None,
                unsolicited=logs.unsolicited(),
                headroom=nw.from_native(desk.read("filter_verdicts").select("customer_id", "quota_left")),
                service=service_figures(minutes, day, day + timedelta(days=1)) if minutes.height else None,
                volume=logs.volume(batch, ledger.first_sent_on(program.program_id)),
                cache=scoring_stages.read_cache_use(desk.path("scored_candidates")),
                scored=nw.from_native(desk.read("scored_candidates")),
                own=own_given(lake, batch, as_of, logs),
            )
            path = night_path(lake, program, METRICS.name, desk.partition, as_of, ".parquet")
            rows = lake.write((program.key, METRICS.name, desk.partition.isoformat()), as_of.isoformat(), figures)
        totals = figures.filter(pl.col("dimension") == "all")
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={
                **file_metadata(path, rows),
                "as_of": as_of.isoformat(),
                "figures": markdown_table(totals.select("metric", "value", "note")),
                **{row["metric"]: row["value"] for row in totals.iter_rows(named=True) if row["value"] is not None},
            },
        )

    return measure_batch


def own_given(lake: Lake, batch: Batch, as_of: date, logs: Logs | None = None) -> Given:
    """What the program's own figures are made of: tables of the warehouse, of the lake where they are there, of `logs`.

    The lake's are the partition's.
    """
    own, key = own_figures(batch.program), batch.program.key
    paths = {name: lake.path((key, name), batch.partition.isoformat()) for name in (own.made if own else ())}
    made = {name: as_frame(pl.scan_parquet(path)) for name, path in paths.items() if path.is_file()}
    tables = {name: as_frame(table) for name, table in batch.tables.items()} if own else {}
    stages = OWN.get(batch.source.table.name)
    if stages and logs is not None:
        made |= {name: as_frame(table) for name, table in stages.measured(batch, logs, lake).items()}
    return Given(batch.program, batch.partition, as_of, tables, made)


def _report(program: Program, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    key = program_sheets(program)["daily_report"].asset_key

    @dg.multi_asset(name=f"{program.key}__report", specs=asset_specs(program, "daily_report"))
    def report(
        context: dg.AssetExecutionContext,
        config: NightConfig,
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
        clock: dg.ResourceParam[Clock],
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        with mistakes_as_failures():
            as_of = night_of(config, program, desk.partition)
            metrics = pl.read_parquet(night_path(lake, program, METRICS.name, desk.partition, as_of, ".parquet"))
            page = render_report(
                program=program,
                partition=desk.partition,
                as_of=as_of,
                metrics=metrics,
                trend=_trend(lake, program, desk.partition, as_of),
                not_evaluated=not_evaluated(desk.batch(warehouse, marketplaces)),
                declared_clock=clock.now() if clock.is_declared else None,
            )
            path = night_path(lake, program, "daily_report", desk.partition, as_of, ".html")
            with replacing(path) as aside:
                aside.write_text(page, encoding="utf-8")
        pictures = report_pictures(program=program, partition=desk.partition, metrics=metrics)
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={
                "page": dg.MetadataValue.path(str(path)),
                "as_of": as_of.isoformat(),
                **{name: picture(name, svg) for name, svg in pictures.items()},
                "figures": markdown_table(
                    metrics.filter(pl.col("dimension") == "all").select("metric", "value", "numerator", "denominator")
                ),
            },
        )

    return report


def _trend(lake: Lake, program: Program, partition: date, as_of: date) -> pl.DataFrame:
    """METRICS of the partitions of the last 30 days that are there: per partition the newest night up to `as_of`."""
    frames = []
    for days in range(1, TREND_DAYS):
        day = partition - timedelta(days=days)
        key = (program.key, METRICS.name, day.isoformat())
        nights = [night for night in lake.partitions(key) if night <= as_of.isoformat()]
        if nights:
            frames.append(pl.read_parquet(lake.path(key, nights[-1])))
    return pl.concat(frames) if frames else pl.DataFrame(schema=METRICS.schema)


def _export(program: Program) -> dg.AssetsDefinition:
    sheets = program_sheets(program)
    exported = {"candidates": "scored_candidates", "decisions": DECISIONS.name}
    tables = {table: (sheets[name].grain, tuple(sheets[name].columns)) for table, name in exported.items()}

    @dg.multi_asset(name=f"{program.key}__export", specs=asset_specs(program, "warehouse_export"))
    def export(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], home: dg.ResourceParam[Home]
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        root = home.export / program.key
        with mistakes_as_failures():
            rows = {
                table: export_partition(root, table, context.partition_key, desk.read(name))
                for table, name in exported.items()
            }
            catalogue = write_catalogue(root, tables)
        yield dg.MaterializeResult(
            asset_key=sheets["warehouse_export"].asset_key,
            metadata={
                "dagster/partition_row_count": sum(rows.values()),
                **{f"{table}_rows": count for table, count in rows.items()},
                "catalogue": dg.MetadataValue.path(str(root / "catalogue.json")),
                "partitions": {table["name"]: len(table["partitions"]) for table in catalogue["tables"]},
                "query": dg.MetadataValue.md(
                    f"```sql\nSELECT reason, count(*) FROM read_parquet('{root}/decisions/*/data.parquet',"
                    " hive_partitioning = true) GROUP BY ALL ORDER BY 2 DESC\n```"
                ),
            },
        )

    return export
