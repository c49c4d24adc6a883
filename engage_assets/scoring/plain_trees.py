"""What decides a fitted classifier's predictions as plain numbers, which `trees.json` holds and `quick_trees` takes.

Imports scikit-learn (over one CPU second): import it where it is used.
"""

from collections.abc import Sequence
from math import isinf, isnan
from typing import Any

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier

from engage_assets.scoring.quick_trees import MOST_LEAVES, MOST_THRESHOLDS

Content = dict[str, Any]


def plain(pipeline: Any) -> Content | None:
    """Columns, codes of texts, trees, and the calibration's sigmoid; None: no trees, or such as cannot be taken.

    A leaf is its value; a split is a list: the place of its column, its threshold (null: infinite), whether what is
    missing goes left, left, right. A code that is null is NaN.
    """
    if len(getattr(pipeline, "calibrated_classifiers_", ())) != 1:
        return None
    (fitted,) = pipeline.calibrated_classifiers_
    trees = fitted.estimator[-1]
    if fitted.method != "sigmoid" or not isinstance(trees, HistGradientBoostingClassifier):
        return None
    nodes = [iteration[0].nodes for iteration in trees._predictors]  # noqa: SLF001  it shows them in no other way
    if trees.n_trees_per_iteration_ != 1 or not _can_be_taken(nodes, trees.n_features_in_):
        return None
    columns = {name: (transformer, names) for name, transformer, names in fitted.estimator[0].transformers_}
    (encoder, texts), (_, numbers) = columns["text"], columns["number"]
    (calibrator,) = fitted.calibrators
    return {
        "columns": [*texts, *numbers],
        "codes": _codes(encoder, list(texts)) if texts else {},
        "baseline": float(trees._baseline_prediction[0, 0]),  # noqa: SLF001  as above
        "trees": [_node(one, 0) for one in nodes],
        "slope": float(calibrator.a_),
        "intercept": float(calibrator.b_),
    }


def _can_be_taken(trees: Sequence[Any], columns: int) -> bool:
    """Whether there are no splits by category, and leaves and thresholds have enough numbers."""
    if any(one["is_categorical"].any() or int(one["is_leaf"].sum()) > MOST_LEAVES for one in trees):
        return False
    splits = np.concatenate([one[one["is_leaf"] == 0] for one in trees])
    return all(
        len(np.unique(splits["num_threshold"][splits["feature_idx"] == place])) <= MOST_THRESHOLDS
        for place in range(columns)
    )


def _node(nodes: Any, at: int) -> Any:
    node = nodes[at]
    if node["is_leaf"]:
        return float(node["value"])
    threshold = float(node["num_threshold"])
    return [
        int(node["feature_idx"]),
        None if isinf(threshold) else threshold,
        bool(node["missing_go_to_left"]),
        _node(nodes, int(node["left"])),
        _node(nodes, int(node["right"])),
    ]


def _codes(encoder: Any, texts: Sequence[str]) -> Content:
    """What the encoder makes of each category, and of a text that is missing."""
    codes: Content = {}
    for place, (name, met) in enumerate(zip(texts, encoder.categories_, strict=True)):
        categories = [one for one in met if isinstance(one, str)]
        nothing = [None] * (len(categories) + 1)
        asked = {other: [*categories, None] if other == name else nothing for other in texts}
        rows = pl.DataFrame(asked, schema=dict.fromkeys(texts, pl.String))
        *numbers, missing = (None if isnan(code) else float(code) for code in encoder.transform(rows)[:, place])
        codes[name] = {"categories": dict(zip(categories, numbers, strict=True)), "missing": missing}
    return codes
