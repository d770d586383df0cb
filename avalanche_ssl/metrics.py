"""What do probe accuracies and features say about a stream? Pure functions; numpy only, no torch.

The accuracy matrix R is (T, T): `R[t-1, j-1]` is the accuracy on the test data of experience j of a probe on
the encoder as it was after experience t, NaN where not measured. A value that needs a NaN entry is NaN.
The formulas count experiences from 1. For the value after experience t of a longer stream, pass `R[:t, :t]`.

With frozen features R[t, j] exists for j > t too: the encoder has not seen experience j, the probe has.
The sign of a transfer can depend on the probe's protocol (scope, classifier), so report them together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def average_accuracy(R: ArrayLike) -> float:
    """A = 1/T sum_j R[T, j]: the mean of the last row (Lopez-Paz & Ranzato 2017, arXiv:1706.08840, eq. 2)."""
    return float(_square(R)[-1].mean())


def anytime_accuracy(R: ArrayLike) -> Array:
    """A_t = 1/t sum_{j<=t} R[t, j] for t = 1..T: accuracy on what was seen so far, shape (T,)."""
    return np.array([row[: t + 1].mean() for t, row in enumerate(_square(R))])


def average_anytime_accuracy(R: ArrayLike) -> float:
    """AAA = 1/T sum_t A_t (Caccia et al. 2022, arXiv:2104.05025)."""
    return float(anytime_accuracy(R).mean())


def forgetting(R: ArrayLike) -> float:
    """F = 1/(T-1) sum_{j<T} max_{t<=T} (R[t, j] - R[T, j]); never negative, NaN for T = 1.

    The maximum runs over all t, also before experience j was seen (CaSSLe, Fini et al. 2022,
    arXiv:2112.04215; Osiris, Zhang et al. 2024, arXiv:2404.19132), and skips entries that were not measured.
    """
    return _mean(forgetting_by_experience(R))


def forgetting_chaudhry(R: ArrayLike) -> float:
    """F = 1/(T-1) sum_{j<T} (max_{j<=t<T} R[t, j] - R[T, j]); negative where the last is best, NaN for T = 1.

    Chaudhry et al. 2018, arXiv:1801.10112, eq. 3, with the maximum from experience j on.
    """
    R = _square(R)
    return _mean(np.array([np.fmax.reduce(R[j:-1, j]) - R[-1, j] for j in range(len(R) - 1)]))


def backward_transfer(R: ArrayLike) -> float:
    """BWT = 1/(T-1) sum_{j<T} (R[T, j] - R[j, j]); NaN for T = 1 (Lopez-Paz & Ranzato 2017, eq. 3)."""
    R = _square(R)
    return _mean(R[-1, :-1] - R.diagonal()[:-1])


def forward_transfer(R: ArrayLike, untrained: ArrayLike) -> float:
    """FWT = 1/(T-1) sum_{j=2..T} (R[j-1, j] - untrained[j]); NaN for T = 1 (Lopez-Paz & Ranzato 2017, eq. 4).

    `untrained` (T,) holds the accuracies of the same probe on the untrained encoder, or (n, T) of n
    initialisations, which are averaged.
    """
    R, before = _square(R), np.asarray(untrained, dtype=np.float64)
    before = before.mean(axis=0) if before.ndim == 2 else before
    if before.shape != (len(R),):
        raise ValueError(f"untrained holds one accuracy per experience ({len(R)},), got shape {before.shape}")
    return _mean(R.diagonal(1) - before[1:])


def forgetting_by_experience(R: ArrayLike) -> Array:
    """max_{t<=T} (R[t, j] - R[T, j]) of each experience j < T, shape (T-1,): the terms of `forgetting`."""
    R = _square(R)
    dropped: Array = np.fmax.reduce(R, axis=0)[:-1] - R[-1, :-1]
    return dropped


def knowledge_gain(R: ArrayLike) -> float:
    """K = 1/(T-1) sum_{j<T} (R[j+1, j+1] - R[j, j+1]): what learning an experience adds to its own accuracy.

    Plasticity; NaN for T = 1 (Osiris, Zhang et al. 2024, arXiv:2404.19132).
    """
    R = _square(R)
    return _mean(R.diagonal()[1:] - R.diagonal(1))


def consolidation(
    train: Sequence[ArrayLike], test: Sequence[ArrayLike], k: int = 200, temperature: float = 0.1
) -> float:
    """C: how often the experience of a test image is told from its features, by k nearest neighbours.

    Features of experience j are rows of `train[j]` (N_j, D) and `test[j]`; by cosine, votes weighted exp(sim / T);
    the mean over experiences (Osiris, Zhang et al. 2024, arXiv:2404.19132). Chance is 1 / T.
    """
    from sklearn.neighbors import KNeighborsClassifier

    x, y = (
        np.concatenate([_rows(f) for f in train]),
        np.repeat(np.arange(len(train)), [len(f) for f in map(_rows, train)]),
    )
    votes = KNeighborsClassifier(
        min(k, len(x)), metric="cosine", algorithm="brute", weights=lambda distance: np.exp(-distance / temperature)
    ).fit(x, y)
    return float(np.mean([(votes.predict(_rows(f)) == j).mean() for j, f in enumerate(test)]))


def rankme(features: ArrayLike, eps: float = 1e-7) -> float:
    """Effective rank exp(-sum_k p_k log p_k), p_k = sigma_k / sum(sigma) + eps; between 1 (collapse) and D.

    sigma: singular values of the *uncentred* features (N, D); centring hides a collapse to one point
    (RankMe, Garrido et al. 2023, arXiv:2210.02885, eq. 1). Compare runs of one method and encoder only.
    """
    sigma = np.linalg.svd(_rows(features), compute_uv=False)
    p = sigma / sigma.sum() + eps if sigma.any() else np.ones(1)  # all-zero features are one point
    return float(np.exp(-(p * np.log(p)).sum()))


def feature_std(features: ArrayLike) -> float:
    """Mean over dimensions of the standard deviation of L2-normalised features (N, D), N >= 2.

    About 1/sqrt(D) is healthy, 0 is collapse (Chen & He 2021, arXiv:2011.10566, section 4.1).
    """
    return float(_several(_unit(features)).std(axis=0, ddof=1).mean())


def alignment(x: ArrayLike, y: ArrayLike, alpha: float = 2.0) -> float:
    """E ||x - y||^alpha over L2-normalised positive pairs (N, D), (N, D); 0 is best.

    Wang & Isola 2020, arXiv:2005.10242, eq. 4.
    """
    a, b = _pair(x, y)
    return float((np.linalg.norm(_unit(a) - _unit(b), axis=1) ** alpha).mean())


def uniformity(features: ArrayLike, t: float = 2.0, chunk: int = 1024) -> float:
    """log E exp(-t ||x - y||^2) over distinct pairs of L2-normalised features (N, D), N >= 2.

    0 is collapse, -2t is spread out over the sphere (Wang & Isola 2020, arXiv:2005.10242, eq. 5).
    N^2 D operations, `chunk` rows at a time.
    """
    z = _several(_unit(features))
    # ||x - y||^2 = 2 - 2 x.y on the sphere; the N pairs of a row with itself contribute exp(0) each
    total = sum(np.exp(2 * t * (z[i : i + chunk] @ z.T - 1)).sum() for i in range(0, len(z), chunk))
    return float(np.log((total - len(z)) / (len(z) * (len(z) - 1))))


def linear_cka(x: ArrayLike, y: ArrayLike) -> float:
    """CKA = ||Y'X||_F^2 / (||X'X||_F ||Y'Y||_F), centred features (N, D1), (N, D2) of the same images.

    1 is no drift, whatever the rotation and overall scale; NaN for constant features
    (Kornblith et al. 2019, arXiv:1905.00414).
    """
    a, b = (z - z.mean(axis=0) for z in _pair(x, y))
    scale = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    return float(np.linalg.norm(b.T @ a) ** 2 / scale) if scale > 0 else float("nan")


def _mean(differences: Array) -> float:
    """Mean, and NaN (without numpy's warning) for the empty row of a single experience."""
    return float(differences.mean()) if differences.size else float("nan")


def _square(R: ArrayLike) -> Array:
    matrix: Array = np.asarray(R, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"an accuracy matrix is (T, T), one row per experience, got shape {matrix.shape}")
    return matrix


def _rows(features: ArrayLike) -> Array:
    rows: Array = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"features are rows (N, D), got shape {rows.shape}")
    return rows


def _several(rows: Array) -> Array:
    if len(rows) < 2:
        raise ValueError(f"a spread needs at least 2 rows of features, got {len(rows)}")
    return rows


def _pair(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    a, b = _rows(x), _rows(y)
    if len(a) != len(b):
        raise ValueError(f"x and y must describe the same images, got {len(a)} and {len(b)} rows")
    return a, b


def _unit(features: ArrayLike) -> Array:
    rows = _rows(features)
    unit: Array = rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12)
    return unit
