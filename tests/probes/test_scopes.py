"""Scopes against naive refits, extraction that leaves no trace, neighbours against golden values."""

import random
import threading

import numpy as np
import pytest
import torch
from helpers.lcg import unit_rows
from threadpoolctl import threadpool_info
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from avalanche_ssl.evaluation.metrics import average_accuracy
from avalanche_ssl.models.inference import eval_mode, extract_features
from avalanche_ssl.probes.knn import KNN, KNNVotes
from avalanche_ssl.probes.parallel import parallel_map
from avalanche_ssl.probes.ridge import Split, fit_ridge, select_l2
from avalanche_ssl.probes.scopes import accuracy, fit_probes, probe_accuracies, scope_spans

CLASSES = [[0, 1], [2, 3], [4, 5]]


def stream(n, seed):
    """Features of three experiences of two classes each, overlapping so that no probe is perfect."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(6, 12))
    labels = [rng.choice(classes, size=n) for classes in CLASSES]
    return [(torch.tensor(centres[y] + 1.5 * rng.normal(size=(n, 12))), torch.tensor(y)) for y in labels]


TRAIN, TEST = stream(80, seed=0), stream(200, seed=1)


def naive_accuracy(span, j):
    """Refit with scikit-learn on the span's pooled data, with lambda from the same held-out samples."""
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    splits = [Split.of(x, y, 6) for x, y in TRAIN[slice(*span)]]
    fit = splits[0].fit
    for split in splits[1:]:
        fit = fit + split.fit
    l2 = select_l2(fit, torch.cat([s.features for s in splits]), torch.cat([s.labels for s in splits]))
    x, y = (torch.cat(part).numpy() for part in zip(*TRAIN[slice(*span)]))
    model = make_pipeline(StandardScaler(), RidgeClassifier(alpha=l2)).fit(x, y)
    return model.score(TEST[j][0].numpy(), TEST[j][1].numpy())


def test_every_scope_equals_naive_refits_with_scikit_learn():
    row = probe_accuracies(fit_probes(TRAIN, 6, seen=2), TEST)
    assert list(row) == ["all", "seen", "task"]
    np.testing.assert_allclose(row["all"], [naive_accuracy((0, 3), j) for j in range(3)])
    np.testing.assert_allclose(row["seen"], [*(naive_accuracy((0, 2), j) for j in range(2)), np.nan])
    np.testing.assert_allclose(row["task"], [naive_accuracy((j, j + 1), j) for j in range(3)])
    assert len({*row["all"], *row["seen"][:2], *row["task"]}) > 5  # else the scopes would not be told apart


def test_scopes_share_probes_and_end_alike():
    probes = fit_probes(TRAIN, 6, seen=3)
    assert probes["all"][0] is probes["all"][2] is probes["seen"][1]
    assert len({id(probe) for probe in probes["task"]}) == 3
    torch.testing.assert_close(probes["all"][0](TEST[0][0]), fit_ridge(TRAIN, 6)(TEST[0][0]))
    torch.testing.assert_close(probes["task"][1](TEST[1][0]), fit_ridge(TRAIN[1:2], 6)(TEST[1][0]))


def test_seen_is_undefined_for_the_untrained_encoder_and_for_the_future():
    assert scope_spans("seen", 3, 0) == [None, None, None]
    assert scope_spans("seen", 3, 2) == [(0, 2), (0, 2), None]
    row = probe_accuracies(fit_probes(TRAIN, 6, seen=0), TEST)
    assert np.isnan(row["seen"]).all() and np.isfinite([row["all"], row["task"]]).all()


def test_rows_make_a_matrix_for_the_metrics():
    rows = [probe_accuracies(fit_probes(TRAIN, 6, seen, ["all"]), TEST)["all"] for seen in (1, 2, 3)]
    assert average_accuracy(rows) == pytest.approx(np.mean(rows[-1]))


def test_unlabelled_experience_has_no_task_probe_and_unlabelled_test_data_no_accuracy():
    silent = [(x, torch.full_like(y, -1)) for x, y in TRAIN]
    row = probe_accuracies(fit_probes([silent[0], *TRAIN[1:]], 6, seen=1), [*TEST[:2], silent[2]])
    assert np.isnan(row["task"][0]) and np.isnan(row["seen"][0])
    assert row["all"][0] == 0  # its classes have no labelled sample
    assert row["all"][1] > 0.5 and np.isnan(row["all"][2])
    with pytest.raises(ValueError, match="no labelled sample"):
        fit_probes(silent, 6, seen=1)


def test_single_class_experience_is_trivial_alone_and_counts_in_the_union():
    alone = [(x[y == y[0]], y[y == y[0]]) for x, y in TRAIN]
    tests = [(x[y == t[0]], y[y == t[0]]) for (x, y), (_, t) in zip(TEST, alone)]
    row = probe_accuracies(fit_probes(alone, 6, seen=3), tests)
    np.testing.assert_array_equal(row["task"], 1)
    assert (row["all"] > 1 / 3).all()


def test_unknown_scope_and_impossible_progress_are_refused():
    with pytest.raises(ValueError, match="no scope 'joint': choose one of all, seen, task"):
        fit_probes(TRAIN, 6, seen=1, scopes=["joint"])
    with pytest.raises(ValueError, match="seen must be between 0 and 3"):
        fit_probes(TRAIN, 6, seen=4)


class Noisy(nn.Module):
    """Batch norm, dropout, a part frozen in eval mode; `extract_features` draws from every random source."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))
        self.momentum_encoder = nn.Sequential(nn.BatchNorm1d(8)).eval()

    def extract_features(self, x):
        assert not torch.is_grad_enabled()
        torch.rand(1), np.random.rand(), random.random()
        return self.momentum_encoder(self.body(x.float()))


def test_extraction_leaves_model_and_every_random_state_bit_identical():
    torch.manual_seed(0)
    model = Noisy()
    data = TensorDataset(torch.randn(10, 4).double(), torch.arange(10), torch.zeros(10))
    state = {key: value.clone() for key, value in model.state_dict().items()}
    flags = [module.training for module in model.modules()]
    randomness = torch.get_rng_state(), random.getstate(), np.random.get_state()
    first = extract_features(model, DataLoader(data, batch_size=4, shuffle=True), "cpu")
    again = extract_features(model, DataLoader(data, batch_size=4, shuffle=True), "cpu")

    assert first[0].shape == (10, 8) and first[0].dtype == torch.float32 and not first[0].requires_grad
    assert torch.equal(first[0], again[0]) and sorted(first[1].tolist()) == list(range(10))
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == flags and True in flags and False in flags
    assert torch.equal(torch.get_rng_state(), randomness[0]) and random.getstate() == randomness[1]
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), randomness[2]))
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_extracted_features_can_train_a_head():
    x, _ = extract_features(Noisy(), [(torch.randn(3, 4), torch.zeros(3))], "cpu")
    nn.Linear(8, 2)(x).sum().backward()


def test_training_flags_and_random_states_come_back_after_an_error():
    model = Noisy()
    flags, before = [module.training for module in model.modules()], torch.get_rng_state()
    with pytest.raises(RuntimeError, match="boom"), eval_mode(model):
        torch.rand(1)
        raise RuntimeError("boom")
    assert [module.training for module in model.modules()] == flags
    assert torch.equal(torch.get_rng_state(), before) and torch.is_grad_enabled()


def test_no_batch_is_refused():
    with pytest.raises(ValueError, match="no batch"):
        extract_features(Noisy(), [], "cpu")


def test_accuracy_counts_labelled_samples_only():
    probe = fit_probes(TRAIN, 6, seen=3)["all"][0]
    x, y = TEST[0]
    assert accuracy(probe, x, y) == pytest.approx((probe(x).argmax(1) == y).double().mean().item())
    half = y.where(torch.arange(len(y)) < 100, -1)
    assert accuracy(probe, x, half) == pytest.approx(accuracy(probe, x[:100], y[:100]))


def test_knn_golden_prediction():
    bank, queries, labels = unit_rows(101, 40, 16), unit_rows(102, 6, 16), 3 * torch.arange(40) % 5
    for scale, chunk in ((1, 1024), (7, 4)):
        predicted = KNNVotes(F.normalize(bank), labels, 5, 10, 0.1, chunk)(scale * queries).argmax(1)
        assert predicted.tolist() == [0, 4, 3, 3, 4, 1]


@pytest.mark.parametrize("temperature", [0.07, 0.005])
@pytest.mark.parametrize("k", [1, 20, 10_000])
def test_knn_against_a_loop_with_unlabelled_samples(k, temperature):
    x, y = (torch.cat(part).float() for part in zip(*TRAIN))
    y = y.long().where(torch.arange(len(y)) % 3 > 0, -1)
    queries = TEST[0][0][:20].float()

    def vote(query):
        similarities = torch.cosine_similarity(query[None], x).tolist()
        known = [(similarity, c) for similarity, c in zip(similarities, y.tolist()) if c >= 0]
        votes = [0.0] * 6
        for similarity, label in sorted(known, reverse=True)[:k]:
            votes[label] += np.exp(similarity / temperature)
        return int(np.argmax(votes))

    probe = KNN(k, temperature).prepare([(x, y)], 6)(slice(0, 1))
    assert probe(queries).argmax(1).tolist() == [vote(query) for query in queries]


def test_fits_run_at_once_in_one_thread_each_and_leave_the_number_of_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    meet = threading.Barrier(2, timeout=20)  # breaks unless two run at the same time

    def fit(number):
        meet.wait()
        return number, torch.get_num_threads(), {pool["num_threads"] for pool in threadpool_info() if blas(pool)}

    try:
        assert parallel_map(fit, [1, 2]) == [(1, 1, {1}), (2, 1, {1})]
        with pytest.raises(ValueError, match="of the second"):
            parallel_map(lambda number: raise_value_error("of the second") if number == 2 else number, [1, 2])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def blas(pool):
    return pool["user_api"] == "blas"


def raise_value_error(words):
    raise ValueError(words)


def test_ridge_probes_do_not_depend_on_the_number_of_threads():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = fit_probes(TRAIN, 6, seen=2)
        torch.set_num_threads(3)
        several = fit_probes(TRAIN, 6, seen=2)
    finally:
        torch.set_num_threads(before)
    for scope in one:
        for a, b in zip(one[scope], several[scope], strict=True):
            assert (a is None) == (b is None)
            assert a is None or (torch.equal(a.weight, b.weight) and torch.equal(a.bias, b.bias))
