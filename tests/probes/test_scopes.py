"""Scopes against naive refits with scikit-learn."""

import numpy as np
import pytest
import torch
from helpers.consolidation import consolidation as expected_consolidation
from helpers.features import fitted_ridge, three_experiences

from avalanche_ssl.evaluation.metrics import average_accuracy
from avalanche_ssl.probes.ridge import HoldoutSplit, select_l2
from avalanche_ssl.probes.scopes import accuracy, consolidation, fit_probes, probe_accuracies, scope_members

TRAIN, TEST = three_experiences(80, seed=0), three_experiences(200, seed=1)


def naive_accuracy(span, j):
    """Refit with scikit-learn on the span's pooled data, with lambda from the same held-out samples."""
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    splits = [HoldoutSplit.from_features(x, y, 6) for x, y in TRAIN[slice(*span)]]
    fit = splits[0].fit
    for split in splits[1:]:
        fit = fit + split.fit
    l2 = select_l2(fit, torch.cat([s.features for s in splits]), torch.cat([s.labels for s in splits]))
    x, y = (torch.cat(part).numpy() for part in zip(*TRAIN[slice(*span)]))
    model = make_pipeline(StandardScaler(), RidgeClassifier(alpha=l2)).fit(x, y)
    return model.score(TEST[j][0].numpy(), TEST[j][1].numpy())


def test_every_scope_equals_naive_refits_with_scikit_learn():
    row = probe_accuracies(fit_probes(TRAIN, 6, seen=[0, 1]), TEST)
    assert list(row) == ["all", "seen", "task"]
    np.testing.assert_allclose(row["all"], [naive_accuracy((0, 3), j) for j in range(3)])
    np.testing.assert_allclose(row["seen"], [*(naive_accuracy((0, 2), j) for j in range(2)), np.nan])
    np.testing.assert_allclose(row["task"], [naive_accuracy((j, j + 1), j) for j in range(3)])
    assert len({*row["all"], *row["seen"][:2], *row["task"]}) > 5  # else the scopes could not be distinguished


def test_scopes_share_probes_and_end_alike():
    probes = fit_probes(TRAIN, 6, seen=[0, 1, 2])
    assert probes["all"][0] is probes["all"][2] is probes["seen"][1]
    assert len({id(probe) for probe in probes["task"]}) == 3
    torch.testing.assert_close(probes["all"][0](TEST[0][0]), fitted_ridge(TRAIN, 6)(TEST[0][0]))
    torch.testing.assert_close(probes["task"][1](TEST[1][0]), fitted_ridge(TRAIN[1:2], 6)(TEST[1][0]))


def test_seen_is_undefined_for_the_untrained_encoder_and_for_the_future():
    assert scope_members("seen", 3, ()) == [None, None, None]
    assert scope_members("seen", 3, [0, 1]) == [(0, 1), (0, 1), None]
    row = probe_accuracies(fit_probes(TRAIN, 6, seen=()), TEST)
    assert np.isnan(row["seen"]).all() and np.isfinite([row["all"], row["task"]]).all()


def test_the_experiences_seen_need_not_be_the_first() -> None:
    assert scope_members("seen", 3, [2, 0]) == [(0, 2), None, (0, 2)]
    row = probe_accuracies(fit_probes(TRAIN, 6, seen=[2, 0]), TEST)
    pair = probe_accuracies(fit_probes([TRAIN[0], TRAIN[2]], 6, seen=(), scopes=["all"]), [TEST[0], TEST[2]])
    np.testing.assert_allclose(row["seen"][[0, 2]], pair["all"])
    assert np.isnan(row["seen"][1])
    first = probe_accuracies(fit_probes(TRAIN, 6, seen=[0, 1]), TEST)
    np.testing.assert_array_equal(row["all"], first["all"], "the other scopes do not depend on the order")
    np.testing.assert_array_equal(row["task"], first["task"])


def test_one_test_set_is_scored_once_and_has_no_task_probe() -> None:
    together = [(torch.cat([x for x, _ in TEST]), torch.cat([y for _, y in TEST]))]
    row = probe_accuracies(fit_probes(TRAIN, 6, [1], ["all", "seen"], one_test_set=True), together)
    everything = fit_probes(TRAIN, 6, [1])
    for scope, probe in (("all", everything["all"][0]), ("seen", everything["seen"][1])):
        assert probe is not None
        np.testing.assert_array_equal(row[scope], [accuracy(probe, *together[0])])
    untrained = fit_probes(TRAIN, 6, [], ["seen"], one_test_set=True)
    assert untrained == {"seen": [None]}
    with pytest.raises(ValueError, match="no scope 'task': choose one of all, seen"):
        fit_probes(TRAIN, 6, [1], ["task"], one_test_set=True)


def test_rows_make_a_matrix_for_the_metrics():
    rows = [probe_accuracies(fit_probes(TRAIN, 6, range(trained), ["all"]), TEST)["all"] for trained in (1, 2, 3)]
    assert average_accuracy(rows) == pytest.approx(np.mean(rows[-1]))


def test_unlabeled_experience_has_no_task_probe_and_unlabeled_test_data_no_accuracy():
    silent = [(x, torch.full_like(y, -1)) for x, y in TRAIN]
    row = probe_accuracies(fit_probes([silent[0], *TRAIN[1:]], 6, seen=[0]), [*TEST[:2], silent[2]])
    assert np.isnan(row["task"][0]) and np.isnan(row["seen"][0])
    assert row["all"][0] == 0  # its classes have no labeled sample
    assert row["all"][1] > 0.5 and np.isnan(row["all"][2])
    with pytest.raises(ValueError, match="no labeled sample"):
        fit_probes(silent, 6, seen=[0])


def test_single_class_experience_is_trivial_alone_and_counts_in_the_union():
    alone = [(x[y == y[0]], y[y == y[0]]) for x, y in TRAIN]
    tests = [(x[y == t[0]], y[y == t[0]]) for (x, y), (_, t) in zip(TEST, alone)]
    row = probe_accuracies(fit_probes(alone, 6, seen=[0, 1, 2]), tests)
    np.testing.assert_array_equal(row["task"], 1)
    assert (row["all"] > 1 / 3).all()


def test_unknown_scope_and_impossible_progress_are_refused():
    with pytest.raises(ValueError, match="no scope 'joint': choose one of all, seen, task"):
        fit_probes(TRAIN, 6, seen=[0], scopes=["joint"])
    with pytest.raises(ValueError, match="the experiences seen must be among 0 to 2"):
        fit_probes(TRAIN, 6, seen=[3])


def test_accuracy_counts_labeled_samples_only():
    probe = fit_probes(TRAIN, 6, seen=[0, 1, 2])["all"][0]
    x, y = TEST[0]
    assert accuracy(probe, x, y) == pytest.approx((probe(x).argmax(1) == y).double().mean().item())
    half = y.where(torch.arange(len(y)) < 100, -1)
    assert accuracy(probe, x, half) == pytest.approx(accuracy(probe, x[:100], y[:100]))


def test_ridge_probes_do_not_depend_on_the_number_of_threads():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = fit_probes(TRAIN, 6, seen=[0, 1])
        torch.set_num_threads(3)
        several = fit_probes(TRAIN, 6, seen=[0, 1])
    finally:
        torch.set_num_threads(before)
    for scope in one:
        for a, b in zip(one[scope], several[scope], strict=True):
            assert (a is None) == (b is None)
            assert a is None or (torch.equal(a.weight, b.weight) and torch.equal(a.bias, b.bias))


@pytest.mark.parametrize("k", [5, 1000])
def test_consolidation_equals_scikit_learns_neighbors(k):
    found = consolidation(TRAIN, TEST, k)
    assert found == pytest.approx(expected_consolidation([x for x, _ in TRAIN], [x for x, _ in TEST], k))
    assert 1 / 3 < found < 1
