"""Where do images lie for an encoder, and which are their neighbours? From the features that a run kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalanche_ssl.reports.figures import scatter, thumbnail

Features = NDArray[np.float64]


@dataclass
class Frame:
    """A picture of all embeddings at one moment."""

    title: str
    picture: str


@dataclass
class Thumb:
    """An image beside others."""

    picture: str
    name: str
    same: bool
    """Whether it is of the query's class."""


@dataclass
class Row:
    """A query and its nearest neighbours by cosine, untrained and at the end."""

    query: Thumb
    before: list[Thumb]
    after: list[Thumb]


@dataclass
class Exhibit:
    """What a run's features show."""

    title: str
    frames: list[Frame]
    rows: list[Row]
    same_before: float
    """Share of the five nearest neighbours that are of the same class, mean over all images kept."""
    same_after: float


def exhibit(folder: Path, title: str, neighbors: int = 5, queries: int = 6) -> Exhibit | None:
    """What the features in a run's folder show; None if it kept none, or they cannot be read."""
    try:
        with np.load(folder / "embeddings" / "images.npz", allow_pickle=False) as kept:
            images, labels = kept["images"], kept["labels"]
        files = sorted((folder / "embeddings").glob("[0-9]*.npy"))
        features = [np.load(file, allow_pickle=False).astype(np.float64) for file in files]
    except (OSError, ValueError, KeyError):
        return None
    if not features or any(len(x) != len(images) for x in features) or len(images) < 10:
        return None
    classes, numbers = np.unique(labels, return_inverse=True)
    names = [str(c) for c in classes]
    moments = [int(file.stem) for file in files]
    frames = [
        Frame("untrained encoder" if t == 0 else f"after experience {t}", scatter(points, numbers, names))
        for t, points in zip(moments, layout(features), strict=True)
    ]
    before, after = nearest_neighbors(features[0], neighbors), nearest_neighbors(features[-1], neighbors)
    chosen = [int(np.flatnonzero(numbers == c)[0]) for c in range(min(queries, len(classes)))]

    def thumb(i: int, query: int) -> Thumb:
        return Thumb(thumbnail(images[i]), names[numbers[i]], bool(numbers[i] == numbers[query]))

    rows = [Row(thumb(q, q), [thumb(i, q) for i in before[q]], [thumb(i, q) for i in after[q]]) for q in chosen]
    shares = [float((numbers[found] == numbers[:, None]).mean()) for found in (before, after)]
    return Exhibit(title, frames, rows, *shares)


def nearest_neighbors(features: Features, k: int) -> NDArray[np.int64]:
    """Rows (N, k) of the k most cosine-similar others of each of the features (N, D)."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True).clip(1e-12)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    return np.argsort(-similarity, axis=1, kind="stable")[:, :k]


def layout(features: list[Features]) -> list[Features]:
    """Places (N, 2) at each moment by t-SNE, each started from the one before, so that points move and do not jump."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    places: list[Features] = []
    start: Any = PCA(2, svd_solver="full").fit_transform(_standard(features[0]))
    for x in features:
        start = start / max(float(start[:, 0].std()), 1e-12) * 1e-2
        perplexity = min(30.0, (len(x) - 1) / 3)
        tsne = TSNE(2, init=start, perplexity=perplexity, max_iter=500, random_state=0, learning_rate="auto")
        start = tsne.fit_transform(_standard(x))
        places.append(start)
    return places


def _standard(x: Features) -> Features:
    """Standardised features, their 30 first principal components."""
    from sklearn.decomposition import PCA

    std = x.std(axis=0)
    return PCA(min(30, *x.shape), svd_solver="full").fit_transform(
        (x - x.mean(axis=0)) / np.where(std > 1e-9, std, 1.0)
    )
