"""What this version can carry out, asked when program files are loaded. Knows nothing of Dagster."""

from pathlib import Path

from engage_assets.channels.email import template_ids
from engage_assets.filters import FILTERS
from engage_assets.programs import Abilities, ProgramFolder, load_folder
from engage_assets.scoring.features import FEATURES


def abilities() -> Abilities:
    """The filters, features, templates, models and batches that the rooms below know."""
    return Abilities(
        filters=FILTERS.keys(), features=FEATURES.keys(), templates=template_ids(), models=1, periods=["daily"]
    )


def load_programs(folder: Path) -> ProgramFolder:
    """The programs of `folder`. Raises ProgramFileError, also for what this version cannot carry out."""
    return load_folder(folder, abilities())
