"""What this version can carry out, asked when program files are loaded. Knows nothing of Dagster."""

from pathlib import Path

from engage_assets.channels.banner_words import banner_types
from engage_assets.channels.editions import template_ids
from engage_assets.domain.errors import ModelError, ProgramFileError
from engage_assets.domain.feature_views import FeatureView
from engage_assets.features.store import needs
from engage_assets.filters import FILTERS
from engage_assets.programs import FEATURES_FILE, Abilities, ProgramFolder, documented_views, load_folder


def abilities() -> Abilities:
    """The filters, features, templates, banners, notices, models and batches that the rooms below know."""
    return Abilities(
        filters=FILTERS.keys(),
        features=_documented_features(),
        templates=template_ids("message"),
        banners=banner_types(),
        notices=template_ids("notice"),
        periods=["daily", "weekly"],
    )


def _documented_features() -> list[str]:
    return [feature.name for view in documented_views().values() for feature in view.features]


def load_programs(folder: Path) -> ProgramFolder:
    """The programs of `folder`. Raises ProgramFileError, also for what this version cannot carry out."""
    loaded = load_folder(folder, abilities())
    faults = [fault for view in loaded.views.values() if (fault := _fault_of(view))]
    if faults:
        raise ProgramFileError(*(f"{folder / FEATURES_FILE}: {fault}" for fault in faults))
    return loaded


def _fault_of(view: FeatureView) -> str | None:
    """What is wrong with a view's query, in words."""
    try:
        needs(view)
    except ModelError as error:
        return str(error)
    return None
