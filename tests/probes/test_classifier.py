"""What all classifiers have in common: absent classes, unlabeled samples, repeatable fits."""

import pytest
import torch
from helpers.features import FAST, TEST, TRAIN, fitted, score

from avalanche_ssl.errors import UsageError
from avalanche_ssl.probes.classifier import PooledClassifier, require_labels, scaling
from avalanche_ssl.probes.logistic import LogisticRegression
from avalanche_ssl.probes.nearest_mean import NearestClassMean
from avalanche_ssl.probes.protocols import PROTOCOLS
from avalanche_ssl.probes.ridge import Ridge
from avalanche_ssl.probes.sgd import SGDClassifier


@pytest.mark.parametrize("name", FAST)
def test_absent_classes_are_never_predicted_and_a_single_class_always(name):
    x, y = TRAIN
    classifier = PROTOCOLS[name].classifier_for(5)
    some = fitted(classifier, (x[y < 3], y[y < 3]))(TEST[0])
    assert some.shape == (300, 5) and torch.isneginf(some[:, 3:]).all() and some[:, :3].isfinite().all()
    assert fitted(classifier, (x[y == 2], y[y == 2]))(TEST[0]).argmax(1).unique().tolist() == [2]
    assert classifier.prepare([(x, torch.full_like(y, -1))], 5)([0]) is None


@pytest.mark.parametrize("name", FAST)
def test_unlabeled_samples_do_not_count(name):
    x, y = TRAIN
    half = torch.arange(len(y)) % 2 == 0
    with_others = fitted(PROTOCOLS[name].classifier_for(5), (x, y.where(half, -1)))
    without = fitted(PROTOCOLS[name].classifier_for(5), (x[half], y[half]))
    torch.testing.assert_close(with_others(TEST[0]), without(TEST[0]))


@pytest.mark.parametrize("name", FAST)
def test_a_fit_is_repeatable_draws_no_global_number_and_beats_chance(name):
    before = torch.get_rng_state()
    first, second = (fitted(PROTOCOLS[name].classifier_for(5)) for _ in range(2))
    assert torch.equal(first(TEST[0]), second(TEST[0]))
    assert torch.equal(torch.get_rng_state(), before)
    assert score(first) > 0.3


def test_constant_features_are_harmless():
    x = torch.cat([TRAIN[0], torch.full((400, 1), 7.0)], 1)
    assert scaling(x)[1][-1] == 1
    for classifier in (LogisticRegression(), SGDClassifier(epochs=2), NearestClassMean(), Ridge()):
        assert fitted(classifier, (x, TRAIN[1]))(x).isfinite().all()


def test_a_classifier_without_fit_says_so():
    with pytest.raises(NotImplementedError):
        PooledClassifier().prepare([TRAIN], 5)([0])


def test_data_without_any_label_are_refused():
    x, y = TRAIN
    require_labels([(x, torch.full_like(y, -1)), (x, y)])
    with pytest.raises(UsageError, match="every label is negative"):
        require_labels([(x, torch.full_like(y, -1))] * 2)
