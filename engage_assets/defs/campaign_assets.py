"""Campaigns: the listed candidates' messages, rendered."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import dagster as dg
import polars as pl

from engage_assets.channels.preview import preview
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import list_stages, stages
from engage_assets.defs.describe import markdown_table, mistakes_as_failures
from engage_assets.defs.desk import Desk, Result
from engage_assets.defs.sheets import asset_specs
from engage_assets.domain.errors import DecisionsDoNotClose
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.program import Program
from engage_assets.domain.sources import SOURCES
from engage_assets.domain.tables import DECISIONS, EMAIL_CAMPAIGNS, EMAIL_LIST
from engage_assets.lake import Lake, among, replacing

SHOWN: Final = 3
"""Messages of each campaign on the page that a person looks at; where there are many campaigns, one."""
MANY: Final = 20
STAND_IN_SERVICE: Final = "https://preview.example"


def campaign_assets(program: Program, marketplaces: Mapping[str, Marketplace]) -> list[dg.AssetsDefinition]:
    """`email_campaigns` of `program`."""

    @dg.multi_asset(name=f"{program.key}__render_campaigns", specs=asset_specs(program, EMAIL_CAMPAIGNS.name))
    def render_campaigns(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        with mistakes_as_failures(), ThreadPoolExecutor(1, thread_name_prefix="closing") as beside:
            # Rendering keeps one core busy; what it makes appears once the decisions are known to close.
            closing = beside.submit(_closing, desk, program)
            batch = desk.batch(warehouse, marketplaces)
            with desk.open(EMAIL_CAMPAIGNS.name) as file:
                for part in list_stages.render_campaigns(batch, desk.read(EMAIL_LIST.name)):
                    file.add(part)
                _require_closed(closing.result(), program, desk)
        # Counts, and a page beside: Dagster's records are no place for the text of messages.
        rendered = desk.read(EMAIL_CAMPAIGNS.name).group_by("campaign_id", "template_id", "locale")
        counts = rendered.agg(messages=pl.len()).sort("campaign_id", "locale").collect()
        page = _write_preview(desk, lake, program, marketplaces)
        shown = {"preview": dg.MetadataValue.path(str(page))} if page else {}
        yield desk.result(EMAIL_CAMPAIGNS.name, {"campaigns": markdown_table(counts), **shown})

    return [render_campaigns]


def _write_preview(desk: Desk, lake: Lake, program: Program, marketplaces: Mapping[str, Marketplace]) -> Path | None:
    """A page with the first messages of each campaign, beside its file: as people see them, but for their names."""
    messages = desk.read(EMAIL_CAMPAIGNS.name)
    keys = messages.select("campaign_id", "send_id").collect()
    shown = 1 if keys["campaign_id"].n_unique() > MANY else SHOWN
    wanted = keys.group_by("campaign_id", maintain_order=True).head(shown)["send_id"]
    rows = among(messages, wanted).collect()
    path = lake.path((program.key, EMAIL_CAMPAIGNS.name), desk.partition.isoformat(), ".html")
    if rows.is_empty():
        path.unlink(missing_ok=True)
        return None
    with replacing(path) as aside:
        aside.write_text(preview(rows, marketplaces=marketplaces, base_url=STAND_IN_SERVICE), encoding="utf-8")
    return path


def _closing(desk: Desk, program: Program) -> dict[str, int]:
    return stages.closing_counts(desk.read(SOURCES[program.source_table].raw_asset), desk.read(DECISIONS.name))


def _require_closed(closing: Mapping[str, int], program: Program, desk: Desk) -> None:
    """Raise where the partition's decisions do not account for its records.

    A blocking check stops a run; but a person may ask for the campaigns alone.
    """
    if not stages.closes(closing):
        raise DecisionsDoNotClose(
            f"the decisions of {program.program_id} {desk.partition} do not close: {closing}; materialize the whole"
            " batch of this partition again before anything is sent"
        )
