"""k nearest neighbors against scikit-learn, a naive loop and golden values."""

import numpy as np
import pytest
import torch
from helpers.features import TEST, TRAIN, fitted, three_experiences
from helpers.lcg import unit_rows
from sklearn.neighbors import KNeighborsClassifier
from torch.nn import functional as F

from avalanche_ssl.errors import UsageError
from avalanche_ssl.probes.knn import KNN, KNNVotes


@pytest.mark.parametrize("k", [1, 20, 1000])
def test_neighbors_equal_scikit_learns(k):
    x, y = TRAIN[0] - 20, TRAIN[1]  # around zero: else all cosines are nearly one
    theirs = KNeighborsClassifier(
        min(k, len(y)), metric="cosine", weights=lambda d: np.exp(-d / 0.07), algorithm="brute"
    )
    theirs.fit(x.double(), y)
    ours = fitted(KNN(k, 0.07), (x.double(), y))(TEST[0].double() - 20)
    expected = theirs.predict_proba(TEST[0].double() - 20)
    np.testing.assert_allclose(ours / ours.sum(1, keepdim=True), expected, atol=1e-9)


def test_knn_golden_prediction():
    bank, queries, labels = unit_rows(101, 40, 16), unit_rows(102, 6, 16), 3 * torch.arange(40) % 5
    for scale, chunk in ((1, 1024), (7, 4)):
        predicted = KNNVotes(F.normalize(bank), labels, 5, 10, 0.1, chunk)(scale * queries).argmax(1)
        assert predicted.tolist() == [0, 4, 3, 3, 4, 1]


@pytest.mark.parametrize("temperature", [0.07, 0.005])
@pytest.mark.parametrize("k", [1, 20, 10_000])
def test_knn_against_a_loop_with_unlabeled_samples(k, temperature):
    x, y = (torch.cat(part).float() for part in zip(*three_experiences(80, seed=0)))
    y = y.long().where(torch.arange(len(y)) % 3 > 0, -1)
    queries = three_experiences(200, seed=1)[0][0][:20].float()

    def vote(query):
        similarities = torch.cosine_similarity(query[None], x).tolist()
        known = [(similarity, c) for similarity, c in zip(similarities, y.tolist()) if c >= 0]
        votes = [0.0] * 6
        for similarity, label in sorted(known, reverse=True)[:k]:
            votes[label] += np.exp(similarity / temperature)
        return int(np.argmax(votes))

    probe = KNN(k, temperature).prepare([(x, y)], 6)([0])
    assert probe(queries).argmax(1).tolist() == [vote(query) for query in queries]


@pytest.mark.parametrize("settings", [{"k": 0}, {"temperature": 0}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(UsageError, match="give a number above 0"):
        KNN(**settings)
