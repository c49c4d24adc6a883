"""The stages of scoring: features and scores of the accepted, and what goes into the store."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import narwhals as nw
import polars as pl

from engage_assets.defs.batch import Batch, as_frame
from engage_assets.defs.ranges import customer_ranges
from engage_assets.domain.feature_views import missing_flag
from engage_assets.domain.ports import Clock, ScoreCache, Scorer, StoreCounts
from engage_assets.domain.program import Program
from engage_assets.domain.source import Source
from engage_assets.lake import replacing, slices
from engage_assets.scoring.bands import band
from engage_assets.scoring.cached import CachingScorer
from engage_assets.scoring.combined import CombinedScorer, Member, load_combination
from engage_assets.scoring.drift import ScoreDrift, score_drift
from engage_assets.scoring.local import LocalScorer
from engage_assets.scoring.model_files import load
from engage_assets.scoring.monitoring import DefaultShares, default_shares
from engage_assets.scoring.trained_model import TrainedModel


def members_of(models: Path, program: Program) -> tuple[Member, ...]:
    """The program's models, each with the version in use. Raises ModelError where one has none."""
    folder = models / program.program_id
    return tuple(
        Member(model.model_id, model.weight, LocalScorer(load(folder, model.model_id)))
        for model in program.scoring_models
    )


def scorer_of(models: Path, program: Program) -> Scorer:
    """The program's scorer. Raises ModelError where a model in use, or what joins several, is missing."""
    members = members_of(models, program)
    if len(members) == 1:
        return members[0].scorer
    return CombinedScorer(members, load_combination(models / program.program_id, members))


def cached(scorer: Scorer, cache: ScoreCache | None, program: Program, clock: Clock) -> CachingScorer | None:
    """The scorer behind the deployment's cache; None where it has none, or the program keeps no scores."""
    days = program.score_cache_ttl_days
    if cache is None or not days:
        return None
    cache.purge(clock.now())
    return CachingScorer(scorer, cache, clock.now, timedelta(days=days))


def write_cache_use(scored: Path, used: CachingScorer | None) -> None:
    """Beside the scores: how many the cache held, for the metrics; nothing where there is no cache."""
    path = scored.with_suffix(".cache.json")
    if used is None:
        path.unlink(missing_ok=True)
        return
    with replacing(path) as aside:
        aside.write_text(json.dumps({"hits": used.hits, "misses": used.misses}) + "\n", encoding="utf-8")


def read_cache_use(scored: Path) -> tuple[int, int] | None:
    """Hits and misses of the partition's scores; None: there was no cache."""
    path = scored.with_suffix(".cache.json")
    if not path.is_file():
        return None
    used = json.loads(path.read_text(encoding="utf-8"))
    return int(used["hits"]), int(used["misses"])


def models_of(scorer: Scorer) -> list[tuple[TrainedModel, str]]:
    """The trained models in a scorer, each with the column of its probabilities."""
    if isinstance(scorer, LocalScorer):
        return [(scorer.model, "probability")]
    if isinstance(scorer, CombinedScorer):
        return [
            (member.scorer.model, member.columns[0])
            for member in scorer.members
            if isinstance(member.scorer, LocalScorer)
        ]
    return []


def score(
    batch: Batch, accepted: pl.LazyFrame, features: Mapping[str, pl.LazyFrame], scorer: Scorer
) -> Iterator[pl.DataFrame]:
    """The accepted candidates with their features, probability, score, band and model version.

    `features`: by view, what `feature_stages.view_features` made of the accepted candidates.
    """
    names = list(dict.fromkeys(name for model in batch.program.scoring_models for name in model.features))
    stored = batch.source.feature_columns(names)
    for part in customer_ranges(accepted, "customer_id", max(batch.range_rows // 2, 1)):
        given = part.of(accepted).collect()
        # Joined to the keys alone, whose order is kept: little is in memory at once.
        entities = given.select("customer_id", "subject_id").lazy()
        for view in batch.program.used_views:
            known = part.of(features[view.view]) if "customer_id" in view.key_columns else features[view.view]
            entities = entities.join(known, on=list(view.key_columns), how="left", maintain_order="left")
        featured = entities.select("customer_id", "subject_id", *names).collect()
        shown = featured.select(pl.col(name).alias(column) for name, column in stored.items())
        scored = pl.concat([given, shown, scorer.score(featured)], how="horizontal")
        banded = as_frame(scored.lazy()).with_columns(
            band("score").alias("band"), nw.lit(scorer.version).alias("model_version")
        )
        yield banded.to_native().collect()


def drifts_of(scorer: Scorer, scored: pl.LazyFrame) -> list[ScoreDrift]:
    """Each model's probabilities against its reference population."""
    found = []
    for model, column in models_of(scorer):
        probabilities = scored.select(pl.col(column).cast(pl.Float64)).collect()[column].to_numpy()
        found.append(score_drift(model.reference, probabilities))
    return found


def defaults_of(scorer: Scorer, program: Program, features: Mapping[str, pl.LazyFrame]) -> list[DefaultShares]:
    """View by view, each model's shares of defaults against those of its examples."""
    found = []
    for model, _ in models_of(scorer):
        for view in program.used_views:
            names = [one.name for one in view.features if one.name in model.features]
            if names:
                flags = features[view.view].select(map(missing_flag, names)).collect()
                found.append(default_shares(flags, names, model.missing_shares))
    return found


def unseen_share(scorer: Scorer, scored: pl.LazyFrame, source: Source) -> float:
    """The largest share of candidates, over all text features, whose category no model has met."""
    stored = source.feature_columns(scorer.features)
    rows = scored.select(pl.col(column).alias(name) for name, column in stored.items()).collect()
    counts = scorer.unseen_categories(rows).values()
    return max(counts, default=0) / rows.height if rows.height else 0.0


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
