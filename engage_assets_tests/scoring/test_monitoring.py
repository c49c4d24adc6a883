import numpy as np
import polars as pl
import pytest

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.monitoring import default_shares, matured_calibration, missing_shares


def answers(probabilities, seed):
    return np.random.default_rng(seed).random(len(probabilities)) < probabilities


@pytest.mark.parametrize("rows", [60, 3000])
def test_the_null_of_calibration_is_exceeded_by_chance_alone_once_in_forty(rows):
    random = np.random.default_rng(9)
    probabilities = np.round(random.beta(2, 18, rows), 6)
    found = [matured_calibration(probabilities, answers(probabilities, seed), seed=1) for seed in range(600)]
    exceeding = np.mean([one.value > one.by_chance for one in found])
    assert 0.006 < exceeding < 0.045  # 2.5 %, within three standard errors of 600 draws


def test_true_probabilities_raise_no_alarm_and_wrong_ones_do():
    probabilities = np.random.default_rng(9).beta(2, 18, 20_000)
    labels = answers(probabilities, 3)
    fine = matured_calibration(probabilities, labels, seed=1)
    assert not fine.is_alarming
    assert fine.value < fine.threshold
    assert (fine.predicted, fine.answered) == pytest.approx((0.1, 0.1), abs=0.01)
    wrong = matured_calibration(np.minimum(probabilities * 1.6, 1), labels, seed=1)
    assert wrong.is_alarming
    assert "over 20,000 rows: 16.0% predicted, 10.2% answered; alarming above 0.02" in wrong.words


def test_few_matured_rows_raise_no_alarm_by_chance():
    probabilities = np.full(40, 0.1)
    few = matured_calibration(probabilities, answers(probabilities, 5), seed=1)
    assert few.value > few.threshold
    assert not few.is_alarming
    none = matured_calibration(np.empty(0), np.empty(0, dtype=bool), seed=1)
    assert (none.value, none.rows, none.is_alarming) == (None, 0, False)


def flags(rows=1000, **missing):
    return pl.DataFrame({f"{name}_missing": [at < count for at in range(rows)] for name, count in missing.items()})


def test_defaults_that_rise_are_named_beside_training():
    frame = flags(price=50, trust=400, tags=90)
    found = default_shares(frame, ["price", "trust", "tags"], {"price": 0.05, "trust": 0.1})
    assert found.shares == {"price": 0.05, "trust": 0.4, "tags": 0.09}
    assert found.trained == {"price": 0.05, "trust": 0.1}
    assert (found.risen, found.is_alarming) == (("trust",), True)
    assert found.words == "nothing is known of trust in 40.0% (training: 10.0%) of 1,000 rows"
    calm = default_shares(frame, ["price", "tags"], {"price": 0.05})
    assert not calm.is_alarming
    assert calm.words == "1 of 2 features compared over 1,000 rows; no share of defaults has risen"


def test_a_feature_that_ceased_alarms_and_a_few_rows_do_not():
    assert default_shares(flags(trust=1000), ["trust"], {"trust": 0.95}).is_alarming
    assert not default_shares(flags(20, trust=20), ["trust"], {"trust": 0.95}).is_alarming
    assert not default_shares(flags(trust=1000), ["trust"], {"trust": 1.0}).is_alarming
    assert not default_shares(flags(10, trust=4), ["trust"], {"trust": 0.1}).is_alarming
    assert not default_shares(flags(0, trust=0), ["trust"], {"trust": 0.1}).is_alarming


def test_a_missing_flag_is_named():
    with pytest.raises(ModelError, match="the rows lack price_missing; they have trust_missing"):
        missing_shares(flags(trust=1), ["trust", "price"])
