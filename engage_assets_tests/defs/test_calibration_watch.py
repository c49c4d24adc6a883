"""Each model's probabilities are held against its own label."""

from datetime import datetime

import polars as pl

from engage_assets.defs.abilities import load_programs
from engage_assets.defs.calibration_watch import matured_calibrations
from engage_assets_tests.defs.homes import PROGRAMS

AT = datetime.fromisoformat("2026-01-01")


def test_who_likes_is_judged_among_the_answers_and_who_answers_among_all():
    program = load_programs(PROGRAMS).programs["music-feedback"]
    asked = pl.DataFrame(
        [(f"c-{n}", "t", AT if n < 20 else None, n % 4 == 0 if n < 20 else None) for n in range(40)],
        schema={
            "customer_id": pl.String,
            "subject_id": pl.String,
            "responded_at": pl.Datetime("us"),
            "is_positive": pl.Boolean,
        },
        orient="row",
    )
    scored = asked.select(
        "customer_id", "subject_id", feedback_propensity_v3_probability=0.5, music_affinity_v2_probability=0.25
    )
    found = {model.model_id: one for model, one in matured_calibrations(program, asked, scored.lazy(), seed=1)}
    assert [(one.rows, one.predicted, one.answered) for one in found.values()] == [(40, 0.5, 0.5), (20, 0.25, 0.25)]
