"""A trained model: what decides its predictions, its version, and its file as bytes."""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version as installed_version
from typing import Any, Final
from zipfile import ZipFile, ZipInfo

import numpy as np
import numpy.typing as npt
import polars as pl

DECIMALS: Final = 6
"""Probabilities and scores are rounded half-even to this many decimals where they are made."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A calibrated classifier and the population by which its probabilities are ranked."""

    model_id: str
    version: str
    """12 hex digits over everything that decides a prediction."""
    kind: str
    as_of: date
    """The training date: nothing that happened later was seen."""
    features: tuple[str, ...]
    texts: tuple[str, ...]
    """Those of `features` that are categories; the others are numbers."""
    metrics: dict[str, float]
    """Measured on the reference population, the latest examples, which the fit has not seen."""
    reference: Floats
    """Probabilities of the reference population, rounded, ascending."""
    pipeline: Any
    libraries: dict[str, str]


def library_versions() -> dict[str, str]:
    """Versions of the libraries whose code decides a prediction."""
    return {name: installed_version(name) for name in ("numpy", "scikit-learn", "skops")}


def inputs(frame: pl.DataFrame, features: Sequence[str], texts: Sequence[str]) -> pl.DataFrame:
    """The columns of `features` as the pipelines take them: text, or Float64 with null for what is not finite."""
    numbers = [name for name in features if name not in texts]
    return frame.select(features).with_columns(
        pl.when(pl.col(name).cast(pl.Float64).is_finite()).then(pl.col(name).cast(pl.Float64)) for name in numbers
    )


def probabilities(pipeline: Any, rows: pl.DataFrame) -> Floats:
    """The calibrated probability of an answer for each row of `inputs`, rounded."""
    predicted: Floats = np.round(pipeline.predict_proba(rows)[:, 1], DECIMALS)
    return predicted


def ranks(reference: Floats, predicted: Floats) -> Floats:
    """The share of `reference` strictly below each probability, rounded. Both must be rounded already."""
    shares: Floats = np.round(np.searchsorted(reference, predicted, side="left") / len(reference), DECIMALS)
    return shares


def version_of(archive: bytes, features: Sequence[str], texts: Sequence[str], reference: Floats) -> str:
    """12 hex digits of SHA-256 over the model's file, the features that it takes, and its reference population."""
    rest = json.dumps([list(features), list(texts), reference.tolist()])
    return hashlib.sha256(hashlib.sha256(archive).digest() + rest.encode()).hexdigest()[:12]


def archive_of(pipeline: Any) -> bytes:
    """The skops file of `pipeline`, made so that equal models give equal bytes.

    skops names arrays and objects after their memory addresses and stamps the archive with the wall clock. Here
    arrays are named after their content, addresses are left out (skops uses them only to load a shared object
    once), and the time is the earliest that a zip file knows.
    """
    import skops.io  # noqa: PLC0415  over one CPU second, for training only

    with ZipFile(io.BytesIO(skops.io.dumps(pipeline))) as dumped:
        members = {name: dumped.read(name) for name in dumped.namelist()}
    schema = json.loads(members.pop("schema.json"))
    names = {
        name: f"{hashlib.sha256(content).hexdigest()}.{name.rpartition('.')[2]}" for name, content in members.items()
    }
    renamed = {names[name]: content for name, content in members.items()}
    renamed["schema.json"] = json.dumps(_without_addresses(schema, names), indent=1).encode()
    archive = io.BytesIO()
    with ZipFile(archive, "w") as written:
        for name in sorted(renamed):
            entry = ZipInfo(name)
            entry.create_system = 3  # else it differs between operating systems
            written.writestr(entry, renamed[name])
    return archive.getvalue()


def _without_addresses(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _without_addresses(value, names) for key, value in node.items() if key != "__id__"}
    if isinstance(node, list):
        return [_without_addresses(value, names) for value in node]
    return names.get(node, node) if isinstance(node, str) else node
