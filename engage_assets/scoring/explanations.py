"""Why a model gave a row its probability: what each feature adds to the log odds.

Both ways add up: the base and all contributions are the log odds of the probability (to rounding).

- Logistic regression, exactly: coefficient × (value − usual value), after the calibration; the base is the log odds
  of a row whose features all have their usual value. The model has no interactions, so nothing is shared.
- Gradient-boosted trees, along their paths (A. Saabas, "Interpreting random forests", 2014): at each split of a
  tree the mean of its training rows moves, and the move is the split feature's; the base is the mean of all training
  rows. It costs about one prediction. Features that matter only together share by the order of splits: it says what
  the trees did, not what a change of one feature would do.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.local import LocalScorer, fitted_pipeline, taken
from engage_assets.scoring.trained_model import DECIMALS, Floats, TrainedModel, inputs

METHODS: Final = {
    "logistic-regression": "coefficient times distance from the usual value: exact",
    "gradient-boosted-trees": "how the mean moves along the paths through the trees",
}
"""How contributions are made, by kind of model, in words."""

Value = float | str | None
"""Of a feature; None: not known."""


@dataclass(frozen=True)
class Contribution:
    """One feature of a row."""

    feature: str
    value: Value
    usual: Value
    """Median of a number, most frequent category, of the rows that the model learned from."""
    log_odds: float
    """What it adds to the log odds: above 0 speaks for an answer."""


@dataclass(frozen=True)
class Explanation:
    """Why one model gave one row its probability."""

    model_id: str
    version: str
    method: str
    """One of METHODS."""
    base: float
    """Log odds before anything is known of the row."""
    contributions: tuple[Contribution, ...]
    """Of every feature that the model takes, the largest first."""
    probability: float
    score: float


def explain(model: TrainedModel, row: pl.DataFrame) -> Explanation:
    """Why `model` gives the one row of `row` its probability.

    Raises ModelError when there is another number of rows, or a feature is missing or of another type.
    """
    given = taken(model, row)
    if row.height != 1:
        raise ModelError(f"an explanation is of one row, and {row.height} were given")
    base, added = _WAYS[model.kind](model, inputs(given, model.features, model.texts))
    values = given.row(0, named=True)
    contributions = [
        Contribution(name, values[name], model.background[name], round(log_odds, DECIMALS))
        for name, log_odds in added.items()
    ]
    scored = LocalScorer(model).score(row)
    return Explanation(
        model_id=model.model_id,
        version=model.version,
        method=METHODS[model.kind],
        base=round(base, DECIMALS),
        contributions=tuple(sorted(contributions, key=lambda one: (-abs(one.log_odds), one.feature))),
        probability=float(scored["probability"][0]),
        score=float(scored["score"][0]),
    )


def _by_replacement(model: TrainedModel, row: pl.DataFrame) -> tuple[float, dict[str, float]]:
    """The log odds of the usual row, and what each feature's own value in its place adds. Exact for a linear model."""
    pipeline, calibrator = fitted_pipeline(model)
    usual = pl.DataFrame({name: [model.background[name]] for name in row.columns}, schema=row.schema)
    rows = pl.concat([usual, *(usual.with_columns(row[name]) for name in model.features)])
    base, *replaced = _calibrated(calibrator, pipeline.decision_function(rows)).tolist()
    return base, {name: moved - base for name, moved in zip(model.features, replaced, strict=True)}


def _along_paths(model: TrainedModel, row: pl.DataFrame) -> tuple[float, dict[str, float]]:
    """The mean of the training rows, and how the splits on each feature move it to the row's leaves."""
    pipeline, calibrator = fitted_pipeline(model)
    columns, trees = pipeline[:-1], pipeline[-1]
    values = np.asarray(columns.transform(row), dtype=np.float64)[0]
    added = np.zeros(len(values))
    # scikit-learn shows its trees in no other way; a test holds their sum against its own prediction.
    roots = [_walk(tree.nodes, values, added) for (tree,) in trees._predictors]  # noqa: SLF001
    base = float(trees._baseline_prediction.item()) + sum(roots)  # noqa: SLF001
    start, end = _calibrated(calibrator, np.array([base, base + 1])).tolist()
    names = [name.partition("__")[2] for name in columns.get_feature_names_out()]
    by_name = dict(zip(names, ((end - start) * added).tolist(), strict=True))
    return start, {name: by_name[name] for name in model.features}


_WAYS: Final = {"logistic-regression": _by_replacement, "gradient-boosted-trees": _along_paths}


def _walk(nodes: Any, values: Floats, added: Floats) -> float:
    """Go through one tree with `values`; add to `added`, by column, how the mean moves. Returns the mean at the root.

    Leaves hold what they add to the log odds; an inner node's mean is that of its leaves, weighted by training rows.
    """
    means = _means(nodes)
    place = 0
    while not nodes["is_leaf"][place]:
        column = int(nodes["feature_idx"][place])
        goes_left = values[column] <= nodes["num_threshold"][place]
        if np.isnan(values[column]):
            goes_left = bool(nodes["missing_go_to_left"][place])
        following = int(nodes["left" if goes_left else "right"][place])
        added[column] += means[following] - means[place]
        place = following
    return float(means[0])


def _means(nodes: Any) -> Floats:
    means: Floats = nodes["value"].copy()
    for place in np.flatnonzero(nodes["is_leaf"] == 0)[::-1]:  # children lie behind their parents
        sides = [int(nodes[side][place]) for side in ("left", "right")]
        means[place] = np.average(means[sides], weights=nodes["count"][sides])
    return means


def _calibrated(calibrator: Any, decisions: Floats) -> Floats:
    """Log odds after the sigmoid: its probability is 1 / (1 + exp(a × decision + b))."""
    moved: Floats = -(calibrator.a_ * decisions + calibrator.b_)
    return moved
