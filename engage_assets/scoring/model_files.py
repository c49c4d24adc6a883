"""Trained models in a folder: `<model_id>/<version>/model.skops` and `model.json`, and `<model_id>/champions.json`.

Of trees there is `trees.json` beside, by which they score without scikit-learn: `model.skops` is then opened only by
who asks for the pipeline. Loading runs no code from a file: skops builds objects of its known types and of
TRUSTED_TYPES only. Which version is in use is the registry's to say.
"""

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.descriptions import describe, described_model, require_complete
from engage_assets.scoring.quick_trees import QuickTrees
from engage_assets.scoring.trained_model import TrainedModel, archive_of, library_versions, trees_file, version_of

CHAMPIONS: Final = "champions.json"
"""Which versions were put into use, oldest first; the last one is in use."""
TREES: Final = "trees.json"
"""What `trees_file` writes."""
TRUSTED_TYPES: Final = (
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.model_selection._split.StratifiedKFold",
)
"""What our pipelines hold beyond the types that skops trusts by itself. None of them runs code of the file."""


def save(model: TrainedModel, folder: Path) -> Path:
    """Write `model` below `folder` and return its own folder. The same model gives the same bytes.

    Every file appears whole or not at all, `model.json` after those it describes. The model does not come into
    use by that: `registry.promote` puts it there.
    """
    own = folder / model.model_id / model.version
    own.mkdir(parents=True, exist_ok=True)
    _write(own / "model.skops", archive_of(model.pipeline))
    if (trees := trees_file(model.trees)) is not None:
        _write(own / TREES, trees)
    write_json(own / "model.json", describe(model))
    return own


def load(folder: Path, model_id: str, version: str | None = None) -> TrainedModel:
    """The model `version`, or the champion, out of the folder of a program's models (named after it).

    Raises ModelError when there is none, when an earlier release described it, when its files do not belong
    together, when they hold a type that is not trusted (of a model with trees once its pipeline is asked for), or
    when another release of scikit-learn made them.
    """
    own = folder / model_id / (version or current_version(folder, model_id))
    if not (own / "model.json").exists():
        raise _missing(folder, model_id, version)
    described = read_json(own / "model.json")
    require_complete(described, own / "model.json", folder.name)
    archive = (own / "model.skops").read_bytes() if (own / "model.skops").exists() else b""
    trees = (own / TREES).read_bytes() if (own / TREES).exists() else None
    reference = np.array(described["reference"], dtype=np.float64)
    made = version_of(archive, trees, described["features"], described["texts"], reference)
    if not made == described["version"] == own.name:
        raise ModelError(
            f"model {model_id}: the files in {own} do not belong together (changed, or copied in"
            f" part); delete the folder and run `engage train {folder.name}`"
        )
    _require_same_release(folder.name, model_id, described["libraries"])
    found = described_model(
        described, QuickTrees(json.loads(trees)) if trees else None, partial(_pipeline, archive, own, folder.name)
    )
    if not found.trees:
        _ = found.pipeline  # what cannot be opened is refused here
    return found


def _pipeline(archive: bytes, own: Path, program_id: str) -> Any:
    """The pipeline in a file's bytes. Raises ModelError where it holds a type that is not trusted."""
    import skops.io  # noqa: PLC0415  some CPU seconds, which neither definitions nor a batch by trees should pay

    untrusted = sorted(set(skops.io.get_untrusted_types(data=archive)) - set(TRUSTED_TYPES))
    if untrusted:
        raise ModelError(
            f"model {own.parent.name}: {own / 'model.skops'} holds {', '.join(untrusted)}, which no model of ours holds"
            f" and which is not loaded; find out who wrote the file, delete it and run `engage train {program_id}`"
        )
    return skops.io.loads(archive, trusted=TRUSTED_TYPES)


def import_libraries(folder: Path, model_ids: Sequence[str]) -> None:
    """Import what scoring by the models in use takes; a batch does so beside its first stage.

    SciPy's functions, a third of a CPU second; where a model has no trees, scikit-learn and skops, some seconds.
    """
    import scipy.special  # noqa: F401, PLC0415  see QuickTrees

    if all((folder / one / current_version(folder, one) / TREES).exists() for one in model_ids):
        return
    import skops.io  # noqa: F401, PLC0415  see _pipeline


def current_version(folder: Path, model_id: str) -> str:
    """The version in use, without loading it. Raises ModelError when none was put into use."""
    acts = champion_acts(folder, model_id)
    if not acts:
        raise _missing(folder, model_id, None)
    return str(acts[-1]["version"])


def champion_acts(folder: Path, model_id: str) -> list[dict[str, str]]:
    """Each act that put a version into use, oldest first: act, version, who, at, why."""
    history = folder / model_id / CHAMPIONS
    acts: list[dict[str, str]] = read_json(history) if history.exists() else []
    return acts


def _missing(folder: Path, model_id: str, version: str | None) -> ModelError:
    if version:
        what, remedy = f"version {version} of {model_id}", f"run `engage train {folder.name}`"
    else:
        what = f"a trained model of {model_id} in use"
        remedy = f"run `engage train {folder.name}`, or promote a version that is there"
    return ModelError(f"{folder / model_id} does not hold {what}; {remedy}")


def _require_same_release(program_id: str, model_id: str, libraries: Mapping[str, str]) -> None:
    made, present = (versions["scikit-learn"] for versions in (libraries, library_versions()))
    # scikit-learn promises the same predictions within a feature release only.
    if made.split(".")[:2] != present.split(".")[:2]:
        raise ModelError(
            f"model {model_id} was trained with scikit-learn {made}, and {present} is installed, which may predict"
            f" otherwise; run `engage train {program_id}`"
        )


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys; the file appears whole or not at all."""
    _write(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    """Write through a temporary file beside `path`, so that nobody sees half of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)
