"""Which features show people what an encoder has learnt? Those of a few test images, kept after each experience.

`embeddings/images.npz` holds the images (N, H, W, C) as uint8 with their `labels` and `experiences` (N,);
`embeddings/003.npy` their features (N, D) after three experiences, `000.npy` those of the untrained encoder. Files
are complete or absent, and hold arrays only.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.models.inference import LabeledFeatures
from avalanche_ssl.runs.folder import FOLDER


class EmbeddingSnapshots:
    """Keeps a class-balanced sample of the test images of a benchmark and their features.

    Args:
        datasets: the test data of each experience.
        out: folder of the run; the files lie in its subfolder.
        images: how many at most.
        seed: of the choice.
    """

    def __init__(self, datasets: Sequence[Any], out: Path, *, images: int = 400, seed: int = 0) -> None:
        self.folder = out / FOLDER
        labels = [np.asarray(d.targets) for d in datasets]
        self.rows = _balanced(labels, images, seed)
        if not (self.folder / "images.npz").exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write_images(datasets, labels)

    def save(self, trained: int, test: Sequence[LabeledFeatures]) -> None:
        """Keep the features (N, D) of each experience's test data, as of an encoder after `trained` experiences."""
        chosen = [x[rows].numpy().astype(np.float16) for (x, _), rows in zip(test, self.rows, strict=True)]
        _write(self.folder / f"{trained:03d}.npy", np.concatenate(chosen))

    def _write_images(self, datasets: Sequence[Any], labels: Sequence[NDArray[Any]]) -> None:
        pictures = []
        for dataset, rows in zip(datasets, self.rows, strict=True):
            loader = RawDataLoader([dataset.subset(rows.tolist())], [512], shuffle=False, drop_last=False)
            pictures += [x.permute(0, 2, 3, 1).numpy() for x, *_ in loader] if len(rows) else []
        experiences = np.repeat(np.arange(len(datasets)), [len(rows) for rows in self.rows])
        classes = np.concatenate([y[rows] for y, rows in zip(labels, self.rows, strict=True)])
        _write(self.folder / "images.npz", images=np.concatenate(pictures), labels=classes, experiences=experiences)


def _balanced(labels: Sequence[NDArray[Any]], images: int, seed: int) -> list[NDArray[np.int64]]:
    """For each experience the rows that belong to the sample: as many of every class as possible, in order."""
    pooled = np.concatenate(labels)
    order = np.random.default_rng(seed).permutation(len(pooled))
    ranks = np.empty(len(pooled), np.int64)
    for label in np.unique(pooled):
        rows = order[pooled[order] == label]
        ranks[rows] = np.arange(len(rows))
    chosen = np.zeros(len(pooled), bool)
    chosen[np.lexsort((order, ranks))[:images]] = True
    chosen &= pooled >= 0
    bounds = np.cumsum([len(y) for y in labels])[:-1]
    return [np.flatnonzero(part) for part in np.split(chosen, bounds)]


def _write(path: Path, array: NDArray[Any] | None = None, **arrays: NDArray[Any]) -> None:
    """Write beside and rename, so that the file is never half there."""
    partial = path.with_suffix(".part")
    with partial.open("wb") as file:
        if array is not None:
            np.save(file, array, allow_pickle=False)
        else:
            np.savez_compressed(file, allow_pickle=False, **arrays)
    os.replace(partial, path)
