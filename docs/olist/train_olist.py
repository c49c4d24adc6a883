"""Train a model on Olist's surveys of one time, and judge it on the surveys of later months.

    .venv/bin/python docs/olist/train_olist.py SOURCE_FOLDER [TRAINED_ON [JUDGED_UNTIL]]

TRAINED_ON (default 2018-02-01): the model knows what was known when that day began. JUDGED_UNTIL (default 2018-05-01):
it is judged on the surveys from TRAINED_ON to the day before that. The given sample's orders end with April 2018, so
that later surveys would be those of slow deliveries only. Prints aggregates as JSON, no rows.
"""

import json
import sys
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import surveys
from threadpoolctl import threadpool_limits

from engage_assets.domain.errors import EngageError
from engage_assets.domain.feature_views import FeatureView
from engage_assets.domain.program import Program, ScoringModel
from engage_assets.features.store import WarehouseFeatures
from engage_assets.programs import documented_views, load_folder, read_views
from engage_assets.scoring.bootstrap import resampled
from engage_assets.scoring.evaluation import evaluate
from engage_assets.scoring.pipelines import measure
from engage_assets.scoring.sent_examples import sent_examples
from engage_assets.scoring.trained_model import TrainedModel, inputs, probabilities
from engage_assets.scoring.training import train

FOLDER = Path(__file__).parent
TRAINED_ON, JUDGED_UNTIL = date(2018, 2, 1), date(2018, 5, 1)
SEED = 20_180_201
"""Of the resamples."""
FIGURES = ("roc_auc", "log_loss", "brier", "calibration_error")
Tables = Mapping[str, pl.LazyFrame]


def main(source: Path, trained_on: date = TRAINED_ON, judged_until: date = JUDGED_UNTIL) -> dict[str, Any]:
    """Train, judge, and say what came out, as JSON takes it."""
    known = surveys.tables(surveys.read(source))
    trained, learned = learn(known, trained_on)
    later = judged_rows(known, trained_on, judged_until)
    return {
        "version": trained.version,
        "features": len(trained.features),
        "trained_on": trained_on.isoformat(),
        "learned": extent(learned),
        "judged": extent(later),
        **judgement(trained, later, float(learned["label"].mean() or 0)),  # type: ignore[arg-type]
    }


def survey_views() -> dict[str, FeatureView]:
    """The views of features.yaml, without the documented ones."""
    return {name: view for name, view in read_views(FOLDER / "features.yaml").items() if name not in documented_views()}


def survey_model() -> ScoringModel:
    """The product's default kind and settings, with every feature of features.yaml and all the history there is."""
    return ScoringModel(
        model_id="survey-comments",
        endpoint="local://survey-comments",
        features=tuple(feature.name for view in survey_views().values() for feature in view.features),
        history_days=800,
    )


def learn(known: Tables, trained_on: date) -> tuple[TrainedModel, pl.DataFrame]:
    """The model as of a day, and the examples that it learned from."""
    learned = examples(known, trained_on)
    return train(survey_model(), learned, as_of=trained_on), learned


def judged_rows(known: Tables, trained_on: date, judged_until: date) -> pl.DataFrame:
    """Surveys from the day of the training on, each with 14 days for its answer, and their features."""
    model = survey_model()
    asked = examples(known, judged_until + timedelta(days=model.label_days))
    return asked.filter(pl.col("as_of") >= datetime.combine(trained_on, time.min))


def examples(known: Tables, as_of: date) -> pl.DataFrame:
    """Who was asked and whether a comment came, as known on a day, with features as known at each survey."""
    model, program = survey_model(), _program()
    sends, answers = (make(known["surveys"], program) for make in (surveys.sends, surveys.responses))
    asked = sent_examples(sends, answers, None, model=model, program=program, as_of=as_of)
    return WarehouseFeatures(survey_views(), known).join_in_turn(asked.collect(), model.features)


def _program() -> Program:
    return load_folder(FOLDER / "programs").programs["olist-reviews"]


def extent(rows: pl.DataFrame) -> dict[str, Any]:
    """From when to when, how many, of how many people, and which share of them answered."""
    first, last = rows["as_of"].min(), rows["as_of"].max()
    return {
        "first": str(first)[:10],
        "last": str(last)[:10],
        "surveys": rows.height,
        "people": rows["customer_id"].n_unique(),
        "share_commented": round(float(rows["label"].mean() or 0), 4),  # type: ignore[arg-type]
    }


def judgement(trained: TrainedModel, later: pl.DataFrame, base_rate: float) -> dict[str, Any]:
    """Figures of the model, of the logistic regression beside it and of the base rate, and the product's verdict."""
    rows = inputs(later, trained.features, trained.texts)
    with threadpool_limits(1):
        predicted, rival = (probabilities(one, rows) for one in (trained.pipeline, trained.baseline))
    constant = np.full(later.height, round(base_rate, 6))
    labels = later["label"].to_numpy()
    verdict = evaluate(predicted, None, rival, labels, later["customer_id"], metric="roc_auc", seed=SEED)
    return {
        "model": _figures(later, predicted),
        "logistic_regression": _figures(later, rival),
        "base_rate": _figures(later, constant),
        "upper_30_percent_commented": round(float(labels[_upper(predicted, 0.3)].mean()), 4),
        "calibration_limit": round(verdict.figures["calibration_limit"], 4),
        "deploy": verdict.deploy,
        "reasons": list(verdict.reasons),
        "by_month": _by_month(later, predicted),
    }


def _upper(predicted: npt.NDArray[np.float64], share: float) -> npt.NDArray[np.intp]:
    """Places of the highest probabilities; of equal ones the earliest."""
    order: npt.NDArray[np.intp] = np.argsort(-predicted, kind="stable")
    return order[: int(len(predicted) * share)]


def _figures(later: pl.DataFrame, predicted: npt.NDArray[np.float64]) -> dict[str, float]:
    """Metrics, and between which values 95 % of the AUCs of resampled people lie."""
    labels = later["label"].to_numpy()
    with threadpool_limits(1):
        drawn = resampled("roc_auc", labels, later["customer_id"], {"it": predicted}, seed=SEED)["it"]
    low, high = np.percentile(drawn, [2.5, 97.5])
    figures = {name: value for name, value in measure(labels, predicted).items() if name in FIGURES}
    return {name: round(float(value), 4) for name, value in {**figures, "low": low, "high": high}.items()}


def _by_month(later: pl.DataFrame, predicted: npt.NDArray[np.float64]) -> dict[str, dict[str, float]]:
    months = later.with_columns(predicted=predicted, month=pl.col("as_of").dt.strftime("%Y-%m"))
    return {
        str(month): {
            "surveys": rows.height,
            "share_commented": round(float(rows["label"].mean() or 0), 4),  # type: ignore[arg-type]
            "mean_predicted": round(float(rows["predicted"].mean() or 0), 4),  # type: ignore[arg-type]
            "roc_auc": round(measure(rows["label"].to_numpy(), rows["predicted"].to_numpy())["roc_auc"], 4),
        }
        for (month,), rows in months.group_by("month", maintain_order=True)
    }


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 4:
        sys.exit("usage: train_olist.py SOURCE_FOLDER [TRAINED_ON [JUDGED_UNTIL]]")
    try:
        found = main(Path(sys.argv[1]), *map(date.fromisoformat, sys.argv[2:]))
    except EngageError as error:
        sys.exit(f"train_olist.py: {error}")
    print(json.dumps(found, indent=2))
