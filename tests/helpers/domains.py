"""Streams whose experiences differ by a transform, and their images as Avalanche gives them."""

import struct
from pathlib import Path

import numpy as np
import torch
from avalanche.benchmarks import benchmark_from_datasets
from avalanche.benchmarks.utils import as_classification_dataset, make_avalanche_dataset
from torchvision.transforms import functional as F

from avalanche_ssl.data import ArrayDataset


def write_mnist(root: Path) -> Path:
    """Sixty training and thirty test images of ten classes in MNIST's files; no pixel is like its neighbors."""
    rng = np.random.default_rng(0)
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, n in (("train", 60), ("t10k", 30)):
        images = np.minimum(np.arange(784).reshape(28, 28) // 4 + rng.integers(0, 50, (n, 28, 28)), 255)
        _write_idx(folder / f"{name}-images-idx3-ubyte", images)
        _write_idx(folder / f"{name}-labels-idx1-ubyte", np.arange(n) % 10)
    return root


def _write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


class Turn:
    """A rotation by a fixed angle."""

    def __init__(self, angle: float) -> None:
        self.angle = angle

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        return F.rotate(image, self.angle)


def pictures(n: int = 40, seed: int = 0) -> ArrayDataset:
    """Color images of 32 x 32 pixels that are bright on the left, of four classes."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (n, 32, 32, 3)) + np.linspace(190, 0, 32).reshape(1, 1, 32, 1)
    return ArrayDataset(images.astype(np.uint8), np.arange(n) % 4)


def turned(angles=(0, 90, 180), frozen: bool = True, n: int = 40):
    """A benchmark of the same pictures in every experience, turned by a transform, which is frozen or ordinary."""
    streams = {}
    for stream, group, data in (("train", "train", pictures(n)), ("test", "eval", pictures(n, 1))):
        sets = []
        for angle in angles:
            groups = {"train": (Turn(angle), None), "eval": (Turn(angle), None)}
            if frozen:
                dataset = make_avalanche_dataset(as_classification_dataset(data), frozen_transform_groups=groups)
            else:
                dataset = as_classification_dataset(data, transform_groups=groups)
            sets.append(dataset.with_transforms(group))
        streams[stream] = sets
    return benchmark_from_datasets(**streams)


def frozen_images(dataset) -> torch.Tensor:
    """Avalanche's own items, with the ordinary transforms of the current group removed, as float (N, C, H, W)."""
    items = [item[0] for item in dataset.replace_current_transform_group(None)]
    return torch.stack([x.float() / (255 if x.dtype == torch.uint8 else 1) for x in items])


def read(loader) -> torch.Tensor:
    """The images of a loader as float in [0, 1]."""
    return torch.cat([x.float() / (255 if x.dtype == torch.uint8 else 1) for x, *_ in loader])
