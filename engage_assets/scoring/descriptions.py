"""What model.json holds: everything of a trained model but its pipeline."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.quick_trees import QuickTrees
from engage_assets.scoring.trained_model import TrainedModel

_COPIED: Final = (
    *("model_id", "version", "kind", "label", "examples", "data_hash", "code_version"),
    *("schema", "background", "missing_shares", "metrics", "libraries"),
)
_WRITTEN: Final = ("as_of", "window", "fitting_end", "features", "texts", "reference")
KEYS: Final = (*_COPIED, *_WRITTEN)
"""Every key of model.json."""


def describe(model: TrainedModel) -> dict[str, Any]:
    """The model as JSON takes it, its pipeline left out."""
    return {name: getattr(model, name) for name in _COPIED} | {
        "as_of": model.as_of.isoformat(),
        "window": [instant.isoformat() for instant in model.window],
        "fitting_end": model.fitting_end.isoformat(),
        "features": list(model.features),
        "texts": list(model.texts),
        "reference": model.reference.tolist(),
    }


def is_complete(described: Mapping[str, Any]) -> bool:
    """Whether a description is of this release."""
    return set(KEYS) <= described.keys()


def require_complete(described: Mapping[str, Any], file: Path, program_id: str) -> None:
    """Raise ModelError where a description lacks keys, as one of an earlier release does."""
    lacking = [key for key in KEYS if key not in described]
    if lacking:
        raise ModelError(
            f"{file} lacks {', '.join(lacking)}: an earlier release wrote it, and its model is not used any more;"
            f" run `engage train {program_id}`"
        )


def described_model(described: Mapping[str, Any], trees: QuickTrees | None, opened: Callable[[], Any]) -> TrainedModel:
    """The model that `describe` described, with its trees and what gives its pipeline."""
    return TrainedModel(
        **{name: described[name] for name in _COPIED},
        as_of=date.fromisoformat(described["as_of"]),
        window=window_of(described),
        fitting_end=datetime.fromisoformat(described["fitting_end"]),
        features=tuple(described["features"]),
        texts=tuple(described["texts"]),
        reference=np.array(described["reference"], dtype=np.float64),
        trees=trees,
        opened=opened,
    )


def window_of(described: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Instants of the first and the last example."""
    first, last = (datetime.fromisoformat(instant) for instant in described["window"])
    return first, last
