"""A picture of features in two dimensions: PCA, t-SNE or UMAP, colored by folder, with some of the images."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalanche_ssl.data import ValueRange, decode_image
from avalanche_ssl.data.image_decoding import ImageDecodingError
from avalanche_ssl.data.pixels import PixelError
from avalanche_ssl.drawing import COLORS, REFERENCE, STYLE
from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import replacing

LEAST, MOST = 3, 10_000
"""Images in a picture at least, and at most those of t-SNE and UMAP, which take minutes for more."""
GROUPS = len(COLORS)
"""Folders that have a color of their own; the smaller ones share one."""
THUMBNAIL, THUMBNAILS, APART = 40, 48, 0.075
"""Pixels a side of an image in the picture, how many there are at most, and the share of the axes between any two."""
SEED = 0

Points = NDArray[np.float64]
"""(N, 2)."""


def check_projection(kind: str, images: int = LEAST) -> None:
    """Refuse a projection of too few images, or whose package is missing.

    Raises:
        UsageError: names the remedy.
    """
    if images < LEAST:
        raise UsageError(f"--project needs {LEAST} images or more, and there are {images}")
    if kind == "umap":
        _umap()


def project(features: NDArray[np.float32], kind: str) -> tuple[Points, list[str]]:
    """Features (N, D) in two dimensions, and a label for each axis; none where an axis has no meaning.

    t-SNE and UMAP compare by cosine.

    Raises:
        UsageError: there are fewer than three images, or a package is missing.
    """
    check_projection(kind, len(features))
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    if kind == "pca":
        two = min(2, features.shape[1])
        pca = PCA(two, svd_solver="full" if min(features.shape) <= 1000 else "randomized", random_state=SEED)
        points = pca.fit_transform(features.astype(np.float64))
        points = np.pad(points, ((0, 0), (0, 2 - two)))
        shares = np.pad(np.nan_to_num(pca.explained_variance_ratio_), (0, 2 - two))
        return points, [f"component {i + 1} ({100 * share:.0f} % of the variance)" for i, share in enumerate(shares)]
    if kind == "tsne":
        tsne = TSNE(2, perplexity=min(30.0, (len(unit) - 1) / 3), metric="cosine", init="pca", random_state=SEED)
        return np.asarray(tsne.fit_transform(unit), np.float64), []
    umap = _umap().UMAP(n_neighbors=min(15, len(unit) - 1), metric="cosine", random_state=SEED)
    return np.asarray(umap.fit_transform(unit), np.float64), []


def draw_map(
    out: Path,
    names: Sequence[str],
    features: NDArray[np.float32],
    kind: str,
    title: str,
    data: Path | None = None,
    value_range: ValueRange | None = None,
) -> int:
    """Draw a projection of features as a PNG.

    Args:
        out: the picture.
        names: of the images, paths with slashes; those in one folder have one color.
        features: (N, D).
        kind: "pca", "tsne" or "umap".
        title: of the picture.
        data: the folder of the images, some of which are shown; None: points only.
        value_range: of images with more than 8 bits a channel, the values that become 0 and 255.

    Returns:
        How many images are in it: of more than `MOST` t-SNE and UMAP place a sample.

    Raises:
        UsageError: as `project`, or the disk refuses.
    """
    import matplotlib.pyplot as plt

    rows = np.arange(len(names))
    if kind != "pca" and len(rows) > MOST:
        rows = np.sort(np.random.default_rng(SEED).choice(len(rows), MOST, replace=False))
    names = [names[row] for row in rows.tolist()]
    points, labels = project(features[rows], kind)
    groups = group_names(names)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(9, 7.2), layout="constrained")
        counts = Counter(groups)
        order = sorted(counts, key=lambda group: (group == OTHERS, group))
        size = float(np.clip(6000 / len(points), 3, 36))
        for number, group in enumerate(order):
            here = np.array([g == group for g in groups])
            color = REFERENCE if group == OTHERS else COLORS[number % len(COLORS)]
            label = f"{group} ({counts[group]:,})"
            axes.scatter(
                points[here, 0], points[here, 1], s=size, color=color, alpha=0.8, linewidths=0, label=label, zorder=2
            )
        if data is not None:
            _show_images(axes, points, names, groups, order, data, value_range)
        axes.set_title(title, loc="left")
        axes.margins(0.06)
        if labels:
            axes.set_xlabel(labels[0])
            axes.set_ylabel(labels[1])
        else:  # only neighborhoods mean anything
            axes.tick_params(length=0, labelbottom=False, labelleft=False)
            axes.grid(False)
        if len(order) > 1:
            figure.legend(loc="outside right upper", markerscale=max(1.0, (40 / size) ** 0.5), title="folder")
        sink = io.BytesIO()
        figure.savefig(sink, format="png", dpi=150)
        plt.close(figure)
    with replacing(out) as file:
        file.write(sink.getvalue())
    return len(rows)


OTHERS = "other folders"


def group_names(names: Sequence[str]) -> list[str]:
    """The first folder of each path where there are several, else the folder below; of many the largest by name."""
    parts = [name.split("/")[:-1] for name in names]
    depth = 0
    while all(len(part) > depth for part in parts) and len({part[depth] for part in parts}) == 1:
        depth += 1
    groups = ["/".join(part[depth : depth + 1]) or "." for part in parts]
    counts = Counter(groups)
    if len(counts) <= GROUPS:
        return groups
    ordered = sorted(counts, key=lambda group: (-counts[group], group))
    return [group if group in ordered[: GROUPS - 1] else OTHERS for group in groups]


def _show_images(
    axes: Any,
    points: Points,
    names: Sequence[str],
    groups: Sequence[str],
    order: Sequence[str],
    data: Path,
    value_range: ValueRange | None,
) -> None:
    """Show images that do not cover each other, framed in the color of their folder."""
    from matplotlib.colors import to_rgb
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    span = np.ptp(points, axis=0)
    scaled = (points - points.min(0)) / np.where(span > 0, span, 1)
    shown: list[int] = []
    for row in np.random.default_rng(SEED).permutation(len(points)).tolist():
        if len(shown) < THUMBNAILS and (np.abs(scaled[shown] - scaled[row]).max(1) > APART).all():
            shown.append(row)
    for row in shown:
        try:
            image = decode_image(data / names[row], THUMBNAIL, value_range)
        except (ImageDecodingError, PixelError):  # it has changed since it was embedded
            continue
        color = REFERENCE if groups[row] == OTHERS else COLORS[order.index(groups[row]) % len(COLORS)]
        framed = np.full((THUMBNAIL + 6, THUMBNAIL + 6, 3), [round(255 * c) for c in to_rgb(color)], np.uint8)
        framed[3:-3, 3:-3] = image
        axes.add_artist(AnnotationBbox(OffsetImage(framed, zoom=0.55), points[row], frameon=False))


def _umap() -> Any:
    try:
        import umap
    except ImportError as error:
        raise UsageError("--project umap needs a package: pip install umap-learn, or give tsne or pca") from error
    return umap
