"""Scores in this process, with a trained scikit-learn model."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.trained_model import Floats, TrainedModel, inputs, probabilities, ranks, rounded

SLICE_ROWS: Final = 25_000
"""Rows that a thread predicts at once: few enough for a processor's cache. It bounds memory, and changes no result."""


@dataclass(frozen=True)
class LocalScorer:
    """Gives rows a probability and its rank in the model's reference population. Refuses no row."""

    model: TrainedModel
    slice_rows: int = SLICE_ROWS

    @property
    def version(self) -> str:
        """The model's version."""
        return self.model.version

    @property
    def features(self) -> tuple[str, ...]:
        """Columns that the model takes."""
        return self.model.features

    @property
    def columns(self) -> tuple[str, ...]:
        """`probability` and `score`."""
        return ("probability", "score")

    def score(self, features: pl.DataFrame) -> pl.DataFrame:
        """See Scorer. A category that the model has not met is scored as unknown, as null is.

        Raises ModelError when a feature that the model takes is missing, or of another type than it learned from.
        """
        given = taken(self.model, features)
        parts = given.iter_slices(self.slice_rows)
        # Slices side by side, each in one thread: preparing one goes on while others are predicted.
        with threadpool_limits({"blas": 1}), ThreadPoolExecutor(pl.thread_pool_size()) as threads:
            spread = map if given.height <= self.slice_rows else threads.map
            predicted = np.concatenate([np.empty(0), *spread(self._predict, parts)])
        return pl.DataFrame({"probability": predicted, "score": ranks(self.model.reference, predicted)})

    def unseen_categories(self, features: pl.DataFrame) -> dict[str, int]:
        """See Scorer."""
        given = taken(self.model, features)
        return {
            name: int((given[name].is_not_null() & ~given[name].cast(pl.String).is_in(categories)).sum())
            for name, categories in known_categories(self.model).items()
        }

    def _predict(self, part: pl.DataFrame) -> Floats:
        rows = inputs(part, self.model.features, self.model.texts)
        if self.model.trees:
            return rounded(self.model.trees.probabilities(rows))
        with threadpool_limits({"openmp": 1}):  # in each thread: starting more costs more than predicting
            return probabilities(self.model.pipeline, rows)


def taken(model: TrainedModel, rows: pl.DataFrame) -> pl.DataFrame:
    """The columns of `rows` that `model` takes, in its order. Raises ModelError naming those that are missing."""
    missing = [name for name in model.features if name not in rows.columns]
    if missing:
        raise ModelError(
            f"model {model.model_id} (version {model.version}) takes {', '.join(missing)}, which the"
            f" rows lack; they have {', '.join(rows.columns)}. Join the features, or train the model without"
        )
    return rows.select(model.features)


def fitted_pipeline(model: TrainedModel) -> Any:
    """The one fitted pipeline (columns, then classifier) below the calibration, and its calibrator."""
    (calibrated,) = model.pipeline.calibrated_classifiers_
    return calibrated.estimator, calibrated.calibrators[0]


def known_categories(model: TrainedModel) -> dict[str, list[str]]:
    """By text feature the categories that the model met in training, sorted."""
    if model.trees:
        return model.trees.categories
    if not model.texts:
        return {}
    pipeline, _ = fitted_pipeline(model)
    met = pipeline[0].named_transformers_["text"].categories_
    return {
        name: sorted(category for category in categories if isinstance(category, str))
        for name, categories in zip(model.texts, met, strict=True)
    }
