"""Frequency cap: no more requests than the customer's quota in the rolling window."""

import narwhals as nw

from engage_assets.domain.filter_specs import FrequencyCapFilter
from engage_assets.domain.program import Program
from engage_assets.filters.clauses import Clause


def frequency_cap(spec: FrequencyCapFilter, program: Program) -> list[Clause]:  # noqa: ARG001 - filters are called alike
    """Refuses customers whose quota is used up; within the batch the cap acts at the list (docs/decisions.md, 5)."""
    return [Clause("FREQUENCY_CAP", {"send_events.send_id"}, nw.col("used") >= spec.parameters.maximum)]
