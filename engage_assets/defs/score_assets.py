"""Scores, and whether the model that gives them still fits."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import dagster as dg
import narwhals as nw
import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import scoring_stages
from engage_assets.defs.describe import markdown_table, mistakes_as_failures
from engage_assets.defs.desk import Desk, Result
from engage_assets.defs.sheets import asset_specs, features_name, program_sheets
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.ports import Clock, Scorer
from engage_assets.domain.program import Program
from engage_assets.domain.sources import SOURCES
from engage_assets.lake import Lake
from engage_assets.scoring.bands import histogram
from engage_assets.scoring.drift import ScoreDrift
from engage_assets.scoring.monitoring import DefaultShares

UNSEEN_SHARE: Final = 0.05
"""Share of candidates of categories that the model has not met, above which a batch deserves a look."""


def scores_asset(program: Program, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    """`scored_candidates` of `program`."""
    key = program_sheets(program)["scored_candidates"].asset_key

    @dg.multi_asset(
        name=f"{program.key}__score_candidates",
        specs=asset_specs(program, "scored_candidates"),
        check_specs=[
            dg.AssetCheckSpec(
                "scores_spread_as_in_training",
                asset=key,
                description="The probabilities are spread as those of the model's reference population: PSI at most"
                " 0.2, or chance.",
            ),
            dg.AssetCheckSpec(
                "features_are_known",
                asset=key,
                description="No feature falls to its default much oftener than among the examples it was learned from.",
            ),
            dg.AssetCheckSpec(
                "categories_are_known",
                asset=key,
                description="Candidates whose category the model has not met are scored as unknown: at most 5 %.",
            ),
        ],
    )
    def score_candidates(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
        models: dg.ResourceParam[Path],
        score_cache: dg.ResourceParam[Any],
        clock: dg.ResourceParam[Clock],
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        with mistakes_as_failures():
            batch = desk.batch(warehouse, marketplaces)
            scorer = scoring_stages.scorer_of(models, program)
            cached = scoring_stages.cached(scorer, score_cache, program, clock)
            features = {view.view: desk.read(features_name(view)) for view in program.used_views}
            accepted = desk.read("filtered_candidates")
            desk.write("scored_candidates", scoring_stages.score(batch, accepted, features, cached or scorer))
            scoring_stages.write_cache_use(desk.path("scored_candidates"), cached)
        scored = desk.read("scored_candidates")
        tenths = histogram(nw.from_native(scored)).to_native().collect()
        bands = scored.group_by("band").agg(candidates=pl.len()).sort("band").collect()
        metadata = {
            "bands": markdown_table(bands),
            "histogram": markdown_table(tenths.unpivot(variable_name="tenth of the score", value_name="candidates")),
            "model_version": scorer.version,
            **({"score_cache_hits": cached.hits, "score_cache_misses": cached.misses} if cached else {}),
        }
        yield desk.result("scored_candidates", metadata, _checks_of_scores(desk, program, scorer, features))

    return score_candidates


def _checks_of_scores(
    desk: Desk, program: Program, scorer: Scorer, features: Mapping[str, pl.LazyFrame]
) -> list[dg.AssetCheckResult]:
    """Whether the model in use still fits the partition; none of it stops anything."""
    scored = desk.read("scored_candidates")
    drifts = scoring_stages.drifts_of(scorer, scored)
    defaults = scoring_stages.defaults_of(scorer, program, features)
    unseen = scoring_stages.unseen_share(scorer, scored, SOURCES[program.source_table])
    found: list[tuple[str, bool, str]] = [
        ("scores_spread_as_in_training", any(one.is_alarming for one in drifts), _said(drifts)),
        ("features_are_known", any(one.is_alarming for one in defaults), _said(defaults)),
        (
            "categories_are_known",
            unseen > UNSEEN_SHARE,
            f"{unseen:.1%} of the candidates have a category not met before",
        ),
    ]
    return [
        desk.check("scored_candidates", name, passed=not alarms, metadata={"words": words}, warn=True)
        for name, alarms, words in found
    ]


def _said(findings: Sequence[ScoreDrift] | Sequence[DefaultShares]) -> str:
    return "; ".join(one.words for one in findings)
