"""A freshly trained model before its judge: which rows may be compared, and what each model makes of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.evaluation import FEWEST_JUDGED, Verdict, evaluate
from engage_assets.scoring.trained_model import FEWEST_EXPLORED, Floats, TrainedModel, inputs, probabilities

SEED: Final = 20_260_301
"""Of the resamples, where a caller has no wish: one seed for all models, so that a verdict can be repeated."""


def judged_rows(examples: pl.DataFrame, champion: TrainedModel | None, challenger: TrainedModel) -> pl.DataFrame:
    """The examples that are later than every example on which the champion or the challenger was fitted.

    A model also has a reference population, by which its scores are ranked, and was itself judged on it; its
    probabilities, which are compared here, do not depend on it.
    """
    ends = [model.fitting_end for model in (champion, challenger) if model is not None]
    return examples.filter(pl.col("as_of") > max(ends))


def features_of(*models: TrainedModel | None) -> tuple[str, ...]:
    """The features that the examples need to be judged by all of `models`, each once."""
    return tuple(dict.fromkeys(name for model in models if model is not None for name in model.features))


def judge(
    challenger: TrainedModel,
    champion: TrainedModel | None,
    examples: pl.DataFrame,
    *,
    metric: str,
    seed: int = SEED,
    faults: Sequence[str] = (),
) -> Verdict:
    """Whether `challenger`, as `train` gave it, may be put into use instead of `champion`, by `evaluate`.

    `examples` are those that it was trained on, with the features of both models (`features_of`). Of the later rows
    those are compared that were drawn at random (`is_exploration`), where there are enough: among rows that the
    champion chose, its own probabilities differ little, which would flatter every other model. A champion that takes
    a feature which the examples lack cannot be compared, and the verdict says so: a person may then promote by hand.
    Raises ModelError for a challenger that was loaded from a file: its baseline is not kept.
    """
    if challenger.baseline is None:
        raise ModelError(
            f"model {challenger.model_id} (version {challenger.version}) comes from a file and has no baseline beside"
            " it; judge what train() returned"
        )
    later = judged_rows(examples, champion, challenger).sort("as_of", "customer_id", "subject_id")
    rows = _drawn_at_random(later)
    lacking = [name for name in features_of(champion) if name not in rows.columns]
    if champion is not None and lacking:
        words = (
            f"the champion {champion.version} takes {', '.join(lacking)}, which the examples lack, so nothing can be"
            " compared; promote by hand if the feature is gone for good"
        )
        return Verdict(deploy=False, metric=metric, reasons=(words, *faults), figures={}, against=champion.version)
    verdict = evaluate(
        _predicted(challenger, rows),
        None if champion is None else _predicted(champion, rows),
        _predicted(challenger, rows, challenger.baseline),
        rows["label"].to_numpy().astype(np.bool_),
        rows["customer_id"],
        metric=metric,
        seed=seed,
        faults=faults,
    )
    return replace(
        verdict,
        against=None if champion is None else champion.version,
        population="all" if rows is later else "explored",
    )


def _drawn_at_random(rows: pl.DataFrame) -> pl.DataFrame:
    """The explored rows where they are enough to judge by, else all."""
    if "is_exploration" not in rows.columns:
        return rows
    explored = rows.filter(pl.col("is_exploration").fill_null(value=False))
    answered = int(explored["label"].sum())
    enough = explored.height >= FEWEST_EXPLORED and min(answered, explored.height - answered) >= FEWEST_JUDGED
    return explored if enough else rows


def _predicted(model: TrainedModel, rows: pl.DataFrame, pipeline: Any = None) -> Floats:
    """What a model, or another pipeline on its features, says of the rows."""
    if rows.is_empty():
        return np.empty(0)
    with threadpool_limits(1):
        return probabilities(
            model.pipeline if pipeline is None else pipeline, inputs(rows, model.features, model.texts)
        )
