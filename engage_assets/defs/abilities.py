"""What this version can carry out, asked when program files are loaded. Knows nothing of Dagster."""

from pathlib import Path

from engage_assets.channels.email import template_ids
from engage_assets.filters import FILTERS
from engage_assets.programs import Abilities, ProgramFolder, documented_views, load_folder

MODELS = 8
"""Most models of a program."""


def abilities() -> Abilities:
    """The filters, features, templates, models and batches that the rooms below know."""
    return Abilities(
        filters=FILTERS.keys(),
        features=_documented_features(),
        templates=template_ids(),
        models=MODELS,
        periods=["daily"],
    )


def _documented_features() -> list[str]:
    return [feature.name for view in documented_views().values() for feature in view.features]


def load_programs(folder: Path) -> ProgramFolder:
    """The programs of `folder`. Raises ProgramFileError, also for what this version cannot carry out."""
    return load_folder(folder, abilities())
