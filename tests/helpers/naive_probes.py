"""Rows of an accuracy matrix by hand: features image by image, scikit-learn's ridge classifier on them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from avalanche_ssl.probes.label_subsets import hold_out
from avalanche_ssl.probes.ridge import GRID


def features(model: Any, datasets: Any) -> list[tuple[Any, Any]]:
    """Image by image."""
    model.eval()
    found = []
    for dataset in datasets:
        items = [dataset[i] for i in range(len(dataset))]
        with torch.no_grad():
            rows = torch.cat([model.extract_features(x[None]) for x, *_ in items])
        found.append((rows.double().numpy(), np.array([int(y) for _, y, *_ in items])))
    model.train()
    return found


def ridge(l2: float) -> Any:
    return make_pipeline(StandardScaler(), RidgeClassifier(alpha=l2))


def naive_l2(right: Sequence[Any], grid: Sequence[float] = GRID) -> float:
    """The geometric mean of the values, each weighted by how far it is behind the best in units of the difference's
    standard deviation; `right` has for each value which held-out samples it classifies correctly."""
    best, *_ = sorted(zip(right, grid), key=lambda pair: (-sum(pair[0]), -pair[1]))[0]
    weights = []
    for one in right:
        gained = sum(1 for a, b in zip(best, one) if a and not b)
        lost = sum(1 for a, b in zip(best, one) if b and not a)
        weights.append(math.exp(-((gained - lost) ** 2) / (2 * max(1, gained + lost))))
    return math.prod(l2 ** (weight / sum(weights)) for weight, l2 in zip(weights, grid))


def fitted(experiences: list[tuple[Any, Any]], share: int) -> Any:
    """scikit-learn's classifier, its strength chosen on the part of each experience that is held out."""
    held = [hold_out(torch.tensor(y), min(0.1, share / len(y)), 0).numpy() for _, y in experiences]
    parts = [
        [np.concatenate([data[k][mask if out else ~mask] for data, mask in zip(experiences, held)]) for k in (0, 1)]
        for out in (False, True)
    ]
    (x, y), (held_x, held_y) = parts
    right = [ridge(l2).fit(x, y).predict(held_x) == held_y for l2 in GRID]
    return ridge(naive_l2(right)).fit(np.concatenate([x, held_x]), np.concatenate([y, held_y]))


def naive_row(model: Any, benchmark: Any, seen: Sequence[int]) -> dict[str, Any]:
    """A row of each scope in the benchmark's order, from the words of the documentation."""
    train = features(model, [e.dataset for e in benchmark.train_stream])
    test = features(model, [e.dataset for e in benchmark.test_stream])
    one_test_set = len(test) < len(train)
    share = 5000 // len(train)
    everything = fitted(train, share)
    rows = {"all": [everything.score(*t) for t in test], "seen": [math.nan] * len(test)}
    if seen:
        so_far = fitted([train[j] for j in sorted(seen)], share)
        for j in [0] if one_test_set else seen:
            rows["seen"][j] = so_far.score(*test[j])
    if not one_test_set:
        rows["task"] = [fitted([one], share).score(*t) for one, t in zip(train, test)]
    return {scope: np.array(row) for scope, row in rows.items()}
