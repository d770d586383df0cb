"""Images with the boxes of their objects, in one form whatever they are read from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor
from torch.utils.data import Dataset

from avalanche_ssl.detection.image_files import read_image


class Target(TypedDict):
    """The objects of an image; N and M may be 0.

    A box is x1, y1, x2, y2 in pixels, where the image spans 0 to W and 0 to H: x1 < x2, y1 < y2, all inside.
    """

    boxes: Tensor
    """Of the N objects to find, float32 (N, 4)."""
    labels: Tensor
    """Their classes, long (N,), in 0 to the number of classes less 1."""
    ignored_boxes: Tensor
    """Of M objects to neither learn nor count (difficult in VOC, a crowd in COCO), float32 (M, 4)."""
    ignored_labels: Tensor
    """Their classes, long (M,)."""


class DetectionDataset(Dataset[tuple[Tensor, Target]]):
    """Images with the boxes and classes of their objects; an item is `(image, target)`.

    The image is uint8 (C, H, W), and sizes may differ. An image without an object is a negative: its target has N = 0.

    Args:
        images: tensors uint8 (C, H, W), or paths of files, which are decoded to RGB when an item is taken.
        targets: one of each image, at hand without decoding it.
        class_names: what the labels 0, 1, ... mean.
    """

    def __init__(self, images: Sequence[Tensor | Path], targets: Sequence[Target], class_names: Sequence[str]) -> None:
        self.images, self.targets, self.class_names = images, targets, tuple(class_names)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        image = self.images[index]
        return image if isinstance(image, Tensor) else read_image(image), self.targets[index]

    def select(self, rows: Sequence[int]) -> DetectionDataset:
        """The dataset of the images at `rows`, with the same classes."""
        return DetectionDataset([self.images[i] for i in rows], [self.targets[i] for i in rows], self.class_names)


def metric_target(target: Target) -> dict[str, Tensor]:
    """All objects of a target as torchmetrics' `MeanAveragePrecision` takes them, the ignored ones as crowds.

    A detection that fits only a crowd counts neither for nor against.
    """
    n, m = len(target["labels"]), len(target["ignored_labels"])
    return {
        "boxes": torch.cat([target["boxes"], target["ignored_boxes"]]),
        "labels": torch.cat([target["labels"], target["ignored_labels"]]),
        "iscrowd": torch.tensor([0] * n + [1] * m, dtype=torch.long),
    }
