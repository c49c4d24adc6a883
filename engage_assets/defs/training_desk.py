"""What the assets of training share: their day, and how they are described."""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from engage_assets.defs.describe import lineage_of, schema_of
from engage_assets.defs.sheets import GIVEN_RESPONSES, SEND_EVENTS, Key
from engage_assets.domain.ports import Clock
from engage_assets.domain.program import Program
from engage_assets.domain.tables import RESPONSES_LOG, SENDS_LOG, Column


class TrainingConfig(dg.Config):
    """How a model is trained."""

    as_of: str | None = None
    """Only what was known by this day (ISO date, UTC) is learned from; default: today, by the clock."""


def as_of_day(config: TrainingConfig, clock: Clock) -> date:
    """The training date."""
    return date.fromisoformat(config.as_of) if config.as_of else clock.now().date()


def training_spec(
    program: Program,
    key: Key,
    description: str,
    grain: str,
    deps: list[Key],
    kinds: set[str],
    columns: Sequence[Column] = (),
) -> dg.AssetSpec:
    """An asset of training; with `columns` it has a schema and their lineage."""
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
