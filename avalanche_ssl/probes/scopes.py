"""Fits and accuracies of classifiers on frozen features, by scope.

The scope says which training data the probe tested on experience j was fitted on: `all`, every experience of
the benchmark; `seen`, experiences 1..t, for j <= t; `task`, experience j alone. A probe predicts only classes
of its training data, so `task` reveals the experience wherever experiences differ in their classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avalanche_ssl.models import LabeledFeatures
from avalanche_ssl.probes.classifier import AugmentedFeatures, Classifier, require_labels
from avalanche_ssl.probes.knn import KNN
from avalanche_ssl.probes.parallel import parallel_map
from avalanche_ssl.probes.ridge import Ridge

SCOPES = ("all", "seen", "task")


def scope_spans(scope: str, experiences: int, experiences_trained: int) -> list[tuple[int, int] | None]:
    """The span [start, stop) of experiences to fit the probe of each tested experience on; None: undefined.

    `experiences_trained`: how many the encoder was trained on, 0 for an untrained one.
    """
    if not 0 <= experiences_trained <= experiences:
        raise ValueError(f"experiences_trained must be between 0 and {experiences}, got {experiences_trained}")
    if scope == "all":
        return [(0, experiences)] * experiences
    if scope == "seen":
        return [(0, experiences_trained) if j < experiences_trained else None for j in range(experiences)]
    if scope == "task":
        return [(j, j + 1) for j in range(experiences)]
    raise ValueError(f"no scope {scope!r}: choose one of {', '.join(SCOPES)}")


Probes = dict[str, list[nn.Module | None]]
"""The fitted classifier of each tested experience, by scope; None where the scope has none."""


def fit_probes(
    train: Sequence[LabeledFeatures],
    n_classes: int,
    experiences_trained: int,
    scopes: Iterable[str] = SCOPES,
    classifier: Classifier = Ridge(),
    seed: int = 0,
    augmented: AugmentedFeatures | None = None,
) -> Probes:
    """Classifiers of all scopes from one pass over the training features of each experience.

    A fit that several experiences or scopes share is done once. A span without any label has no classifier.

    Args:
        train: features (N, D) and labels (N,) of each experience; a negative label is unknown.
        n_classes: C, labels are below.
        experiences_trained: how many the encoder was trained on.
        scopes: which of `SCOPES`.
        classifier: see `avalanche_ssl.probes.classifier` and `avalanche_ssl.probes.sgd`.
        seed: seed of all that the classifier draws: held-out samples, initial weights, batches.
        augmented: for classifiers that train in epochs, see `avalanche_ssl.probes.classifier.AugmentedFeatures`.

    Raises:
        ValueError: no sample of any experience has a label, or a scope is not known.
    """
    require_labels(train)
    fit = classifier.prepare(train, n_classes, seed, augmented)
    tested = {scope: scope_spans(scope, len(train), experiences_trained) for scope in scopes}
    spans = {span: None for row in tested.values() for span in row if span and span[0] < span[1]}
    # classifiers other than ridge draw random numbers, or use all threads themselves
    map_spans = parallel_map if isinstance(classifier, Ridge) else map
    probes = dict(zip(spans, map_spans(lambda span: fit(slice(*span)), spans), strict=True))
    return {scope: [probes.get(span) if span else None for span in row] for scope, row in tested.items()}


def probe_accuracies(probes: Probes, test: Sequence[LabeledFeatures]) -> dict[str, NDArray[np.float64]]:
    """The accuracies (T,) on each experience's test features, by scope; NaN where undefined.

    Row t of the accuracy matrix, for probes of an encoder that was trained on t experiences.
    """
    return {
        scope: np.array([accuracy(p, x, y) if p else float("nan") for p, (x, y) in zip(row, test, strict=True)])
        for scope, row in probes.items()
    }


def accuracy(probe: nn.Module, features: Tensor, labels: Tensor) -> float:
    """Fraction of the labeled samples that the probe classifies correctly; NaN if there is none."""
    known = labels >= 0
    if not known.any():
        return float("nan")
    return float((probe(features[known]).argmax(1) == labels[known]).double().mean())


def consolidation(
    train: Sequence[LabeledFeatures], test: Sequence[LabeledFeatures], k: int = 200, temperature: float = 0.1
) -> float:
    """Accuracy of k nearest neighbors at naming the experience of a test image (Osiris, arXiv:2404.19132).

    Neighbors by cosine, votes weighted exp(similarity / temperature); the mean over the experiences. Chance is 1 / T.

    Args:
        train, test: features (N, D) of each experience; their labels are not read.
        k: number of neighbors.
        temperature: of their votes.
    """
    sizes = torch.tensor([len(x) for x, _ in train])
    owners = torch.arange(len(train)).repeat_interleave(sizes)
    votes = KNN(k, temperature).fit(torch.cat([x for x, _ in train]), owners, len(train))
    scores = [accuracy(votes, x, torch.full((len(x),), j)) for j, (x, _) in enumerate(test)]
    return float(np.mean(scores))
