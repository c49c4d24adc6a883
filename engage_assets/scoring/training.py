"""Training: examples with features in, a calibrated model with its reference population out."""

from datetime import date
from typing import Final

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from engage_assets.domain.errors import ModelError
from engage_assets.domain.program import ScoringModel
from engage_assets.scoring.trained_model import (
    TrainedModel,
    archive_of,
    inputs,
    library_versions,
    probabilities,
    version_of,
)

FITTING_SHARE: Final = 0.8
"""Share of the examples, earliest first, on which a model is fitted; the rest is its reference population."""
FEWEST_FITTING: Final = 20
FEWEST_VALIDATION: Final = 5
"""Examples of each class below which figures would be noise; also enough for every calibration fold."""


def train(model: ScoringModel, examples_with_features: pl.DataFrame, *, as_of: date) -> TrainedModel:
    """Fit and calibrate on the first 80 % of the examples by time, measure and rank on the rest.

    Columns: customer_id, subject_id, as_of, label (Boolean) and the model's features; features of type String
    are categories. Examples of one instant are never split, so the later part may be larger than 20 %. The same
    examples in any order give the same model on the same libraries, as all sums run in one thread.

    Raises ModelError when a feature is missing, or either part has too few examples with or without an answer.
    """
    # Costs over one CPU second, which loading the definitions should not pay.
    from engage_assets.scoring.pipelines import calibrated, measure  # noqa: PLC0415

    _require_columns(model, examples_with_features)
    fitting, validation = _split(examples_with_features.sort("as_of", "customer_id", "subject_id"))
    _require_both_classes(model, fitting, validation, as_of)
    texts = tuple(name for name in model.features if examples_with_features.schema[name] == pl.String)
    numbers = [name for name in model.features if name not in texts]
    with threadpool_limits(1):
        pipeline = calibrated(model.kind, texts, numbers)
        pipeline.fit(inputs(fitting, model.features, texts), fitting["label"].to_numpy())
        predicted = probabilities(pipeline, inputs(validation, model.features, texts))
    reference = np.sort(predicted)
    return TrainedModel(
        model_id=model.model_id,
        version=version_of(archive_of(pipeline), model.features, texts, reference),
        kind=model.kind,
        as_of=as_of,
        features=model.features,
        texts=texts,
        metrics=measure(validation["label"].to_numpy(), predicted),
        reference=reference,
        pipeline=pipeline,
        libraries=library_versions(),
    )


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
        raise ModelError(
            f"model {model.model_id} cannot be trained as of {as_of}: {found}. Only deliveries of the"
            f" {model.history_days} days before that date whose {model.label_days} days for an answer are over"
            " count; train at a later date, or raise historyDays or lower labelDays in the program file"
        )
