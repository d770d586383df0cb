"""Classifiers trained by gradient descent, against what they must reach."""

import numpy as np
import pytest
import torch
from helpers.features import TEST, TRAIN, fitted, score
from sklearn.linear_model import LogisticRegression as SklearnLogistic
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from avalanche_ssl.errors import UsageError
from avalanche_ssl.probes.sgd import SGDClassifier


def test_sgd_comes_near_the_optimum_of_logistic_regression():
    best = make_pipeline(StandardScaler(), SklearnLogistic(C=1e4, max_iter=1000)).fit(TRAIN[0].double(), TRAIN[1])
    ours = fitted(SGDClassifier(epochs=100, batch_size=32))(TRAIN[0]).double().softmax(1)
    optimum = log_loss(TRAIN[1], best.predict_proba(TRAIN[0].double()))
    assert optimum - 1e-3 < log_loss(TRAIN[1], ours) < optimum + 0.01


def test_an_mlp_solves_what_no_linear_probe_can():
    rng = np.random.default_rng(0)
    x = torch.tensor(rng.normal(size=(600, 2)), dtype=torch.float32)
    y = (x.prod(1) > 0).long()
    linear, mlp = (fitted(SGDClassifier(hidden_dim, optimizer="adam", lr=0.01), (x, y), 2) for hidden_dim in (0, 50))
    assert score(linear, x, y) < 0.65 < 0.9 < score(mlp, x, y)


def test_each_epoch_reads_features_of_its_own():
    epochs = []

    def augmented(epoch):
        epochs.append(epoch)
        return [TRAIN[0] + 0.01 * epoch, TRAIN[0]]

    fit = SGDClassifier(epochs=3).prepare([TRAIN, TRAIN], 5, augmented=augmented)
    on_augmented, on_fixed = fit([0]), fitted(SGDClassifier(epochs=3))
    assert epochs == [0, 1, 2]
    assert not torch.equal(on_augmented(TEST[0]), on_fixed(TEST[0]))


def test_plateaus_lower_the_rate_and_the_best_weights_are_kept():
    rates = []
    classifier = SGDClassifier(optimizer="adam", lr=0.05, schedule="plateau", epochs=300, features="unit")
    original = torch.optim.Adam.step
    try:
        torch.optim.Adam.step = lambda self, *a: rates.append(self.param_groups[0]["lr"]) or original(self, *a)
        model = fitted(classifier)
    finally:
        torch.optim.Adam.step = original
    assert 1e-4 <= min(rates) < 3e-4 and sorted(set(rates), reverse=True)[1] == pytest.approx(0.05 / 3)
    assert len(rates) < 300 * 2, "the end comes before 300 epochs of two steps"
    assert score(model) > 0.3


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_a_single_sample_to_train_on_needs_no_batch_norm(schedule):
    """One sample, or two of one class of which one is held out: nothing but its class is predicted."""
    count = 2 if schedule == "plateau" else 1
    model = fitted(SGDClassifier(8, schedule=schedule, epochs=2), (TRAIN[0][:count], torch.full((count,), 3)))
    assert model(TEST[0]).argmax(1).unique().tolist() == [3]


@pytest.mark.parametrize(
    "wrong", [{"lr": 0}, {"epochs": 0}, {"schedule": "cosin"}, {"features": "x"}, {"optimizer": "x"}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(UsageError):
        SGDClassifier(**wrong)
