"""Small datasets of random pictures, wrapped as Avalanche and torch wrap them."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from avalanche.benchmarks import (
    benchmark_from_datasets,
    class_incremental_benchmark,
    nc_benchmark,
    split_online_stream,
)
from avalanche.benchmarks.utils import as_classification_dataset
from avalanche.training.storage_policy import ExperienceBalancedBuffer, ReservoirSamplingBuffer
from PIL import Image
from torch.utils.data import ConcatDataset, Subset
from torchvision import transforms as T

from avalanche_ssl.data.datasets import ArrayDataset
from avalanche_ssl.streams.benchmark import benchmark_from_parts
from avalanche_ssl.streams.partitions import equal_parts

RANDOM = T.Compose([T.RandomCrop(8, padding=2), T.ToTensor()])


class PictureDataset:
    """Like torchvision's CIFAR: PIL items out of an array, and a transform."""

    def __init__(self, n: int, seed: int = 0, transform: Any = None, size: int = 8) -> None:
        rng = np.random.default_rng(seed)
        self.data = rng.integers(0, 256, (n, size, size, 3), np.uint8)
        self.targets = [i % 5 for i in range(n)]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = Image.fromarray(self.data[index])
        return (image if self.transform is None else self.transform(image)), self.targets[index]


class FileDataset:
    """PIL items out of files, nothing in memory, no labels but in the items."""

    def __init__(self, root: Path, data: np.ndarray, labeled: bool = True, transform: Any = None) -> None:
        self.paths = [root / f"{i}.png" for i in range(len(data))]
        for path, image in zip(self.paths, data):
            Image.fromarray(image).save(path)
        self.labeled, self.transform = labeled, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        image = Image.open(self.paths[index])
        image = self.transform(image) if self.transform else image
        return (image, index % 5) if self.labeled else (image,)


def nc(n: int = 60) -> list[Any]:
    benchmark = nc_benchmark(
        PictureDataset(n),
        PictureDataset(n, 1),
        n_experiences=2,
        task_labels=False,
        class_ids_from_zero_from_first_exp=True,
        fixed_class_order=[3, 1, 0, 4, 2],
        per_exp_classes={0: 2},
        train_transform=RANDOM,
        eval_transform=T.ToTensor(),
    )
    return [e.dataset for e in (*benchmark.train_stream, *benchmark.test_stream)]


def array_stream(n: int = 60) -> list[Any]:

    train = ArrayDataset(PictureDataset(n).data, PictureDataset(n).targets)
    parts = equal_parts(train.targets, 3, 0, "training")
    return [e.dataset for e in benchmark_from_parts(train, parts, None, [], None).train_stream]


def class_incremental() -> list[Any]:
    data = as_classification_dataset(PictureDataset(40))
    stream = class_incremental_benchmark({"train": data}, num_experiences=5, seed=1).train_stream
    return [e.dataset for e in stream]


def online() -> list[Any]:
    data = as_classification_dataset(PictureDataset(40), transform_groups={"train": RANDOM, "eval": None})
    stream = benchmark_from_datasets(train=[data]).train_stream
    return [e.dataset for e in split_online_stream(stream, 7)]


def buffers() -> list[Any]:
    found = []
    for buffer in (ReservoirSamplingBuffer(20), ExperienceBalancedBuffer(21, adaptive_size=True)):
        for data in nc()[:2]:
            buffer.post_adapt(SimpleNamespace(experience=None), SimpleNamespace(dataset=data))
            found.append(copy.copy(buffer.buffer))
    return found


def torch_trees() -> list[Any]:
    one, two = PictureDataset(20, transform=RANDOM), PictureDataset(10, 1)
    return [one, Subset(one, [3, 1, 4, 1]), ConcatDataset([Subset(two, [9, 0]), one, two])]
