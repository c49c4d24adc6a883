"""Forecasts and reports of a batch's events, as of one night, and the job that keeps them fresh from hour to hour."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import dagster as dg
import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.describe import file_metadata, markdown_table, mistakes_as_failures, picture
from engage_assets.defs.desk import Desk, Result
from engage_assets.defs.event_card import write_card
from engage_assets.defs.event_forecast import forecasts, told_of
from engage_assets.defs.event_report_sheets import CARD, FORECASTS, OPS, REPORTS, event_report_sheets
from engage_assets.defs.outcome_assets import Logs, NightConfig, night_of, night_path
from engage_assets.defs.report_assets import own_given
from engage_assets.defs.sheets import spec_of
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.ports import Clock, Ledger
from engage_assets.domain.program import Program
from engage_assets.domain.tables import DECISIONS
from engage_assets.lake import Lake, replacing
from engage_assets.outcomes.event_figures import event_figures
from engage_assets.outcomes.event_report import event_picture, file_name, looked_up, render_event_report
from engage_assets.outcomes.event_tables import EventTables

_SHOWN: Final = 10
"""Pictures that the UI shows."""
_WEEKS: Final = 3
"""Partitions that are kept fresh from hour to hour; figures of older ones are made at night."""


def event_report_assets(program: Program, marketplaces: Mapping[str, Marketplace]) -> list[dg.AssetsDefinition]:
    """Forecasts of attendance, the card of their model, and reports, of a program about events; else none."""
    if not event_report_sheets(program):
        return []
    return [_forecast(program, marketplaces), _report(program, marketplaces)]


def _spec(program: Program, name: str) -> dg.AssetSpec:
    return spec_of(program, event_report_sheets(program)[name], {})


def _forecast(program: Program, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    card_spec = _spec(program, CARD).replace_attributes(skippable=True)

    @dg.multi_asset(name=f"{program.key}__{OPS[FORECASTS]}", specs=[_spec(program, FORECASTS), card_spec])
    def forecast_attendance(
        context: dg.AssetExecutionContext,
        config: NightConfig,
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
        ledger: dg.ResourceParam[Ledger],
        clock: dg.ResourceParam[Clock],
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        with mistakes_as_failures():
            as_of = night_of(config, program, desk.partition)
            logs = Logs(program, desk.partition, as_of, ledger, clock)
            batch = desk.batch(warehouse, marketplaces)
            found, learned = forecasts(batch, logs.registrations(lake), logs.until)
            path = night_path(lake, program, FORECASTS, desk.partition, as_of, ".parquet")
            rows = lake.write((program.key, FORECASTS, desk.partition.isoformat()), as_of.isoformat(), found)
            card = write_card(lake, program, learned, clock.now() if clock.is_declared else None)
        latest = found.sort("at").unique("event_id", keep="last", maintain_order=True).sort("event_id")
        shown = latest.select("event_id", "moment", "registered", "expected", "low", "high", "basis", "attended")
        yield dg.MaterializeResult(
            asset_key=event_report_sheets(program)[FORECASTS].asset_key,
            metadata={
                **file_metadata(path, rows),
                "as_of": as_of.isoformat(),
                "forecasts": markdown_table(shown),
                **(dict(told_of(learned)) if learned else {"no_forecast": "of no past event it is known who came"}),
            },
        )
        if card:
            yield dg.MaterializeResult(asset_key=card_spec.key, metadata=card)

    return forecast_attendance


def _report(program: Program, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    @dg.multi_asset(name=f"{program.key}__{OPS[REPORTS]}", specs=[_spec(program, REPORTS)])
    def event_reports(
        context: dg.AssetExecutionContext,
        config: NightConfig,
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
        ledger: dg.ResourceParam[Ledger],
        clock: dg.ResourceParam[Clock],
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        with mistakes_as_failures():
            as_of = night_of(config, program, desk.partition)
            logs = Logs(program, desk.partition, as_of, ledger, clock)
            tables = EventTables.of(own_given(lake, desk.batch(warehouse, marketplaces), as_of, logs))
            declared = clock.now() if clock.is_declared else None
            pages = {} if tables is None else _pages(program, tables, desk, as_of, declared)
            folder = event_folder(lake, program, desk.partition, as_of)
            folder.mkdir(parents=True, exist_ok=True)
            for event, (page, _) in pages.items():
                with replacing(folder / f"{file_name(event)}.html") as aside:
                    aside.write_text(page, encoding="utf-8")
        pictures = {f"people_of_{event}": picture(event, svg) for event, (_, svg) in pages.items() if svg}
        yield dg.MaterializeResult(
            asset_key=event_report_sheets(program)[REPORTS].asset_key,
            metadata={
                "pages": len(pages),
                "folder": dg.MetadataValue.path(str(folder)),
                "as_of": as_of.isoformat(),
                **dict(list(pictures.items())[:_SHOWN]),
            },
        )

    return event_reports


def event_folder(lake: Lake, program: Program, partition: date, as_of: date) -> Path:
    """Where the pages of a partition's events lie, as of one night."""
    return lake.path((program.key, REPORTS, partition.isoformat()), as_of.isoformat(), "")


def _pages(
    program: Program, tables: EventTables, desk: Desk, as_of: date, declared: datetime | None
) -> dict[str, tuple[str, str | None]]:
    """Page and picture of each event."""
    figures = looked_up(event_figures(tables))
    records = desk.read(DECISIONS.name).group_by("subject_id", "stage", "reason").agg(records=pl.len()).collect()
    return {
        event: (
            render_event_report(
                program=program,
                tables=tables,
                figures=figures,
                decisions=records,
                event_id=event,
                as_of=as_of,
                partition=desk.partition,
                declared_clock=declared,
            ),
            event_picture(figures, event, f"{program.program_name}, {event}"),
        )
        for event in tables.states["event_id"]
    }


def event_report_jobs(program: Program) -> tuple[list[Any], list[Any]]:
    """The job that makes forecasts and reports of today, and its schedule, hourly from the batch on.

    Registration opens with the batch: from the next hour on there is a forecast. None for other programs; no schedule
    where the program is off.
    """
    sheets = event_report_sheets(program)
    if not sheets:
        return [], []
    job = dg.define_asset_job(
        f"{program.key}_event_reports",
        selection=dg.AssetSelection.assets(*(sheet.asset_key for sheet in sheets.values())),
        description="Forecasts and reports of a batch's events, as known now. Contacts nobody.",
        tags={"program": program.program_id},
        executor_def=dg.in_process_executor,
    )
    if not program.enabled:
        return [job], []

    @dg.schedule(
        name=f"{program.key}_event_reports_schedule", job=job, cron_schedule="35 * * * *", execution_timezone="UTC"
    )
    def report_every_hour(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        """The partitions whose events lie ahead or have just been: those of the last weeks that are decided."""
        now = context.scheduled_execution_time.replace(tzinfo=None)
        decided = context.instance.get_materialized_partitions(dg.AssetKey([program.key, DECISIONS.name]))
        partition = program.cadence.partition_of(now)
        for _ in range(_WEEKS):
            key = partition.isoformat()
            if key in decided:
                yield dg.RunRequest(
                    run_key=f"{key}:{now:%Y-%m-%dT%H}", partition_key=key, run_config=_tonight(program, now.date())
                )
            partition -= program.cadence.step

    return [job], [report_every_hour]


def _tonight(program: Program, as_of: date) -> dict[str, Any]:
    """Run configuration of the job's ops: which night is meant."""
    night = {"config": {"as_of": as_of.isoformat()}}
    return {"ops": {f"{program.key}__{op}": night for op in OPS.values()}}
