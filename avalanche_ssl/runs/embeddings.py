"""Features of a fixed sample of the test images, kept after each experience for the report.

`embeddings/images.npz` holds the images (N, H, W, C) as uint8, RGB or gray (the mean of other channels), with their
`labels` and `experiences` (N,), and `class_names` (K,) by label if the benchmark has them; `embeddings/003.npy` their
features (N, D) after three experiences, `000.npy` those of the untrained encoder. Files are complete or absent, and
hold arrays only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avalanche_ssl.data import RawDataLoader, class_labels, to_uint8
from avalanche_ssl.files import replacing
from avalanche_ssl.models import LabeledFeatures
from avalanche_ssl.probes import ranks_in_order
from avalanche_ssl.runs.folder import EMBEDDINGS
from avalanche_ssl.streams import ClassIndex


class EmbeddingSnapshots:
    """Keeps a class-balanced sample of the test images of a benchmark, and their features.

    Args:
        datasets: the test data of each experience.
        out: folder of the run; the files lie in its subfolder.
        images: at most so many.
        classes: what the datasets' labels are the numbers of; None: they are labels themselves.
        names: of the classes in the order of the labels, if there are any.
    """

    def __init__(
        self,
        datasets: Sequence[Any],
        out: Path,
        *,
        images: int = 400,
        classes: ClassIndex | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        self.folder = out / EMBEDDINGS
        self.datasets = datasets
        self.class_names = names
        self.labels = [class_labels(dataset) for dataset in datasets]
        self.rows = _balanced(self.labels, images)
        if classes is not None:
            self.labels = [np.where(y < 0, -1, classes.labels[y]) for y in self.labels]

    def save(self, trained: int, test: Sequence[LabeledFeatures]) -> None:
        """Write the features of the sample, and its images if they are not there yet.

        Args:
            trained: experiences that the encoder was trained on.
            test: features (N, D) by the encoder, and labels, of each experience's test data.
        """
        if not (self.folder / "images.npz").exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write_images()
        chosen = [x[rows].numpy().astype(np.float16) for (x, _), rows in zip(test, self.rows, strict=True)]
        with replacing(self.folder / f"{trained:03d}.npy") as file:
            np.save(file, np.concatenate(chosen), allow_pickle=False)

    def _write_images(self) -> None:
        images = []
        for dataset, rows in zip(self.datasets, self.rows, strict=True):
            loader = RawDataLoader([dataset.subset(rows.tolist())], [512], shuffle=False, drop_last=False)
            images += [_picture(to_uint8(x)) for x, *_ in loader] if len(rows) else []
        channels = max(x.shape[3] for x in images)
        images = [np.broadcast_to(x, (*x.shape[:3], channels)) for x in images]  # gray among RGB
        experiences = np.repeat(np.arange(len(self.rows)), [len(rows) for rows in self.rows])
        classes = np.concatenate([y[rows] for y, rows in zip(self.labels, self.rows, strict=True)])
        arrays = {"images": np.concatenate(images), "labels": classes, "experiences": experiences}
        if self.class_names:
            arrays["class_names"] = np.array([str(name) for name in self.class_names])
        with replacing(self.folder / "images.npz") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)


def _picture(x: Tensor) -> NDArray[np.uint8]:
    """Images (B, C, H, W) as (B, H, W, C) that can be shown, RGB or gray."""
    if x.shape[1] not in (1, 3):
        x = x.float().mean(1, keepdim=True).round().to(torch.uint8)
    return x.permute(0, 2, 3, 1).numpy()


def _balanced(labels: Sequence[NDArray[Any]], images: int) -> list[NDArray[np.int64]]:
    """The rows of each experience that belong to the sample, in order: as many of every class as possible."""
    pooled = np.concatenate(labels)
    order = np.random.default_rng(0).permutation(len(pooled))
    _, classes = np.unique(pooled, return_inverse=True)
    ranks = ranks_in_order(torch.from_numpy(classes), torch.from_numpy(order)).numpy()
    chosen = np.zeros(len(pooled), bool)
    chosen[np.lexsort((order, ranks))[:images]] = True
    chosen &= pooled >= 0
    bounds = np.cumsum([len(y) for y in labels])[:-1]
    return [np.flatnonzero(part) for part in np.split(chosen, bounds)]
