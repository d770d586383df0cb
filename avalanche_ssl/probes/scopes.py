"""Fits and accuracies of classifiers on frozen features, by scope.

The scope says which training data the probe tested on experience j was fitted on: `all`, every experience of
the benchmark; `seen`, those trained on so far, if j is among them; `task`, experience j alone. A probe predicts only
classes of its training data, so `task` reveals the experience wherever experiences differ in their classes.

Where all experiences share one test set, each scope has a single probe, tested on all of it: `all` and, once an
experience was trained on, `seen`; there is no `task`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

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


def scope_members(
    scope: str, experiences: int, seen: Collection[int], one_test_set: bool = False
) -> list[tuple[int, ...] | None]:
    """The experiences to fit the probe of each test set on, in order; None: undefined.

    `seen`: the experiences that the encoder was trained on, counted from 0; none for an untrained one.
    """
    if not set(seen) <= set(range(experiences)):
        raise ValueError(f"the experiences seen must be among 0 to {experiences - 1}, got {sorted(seen)}")
    so_far = tuple(sorted(set(seen)))
    if scope == "all":
        return [tuple(range(experiences))] * (1 if one_test_set else experiences)
    if scope == "seen" and one_test_set:
        return [so_far or None]
    if scope == "seen":
        return [so_far if j in so_far else None for j in range(experiences)]
    if scope == "task" and not one_test_set:
        return [(j,) for j in range(experiences)]
    known = SCOPES[:2] if one_test_set else SCOPES
    raise ValueError(f"no scope {scope!r}: choose one of {', '.join(known)}")


Probes = dict[str, list[nn.Module | None]]
"""The fitted classifier of each test set, by scope; None where the scope has none."""


def fit_probes(
    train: Sequence[LabeledFeatures],
    n_classes: int,
    seen: Collection[int],
    scopes: Iterable[str] = SCOPES,
    classifier: Classifier = Ridge(),
    seed: int = 0,
    augmented: AugmentedFeatures | None = None,
    one_test_set: bool = False,
) -> Probes:
    """Classifiers of all scopes from one pass over the training features of each experience.

    A fit that several experiences or scopes share is done once. Experiences without any label have no classifier.

    Args:
        train: features (N, D) and labels (N,) of each experience; a negative label is unknown.
        n_classes: C, labels are below.
        seen: the experiences that the encoder was trained on, counted from 0.
        scopes: which of `SCOPES`.
        classifier: see `avalanche_ssl.probes.classifier` and `avalanche_ssl.probes.sgd`.
        seed: seed of all that the classifier draws: held-out samples, initial weights, batches.
        augmented: for classifiers that train in epochs, see `avalanche_ssl.probes.classifier.AugmentedFeatures`.
        one_test_set: whether all experiences share one test set, for which there is no scope "task".

    Raises:
        ValueError: no sample of any experience has a label, or a scope is not known.
    """
    require_labels(train)
    fit = classifier.prepare(train, n_classes, seed, augmented)
    tested = {scope: scope_members(scope, len(train), seen, one_test_set) for scope in scopes}
    groups = {members: None for row in tested.values() for members in row if members}
    # classifiers other than ridge draw random numbers, or use all threads themselves
    map_groups = parallel_map if isinstance(classifier, Ridge) else map
    probes = dict(zip(groups, map_groups(fit, groups), strict=True))
    return {scope: [probes[members] if members else None for members in row] for scope, row in tested.items()}


def probe_accuracies(probes: Probes, test: Sequence[LabeledFeatures]) -> dict[str, NDArray[np.float64]]:
    """The accuracies (T,) on each experience's test features, or (1,) on the one test set, by scope; NaN: undefined.

    A row of the accuracy matrix.
    """
    return {
        scope: np.array([accuracy(p, x, y) if p else float("nan") for p, (x, y) in zip(row, test, strict=True)])
        for scope, row in probes.items()
    }


def correct(probe: nn.Module, features: Tensor, labels: Tensor) -> Tensor:
    """Which of the labeled samples the probe classifies correctly, in their order; (n,) bool."""
    known = labels >= 0
    return torch.as_tensor(probe(features[known]).argmax(1) == labels[known]) if known.any() else known[known]


def accuracy(probe: nn.Module, features: Tensor, labels: Tensor) -> float:
    """Fraction of the labeled samples that the probe classifies correctly; NaN if there is none."""
    return float(correct(probe, features, labels).double().mean())


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
