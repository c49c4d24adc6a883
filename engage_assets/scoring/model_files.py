"""Trained models in a folder: `<model_id>/<version>/model.skops` and `model.json`, and `<model_id>/current.json`.

Loading runs no code from a file: skops builds objects of its known types and of TRUSTED_TYPES only.
"""

import json
import os
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.trained_model import TrainedModel, archive_of, library_versions, version_of

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

    Every file appears whole or not at all, `model.json` after the file it describes and the pointer last. The
    pointer moves only to a model that was trained as of the same or a later date, so that rebuilding an old
    model does not put it into use.
    """
    own = folder / model.model_id / model.version
    own.mkdir(parents=True, exist_ok=True)
    _write(own / "model.skops", archive_of(model.pipeline))
    described = {
        "model_id": model.model_id,
        "version": model.version,
        "kind": model.kind,
        "as_of": model.as_of.isoformat(),
        "features": list(model.features),
        "texts": list(model.texts),
        "metrics": model.metrics,
        "libraries": model.libraries,
        "reference": model.reference.tolist(),
    }
    _write_json(own / "model.json", described)
    pointer = folder / model.model_id / "current.json"
    if not pointer.exists() or _read_json(pointer)["as_of"] <= model.as_of.isoformat():
        _write_json(pointer, {"version": model.version, "as_of": model.as_of.isoformat()})
    return own


def load(folder: Path, model_id: str, version: str | None = None) -> TrainedModel:
    """The model `version`, or the current one, out of the folder of a program's models (named after it).

    Raises ModelError when there is none, when its files do not belong together, when they hold a type that is
    not trusted, or when another release of scikit-learn made them.
    """
    import skops.io  # noqa: PLC0415  over one CPU second, which loading the definitions should not pay

    own = folder / model_id / (version or current_version(folder, model_id))
    if not (own / "model.json").exists():
        raise _missing(folder, model_id, version)
    described = _read_json(own / "model.json")
    archive = (own / "model.skops").read_bytes() if (own / "model.skops").exists() else b""
    reference = np.array(described["reference"], dtype=np.float64)
    if version_of(archive, described["features"], described["texts"], reference) != described["version"]:
        raise ModelError(
            f"model {model_id}: model.skops and model.json in {own} do not belong together (changed, or copied in"
            f" part); delete the folder and run `engage train {folder.name}`"
        )
    _require_same_release(folder.name, model_id, described["libraries"])
    untrusted = sorted(set(skops.io.get_untrusted_types(data=archive)) - set(TRUSTED_TYPES))
    if untrusted:
        raise ModelError(
            f"model {model_id}: {own / 'model.skops'} holds {', '.join(untrusted)}, which no model of ours holds and"
            f" which is not loaded; find out who wrote the file, delete it and run `engage train {folder.name}`"
        )
    return TrainedModel(
        model_id=described["model_id"],
        version=described["version"],
        kind=described["kind"],
        as_of=date.fromisoformat(described["as_of"]),
        features=tuple(described["features"]),
        texts=tuple(described["texts"]),
        metrics=described["metrics"],
        reference=reference,
        pipeline=skops.io.loads(archive, trusted=TRUSTED_TYPES),
        libraries=described["libraries"],
    )


def current_version(folder: Path, model_id: str) -> str:
    """The version in use, without loading it. Raises ModelError when none was trained."""
    pointer = folder / model_id / "current.json"
    if not pointer.exists():
        raise _missing(folder, model_id, None)
    return str(_read_json(pointer)["version"])


def _missing(folder: Path, model_id: str, version: str | None) -> ModelError:
    what = f"version {version}" if version else "a trained model"
    return ModelError(f"{folder / model_id} does not hold {what} of {model_id}; run `engage train {folder.name}`")


def _require_same_release(program_id: str, model_id: str, libraries: dict[str, str]) -> None:
    made, present = (versions["scikit-learn"] for versions in (libraries, library_versions()))
    # scikit-learn promises the same predictions within a feature release only.
    if made.split(".")[:2] != present.split(".")[:2]:
        raise ModelError(
            f"model {model_id} was trained with scikit-learn {made}, and {present} is installed, which may predict"
            f" otherwise; run `engage train {program_id}`"
        )


def _read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _write_json(path: Path, content: dict[str, Any]) -> None:
    _write(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    """Write through a temporary file beside `path`, so that nobody sees half of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)
