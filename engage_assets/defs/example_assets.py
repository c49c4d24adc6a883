"""Examples as assets: what a model may learn from, as of a day."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta

import dagster as dg
import polars as pl

from engage_assets.channels.lists import explored
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import training_stages as stages
from engage_assets.defs.batch import Batch
from engage_assets.defs.describe import file_metadata, markdown_table, mistakes_as_failures
from engage_assets.defs.desk import Result
from engage_assets.defs.sheets import GIVEN_RESPONSES, SEND_EVENTS, Key
from engage_assets.defs.training_desk import TrainingConfig, as_of_day, training_spec
from engage_assets.domain.feature_views import missing_flag
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.ports import Clock, Ledger
from engage_assets.domain.program import Program, ScoringModel
from engage_assets.domain.sources import SOURCES
from engage_assets.domain.tables import EMAIL_LIST, Column
from engage_assets.lake import Lake


def examples_asset(
    program: Program, model: ScoringModel, marketplaces: Mapping[str, Marketplace]
) -> dg.AssetsDefinition:
    """`<model>_examples`."""
    key = (program.key, f"{model.key}_examples")
    spec = training_spec(
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
        as_of = as_of_day(config, clock)
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


def _past(program: Program, lake: Lake, ledger: Ledger, as_of: date) -> stages.Past:
    """What had been mirrored by the training date."""
    day = as_of - timedelta(days=1)
    return stages.Past(
        sends=lake.history(SEND_EVENTS, day),
        responses=lake.history(GIVEN_RESPONSES, day),
        interactions=ledger.interactions(None, datetime.combine(as_of, time.min)).lazy(),
        explored=_explored(lake, (program.key, EMAIL_LIST.name), day),
        attended=_attended(program, ledger, as_of),
    )


def _attended(program: Program, ledger: Ledger, as_of: date) -> pl.LazyFrame | None:
    """Who had come by the training date; None: nobody registers for what the program asks about."""
    if SOURCES[program.source_table].form != "registration":
        return None
    changes = ledger.registrations(datetime.combine(as_of, time.min)).lazy()
    own = changes.filter(pl.col("program") == program.program_id, pl.col("status") == "attended")
    return own.select("customer_id", pl.col("event_id").alias("subject_id"))


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
