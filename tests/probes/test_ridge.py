"""Ridge against scikit-learn's RidgeClassifier behind its StandardScaler."""

import numpy as np
import pytest
import torch
from helpers.features import clusters, fitted_ridge
from helpers.naive_probes import naive_l2
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from avalanche_ssl.probes.class_statistics import ClassStatistics
from avalanche_ssl.probes.ridge import DEFAULT_L2, GRID, HoldoutSplit, select_l2, solve_ridge


def sklearn_ridge(x, y, l2):
    return make_pipeline(StandardScaler(), RidgeClassifier(alpha=l2)).fit(x.numpy(), y.numpy())


@pytest.mark.parametrize("l2", [0.1, 1.0, 1e3])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_weights_and_decisions_equal_scikit_learn(l2, shift):
    x, y = clusters(300, range(5))
    x[:, 4:] += shift * x[:, 4:].std(0)
    probe, reference = solve_ridge(ClassStatistics.from_features(x, y, 5), l2), sklearn_ridge(x, y, l2)
    weight = probe.weight.numpy() * reference[0].scale_
    np.testing.assert_allclose(weight, reference[1].coef_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(probe.bias, reference[1].intercept_, rtol=1e-6, atol=1e-9)
    query = x[:50] + 0.1 * x.std(0)
    np.testing.assert_allclose(probe(query), reference.decision_function(query.numpy()), rtol=1e-6, atol=1e-8)


def test_two_classes_equal_scikit_learns_single_decision():
    x, y = clusters(200, range(2))
    decision = sklearn_ridge(x, y, 10.0).decision_function(x.numpy())
    expected = np.stack([-decision, decision], 1)
    np.testing.assert_allclose(
        solve_ridge(ClassStatistics.from_features(x, y, 2), 10.0)(x), expected, rtol=1e-6, atol=1e-9
    )


def test_class_without_a_sample_is_never_predicted():
    x, y = clusters(200, [1, 3])
    probe = solve_ridge(ClassStatistics.from_features(x, y, 6), 1.0)
    logits = probe(1e3 * x)
    assert set(logits.argmax(1).tolist()) <= {1, 3}
    assert torch.isneginf(logits[:, [0, 2, 4, 5]]).all() and logits[:, [1, 3]].isfinite().all()


def test_a_single_class_is_always_predicted():
    x, y = clusters(50, [2])
    assert (fitted_ridge([(x, y)], 4)(x).argmax(1) == 2).all()


def test_chosen_l2_is_the_mean_of_those_that_do_well_on_held_out_data():
    (x, y), (held_x, held_y) = clusters(60, range(5), spread=4), clusters(500, range(5), seed=1, spread=4)
    statistics = ClassStatistics.from_features(x, y, 5)
    right = [(solve_ridge(statistics, l2)(held_x).argmax(1) == held_y).tolist() for l2 in GRID]
    assert len({sum(one) for one in right}) > 3
    assert select_l2(statistics, held_x, held_y) == pytest.approx(naive_l2(right), rel=1e-6)
    assert select_l2(statistics, held_x[:0], held_y[:0], grid=[1.0, 100.0, 10.0]) == pytest.approx(10)
    assert select_l2(statistics, held_x, held_y, grid=[1e9, 10.0]) < 20, "one of them is far behind"


def test_a_sample_more_or_less_moves_the_chosen_l2_little():
    """Of two values that do equally well the better one would change with a single sample, by a factor of 1,000."""
    (x, y), (held_x, held_y) = clusters(60, range(5), spread=4), clusters(2000, range(5), seed=1, spread=4)
    statistics, grid = ClassStatistics.from_features(x, y, 5), [1.0, 1000.0]
    weak, strong = (solve_ridge(statistics, l2)(held_x).argmax(1) == held_y for l2 in grid)
    only_weak, only_strong = (weak & ~strong).nonzero().flatten(), (strong & ~weak).nonzero().flatten()
    both = (weak & strong).nonzero().flatten()[:100]
    chosen = []
    for ahead in (0, 1):
        rows = torch.cat([both, only_weak[: 10 + ahead], only_strong[: 11 - ahead]])
        chosen.append(select_l2(statistics, held_x[rows], held_y[rows], grid))
    assert chosen == [pytest.approx(33.0, rel=0.01), pytest.approx(1000 / 33.0, rel=0.01)]


@pytest.mark.parametrize("n", [6, 12, 20])
def test_few_rows_choose_the_l2_that_their_statistics_alone_would(n):
    chosen = []
    for seed in range(12):
        (x, y), (held_x, held_y) = (
            clusters(n, range(5), seed=seed, spread=4),
            clusters(300, range(5), seed=99, spread=4),
        )
        statistics = ClassStatistics.from_features(x, y, 5)
        chosen.append(select_l2(statistics, held_x, held_y))
        assert select_l2(statistics, held_x, held_y, rows=x) == chosen[-1]
    assert len(set(chosen)) > 3


def test_few_rows_are_decomposed_instead_of_the_larger_gram_matrix(monkeypatch):
    sizes = []
    eigh = np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda gram: sizes.append(len(gram)) or eigh(gram))
    (few_x, few_y), (x, y) = clusters(20, range(2)), clusters(200, range(2))
    fitted_ridge([(few_x[:10], few_y[:10]), (few_x[10:], few_y[10:])], 2)
    assert sizes.pop() < 20
    fitted_ridge([(few_x, few_y), (x, y)], 2)
    assert sizes == [x.shape[1]]


def test_grid_is_logarithmic():
    assert len(GRID) == 13 and GRID[0] == pytest.approx(0.1) and GRID[-1] == pytest.approx(1e5)


def test_held_out_part_is_balanced_and_the_same_for_the_same_seed():
    x, _ = clusters(230, range(3))
    y = torch.tensor([0] * 100 + [1] * 100 + [2] * 29 + [3])
    first, again, other = (HoldoutSplit.from_features(x, y, 5, seed=seed) for seed in (0, 0, 1))
    assert first.held_out.counts.tolist() == [10, 10, 2, 0, 0]  # a lone sample stays in the fit
    assert torch.equal(first.features, again.features) and torch.equal(first.fit.scatter, again.fit.scatter)
    assert not torch.equal(first.features, other.features)
    assert (first.fit + first.held_out).counts.tolist() == [100, 100, 29, 1, 0]
    assert HoldoutSplit.from_features(x, y, 5, max_held_out=23).held_out.counts.tolist() == [10, 10, 2, 0, 0]
    assert HoldoutSplit.from_features(x, y, 5, max_held_out=12).held_out.counts.tolist() == [5, 5, 1, 0, 0]


def test_holding_out_draws_nothing_from_the_global_generator():
    x, y = clusters(100, range(3))
    before = torch.get_rng_state()
    fitted_ridge([(x, y)], 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_fit_is_scikit_learns_on_all_data_with_the_chosen_l2():
    parts = [clusters(120, [0, 1, 2], seed=1), clusters(90, [2, 3], seed=2)]
    splits = [HoldoutSplit.from_features(x, y, 4) for x, y in parts]
    held = torch.cat([s.features for s in splits]), torch.cat([s.labels for s in splits])
    l2 = select_l2(splits[0].fit + splits[1].fit, *held)
    x, y = torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])
    expected = sklearn_ridge(x, y, l2).decision_function(x.numpy())
    np.testing.assert_allclose(fitted_ridge(parts, 4)(x), expected, rtol=1e-6, atol=1e-8)


def test_one_sample_per_class_uses_the_default_l2():
    x, _ = clusters(4, range(4))
    y = torch.arange(4)
    expected = solve_ridge(ClassStatistics.from_features(x, y, 4), DEFAULT_L2)(x)
    torch.testing.assert_close(fitted_ridge([(x, y)], 4)(x), expected)


def test_unlabeled_samples_are_ignored():
    x, y = clusters(100, range(3))
    junk = torch.cat([x, 1e6 + x]), torch.cat([y, torch.full_like(y, -1)])
    torch.testing.assert_close(fitted_ridge([junk], 3)(x), fitted_ridge([(x, y)], 3)(x))


def test_bad_data_is_refused_with_one_clear_line():
    x, y = clusters(20, range(3))
    with pytest.raises(ValueError, match="unlabeled"):
        solve_ridge(ClassStatistics.from_features(x, torch.full_like(y, -1), 3), 1.0)
    with pytest.raises(ValueError, match="label 2 is not among 2 classes"):
        fitted_ridge([(x, y.clamp(min=2))], 2)
    with pytest.raises(ValueError, match=r"\(20, 24\) and \(19,\)"):
        fitted_ridge([(x, y[:-1])], 3)
    with pytest.raises(ValueError, match=r"1 of 20 images have NaN.*diverged"):
        fitted_ridge([(x.index_fill(0, torch.tensor([4]), torch.nan), y)], 3)
    with pytest.raises(ValueError, match=r"l2 must be positive, got 0"):
        solve_ridge(ClassStatistics.from_features(x, y, 3), 0)
    with pytest.raises(ValueError, match="held_out_fraction must be between 0 and 1"):
        fitted_ridge([(x, y)], 3, held_out_fraction=1.0)
