"""What follows a version: its card, and what joins the models of a program."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import training_stages as stages
from engage_assets.defs.batch import Batch
from engage_assets.defs.describe import mistakes_as_failures, picture
from engage_assets.defs.desk import Result
from engage_assets.defs.scoring_stages import members_of
from engage_assets.defs.sheets import COMBINATION
from engage_assets.defs.training_desk import TrainingConfig, as_of_day, training_spec
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.ports import Clock
from engage_assets.domain.program import Program, ScoringModel
from engage_assets.lake import Lake, replacing
from engage_assets.scoring import model_files
from engage_assets.scoring.card import card_pictures, render_card
from engage_assets.scoring.card_markdown import card_markdown
from engage_assets.scoring.combined import save_combination


def card_asset(program: Program, model: ScoringModel, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    """`<model>_card`."""
    examples, own = (program.key, f"{model.key}_examples"), (program.key, model.asset_name)
    key = (program.key, f"{model.key}_card")
    spec = training_spec(
        program,
        key,
        f"The card of the newest version of {model.model_id}: curves, calibration, answers by tenth, importance of"
        " features, marketplaces, verdict, limits.",
        "one page per version",
        [examples, own, (program.key, f"{model.key}_verdict")],
        {"html"},
    )

    @dg.multi_asset(name=f"{program.key}__{model.key}_card", specs=[spec])
    def describe(
        config: TrainingConfig,
        warehouse: dg.ResourceParam[Warehouse],
        lake: dg.ResourceParam[Lake],
        models: dg.ResourceParam[Path],
        clock: dg.ResourceParam[Clock],
    ) -> Iterator[Result]:
        as_of, folder = as_of_day(config, clock), models / program.program_id
        with mistakes_as_failures():
            given = lake.scan(examples, as_of.isoformat()).collect()
            made = stages.version_of_day(folder, model.model_id, as_of)
            trained = model_files.load(folder, model.model_id, made.version)
            batch = Batch(program, as_of, marketplaces, warehouse)
            declared = clock.now() if clock.is_declared else None
            card = stages.card_of_version(batch, model, trained, stages.verdict_of(made), given, declared=declared)
            path = lake.path(key, made.version, ".html")
            with replacing(path) as aside:
                aside.write_text(render_card(card), encoding="utf-8")
        pictures = {name: picture(name, svg) for name, svg in card_pictures(card).items()}
        yield dg.MaterializeResult(
            asset_key=spec.key,
            metadata={
                "page": dg.MetadataValue.path(str(path)),
                "version": made.version,
                "card": dg.MetadataValue.md(card_markdown(card)),
                **pictures,
            },
        )

    return describe


def combination_asset(program: Program, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    """`combined_models`, of a program with several."""
    spec = training_spec(
        program,
        (program.key, COMBINATION),
        "What joins the program's models: the population in which the weighted mean of their scores is ranked.",
        "one population per set of versions",
        [(program.key, f"{model.key}_verdict") for model in program.scoring_models],
        {"json"},
    )

    @dg.multi_asset(name=f"{program.key}__combine", specs=[spec])
    def combine(
        config: TrainingConfig,
        warehouse: dg.ResourceParam[Warehouse],
        lake: dg.ResourceParam[Lake],
        models: dg.ResourceParam[Path],
        clock: dg.ResourceParam[Clock],
    ) -> Iterator[Result]:
        as_of = as_of_day(config, clock)
        with mistakes_as_failures():
            members = members_of(models, program)
            given = [
                lake.scan((program.key, f"{model.key}_examples"), as_of.isoformat()).collect()
                for model in program.scoring_models
            ]
            made = stages.combine(Batch(program, as_of, marketplaces, warehouse), members, given)
            path = save_combination(made, models / program.program_id)
        yield dg.MaterializeResult(
            asset_key=spec.key,
            metadata={
                "version": made.version,
                "population": len(made.reference),
                "members": ", ".join(
                    f"{model_id} {version} × {weight:g}" for model_id, version, weight in made.members
                ),
                "path": dg.MetadataValue.path(str(path)),
            },
            data_version=dg.DataVersion(made.version),
        )

    return combine
