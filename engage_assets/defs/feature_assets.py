"""Feature views as assets: what was known of a partition's candidates, with its contract and drift as checks."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

import dagster as dg
import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.batch import Batch
from engage_assets.defs.describe import markdown_table, mistakes_as_failures
from engage_assets.defs.desk import Desk, Result
from engage_assets.defs.feature_stages import profile_of, view_features
from engage_assets.defs.sheets import asset_specs, features_name, program_sheets
from engage_assets.domain.feature_views import FeatureView
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.program import Program
from engage_assets.features.profile import ViewProfile, contract_faults, drift
from engage_assets.lake import Lake, replacing

COMPARED_DAYS: Final = 7
"""A partition is compared with the one of so many days before."""


def feature_assets(program: Program, marketplaces: Mapping[str, Marketplace]) -> list[dg.AssetsDefinition]:
    """One asset per feature view that the program's models use: `<program>/<view>_features`."""
    return [_view_asset(program, view, marketplaces) for view in program.used_views]


def _view_asset(program: Program, view: FeatureView, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    name = features_name(view)
    key = program_sheets(program)[name].asset_key

    @dg.multi_asset(
        name=f"{program.key}__{name}",
        specs=asset_specs(program, name),
        check_specs=[
            dg.AssetCheckSpec(
                "features_keep_contract", asset=key, description="Shares of unknown values and ranges are as declared."
            ),
            dg.AssetCheckSpec(
                "features_drift",
                asset=key,
                description="Values are spread as a week before: PSI at most 0.2, or chance.",
            ),
        ],
    )
    def know_features(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        with mistakes_as_failures():
            batch = desk.batch(warehouse, marketplaces)
            desk.write(name, view_features(batch, desk.read("filtered_candidates"), view))
            found, before = _profiles(batch, view, desk, lake)
            with replacing(lake.path((program.key, name), context.partition_key, ".json")) as aside:
                aside.write_text(found.to_json(), encoding="utf-8")
        faults = contract_faults(view, found)
        drifts = drift(found, before) if before else []
        moved = [f"{one.feature}: PSI {one.index:.3f}" for one in drifts if one.has_drifted]
        checks = [
            desk.check(
                name, "features_keep_contract", passed=not faults, metadata={"faults": "\n".join(faults)}, warn=True
            ),
            desk.check(name, "features_drift", passed=not moved, metadata={"drift": "\n".join(moved)}, warn=True),
        ]
        known_at = f"{found.last_known_at:%Y-%m-%d %H:%M} UTC" if found.last_known_at else "nothing"
        metadata = {"rows_seen": found.rows, "last_known": known_at, "features": markdown_table(_summary(found))}
        yield desk.result(name, metadata, checks)

    return know_features


def _profiles(batch: Batch, view: FeatureView, desk: Desk, lake: Lake) -> tuple[ViewProfile, ViewProfile | None]:
    """The view's profile of this partition, and that of a week before where it was made."""
    name = features_name(view)
    then = (desk.partition - timedelta(days=COMPARED_DAYS)).isoformat()
    path = lake.path((batch.program.key, name), then, ".json")
    before = ViewProfile.from_json(path.read_text(encoding="utf-8")) if path.is_file() else None
    return profile_of(batch, view, desk.read(name), as_of=batch.instant, before=before), before


def _summary(found: ViewProfile) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "feature": name,
                "entities": one.entities,
                "unknown": one.missing_share,
                "least": one.minimum,
                "greatest": one.maximum,
                "outside the contract": one.outside,
            }
            for name, one in found.features.items()
        ],
        schema_overrides={"least": pl.Float64, "greatest": pl.Float64},
    )
