"""Metrics of a stream from the accuracy matrix of a probe: pure functions of numpy arrays.

The accuracy matrix R is (T, T): `R[t-1, j-1]` is the accuracy, on the test data of experience j, of a probe on the
encoder after experience t, both in the order of training; NaN where not measured. A value that needs a NaN entry is
NaN. Where all experiences share one test set R is (T, 1), and what compares experiences (forgetting, transfer,
knowledge gain) is NaN.
The formulas count experiences from 1. For the value after experience t of a longer stream, pass `R[:t, :t]`.

With frozen features R[t, j] exists for j > t, too: the encoder has not seen experience j, the probe has.
The sign of a transfer can depend on the probe's protocol (scope, classifier): report both.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrix = NDArray[np.float64]
"""The accuracy matrix (T, T) or (T, 1), or accuracies (T,) or (1,) of one encoder."""


def average_accuracy(R: ArrayLike) -> float:
    """A = 1/T sum_j R[T, j]: the mean of the last row (Lopez-Paz & Ranzato 2017, arXiv:1706.08840, eq. 2)."""
    return float(_matrix(R)[-1].mean())


def anytime_accuracy(R: ArrayLike) -> Matrix:
    """A_t = 1/t sum_{j<=t} R[t, j] for t = 1..T: accuracy on what was seen so far, shape (T,)."""
    return np.array([row[: t + 1].mean() for t, row in enumerate(_matrix(R))])


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
    R = _matrix(R)
    return _mean(np.array([np.fmax.reduce(R[j:-1, j]) - R[-1, j] for j in range(R.shape[1] - 1)]))


def backward_transfer(R: ArrayLike) -> float:
    """BWT = 1/(T-1) sum_{j<T} (R[T, j] - R[j, j]); NaN for T = 1 (Lopez-Paz & Ranzato 2017, eq. 3)."""
    R = _matrix(R)
    return _mean(R[-1, :-1] - R.diagonal()[:-1])


def forward_transfer(R: ArrayLike, untrained: ArrayLike) -> float:
    """FWT = 1/(T-1) sum_{j=2..T} (R[j-1, j] - untrained[j]); NaN for T = 1 (Lopez-Paz & Ranzato 2017, eq. 4).

    `untrained` (T,) holds the accuracies of the same probe on the untrained encoder, or (n, T) of n
    initializations, which are averaged.
    """
    R, before = _matrix(R), np.asarray(untrained, dtype=np.float64)
    before = before.mean(axis=0) if before.ndim == 2 else before
    if before.shape != R.shape[1:]:
        raise ValueError(f"untrained holds one accuracy per experience ({R.shape[1]},), got shape {before.shape}")
    return _mean(R.diagonal(1) - before[1:])


def forgetting_by_experience(R: ArrayLike) -> Matrix:
    """max_{t<=T} (R[t, j] - R[T, j]) of each experience j < T, shape (T-1,): the terms of `forgetting`.

    NaN where nothing was measured before the last row: then nothing is known to be forgotten.
    """
    R = _matrix(R)
    dropped = np.fmax.reduce(R, axis=0)[:-1] - R[-1, :-1]
    return np.where(np.isnan(R[:-1, :-1]).all(axis=0), np.nan, dropped)


def frozen_forgetting(F: ArrayLike) -> float:
    """Mean over j of max_{t>=j} (F[t, j] - F[T, j]), for frozen probes; never negative, NaN for T = 1.

    F[t, j], t >= j, is the accuracy on the test data of experience j of the probe that was fitted after experience j,
    on the encoder after experience t (see `avalanche_ssl.evaluation.FrozenProbes`). The mean is over the experiences
    whose probe is older than the last encoder.
    """
    F = _matrix(F)
    older = ~np.isnan(F[:-1]).all(axis=0)
    return _mean((np.fmax.reduce(F, axis=0) - F[-1])[older])


def knowledge_gain(R: ArrayLike) -> float:
    """K = 1/(T-1) sum_{j<T} (R[j+1, j+1] - R[j, j+1]): what training on an experience adds to its own accuracy.

    Plasticity; NaN for T = 1 (Osiris, Zhang et al. 2024, arXiv:2404.19132).
    """
    R = _matrix(R)
    return _mean(R.diagonal()[1:] - R.diagonal(1))


def _mean(differences: Matrix) -> float:
    """Mean, and NaN (without numpy's warning) for the empty row of a single experience."""
    return float(differences.mean()) if differences.size else float("nan")


def _matrix(R: ArrayLike) -> Matrix:
    matrix: Matrix = np.asarray(R, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] not in (1, len(matrix)) or not matrix.size:
        raise ValueError(f"an accuracy matrix is (T, T) or (T, 1), one row per experience, got shape {matrix.shape}")
    return matrix
