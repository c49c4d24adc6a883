"""The kinds of model, as scikit-learn pipelines, and how good one is on rows it has not seen.

Imports scikit-learn (over one CPU second): import it where it is used.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

CALIBRATION_FOLDS: Final = 3
CALIBRATION_BINS: Final = 10
_MOST_CATEGORIES: Final = 100
"""Rarer categories share one code, so that a long tail of names does not become a column each."""

Columns = list[str]


def _gradient_boosted_trees(texts: Columns, numbers: Columns) -> Pipeline:
    # Categories become ordered codes instead of the trees' own categorical splits: those would put a
    # function into the saved model, which a file that is safe to load should not hold. Unknown is NaN.
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        max_categories=_MOST_CATEGORIES,
    )
    return make_pipeline(
        ColumnTransformer([("text", codes, texts), ("number", "passthrough", numbers)]),
        HistGradientBoostingClassifier(
            max_iter=100, max_leaf_nodes=15, l2_regularization=1.0, early_stopping=False, random_state=0
        ),
    )


def _logistic_regression(texts: Columns, numbers: Columns) -> Pipeline:
    indicators = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=_MOST_CATEGORIES)
    scaled = make_pipeline(SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler())
    return make_pipeline(
        ColumnTransformer([("text", indicators, texts), ("number", scaled, numbers)], sparse_threshold=0),
        LogisticRegression(max_iter=1000),
    )


KINDS: Final[dict[str, Callable[[Columns, Columns], Pipeline]]] = {
    "gradient-boosted-trees": _gradient_boosted_trees,
    "logistic-regression": _logistic_regression,
}


def calibrated(kind: str, texts: Sequence[str], numbers: Sequence[str]) -> Any:
    """An unfitted classifier of `kind`, calibrated by a sigmoid on out-of-fold predictions.

    Folds are not shuffled: on rows sorted by time they are blocks of time.
    """
    folds = StratifiedKFold(CALIBRATION_FOLDS)
    return CalibratedClassifierCV(KINDS[kind](list(texts), list(numbers)), method="sigmoid", cv=folds, ensemble=False)


def calibration_error(labels: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float64]) -> float:
    """Expected calibration error: mean over 10 equally large bins of |mean probability − share of answers|."""
    order = np.argsort(probabilities, kind="stable")
    bins = np.array_split(order, min(CALIBRATION_BINS, len(order)))
    gaps = [len(rows) * abs(probabilities[rows].mean() - labels[rows].mean()) for rows in bins]
    return float(sum(gaps) / len(order))


def measure(labels: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float64]) -> dict[str, float]:
    """ROC AUC, log loss, Brier score, calibration error, base rate and rows, to 6 decimals. Needs both classes."""
    measured = {
        "roc_auc": roc_auc_score(labels, probabilities),
        "log_loss": log_loss(labels, probabilities),
        "brier": brier_score_loss(labels, probabilities),
        "calibration_error": calibration_error(labels, probabilities),
        "base_rate": labels.mean(),
    }
    return {name: round(float(value), 6) for name, value in measured.items()} | {"rows": len(labels)}
