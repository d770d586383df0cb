"""Label-free measures of a representation: RankMe, feature std, alignment, uniformity, CKA, InfoNCE's bound."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from avalanche_ssl.losses import info_nce
from avalanche_ssl.memory import perplexity
from avalanche_ssl.methods import ClusterAssignment, ContrastiveScores

Array = NDArray[np.float64]


def rankme(features: ArrayLike) -> float:
    """Effective rank exp(-sum_k p_k log p_k), p_k = sigma_k / sum(sigma) + 1e-7; between 1 (collapse) and D.

    sigma: singular values of the *uncentered* features (N, D); centering hides a collapse to one point
    (RankMe, Garrido et al. 2023, arXiv:2210.02885, eq. 1). Compare only runs of the same method and encoder.
    """
    sigma = np.linalg.svd(_rows(features), compute_uv=False)
    p = sigma / sigma.sum() + 1e-7 if sigma.any() else np.ones(1)  # all-zero features are one point
    return float(np.exp(-(p * np.log(p)).sum()))


def feature_std(features: ArrayLike) -> float:
    """Mean over dimensions of the standard deviation of L2-normalized features (N, D), N >= 2.

    About 1/sqrt(D) is healthy, 0 is collapse (Chen & He 2021, arXiv:2011.10566, section 4.1).
    """
    return float(_several(_unit(features)).std(axis=0, ddof=1).mean())


def alignment(x: ArrayLike, y: ArrayLike) -> float:
    """E ||x - y||^2 over L2-normalized positive pairs (N, D), (N, D); 0 is best.

    Wang & Isola 2020, arXiv:2005.10242, eq. 4 with alpha = 2.
    """
    a, b = _pair(x, y)
    return float((np.linalg.norm(_unit(a) - _unit(b), axis=1) ** 2.0).mean())


def uniformity(features: ArrayLike, chunk: int = 1024) -> float:
    """log E exp(-2 ||x - y||^2) over distinct pairs of L2-normalized features (N, D), N >= 2.

    0 is collapse, -4 is spread out over the sphere (Wang & Isola 2020, arXiv:2005.10242, eq. 5 with t = 2).
    N^2 D operations, `chunk` rows at a time.
    """
    z = _several(_unit(features))
    # ||x - y||^2 = 2 - 2 x.y on the sphere; the N pairs of a row with itself contribute exp(0) each
    total = sum(np.exp(4.0 * (z[i : i + chunk] @ z.T - 1)).sum() for i in range(0, len(z), chunk))
    return float(np.log((total - len(z)) / (len(z) * (len(z) - 1))))


def linear_cka(x: ArrayLike, y: ArrayLike) -> float:
    """CKA = ||Y'X||_F^2 / (||X'X||_F ||Y'Y||_F), centered features (N, D1), (N, D2) of the same images.

    1 is no drift, whatever the rotation and overall scale; NaN for constant features
    (Kornblith et al. 2019, arXiv:1905.00414).
    """
    a, b = (z - z.mean(axis=0) for z in _pair(x, y))
    scale = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    return float(np.linalg.norm(b.T @ a) ** 2 / scale) if scale > 0 else float("nan")


def infonce_bound(batches: Sequence[ContrastiveScores]) -> dict[str, float]:
    """The lower bound log N - L, in nats, of the mutual information of two views (CPC, arXiv:1807.03748, eq. 12).

    L is the mean InfoNCE over the batches, also for a method that is trained by NCE. The bound says little near its
    ceiling, and is not comparable between different N or temperatures. With negatives of one class, or of earlier
    experiences, it is only approximate.

    Returns:
        ``bound``; ``candidates``: N; ``temperature``; ``ceiling``: see `infonce_ceiling`; ``saturation``: the bound as
        a share of log N; ``top1``: how often the positive has the largest score.
    """
    candidates = float(torch.cat([c.scores.isfinite().sum(1) for c in batches]).double().mean())
    loss = float(torch.stack([info_nce(c.scores.double(), c.temperature) for c in batches]).mean())
    top1 = float(torch.cat([(c.scores[:, :1] > c.scores[:, 1:]).all(1) for c in batches]).double().mean())
    value, most = math.log(candidates) - loss, math.log(candidates)
    return {
        "bound": value,
        "candidates": candidates,
        "temperature": batches[0].temperature,
        "ceiling": infonce_ceiling(candidates, batches[0].temperature) if batches[0].cosine else most,
        "saturation": value / most if most > 0 else math.nan,
        "top1": top1,
    }


def cluster_usage(batches: Sequence[ClusterAssignment]) -> dict[str, float]:
    """Number of clusters, and how many of them the images use.

    Returns:
        ``clusters``: K; ``used``: those with any image; ``perplexity``: exp of the entropy of their sizes, K if all
        are equally large and 1 if all images are in one. The latter two are means over the clusterings.
    """
    labels, count = torch.cat([batch.labels for batch in batches]), batches[0].clusters
    sizes = torch.stack([each.bincount(minlength=count) for each in labels.T])
    used = float((sizes > 0).sum(1).double().mean())
    return {"clusters": count, "used": used, "perplexity": float(perplexity(sizes).mean())}


def infonce_ceiling(candidates: float, temperature: float) -> float:
    """Largest log N - L with cosines as scores: positives at 1, negatives as far apart as a simplex allows.

    It is about the smaller of log N and 1 / temperature.
    """
    others = candidates - 1
    if others <= 0:
        return 0.0
    return math.log(candidates) - math.log1p(others * math.exp(-(1 + 1 / others) / temperature))


def _rows(features: ArrayLike) -> Array:
    rows: Array = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"features are rows (N, D), got shape {rows.shape}")
    return rows


def _several(rows: Array) -> Array:
    if len(rows) < 2:
        raise ValueError(f"give at least 2 rows of features, got {len(rows)}")
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
