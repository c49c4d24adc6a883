import numpy as np
import pytest
from scipy.stats import chi2

from engage_assets.scoring.drift import chi_square_quantile, psi, psi_null, score_drift

REFERENCE = np.arange(10_000) / 10_000


def test_the_index_of_shares_worked_by_hand():
    halves = np.array([0.2] * 500 + [0.8] * 500)
    moved = np.array([0.2] * 250 + [0.8] * 750)
    expected = -0.25 * np.log(0.5) + 0.25 * np.log(1.5)
    assert psi(halves, moved) == pytest.approx(expected, abs=0.002)  # half a row is added to each tenth
    assert psi(halves, halves) == 0


def test_only_ranks_matter():
    scores = np.random.default_rng(2).beta(2, 3, 500)
    assert psi(REFERENCE, scores) == pytest.approx(psi(REFERENCE**3, scores**3))


@pytest.mark.parametrize("degrees", [1, 2, 5, 9, 19])
@pytest.mark.parametrize("quantile", [0.9, 0.95, 0.99])
def test_quantiles_of_chi_square(degrees, quantile):
    assert chi_square_quantile(degrees, quantile) == pytest.approx(
        chi2.ppf(quantile, degrees), rel=0.03 if degrees < 5 else 0.005
    )


@pytest.mark.parametrize(("reference_rows", "rows"), [(2000, 300), (1000, 2000), (400, 400)])
def test_without_a_change_the_index_is_what_chance_gives(reference_rows, rows):
    random = np.random.default_rng(11)
    found = np.array([psi(random.random(reference_rows), random.random(rows)) for _ in range(2000)])
    assert found.mean() == pytest.approx(9 * (1 / reference_rows + 1 / rows), rel=0.06)
    exceeding = (found > psi_null(reference_rows, rows)).mean()
    assert 0.003 < exceeding < 0.02  # 1 %, within four standard errors of 2000 draws
    assert np.quantile(found, 0.9) == pytest.approx(psi_null(reference_rows, rows, quantile=0.9), rel=0.06)


def test_a_shift_alarms_and_few_rows_do_not():
    random = np.random.default_rng(4)
    shifted = score_drift(REFERENCE, random.beta(4, 2, 3000))
    assert shifted.is_alarming
    assert shifted.value > 0.2 > shifted.by_chance
    few = score_drift(REFERENCE, random.random(12))
    assert not few.is_alarming
    assert few.value > 0.2
    assert few.by_chance > few.value
    assert "12 scores against 10,000 reference rows; alarming above 0.2, chance alone gives up to 1.8" in few.words
    small = score_drift(REFERENCE, random.beta(1.2, 1, 100_000))
    assert small.by_chance < small.value < 0.2
    assert not small.is_alarming


def test_refused_scores_are_left_out_and_nothing_is_no_alarm():
    scores = np.array([np.nan, *REFERENCE])
    assert score_drift(REFERENCE, scores).rows == 10_000
    nothing = score_drift(REFERENCE, np.array([np.nan]))
    assert (nothing.value, nothing.is_alarming, nothing.words) == (
        None,
        False,
        "no drift to measure: 0 scores, 10,000 reference rows",
    )


def test_tenths_that_ties_leave_empty_count_nothing():
    flags = np.array([0.1] * 700 + [0.9] * 300)
    assert score_drift(flags, flags[::7]).by_chance == pytest.approx(psi_null(1000, 143, bins=2), abs=1e-6)
