"""What a model card tells of one version of a model, and how it is gathered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from engage_assets.scoring.curves import Curves, Floats, curves
from engage_assets.scoring.evaluation import Verdict
from engage_assets.scoring.importance import Importance, permutation_importance
from engage_assets.scoring.limits import limits_of
from engage_assets.scoring.slices import Slice, slices
from engage_assets.scoring.trained_model import TrainedModel, inputs, probabilities

_BASELINE: Final = "baseline_"

Metrics = Mapping[str, float]


@dataclass(frozen=True)
class CardFeature:
    """A feature that the model takes; `missing`: the share of training examples of which nothing was known."""

    name: str
    type: str
    description: str
    missing: float | None


@dataclass(frozen=True)
class ModelCard:
    """All that a card tells. Holds figures and words only, nothing about a customer."""

    model_id: str
    version: str
    kind: str
    label: str
    """answered or reviewed, as the program file states it."""
    as_of: date
    window: tuple[datetime, datetime]
    """Instants of the first and the last example."""
    fitting_end: datetime
    """The rows that it was judged on are later."""
    examples: int
    data_hash: str
    code_version: str
    libraries: Mapping[str, str]
    hyperparameters: Mapping[str, float]
    """Those that the program file sets."""
    features: tuple[CardFeature, ...]
    metrics: Metrics
    """On the rows that it was judged on; `exploration_…`: on those of them that were drawn at random."""
    baseline: Metrics
    """The same of the baseline, under the same names."""
    verdict: Verdict | None
    """None: no gate stands before its use."""
    curves: Curves
    importance: tuple[Importance, ...]
    slices: tuple[Slice, ...]
    limits: tuple[str, ...]
    declared_clock: datetime | None
    """What a demonstration's clock showed; None: the real one."""


def card_of(
    model: TrainedModel,
    verdict: Verdict | None,
    judged: pl.DataFrame,
    *,
    descriptions: Mapping[str, str],
    hyperparameters: Mapping[str, float],
    seed: int,
    declared_clock: datetime | None = None,
) -> ModelCard:
    """Gather the card of `model`.

    `judged`: the examples later than its fit (`gate.judged_rows(examples, None, model)`), with the model's features
    and `label`; `is_exploration` and `marketplace` are read where they are there. At least one row of each label.
    `descriptions`: of features, by name. `seed` decides the
    shuffles that measure what features are worth, and draws of labels.
    """

    def predict(rows: pl.DataFrame) -> Floats:
        with threadpool_limits(1):
            return probabilities(model.pipeline, inputs(rows, model.features, model.texts))

    labels, predicted = judged["label"].to_numpy().astype(np.bool_), predict(judged)
    places = judged["marketplace"].to_list() if "marketplace" in judged else []
    parts = slices(labels, predicted, places, seed=seed) if places else ()
    return ModelCard(
        model_id=model.model_id,
        version=model.version,
        kind=model.kind,
        label=model.label,
        as_of=model.as_of,
        window=model.window,
        fitting_end=model.fitting_end,
        examples=model.examples,
        data_hash=model.data_hash,
        code_version=model.code_version,
        libraries=model.libraries,
        hyperparameters=hyperparameters,
        features=tuple(
            CardFeature(
                name=name,
                type="text" if name in model.texts else "number",
                description=descriptions.get(name, ""),
                missing=model.missing_shares.get(name),
            )
            for name in model.features
        ),
        metrics={name: value for name, value in model.metrics.items() if not name.startswith(_BASELINE)},
        baseline={
            name.removeprefix(_BASELINE): value for name, value in model.metrics.items() if name.startswith(_BASELINE)
        },
        verdict=verdict,
        curves=curves(labels, predicted),
        importance=permutation_importance(predict, judged, labels, model.features, seed=seed),
        slices=parts,
        limits=limits_of(label=model.label, explored_rows=_explored(judged), slices=parts),
        declared_clock=declared_clock,
    )


def _explored(judged: pl.DataFrame) -> int:
    return int(judged["is_exploration"].sum()) if "is_exploration" in judged else 0
