"""Banners: the listed candidates' banners with their words and times, and what became of them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final

import dagster as dg
import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import list_stages
from engage_assets.defs.batch import in_app_channel
from engage_assets.defs.describe import markdown_table, mistakes_as_failures
from engage_assets.defs.desk import Desk, Result
from engage_assets.defs.sheets import asset_specs
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.ports import Clock
from engage_assets.domain.program import Program
from engage_assets.domain.tables import IN_APP_BANNERS, LIST_VERDICTS
from engage_assets.lake import Lake

OPENED: Final = "in_app_sends"
_SAID: Final = {"sent": "opened", "skipped": "skipped"}
SHOWN: Final = 50
"""Kinds of words that the metadata list."""


def banner_assets(program: Program, marketplaces: Mapping[str, Marketplace]) -> list[dg.AssetsDefinition]:
    """`in_app_banners` of a program with a channel in an app."""
    if in_app_channel(program) is None:
        return []

    @dg.multi_asset(name=f"{program.key}__render_banners", specs=asset_specs(program, IN_APP_BANNERS.name))
    def render_banners(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        with mistakes_as_failures():
            batch = desk.batch(warehouse, marketplaces)
            verdicts = desk.read(LIST_VERDICTS.name).collect()
            made = list_stages.render_banners(batch, desk.read("scored_candidates"), verdicts)
            desk.write(IN_APP_BANNERS.name, made)
        yield desk.result(IN_APP_BANNERS.name, {"banners": markdown_table(_counts(made)), **_window(made)})

    return [render_banners]


def _counts(made: pl.DataFrame) -> pl.DataFrame:
    words = made.group_by("subject_id", "locale", "title", "call").agg(banners=pl.len())
    return words.sort("banners", "subject_id", "locale", descending=[True, False, False]).head(SHOWN)


def _window(made: pl.DataFrame) -> dict[str, str]:
    if made.is_empty():
        return {}
    opens, ends = made["slot_at"].sort(), made["ends_at"].sort()
    return {"first_opens": f"{opens[0]:%Y-%m-%d %H:%M} UTC", "last_ends": f"{ends[-1]:%Y-%m-%d %H:%M} UTC"}


def opened(program: Program, partition: date, counts: Counter[str], clock: Clock) -> dg.AssetMaterialization:
    """What a delivery reports of a partition's banners."""
    said = ", ".join(f"{count} {_SAID[state]}" for state, count in sorted(counts.items()) if count)
    return dg.AssetMaterialization(
        dg.AssetKey([program.key, OPENED]),
        partition=partition.isoformat(),
        description=f"{said} (banners)",
        metadata={
            **{state: count for state, count in counts.items() if count},
            "at": f"{clock.now():%Y-%m-%d %H:%M} UTC",
            "is_declared_clock": clock.is_declared,
        },
    )


def opened_banners(program: Program) -> list[dg.AssetSpec]:
    """The external asset that deliveries report opened banners to: nothing can materialize it but a delivery."""
    if in_app_channel(program) is None:
        return []
    return [
        dg.AssetSpec(
            dg.AssetKey([program.key, OPENED]),
            deps=[dg.AssetKey([program.key, IN_APP_BANNERS.name])],
            description="Banners that opened, and those that were refused when they should have, by partition: reported"
            " by the delivery job; the ledger has each.",
            group_name=program.key,
            owners=list(program.owners),
            kinds={"http"},
            tags={"program": program.program_id},
        )
    ]
