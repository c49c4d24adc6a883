"""The kinds of model, as scikit-learn pipelines, and how good one is on rows it has not seen.

Imports scikit-learn (over one CPU second): import it where it is used.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from engage_assets.domain.errors import ModelError
from engage_assets.domain.program import HYPERPARAMETERS
from engage_assets.scoring.calibration import calibration_error

CALIBRATION_FOLDS: Final = 3
_MOST_CATEGORIES: Final = 100
"""Rarer categories share one code, so that a long tail of names does not become a column each."""
_LEAST: Final = {
    "learningRate": 1e-6,
    "maxIterations": 1,
    "maxLeaves": 2,
    "minSamplesPerLeaf": 1,
    "l2Regularization": 0,
    "inverseRegularization": 1e-6,
}
_WHOLE: Final = ("maxIterations", "maxLeaves", "minSamplesPerLeaf")

Columns = list[str]
Settings = Mapping[str, float]


def _gradient_boosted_trees(texts: Columns, numbers: Columns, settings: Settings) -> Pipeline:
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
            learning_rate=settings["learningRate"],
            max_iter=int(settings["maxIterations"]),
            max_leaf_nodes=int(settings["maxLeaves"]),
            min_samples_leaf=int(settings["minSamplesPerLeaf"]),
            l2_regularization=settings["l2Regularization"],
            early_stopping=False,
            random_state=0,
        ),
    )


def _logistic_regression(texts: Columns, numbers: Columns, settings: Settings) -> Pipeline:
    indicators = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=_MOST_CATEGORIES)
    scaled = make_pipeline(SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler())
    return make_pipeline(
        # Indicators stay sparse: a hundred dense columns of a million rows would be 800 MB.
        ColumnTransformer([("text", indicators, texts), ("number", scaled, numbers)], sparse_threshold=1.0),
        LogisticRegression(C=settings["inverseRegularization"], max_iter=1000),
    )


KINDS: Final[dict[str, Callable[[Columns, Columns, Settings], Pipeline]]] = {
    "gradient-boosted-trees": _gradient_boosted_trees,
    "logistic-regression": _logistic_regression,
}
BASELINE: Final = "logistic-regression"
"""The kind that every model is compared with, at its default settings."""


def calibrated(kind: str, texts: Sequence[str], numbers: Sequence[str], settings: Settings | None = None) -> Any:
    """An unfitted classifier of `kind`, calibrated by a sigmoid on out-of-fold predictions.

    Folds are not shuffled: on rows sorted by time they are blocks of time. A sigmoid keeps the order of predictions
    and makes no ties, which the ranks of scores would suffer from; isotonic steps would make both. The cost is that
    of three fits. `settings` are those of `domain.program.HYPERPARAMETERS`; what it lacks is the default.
    Raises ModelError for a setting that the kind cannot take.
    """
    complete = {**HYPERPARAMETERS[kind], **(settings or {})}
    _require_possible(kind, complete)
    pipeline = KINDS[kind](list(texts), list(numbers), complete)
    return CalibratedClassifierCV(pipeline, method="sigmoid", cv=StratifiedKFold(CALIBRATION_FOLDS), ensemble=False)


def measure(labels: npt.NDArray[np.bool_], probabilities: npt.NDArray[np.float64]) -> dict[str, float]:
    """Metrics to 6 decimals, and the number of rows. Needs both classes.

    roc_auc, average_precision, log_loss, brier, calibration_error, base_rate (share of answers), rows.
    """
    measured = {
        "roc_auc": roc_auc_score(labels, probabilities),
        "average_precision": average_precision_score(labels, probabilities),
        "log_loss": log_loss(labels, probabilities),
        "brier": brier_score_loss(labels, probabilities),
        "calibration_error": calibration_error(labels, probabilities),
        "base_rate": labels.mean(),
    }
    return {name: round(float(value), 6) for name, value in measured.items()} | {"rows": len(labels)}


def _require_possible(kind: str, settings: Settings) -> None:
    wrong = [
        f"{name} {value:g} ({'a whole number, ' if name in _WHOLE else ''}at least {_LEAST[name]:g})"
        for name, value in settings.items()
        if not value >= _LEAST[name] or (name in _WHOLE and value != int(value))
    ]
    if wrong:
        raise ModelError(f"hyperparameters of {kind} that cannot be: {'; '.join(wrong)}; correct the program file")
