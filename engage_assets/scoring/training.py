"""Training: examples with features in, a calibrated model with its reference population out."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from engage_assets.domain.errors import ModelError
from engage_assets.domain.feature_views import missing_flag
from engage_assets.domain.program import ScoringModel
from engage_assets.scoring.limits import UNASKED
from engage_assets.scoring.quick_trees import QuickTrees
from engage_assets.scoring.trained_model import (
    FEWEST_EXPLORED,
    Floats,
    TrainedModel,
    archive_of,
    code_version,
    inputs,
    library_versions,
    probabilities,
    rounded,
    trees_file,
    version_of,
)

FITTING_SHARE: Final = 0.8
"""Share of the examples, earliest first, on which a model is fitted; the rest is its reference population."""
FEWEST_FITTING: Final = 20
FEWEST_VALIDATION: Final = 5
"""Examples of each class below which figures would be noise; also enough for every calibration fold."""
_KEYS: Final = ("as_of", "customer_id", "subject_id")
_HASHED_AT_ONCE: Final = 100_000


def train(model: ScoringModel, examples_with_features: pl.DataFrame, *, as_of: date) -> TrainedModel:
    """Fit and calibrate on the first 80 % of the examples by time, measure and rank on the rest.

    Columns: customer_id, subject_id, as_of, label (Boolean) and the model's features; features of type String
    are categories. is_exploration and the flags `<feature>_missing` are read where they are there. Examples of one
    instant are never split, so the later part may be larger than 20 %. The same examples in any order give the same
    model on the same libraries, as all sums run in one thread. A logistic regression, fitted on the same examples
    and measured on the same later ones, stands beside it as the baseline.

    Raises ModelError when a feature is missing, either part has too few examples with or without an answer, or a
    hyperparameter cannot be.
    """
    # Costs over one CPU second, which loading the definitions should not pay.
    from engage_assets.scoring.pipelines import BASELINE  # noqa: PLC0415

    _require_columns(model, examples_with_features)
    ordered = examples_with_features.sort(_KEYS)
    fitting, validation = _split(ordered)
    _require_both_classes(model, fitting, validation, as_of)
    texts = tuple(name for name in model.features if ordered.schema[name] == pl.String)
    given, later = (inputs(part, model.features, texts) for part in (fitting, validation))
    with threadpool_limits(1):
        pipeline = _fitted(model.kind, model.hyperparameters, given, texts, fitting["label"])
        baseline = _fitted(BASELINE, {}, given, texts, fitting["label"])
        predicted, rival = probabilities(pipeline, later), probabilities(baseline, later)
    reference = np.sort(predicted)
    trees = _trees(pipeline, later, predicted)
    return TrainedModel(
        model_id=model.model_id,
        version=version_of(archive_of(pipeline), trees_file(trees), model.features, texts, reference),
        kind=model.kind,
        label=model.label,
        as_of=as_of,
        window=(ordered["as_of"][0], ordered["as_of"][-1]),
        fitting_end=fitting["as_of"][-1],
        examples=ordered.height,
        data_hash=data_hash(ordered, model.features),
        code_version=code_version(),
        features=model.features,
        texts=texts,
        schema={name: str(ordered.schema[name]) for name in model.features},
        background={name: _typical(given[name]) for name in model.features},
        missing_shares={name: _missing_share(fitting, name) for name in model.features},
        metrics=_metrics(validation, predicted, rival),
        reference=reference,
        trees=trees,
        opened=lambda: pipeline,
        libraries=library_versions(),
        baseline=baseline,
    )


def data_hash(examples: pl.DataFrame, features: Sequence[str]) -> str:
    """16 hex digits of SHA-256 over the examples' keys, labels and features, as CSV in the order of their keys."""
    rows = examples.select(*_KEYS, "label", *features).sort(_KEYS)
    digest = hashlib.sha256()
    for place, part in enumerate(rows.iter_slices(_HASHED_AT_ONCE)):
        digest.update(part.write_csv(include_header=not place).encode())
    return digest.hexdigest()[:16]


def _fitted(
    kind: str, settings: Mapping[str, float], given: pl.DataFrame, texts: tuple[str, ...], label: pl.Series
) -> Any:
    from engage_assets.scoring.pipelines import calibrated  # noqa: PLC0415  as in train

    numbers = [name for name in given.columns if name not in texts]
    return calibrated(kind, texts, numbers, settings).fit(given, label.to_numpy())


def _trees(pipeline: Any, later: pl.DataFrame, predicted: Floats) -> QuickTrees | None:
    """The pipeline's trees without scikit-learn; none where they would say anything else of the later rows."""
    from engage_assets.scoring.plain_trees import plain  # noqa: PLC0415  as in train

    content = plain(pipeline)
    trees = QuickTrees(content) if content else None
    return trees if trees and np.array_equal(rounded(trees.probabilities(later)), predicted) else None


def _metrics(validation: pl.DataFrame, predicted: Floats, rival: Floats) -> dict[str, float]:
    """Of the model and, as `baseline_…`, of the baseline; likewise on explored rows (`exploration_…`) if enough."""
    from engage_assets.scoring.pipelines import measure  # noqa: PLC0415  as in train

    labels = validation["label"].to_numpy()
    measured = measure(labels, predicted) | _named("baseline_", measure(labels, rival))
    if "is_exploration" not in validation:
        return measured
    rows = validation["is_exploration"].fill_null(value=False).to_numpy()
    if rows.sum() < FEWEST_EXPLORED or not 0 < labels[rows].sum() < rows.sum():
        return measured
    return (
        measured
        | _named("exploration_", measure(labels[rows], predicted[rows]))
        | _named("baseline_exploration_", measure(labels[rows], rival[rows]))
    )


def _named(prefix: str, measured: Mapping[str, float]) -> dict[str, float]:
    return {prefix + name: value for name, value in measured.items()}


def _typical(values: pl.Series) -> float | str | None:
    """The median of numbers, the most frequent of texts (of several the first by name); None: all null."""
    known = values.drop_nulls()
    if known.is_empty():
        return None
    if known.dtype == pl.String:
        return str(known.mode().sort()[0])
    return float(np.median(known.to_numpy()))


def _missing_share(rows: pl.DataFrame, feature: str) -> float:
    """Share of rows of which nothing was known: by the feature's flag, else by its nulls."""
    flag = missing_flag(feature)
    known_not = rows[flag] if flag in rows else rows[feature].is_null()
    return round(int(known_not.sum()) / rows.height, 6)


def _require_columns(model: ScoringModel, frame: pl.DataFrame) -> None:
    missing = [name for name in ("customer_id", "subject_id", "as_of", "label", *model.features) if name not in frame]
    if missing:
        raise ModelError(
            f"model {model.model_id}: the examples lack {', '.join(missing)}; there are {', '.join(frame.columns)}"
        )


def _split(examples: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The examples before the instant at 80 %, and those from it on."""
    if examples.is_empty():
        return examples, examples
    first_later = examples["as_of"][int(examples.height * FITTING_SHARE)]
    return examples.filter(pl.col("as_of") < first_later), examples.filter(pl.col("as_of") >= first_later)


def _require_both_classes(model: ScoringModel, fitting: pl.DataFrame, validation: pl.DataFrame, as_of: date) -> None:
    parts = (("fitting", fitting, FEWEST_FITTING), ("validation", validation, FEWEST_VALIDATION))
    counted = []
    for name, part, fewest in parts:
        answered = int(part["label"].sum())
        counted.append((name, answered, part.height - answered, fewest))
    if any(min(answered, silent) < fewest for _, answered, silent, fewest in counted):
        found = "; ".join(
            f"{name}: {answered} with and {silent} without an answer (at least {fewest} of each needed)"
            for name, answered, silent, fewest in counted
        )
        asked = "Only records" if model.label in UNASKED.values() else "Only sends"
        raise ModelError(
            f"model {model.model_id} cannot be trained as of {as_of}: {found}. {asked} of the"
            f" {model.history_days} days before that date whose {model.label_days} days for an answer are over"
            " count; train at a later date, or raise historyDays or lower labelDays in the program file"
        )
