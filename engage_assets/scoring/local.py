"""Scores in this process, with a trained scikit-learn model."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.trained_model import TrainedModel, inputs, probabilities, ranks


@dataclass(frozen=True)
class LocalScorer:
    """Gives rows a probability and its rank in the model's reference population. Refuses no row."""

    model: TrainedModel
    batch_size: int
    """Rows per prediction; bounds memory, and changes no result."""

    @property
    def version(self) -> str:
        """The model's version."""
        return self.model.version

    def score(self, features: pl.DataFrame) -> pl.DataFrame:
        """`probability` and `score`, one row per input row, in order; more columns than the model takes may be there.

        Raises ModelError when a feature that the model takes is missing.
        """
        missing = [name for name in self.model.features if name not in features.columns]
        if missing:
            raise ModelError(
                f"model {self.model.model_id} (version {self.model.version}) takes {', '.join(missing)}, which the"
                f" rows lack; they have {', '.join(features.columns)}. Join the features, or train the model without"
            )
        rows = inputs(features, self.model.features, self.model.texts)
        # With more threads, starting them costs more than small batches take to predict.
        with threadpool_limits(1):
            batches = [probabilities(self.model.pipeline, batch) for batch in rows.iter_slices(self.batch_size)]
        predicted = np.concatenate([np.empty(0), *batches])
        return pl.DataFrame({"probability": predicted, "score": ranks(self.model.reference, predicted)})
