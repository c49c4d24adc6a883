"""The stages of scoring: examples to learn from, features and scores of the accepted, what goes into the store."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import narwhals as nw
import polars as pl

from engage_assets.defs.batch import Batch, as_frame, customer_ranges
from engage_assets.domain.errors import ModelError
from engage_assets.domain.ports import Scorer, StoreCounts
from engage_assets.domain.program import Program, ScoringModel
from engage_assets.lake import slices
from engage_assets.scoring.bands import band
from engage_assets.scoring.examples import examples
from engage_assets.scoring.features import join_features
from engage_assets.scoring.local import LocalScorer
from engage_assets.scoring.model_files import load


def training_examples(batch: Batch, model: ScoringModel, as_of: date) -> pl.DataFrame:
    """Examples with the model's features, as known at each example's instant."""
    config = batch.program.connector.config
    deliveries = batch.warehouse.scan(batch.source.table, config.database, required=True)
    assert deliveries is not None
    if "reviews" not in batch.tables:
        raise ModelError(
            f"model {model.model_id} learns from {config.database}.reviews, which is missing: bring the table"
        )
    found = examples(deliveries, batch.tables["reviews"], model=model, as_of=as_of, batch_time=batch.program.cadence.at)
    return join_features(found, batch.tables, model.features).sort("as_of", "customer_id", "subject_id").collect()


def scorer_of(models: Path, program: Program) -> Scorer:
    """The current version of the program's model out of the folder of models. Raises ModelError where there is none."""
    model = load(models / program.program_id, program.scoring_models[0].model_id)
    return LocalScorer(model, program.scoring_batch_size)


def score(batch: Batch, accepted: pl.LazyFrame, scorer: Scorer) -> Iterator[pl.DataFrame]:
    """The accepted candidates with the model's features, probability, score, band and model version."""
    model = batch.program.scoring_models[0]
    for part in customer_ranges(accepted, "customer_id", max(batch.range_rows // 2, 1)):
        given = part.of(accepted).collect()
        # Joined to the keys alone, whose order is kept, and one after the other: little is in memory at once.
        entities = given.select("customer_id", "subject_id", as_of=pl.lit(batch.instant).cast(pl.Datetime("us")))
        for name in model.features:
            entities = join_features(entities.lazy(), batch.tables, [name]).collect()
        featured = pl.concat([given, entities.select(model.features)], how="horizontal")
        scored = pl.concat([featured, scorer.score(featured)], how="horizontal")
        banded = as_frame(scored.lazy()).with_columns(
            band("score").alias("band"), nw.lit(scorer.version).alias("model_version")
        )
        yield banded.to_native().collect()


def storable(scored: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """The candidates that have a score, some at a time."""
    return (part.filter(pl.col("score").is_not_null()) for part in slices(scored, 100_000))


def differing(scored: pl.LazyFrame, stored: pl.DataFrame, counts: StoreCounts) -> int:
    """Scored rows that the store should hold for the partition and holds not, or with another score.

    An expired partition is not in the store, and a newer one may have taken an item over.
    """
    key = ["customer_id", "marketplace", "subject_id", "score"]
    equal = scored.select(key).join(stored.lazy().select(key), on=key, how="semi").select(pl.len()).collect().item()
    return counts.inserted + counts.updated + counts.unchanged - int(equal)
