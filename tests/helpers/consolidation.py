"""Consolidation by scikit-learn's neighbors: the oracle of `avalanche_ssl.probes.consolidation`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def consolidation(
    train: Sequence[ArrayLike], test: Sequence[ArrayLike], k: int = 200, temperature: float = 0.1
) -> float:
    """C: how often the experience of a test image its features tell, by k nearest neighbors.

    Features of experience j are rows of `train[j]` (N_j, D) and `test[j]`; by cosine, votes weighted exp(sim / T);
    the mean over experiences (Osiris, Zhang et al. 2024, arXiv:2404.19132). Chance is 1 / T.
    """
    from sklearn.neighbors import KNeighborsClassifier

    x, y = (
        np.concatenate([np.asarray(f, np.float64) for f in train]),
        np.repeat(np.arange(len(train)), [len(f) for f in train]),
    )
    votes = KNeighborsClassifier(
        min(k, len(x)), metric="cosine", algorithm="brute", weights=lambda distance: np.exp(-distance / temperature)
    ).fit(x, y)
    return float(np.mean([(votes.predict(np.asarray(f, np.float64)) == j).mean() for j, f in enumerate(test)]))
