"""Models as assets: examples, a version with its verdict, and its card. What passes the gate is put into use."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from engage_assets.channels.lists import explored
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import training_stages as stages
from engage_assets.defs.batch import Batch
from engage_assets.defs.describe import file_metadata, lineage_of, markdown_table, mistakes_as_failures, schema_of
from engage_assets.defs.desk import Result
from engage_assets.defs.scoring_stages import members_of
from engage_assets.defs.sheets import COMBINATION, GIVEN_RESPONSES, SEND_EVENTS, Key
from engage_assets.domain.feature_views import missing_flag
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.ports import Clock, Ledger
from engage_assets.domain.program import Program, ScoringModel
from engage_assets.domain.tables import EMAIL_LIST, RESPONSES_LOG, SENDS_LOG, Column
from engage_assets.lake import Lake, replacing
from engage_assets.scoring import model_files, registry
from engage_assets.scoring.card import card_pictures, render_card
from engage_assets.scoring.card_markdown import card_markdown
from engage_assets.scoring.combined import save_combination


class TrainingConfig(dg.Config):
    """How a model is trained."""

    as_of: str | None = None
    """Only what was known by this day (ISO date, UTC) is learned from; default: today, by the clock."""


def model_assets(program: Program, marketplaces: Mapping[str, Marketplace]) -> list[dg.AssetsDefinition]:
    """`<model>_examples`, `<model>_model` with `<model>_verdict`, and `<model>_card` of each model."""
    made = []
    for model in program.scoring_models:
        made += [
            _examples(program, model, marketplaces),
            _train(program, model, marketplaces),
            _card(program, model, marketplaces),
        ]
    return [*made, _combine(program, marketplaces)] if len(program.scoring_models) > 1 else made


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


def _examples(program: Program, model: ScoringModel, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    key = (program.key, f"{model.key}_examples")
    spec = _spec(
        program,
        key,
        f"What {model.model_id} may learn from: past sends whose time for an answer is over, or, while those are"
        " few, what customers did unasked; with features as known at each instant.",
        "one row per customer and subject, as of one training date",
        [SEND_EVENTS, GIVEN_RESPONSES],  # and earlier lists, which would close a circle
        {"polars", "parquet"},
        example_columns(program, model),
    )

    @dg.multi_asset(name=f"{program.key}__{model.key}_examples", specs=[spec])
    def gather(
        config: TrainingConfig,
        warehouse: dg.ResourceParam[Warehouse],
        lake: dg.ResourceParam[Lake],
        ledger: dg.ResourceParam[Ledger],
        clock: dg.ResourceParam[Clock],
    ) -> Iterator[Result]:
        as_of = _as_of(config, clock)
        with mistakes_as_failures():
            batch = Batch(program, as_of, marketplaces, warehouse)
            batch.check()
            found, label = stages.chosen_examples(batch, model, as_of, _past(program, lake, ledger, as_of))
            given = stages.with_features(batch, found, model)
            rows = lake.write(key, as_of.isoformat(), given.with_columns(label_kind=pl.lit(label)))
        by_day = given.group_by(pl.col("as_of").dt.date().alias("month").dt.truncate("1mo")).agg(
            examples=pl.len(), answered=pl.col("label").sum(), explored=pl.col("is_exploration").sum()
        )
        yield dg.MaterializeResult(
            asset_key=spec.key,
            metadata={
                **file_metadata(lake.path(key, as_of.isoformat()), rows),
                "as_of": as_of.isoformat(),
                "label": label,
                "answered": int(given["label"].sum()),
                "explored": int(given["is_exploration"].sum()),
                "by_month": markdown_table(by_day.sort("month")),
            },
        )

    return gather


def _train(program: Program, model: ScoringModel, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    examples, own = (program.key, f"{model.key}_examples"), (program.key, model.asset_name)
    trained_spec = _spec(
        program,
        own,
        f"Versions of the model {model.model_id}: the calibrated probability that a customer answers within"
        f" {model.label_days} days.",
        "one version per training",
        [examples],
        {"scikitlearn", "skops"},
    )
    verdict_spec = _spec(
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
        as_of, folder = _as_of(config, clock), models / program.program_id
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


def _card(program: Program, model: ScoringModel, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    examples, own = (program.key, f"{model.key}_examples"), (program.key, model.asset_name)
    key = (program.key, f"{model.key}_card")
    spec = _spec(
        program,
        key,
        f"The card of the newest version of {model.model_id}: curves, calibration, lift, importance of features,"
        " marketplaces, verdict, limits.",
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
        as_of, folder = _as_of(config, clock), models / program.program_id
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
        pictures = {name: _picture(name, svg) for name, svg in card_pictures(card).items()}
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


def _combine(program: Program, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    spec = _spec(
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
        as_of = _as_of(config, clock)
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


def _picture(name: str, svg: str) -> dg.MetadataValue:
    encoded = base64.b64encode(svg.encode()).decode()
    return dg.MetadataValue.md(f"![{name}](data:image/svg+xml;base64,{encoded})")


def _as_of(config: TrainingConfig, clock: Clock) -> date:
    return date.fromisoformat(config.as_of) if config.as_of else clock.now().date()


def _past(program: Program, lake: Lake, ledger: Ledger, as_of: date) -> stages.Past:
    """What had been mirrored by the training date."""
    day = as_of - timedelta(days=1)
    return stages.Past(
        sends=lake.history(SEND_EVENTS, day),
        responses=lake.history(GIVEN_RESPONSES, day),
        interactions=ledger.interactions(None, datetime.combine(as_of, time.min)).lazy(),
        explored=_explored(lake, (program.key, EMAIL_LIST.name), day),
    )


def _explored(lake: Lake, key: Key, day: date) -> pl.LazyFrame | None:
    """Who was drawn by lot up to a day; file by file, as older lists have no flag."""
    there = [lake.scan(key, name) for name in lake.partitions(key) if name <= day.isoformat()]
    return pl.concat([explored(listed) for listed in there]) if there else None


def example_columns(program: Program, model: ScoringModel) -> list[Column]:
    """Columns of a model's examples."""
    described = {one.name: one for view in program.feature_views for one in view.features}
    return [
        Column("customer_id", "key", "Who was asked, or had a delivery."),
        Column("subject_id", "key", "About what."),
        Column("as_of", "instant", "The batch instant that chose, or would have chosen; features are as known then."),
        Column("label", "flag", "Whether it was answered in time."),
        Column("is_exploration", "flag", "Whether the place on the list went by lot."),
        *(Column(name, described[name].type, described[name].description) for name in model.features),
        *(
            Column(missing_flag(name), "flag", "Whether nothing was known: the default stands.")
            for name in model.features
        ),
        Column("marketplace", "text", "The customer's."),
        Column("label_kind", "text", "answered or reviewed."),
    ]


def _spec(
    program: Program,
    key: Key,
    description: str,
    grain: str,
    deps: list[Key],
    kinds: set[str],
    columns: Sequence[Column] = (),
) -> dg.AssetSpec:
    made_of = {SEND_EVENTS: SENDS_LOG.names, GIVEN_RESPONSES: RESPONSES_LOG.names}
    lineage = lineage_of(columns, {dep: made_of.get(dep, ()) for dep in deps}, {"label": ["state", "at"]})
    described = {"dagster/column_schema": schema_of(columns), "dagster/column_lineage": lineage} if columns else {}
    return dg.AssetSpec(
        dg.AssetKey(list(key)),
        deps=[dg.AssetKey(list(dep)) for dep in deps],
        description=f"{description}\n\n**Grain:** {grain}.",
        group_name=program.key,
        owners=list(program.owners),
        kinds=kinds,
        tags={"program": program.program_id},
        metadata=described,
        code_version="2",
    )
