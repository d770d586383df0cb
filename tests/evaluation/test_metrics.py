"""Metrics against matrices worked out by hand and the golden values of the method notes."""

import math

import numpy as np
import pytest
from helpers.consolidation import consolidation

from avalanche_ssl.evaluation import metrics

NAN = float("nan")
R = [[0.8, 0.5, 0.3], [0.6, 0.9, 0.4], [0.7, 0.6, 0.5]]
SEEN = [[0.8, NAN, NAN], [0.6, 0.9, NAN], [0.7, 0.6, 0.5]]  # scope `seen`: nothing above the diagonal


def test_accuracies_of_a_hand_worked_matrix():
    assert metrics.average_accuracy(R) == pytest.approx(0.6)
    np.testing.assert_allclose(metrics.anytime_accuracy(R), [0.8, 0.75, 0.6])
    assert metrics.average_anytime_accuracy(R) == pytest.approx(2.15 / 3)


def test_forgetting_and_transfer_of_a_hand_worked_matrix():
    assert metrics.forgetting(R) == pytest.approx((0.1 + 0.3) / 2)
    assert metrics.forgetting_chaudhry(R) == pytest.approx((0.1 + 0.3) / 2)
    assert metrics.backward_transfer(R) == pytest.approx((-0.1 - 0.3) / 2)
    assert metrics.forward_transfer(R, [0.1, 0.2, 0.3]) == pytest.approx((0.3 + 0.1) / 2)


def test_the_two_forgettings_differ_where_an_experience_was_best_before_it_was_seen():
    best_early = [[0.5, 0.9, 0.1], [0.4, 0.6, 0.1], [0.6, 0.7, 0.1]]
    assert metrics.forgetting(best_early) == pytest.approx((0.0 + 0.2) / 2)
    assert metrics.forgetting_chaudhry(best_early) == pytest.approx((-0.1 - 0.1) / 2)


def test_unmeasured_future_counts_only_where_the_formula_needs_it():
    assert metrics.average_accuracy(SEEN) == pytest.approx(0.6)
    np.testing.assert_allclose(metrics.anytime_accuracy(SEEN), [0.8, 0.75, 0.6])
    assert metrics.forgetting(SEEN) == pytest.approx(0.2)
    assert metrics.forgetting_chaudhry(SEEN) == pytest.approx(0.2)
    assert metrics.backward_transfer(SEEN) == pytest.approx(-0.2)
    assert math.isnan(metrics.forward_transfer(SEEN, [0.1, 0.2, 0.3]))


@pytest.mark.filterwarnings("error")
def test_a_single_experience_has_accuracy_but_no_forgetting_or_transfer():
    assert metrics.average_accuracy([[0.7]]) == metrics.average_anytime_accuracy([[0.7]]) == 0.7
    differences = (metrics.forgetting, metrics.forgetting_chaudhry, metrics.backward_transfer)
    values = [metric([[0.7]]) for metric in differences]
    assert all(map(math.isnan, [*values, metrics.forward_transfer([[0.7]], [0.1])]))


@pytest.mark.filterwarnings("error")
def test_unfinished_matrix_gives_nan_and_its_finished_corner_values():
    unfinished = np.array(R)
    unfinished[2] = NAN
    assert math.isnan(metrics.average_accuracy(unfinished)) and math.isnan(metrics.forgetting(unfinished))
    assert metrics.average_accuracy(unfinished[:2, :2]) == pytest.approx(0.75)


@pytest.mark.filterwarnings("error")
def test_one_test_set_has_accuracies_but_compares_no_experiences():
    column = [[0.5], [0.8], [0.6]]
    assert metrics.average_accuracy(column) == 0.6
    np.testing.assert_allclose(metrics.anytime_accuracy(column), [0.5, 0.8, 0.6])
    assert metrics.average_anytime_accuracy(column) == pytest.approx(1.9 / 3)
    assert metrics.average_accuracy(np.array(column)[:2, :2]) == 0.8
    comparing = (metrics.forgetting, metrics.forgetting_chaudhry, metrics.backward_transfer, metrics.knowledge_gain)
    assert all(math.isnan(metric(column)) for metric in comparing)
    assert math.isnan(metrics.forward_transfer(column, [0.1])) and not metrics.forgetting_by_experience(column).size
    with pytest.raises(ValueError, match="one accuracy per experience"):
        metrics.forward_transfer(column, [0.1, 0.2, 0.3])


@pytest.mark.parametrize("bad", [[0.1, 0.2], [[0.1, 0.2]], np.zeros((0, 0))])
@pytest.mark.parametrize("metric", [metrics.average_accuracy, metrics.forgetting, metrics.backward_transfer])
def test_matrix_that_is_not_square_is_refused(metric, bad):
    with pytest.raises(ValueError, match=r"accuracy matrix is \(T, T\).*got shape"):
        metric(bad)


def test_forward_transfer_refuses_another_number_of_untrained_accuracies():
    with pytest.raises(ValueError, match="one accuracy per experience"):
        metrics.forward_transfer(R, [0.1, 0.2])


def test_knowledge_gain_and_forgetting_by_experience_of_a_hand_worked_matrix():
    assert metrics.knowledge_gain(R) == pytest.approx(((0.9 - 0.5) + (0.5 - 0.4)) / 2)
    np.testing.assert_allclose(metrics.forgetting_by_experience(R), [0.1, 0.3])
    assert math.isnan(metrics.knowledge_gain([[0.7]])) and math.isnan(metrics.knowledge_gain(SEEN))


def test_forward_transfer_averages_several_untrained_encoders():
    several = [[0.1, 0.1, 0.4], [0.1, 0.3, 0.2]]  # mean: 0.1, 0.2, 0.3
    assert metrics.forward_transfer(R, several) == pytest.approx((0.3 + 0.1) / 2)
    with pytest.raises(ValueError, match="one accuracy per experience"):
        metrics.forward_transfer(R, [several])


def test_consolidation_of_points_worked_out_by_hand():
    east, north = [[1, 0.1], [1, -0.1], [2, 0]], [[0.1, 1], [0, 3]]
    assert consolidation([east, north], [[[5, 1], [1, 3]], [[0, 1]]], k=1) == pytest.approx((0.5 + 1) / 2)
    # of all five the three in the east outvote the two in the north where similarities count alike
    assert consolidation([east, north], [[[1, 1]], [[1, 1.1]]], k=100, temperature=1e6) == 0.5


def test_one_measured_row_shows_no_forgetting():
    joint = [[NAN, NAN], [0.8, 0.6]]
    assert metrics.average_accuracy(joint) == pytest.approx(0.7)
    compared = (metrics.forgetting, metrics.forgetting_chaudhry, metrics.backward_transfer, metrics.knowledge_gain)
    assert all(math.isnan(metric(joint)) for metric in compared)
    assert metrics.forgetting([[0.9, NAN], [0.8, 0.6]]) == pytest.approx(0.1)


FROZEN = [[0.8, NAN, NAN], [0.4, 0.9, NAN], [0.6, 0.5, 0.7]]  # of probes that are kept: nothing above the diagonal


def test_forgetting_of_frozen_probes_by_hand():
    assert metrics.frozen_forgetting(FROZEN) == pytest.approx((0.2 + 0.4) / 2)
    better = [[0.5, NAN, NAN], [0.7, 0.9, NAN], [0.6, 0.9, 0.7]]
    assert metrics.frozen_forgetting(better) == pytest.approx((0.1 + 0.0) / 2), "from the best"
    assert math.isnan(metrics.frozen_forgetting([[0.5]])), "one experience"
    assert math.isnan(metrics.frozen_forgetting(np.full((3, 3), NAN))), "no probe was kept"


def test_forgetting_of_frozen_probes_where_rows_were_not_measured():
    """The probe of the third experience is that of the fourth row, and no older than the encoder."""
    two = [[NAN] * 4, [0.8, 0.6, NAN, NAN], [NAN] * 4, [0.5, 0.5, 0.9, 0.9]]
    assert metrics.frozen_forgetting(two) == pytest.approx((0.3 + 0.1) / 2)
    unmeasured = [*FROZEN[:2], [NAN] * 3]
    assert math.isnan(metrics.frozen_forgetting(unmeasured)), "the last row is needed"
