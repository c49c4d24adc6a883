"""Models: trained on what happened before a day, kept by version, read by scored_candidates."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import dagster as dg

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import scoring_stages
from engage_assets.defs.batch import Batch
from engage_assets.defs.describe import mistakes_as_failures
from engage_assets.defs.desk import Result
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.ports import Clock
from engage_assets.domain.program import Program
from engage_assets.scoring import model_files, training


class TrainingConfig(dg.Config):
    """How a model is trained."""

    as_of: str | None = None
    """Only what was known by this day (ISO date, UTC) is learned from; default: today, by the clock."""


def model_assets(program: Program, marketplaces: Mapping[str, Marketplace]) -> list[dg.AssetsDefinition]:
    """One asset per model of `program`: `<program>/<model>_model`."""
    model = program.scoring_models[0]
    key = dg.AssetKey([program.key, model.asset_name])

    @dg.multi_asset(
        name=f"{program.key}__train_{model.asset_name}",
        specs=[
            dg.AssetSpec(
                key,
                description=f"The model {model.model_id}: calibrated probability that a customer answers within"
                f" {model.label_days} days.\n\n**Grain:** one version per training.",
                group_name=program.key,
                owners=list(program.owners),
                kinds={"scikitlearn"},
                tags={"program": program.program_id},
                code_version="1",
            )
        ],
    )
    def train(
        context: dg.AssetExecutionContext,
        config: TrainingConfig,
        warehouse: dg.ResourceParam[Warehouse],
        models: dg.ResourceParam[Path],
        clock: dg.ResourceParam[Clock],
    ) -> Iterator[Result]:
        as_of = date.fromisoformat(config.as_of) if config.as_of else clock.now().date()
        with mistakes_as_failures():
            batch = Batch(program, as_of, marketplaces, warehouse)
            batch.check()
            trained = training.train(model, scoring_stages.training_examples(batch, model, as_of), as_of=as_of)
            folder = model_files.save(trained, models / program.program_id)
            current = model_files.load(models / program.program_id, model.model_id)
        context.log.info("trained %s %s as of %s", model.model_id, trained.version, as_of)
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={
                "version": trained.version,
                "current_version": current.version,
                "current_as_of": current.as_of.isoformat(),
                "as_of": as_of.isoformat(),
                "features": ", ".join(trained.features),
                "path": dg.MetadataValue.path(str(folder)),
                **{name: round(value, 6) for name, value in trained.metrics.items()},
            },
            data_version=dg.DataVersion(trained.version),
        )

    return [train]
