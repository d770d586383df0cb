"""Metrics against matrices worked out by hand and the golden values of the method notes."""

import math

import numpy as np
import pytest
from helpers.consolidation import consolidation
from helpers.lcg import lcg, unit_rows
from torch.nn import functional as F

from avalanche_ssl.evaluation import metrics, representation

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


def test_golden_values_of_representation_health():
    x = unit_rows(111, 256, 16)
    y = F.normalize(x + 0.1 * lcg(112, 256, 16), dim=1)
    assert representation.alignment(x, y) == pytest.approx(0.04832193367312, abs=1e-9)
    assert representation.uniformity(x) == pytest.approx(-3.515750927496, abs=1e-9)
    assert representation.uniformity(x, chunk=100) == pytest.approx(-3.515750927496, abs=1e-9)
    assert representation.rankme(x) == pytest.approx(15.88675114813, abs=1e-9)
    assert representation.feature_std(x) == pytest.approx(0.2500795898454, abs=1e-9)


def test_health_metrics_tell_a_collapse():
    collapsed = np.ones((64, 8)) + 1e-6 * np.random.default_rng(0).normal(size=(64, 8))
    assert representation.rankme(collapsed) == pytest.approx(1, abs=0.01)
    assert representation.rankme(np.zeros((64, 8))) == 1
    assert representation.feature_std(collapsed) == pytest.approx(0, abs=1e-5)
    assert representation.uniformity(collapsed) == pytest.approx(0, abs=1e-9)


def test_linear_cka_against_its_definition_and_invariances():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 6)), rng.normal(size=(50, 4))
    centre = np.eye(50) - 1 / 50
    k, m = centre @ x @ x.T @ centre, centre @ y @ y.T @ centre  # HSIC form, Kornblith et al. eq. 3 and 4
    assert representation.linear_cka(x, y) == pytest.approx((k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum()))
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert representation.linear_cka(x, 3 * x @ rotation + 7) == pytest.approx(1)
    assert math.isnan(representation.linear_cka(x, np.ones((50, 2))))


def test_features_of_a_wrong_shape_are_refused():
    with pytest.raises(ValueError, match="rows"):
        representation.rankme(np.zeros(3))
    with pytest.raises(ValueError, match="at least 2 rows"):
        representation.uniformity(np.ones((1, 3)))
    with pytest.raises(ValueError, match="same images"):
        representation.linear_cka(np.ones((3, 2)), np.ones((4, 2)))
