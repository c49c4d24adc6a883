"""A trained model: what decides its predictions, its version, and its file as bytes."""

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, cached_property
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile, ZipInfo

import numpy as np
import numpy.typing as npt
import polars as pl

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.quick_trees import QuickTrees

DECIMALS: Final = 6
"""Probabilities and scores are rounded half-even to this many decimals where they are made."""
FEWEST_EXPLORED: Final = 200
"""Rows drawn at random from which on they are measured, and models judged, apart from those that a model chose."""
_CODE: Final = (
    "calibration.py",
    "examples.py",
    "pipelines.py",
    "plain_trees.py",
    "quick_trees.py",
    "sent_examples.py",
    "trained_model.py",
    "training.py",
)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A calibrated classifier, the population by which its probabilities are ranked, and what it comes from."""

    model_id: str
    version: str
    """12 hex digits over everything that decides a prediction."""
    kind: str
    label: str
    """What an answer was: answered or reviewed."""
    as_of: date
    """The training date: nothing that happened later was seen."""
    window: tuple[datetime, datetime]
    """Instants of the first and the last example."""
    fitting_end: datetime
    """Instant of the last example on which it was fitted; the later ones are its reference population."""
    examples: int
    data_hash: str
    """16 hex digits over the examples: equal for equal keys, labels and features."""
    code_version: str
    """Of the code that chose the examples and trained: see `code_version`."""
    features: tuple[str, ...]
    texts: tuple[str, ...]
    """Those of `features` that are categories; the others are numbers."""
    schema: Mapping[str, str]
    """Polars type of each feature in the examples."""
    background: Mapping[str, float | str | None]
    """What is usual where it was fitted: the median of a number, the most frequent text; None: all null."""
    missing_shares: Mapping[str, float]
    """Share of the examples on which it was fitted of which nothing was known, by feature."""
    metrics: Mapping[str, float]
    """Measured on the reference population, which the fit has not seen; of the baseline on the same rows
    (`baseline_…`); of both on its explored rows where there are at least 200 (`exploration_…`)."""
    reference: Floats
    """Probabilities of the reference population, rounded, ascending."""
    trees: QuickTrees | None
    """The same classifier without scikit-learn; None: it is no such trees, and `pipeline` predicts."""
    opened: Callable[[], Any]
    """Gives the pipeline."""
    libraries: Mapping[str, str]
    baseline: Any = None
    """The baseline's pipeline on the same examples; only of a model that was just trained."""

    @cached_property
    def pipeline(self) -> Any:
        """The calibrated classifier of scikit-learn. Raises ModelError as `model_files.load` does."""
        return self.opened()


def library_versions() -> dict[str, str]:
    """Versions of the libraries whose code decides a prediction."""
    return {name: installed_version(name) for name in ("numpy", "scikit-learn", "skops")}


@cache
def code_version() -> str:
    """The package's version and 12 hex digits over the source that chooses examples, trains and predicts."""
    folder, digest = Path(__file__).parent, hashlib.sha256()
    for name in _CODE:
        digest.update((folder / name).read_bytes())
    return f"{installed_version('engage-assets')}+{digest.hexdigest()[:12]}"


def inputs(frame: pl.DataFrame, features: Sequence[str], texts: Sequence[str]) -> pl.DataFrame:
    """The columns of `features` as the pipelines take them: text, or Float64 with null for what is not finite.

    Raises ModelError where a text stands for a number, or a number for a text: nothing is scored by guess.
    """
    _require_kinds(frame, features, texts)
    return frame.select(
        pl.col(name).cast(pl.String)
        if name in texts
        else pl.when(pl.col(name).cast(pl.Float64).is_finite()).then(pl.col(name).cast(pl.Float64))
        for name in features
    )


def _require_kinds(frame: pl.DataFrame, features: Sequence[str], texts: Sequence[str]) -> None:
    wrong = [
        f"{name} is {kind}, and the model learned it as a {'text' if name in texts else 'number'}"
        for name in features
        for kind in [frame.schema[name]]
        # A column without any value may have no type.
        if kind != pl.Null
        and not (
            kind in (pl.String, pl.Categorical, pl.Enum) if name in texts else kind.is_numeric() or kind == pl.Boolean
        )
    ]
    if wrong:
        raise ModelError(
            f"features of another type than the model learned: {'; '.join(wrong)}. Join the features as their views"
            " declare them, or train the model again"
        )


def probabilities(pipeline: Any, rows: pl.DataFrame) -> Floats:
    """The calibrated probability of an answer for each row of `inputs`, rounded."""
    return rounded(pipeline.predict_proba(rows)[:, 1])


def rounded(probabilities: Floats) -> Floats:
    """Probabilities to DECIMALS, half-even."""
    found: Floats = np.round(probabilities, DECIMALS)
    return found


def ranks(reference: Floats, predicted: Floats) -> Floats:
    """The share of `reference` strictly below each probability, rounded. Both must be rounded already."""
    shares: Floats = np.round(np.searchsorted(reference, predicted, side="left") / len(reference), DECIMALS)
    return shares


def version_of(
    archive: bytes, trees: bytes | None, features: Sequence[str], texts: Sequence[str], reference: Floats
) -> str:
    """12 hex digits of SHA-256 over the model's files, the features that it takes, and its reference population.

    `trees`: the file of its plain trees, where it has one.
    """
    rest = json.dumps([list(features), list(texts), reference.tolist()])
    digests = b"".join(hashlib.sha256(file).digest() for file in (archive, trees) if file is not None)
    return hashlib.sha256(digests + rest.encode()).hexdigest()[:12]


def trees_file(trees: QuickTrees | None) -> bytes | None:
    """`trees` as JSON, without white space; equal trees give equal bytes."""
    return None if trees is None else (json.dumps(trees.content, separators=(",", ":")) + "\n").encode()


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
