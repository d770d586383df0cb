"""The embeddings that a run kept: their layout over the stream, and the nearest neighbors of some images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalanche_ssl.errors import UsageError
from avalanche_ssl.reports.comparison import Stream
from avalanche_ssl.reports.embedding_files import Features, read_embeddings
from avalanche_ssl.reports.scatter import ClassPoints, Look, class_points
from avalanche_ssl.reports.thumbnails import ThumbnailSheet
from avalanche_ssl.runs import Run, evenly_spread, start_name

MOST_FRAMES = 6
"""Layouts of a run at most: each takes seconds."""
NEIGHBORS, QUERIES = 5, 6
"""Nearest images that are shown of one, and of how many they are shown, each of another class."""


@dataclass
class Frame:
    """All embeddings after some experience."""

    trained: int
    """Experiences that the encoder was trained on."""
    title: str
    """What the encoder is called."""
    classes: list[ClassPoints]


@dataclass
class Thumbnail:
    """A query or one of its neighbors."""

    image: int
    """Number in the sheet."""
    class_name: str
    same: bool
    """Whether it is of the query's class."""


@dataclass
class QueryRow:
    """A query and its nearest neighbors by cosine, at the start and at the end."""

    query: Thumbnail
    before: list[Thumbnail]
    after: list[Thumbnail]


@dataclass
class EmbeddingView:
    """What a report shows of the embeddings of a run."""

    title: str
    start: str
    """What the encoder at the start is called."""
    legend: list[tuple[str, Look]]
    """Every class with its look."""
    frames: list[Frame]
    rows: list[QueryRow]
    same_before: float
    """Share of the nearest neighbors that have the same class, mean over all images; of the encoder at the start."""
    same_after: float
    """The same at the end."""


def note_unreadable(found: list[Stream]) -> None:
    """Note at the runs whose embeddings a report would show why they cannot be."""
    for run in (group.runs[0] for stream in found for group in stream.groups):
        try:
            read_embeddings(run.folder)
        except UsageError as error:
            run.notes.append(str(error))


def view_embeddings(run: Run, title: str, sheet: ThumbnailSheet) -> EmbeddingView | None:
    """The embeddings of a run, whose images are added to the sheet; None if there are none, or none can be read."""
    try:
        kept = read_embeddings(run.folder)
    except UsageError:  # `read_embeddings` says why
        return None
    if kept is None:
        return None
    classes, numbers = np.unique(kept.labels, return_inverse=True)
    names = [kept.class_name(int(label)) for label in classes]
    features = list(kept.features.values())
    times = evenly_spread(list(kept.features), MOST_FRAMES)
    places = layout([kept.features[t] for t in times])
    start = start_name(run.config)
    titles = [f"after experience {t}" if t else start for t in times]
    points = [class_points(each, numbers, names) for each in places]
    frames = [Frame(*each) for each in zip(times, titles, points, strict=True)]
    before, after = nearest_neighbors(features[0], NEIGHBORS), nearest_neighbors(features[-1], NEIGHBORS)
    chosen = [int(np.flatnonzero(numbers == c)[0]) for c in range(min(QUERIES, len(classes)))]

    def show(i: int, query: int) -> Thumbnail:
        return Thumbnail(sheet.add(kept.images[i]), names[numbers[i]], bool(numbers[i] == numbers[query]))

    rows = [QueryRow(show(q, q), [show(i, q) for i in before[q]], [show(i, q) for i in after[q]]) for q in chosen]
    shares = [float((numbers[found] == numbers[:, None]).mean()) for found in (before, after)]
    legend = [(name, Look.of(number)) for number, name in enumerate(names)]
    return EmbeddingView(title, start, legend, frames, rows, *shares)


def nearest_neighbors(features: Features, k: int) -> NDArray[np.int64]:
    """Rows (N, k) of the k most similar others of each of the features (N, D), by cosine."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True).clip(1e-12)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    found: NDArray[np.int64] = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return found


def layout(features: list[Features]) -> list[Features]:
    """Places (N, 2) of all features (N, D) by t-SNE, each started from the one before, so that points do not jump."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    places: list[Features] = []
    start: Any = PCA(2, svd_solver="full").fit_transform(_standardized(features[0]))
    for x in features:
        start = start / max(float(start[:, 0].std()), 1e-12) * 1e-2
        perplexity = min(30.0, (len(x) - 1) / 3)
        tsne = TSNE(2, init=start, perplexity=perplexity, max_iter=500, random_state=0, learning_rate="auto")
        start = tsne.fit_transform(_standardized(x))
        places.append(start)
    return places


def _standardized(x: Features) -> Features:
    """Standardized features, as their first 30 principal components."""
    from sklearn.decomposition import PCA

    std = x.std(axis=0)
    scaled = (x - x.mean(axis=0)) / np.where(std > 1e-9, std, 1.0)
    return PCA(min(30, *x.shape), svd_solver="full").fit_transform(scaled)  # type: ignore[no-any-return]
