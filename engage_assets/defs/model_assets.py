"""Models as assets: a version and its verdict. What passes the gate is put into use."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import training_stages as stages
from engage_assets.defs.batch import Batch
from engage_assets.defs.card_assets import card_asset, combination_asset
from engage_assets.defs.describe import mistakes_as_failures
from engage_assets.defs.desk import Result
from engage_assets.defs.example_assets import examples_asset
from engage_assets.defs.sheets import COMBINATION, Key
from engage_assets.defs.training_desk import TrainingConfig, as_of_day, training_spec
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.ports import Clock
from engage_assets.domain.program import Program, ScoringModel
from engage_assets.lake import Lake
from engage_assets.scoring import registry


def model_assets(program: Program, marketplaces: Mapping[str, Marketplace]) -> list[dg.AssetsDefinition]:
    """`<model>_examples`, `<model>_model` with `<model>_verdict`, and `<model>_card` of each model."""
    made = []
    for model in program.scoring_models:
        made += [
            examples_asset(program, model, marketplaces),
            _train(program, model, marketplaces),
            card_asset(program, model, marketplaces),
        ]
    return [*made, combination_asset(program, marketplaces)] if len(program.scoring_models) > 1 else made


def model_keys(program: Program) -> list[Key]:
    """The assets of training, in order."""
    names = ("examples", "model", "verdict", "card")
    own: list[Key] = [(program.key, f"{model.key}_{name}") for model in program.scoring_models for name in names]
    return [*own, (program.key, COMBINATION)] if len(program.scoring_models) > 1 else own


def training_config(program: Program, as_of: date | None) -> dict[str, Any]:
    """The run configuration of training as of a day; None: today, by the clock."""
    given = {"config": {"as_of": as_of.isoformat() if as_of else None}}
    ops = [
        name
        for model in program.scoring_models
        for name in (f"{model.key}_examples", f"train_{model.asset_name}", f"{model.key}_card")
    ]
    ops += ["combine"] if len(program.scoring_models) > 1 else []
    return {"ops": {f"{program.key}__{name}": given for name in ops}}


def _train(program: Program, model: ScoringModel, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    examples, own = (program.key, f"{model.key}_examples"), (program.key, model.asset_name)
    trained_spec = training_spec(
        program,
        own,
        f"Versions of the model {model.model_id}: the calibrated probability that a customer answers within"
        f" {model.label_days} days.",
        "one version per training",
        [examples],
        {"scikitlearn", "skops"},
    )
    verdict_spec = training_spec(
        program,
        (program.key, f"{model.key}_verdict"),
        f"Whether the newest version of {model.model_id} is put into use: only if it is surely better than the one in"
        " use, no worse than the baseline, calibrated, and its features keep their contract.",
        "one verdict per version",
        [own],
        {"json"},
    )

    @dg.multi_asset(name=f"{program.key}__train_{model.asset_name}", specs=[trained_spec, verdict_spec])
    def train(
        context: dg.AssetExecutionContext,
        config: TrainingConfig,
        warehouse: dg.ResourceParam[Warehouse],
        lake: dg.ResourceParam[Lake],
        models: dg.ResourceParam[Path],
        clock: dg.ResourceParam[Clock],
    ) -> Iterator[Result]:
        as_of, folder = as_of_day(config, clock), models / program.program_id
        with mistakes_as_failures():
            given = lake.scan(examples, as_of.isoformat()).collect()
            batch = Batch(program, as_of, marketplaces, warehouse)
            faults = stages.contract_of(batch, given, model)
            learned = stages.labelled(model, given)
            trained, verdict, registered = stages.train_and_judge(
                folder, learned, given, as_of=as_of, now=clock.now(), faults=faults
            )
            in_use = registry.champion(folder, model.model_id)
        context.log.info("trained %s %s as of %s", model.model_id, trained.version, as_of)
        yield dg.MaterializeResult(
            asset_key=trained_spec.key,
            metadata={
                "version": trained.version,
                "as_of": as_of.isoformat(),
                "label": trained.label,
                "window": f"{trained.window[0]:%Y-%m-%d} to {trained.window[1]:%Y-%m-%d}",
                "examples": trained.examples,
                "data_hash": trained.data_hash,
                "code_version": trained.code_version,
                "features": ", ".join(trained.features),
                "path": dg.MetadataValue.path(str(folder / trained.model_id / trained.version)),
                **trained.metrics,
            },
            data_version=dg.DataVersion(trained.version),
        )
        yield dg.MaterializeResult(
            asset_key=verdict_spec.key,
            metadata={
                "version": registered.version,
                "put_into_use": registered.is_champion,
                "passed": verdict.deploy,
                "reasons": dg.MetadataValue.md("\n".join(f"- {reason}" for reason in verdict.reasons)),
                "version_in_use": in_use.version if in_use else "none",
                "in_use_as_of": in_use.as_of.isoformat() if in_use else "none",
                **verdict.figures,
            },
            data_version=dg.DataVersion(in_use.version if in_use else "none"),
        )

    return train
