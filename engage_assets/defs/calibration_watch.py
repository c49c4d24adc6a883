"""Whether what the models foretold of a partition's sends came true, once the time for answers is over."""

from collections.abc import Iterator

import polars as pl

from engage_assets.domain.program import Program, ScoringModel
from engage_assets.scoring.monitoring import MaturedCalibration, matured_calibration


def matured_calibrations(
    program: Program, asked: pl.DataFrame, scored: pl.LazyFrame, *, seed: int
) -> Iterator[tuple[ScoringModel, MaturedCalibration]]:
    """Each model of the program with the calibration of its probabilities.

    `asked`: OUTCOMES of sends; `scored`: the partition's scored candidates. A model that foretells `liked` is asked
    about answered sends alone, the others about all.
    """
    keys = ["customer_id", "subject_id"]
    several = len(program.scoring_models) > 1
    for model in program.scoring_models:
        column = f"{model.key}_probability" if several else "probability"
        known = scored.select(*keys, probability=column).collect()
        label = "is_positive" if model.label == "liked" else "has_answered"
        rows = asked.with_columns(has_answered=pl.col("responded_at").is_not_null()).join(known, on=keys)
        rows = rows.drop_nulls(["probability", label])
        yield model, matured_calibration(rows["probability"].to_numpy(), rows[label].to_numpy(), seed=seed)
