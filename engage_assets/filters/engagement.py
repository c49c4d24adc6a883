"""Engagement: engaged enough with what is asked about."""

import narwhals as nw

from engage_assets.domain.filter_specs import EngagementFilter
from engage_assets.domain.program import Program
from engage_assets.filters.clauses import Clause


def engagement(spec: EngagementFilter, program: Program) -> list[Clause]:
    """Clauses of the engagement filter; a score at the minimum passes, none refuses."""
    low = nw.col("engagement_score") < spec.parameters.min_engagement_score
    return [Clause("ENGAGEMENT_LOW", {f"{program.source_table}.engagement_score"}, low)]
