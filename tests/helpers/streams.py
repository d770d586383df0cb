"""What tests read of a stream, and folders of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from avalanche.benchmarks.utils.data_loader import ReplayDataLoader
from PIL import Image

from avalanche_ssl.data import ArrayDataset, RawDataLoader, array_reader
from avalanche_ssl.streams.benchmark import benchmark_from_parts


def images(dataset: Any) -> torch.Tensor:
    """All images (N, C, H, W) of a dataset, in order."""
    return torch.cat([x for x, _, _ in RawDataLoader([dataset], [256], shuffle=False, drop_last=False)])


def classes(experience: Any) -> set[int]:
    return set(experience.dataset.targets)


def check_benchmark(benchmark: Any) -> None:
    """What every stream promises."""
    assert len(benchmark.train_stream) == len(benchmark.test_stream)
    for train, test in zip(benchmark.train_stream, benchmark.test_stream, strict=True):
        assert classes(train) == classes(test) == set(train.classes_in_this_experience)
        assert train.task_labels == [0]
        x, y, t = train.dataset[0]
        assert (x.dtype, x.dim(), t) == (torch.uint8, 3, 0)
        assert y in classes(train)
        assert array_reader(train.dataset) is not None
    memory, data = (benchmark.train_stream[i].dataset for i in (0, -1))
    x, y, t = next(iter(ReplayDataLoader(data, memory, batch_size=4, batch_size_mem=3, shuffle=True)))
    assert x.dtype == torch.uint8
    assert len(x) == len(y) == len(t) == 3 + min(4, len(data))


def write_images(root: Path, names: list[str], n: int = 4, size: tuple[int, int] = (20, 16)) -> None:
    """`n` random images in each of the folders."""
    rng = np.random.default_rng(len(str(root)))
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(root / name / f"{i}.png")


def array_stream(channels: int, *, size: int = 32, n: int = 32, experiences: int = 2) -> Any:
    """A stream of arrays of random images with any number of channels, two classes in each experience."""
    rng, classes = np.random.default_rng(0), 2 * experiences

    def data(count: int) -> tuple[ArrayDataset, list[Any]]:
        labels = np.arange(count * experiences) % classes
        images = rng.integers(0, 256, (len(labels), size, size, channels), np.uint8)
        parts = [np.flatnonzero(labels // 2 == j) for j in range(experiences)]
        return ArrayDataset(images, labels.tolist()), parts

    return benchmark_from_parts(*data(n), *data(n // 2), [f"class {i}" for i in range(classes)])
