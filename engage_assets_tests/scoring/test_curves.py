import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from engage_assets.scoring.calibration import calibration_error
from engage_assets.scoring.curves import (
    auc,
    calibration_bins,
    curves,
    lift_by_decile,
    precision_recall_points,
    roc_points,
    thinned,
    wilson,
)
from engage_assets.scoring.slices import slices

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=1, max_size=300)
NOBODY = np.zeros(3, dtype=bool)


def arrays(rows):
    return np.array([label for label, _ in rows]), np.array([value / 20 for _, value in rows])


def drawn(rows=5000, seed=3):
    random = np.random.default_rng(seed)
    probabilities = np.round(random.beta(1, 9, rows), 6)
    return random.random(rows) < probabilities, probabilities


@given(ROWS)
def test_auc_and_curves_are_those_of_scikit_learn(rows):
    labels, probabilities = arrays(rows)
    if len(set(labels.tolist())) == 1:
        assert auc(labels, probabilities) is None
        assert roc_points(labels, probabilities) == ()
        return
    assert auc(labels, probabilities) == pytest.approx(roc_auc_score(labels, probabilities), abs=1e-12)
    false_positives, true_positives, _ = roc_curve(labels, probabilities, drop_intermediate=False)
    expected = np.column_stack([false_positives, true_positives])
    assert np.array(roc_points(labels, probabilities)) == pytest.approx(expected, abs=1e-6)
    precision, recall, _ = precision_recall_curve(labels, probabilities)
    expected = np.column_stack([recall, precision])[-2::-1]
    assert np.array(precision_recall_points(labels, probabilities)[1:]) == pytest.approx(expected, abs=1e-6)


@given(ROWS, st.randoms(use_true_random=False))
def test_any_order_of_the_rows_gives_the_same(rows, random):
    others = rows.copy()
    random.shuffle(others)
    assert curves(*arrays(rows)) == curves(*arrays(others))


@given(ROWS)
def test_bins_and_tenths_hold_every_row_and_answer_once(rows):
    labels, probabilities = arrays(rows)
    bins, tenths = calibration_bins(labels, probabilities), lift_by_decile(labels, probabilities)
    for parts in (bins, *([tenths] if labels.any() else [])):
        sizes = [part.rows for part in parts]
        assert sum(sizes) == len(rows)
        assert max(sizes) - min(sizes) <= 1
        answered = sum(part.rows * part.answered for part in parts)
        assert answered == pytest.approx(labels.sum(), abs=1e-3)
    assert all(one.low <= one.answered + 1e-6 and one.answered - 1e-6 <= one.high for one in bins)


def test_bins_are_those_of_the_calibration_error_where_no_probabilities_are_equal():
    labels, _ = drawn()
    probabilities = np.random.default_rng(1).permutation(len(labels)) / len(labels)
    gaps = [one.rows * abs(one.predicted - one.answered) for one in calibration_bins(labels, probabilities)]
    assert sum(gaps) / len(labels) == pytest.approx(calibration_error(labels, probabilities), abs=1e-6)


def test_the_intervals_hold_probabilities_that_are_true():
    labels, probabilities = drawn(50_000)
    bins = calibration_bins(labels, probabilities)
    assert sum(one.low <= one.predicted <= one.high for one in bins) >= 8
    assert not any(one.low <= one.predicted / 2 <= one.high for one in bins[1:])


def test_a_ranking_is_worth_what_its_tenths_say():
    labels = np.array([True] * 10 + [False] * 90)
    best = lift_by_decile(labels, np.linspace(1, 0, 100))
    assert [(one.rows, one.answered, one.times) for one in best[:2]] == [(10, 1.0, 10.0), (10, 0.0, 0.0)]
    assert {one.times for one in lift_by_decile(labels, np.full(100, 0.1))} == {1.0}


def test_wilson_of_figures_from_the_literature():
    assert wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I


def test_a_thinned_curve_keeps_its_ends_and_its_shape():
    labels, probabilities = drawn()
    whole = roc_points(labels, probabilities)
    some = thinned(whole)
    assert len(whole) > 1000
    assert 100 < len(some) <= 200
    assert (some[0], some[-1]) == ((0, 0), (1, 1))
    area = np.trapezoid(*np.array(some).T[::-1])
    assert area == pytest.approx(auc(labels, probabilities), abs=0.002)


def test_without_rows_or_answers_there_is_nothing_to_draw():
    assert curves(NOBODY[:0], np.empty(0)).calibration == ()
    silent = curves(NOBODY, np.array([0.1, 0.2, 0.3]))
    assert (silent.roc, silent.precision_recall, silent.lift, len(silent.calibration)) == ((), (), (), 3)


def test_slices_judge_where_rows_are_enough_and_say_so_where_not():
    labels, probabilities = drawn()
    places = np.where(np.arange(5000) < 4900, "DE", np.where(np.arange(5000) < 4960, "JP", None))
    found = {one.name: one for one in slices(labels, probabilities, places.tolist(), seed=1)}
    assert list(found) == ["DE", "JP", "unknown"]
    assert found["DE"].auc == pytest.approx(roc_auc_score(labels[:4900], probabilities[:4900]), abs=1e-6)
    assert found["DE"].base_rate == pytest.approx(labels[:4900].mean(), abs=1e-6)
    assert found["DE"].is_judged
    assert found["DE"].calibration_error < found["DE"].calibration_by_chance < 0.03
    answered = labels[4900:4960].sum()
    assert (found["JP"].rows, found["JP"].auc, found["JP"].calibration_error) == (60, None, None)
    assert found["JP"].note == (
        f"too few to judge: {answered} with and {60 - answered} without an answer; 30 of each are needed"
    )
