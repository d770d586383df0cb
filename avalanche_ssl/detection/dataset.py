"""Images with the boxes of their objects, in one form whatever they are read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from avalanche_ssl.detection.boxes import Target as Target
from avalanche_ssl.detection.image_files import read_image


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

    def objects_by_class(self) -> list[int]:
        """How many objects there are to find, by class."""
        labels = torch.cat([target["labels"] for target in self.targets])
        return labels.bincount(minlength=len(self.class_names)).tolist()

    def __str__(self) -> str:
        """Images, objects, negatives and ignored objects, in words."""
        found = [len(target["labels"]) for target in self.targets]
        ignored = sum(len(target["ignored_labels"]) for target in self.targets)
        text = f"{_counted(len(self), 'image')}, {_counted(sum(found), 'object')}"
        if negatives := found.count(0):
            text += f", {_counted(negatives, 'image')} without one kept as negative{'s' * (negatives != 1)}"
        return text + (f", {ignored:,} difficult or crowd ignored" if ignored else "")


def _counted(n: int, thing: str) -> str:
    return f"{n:,} {thing}" + "s" * (n != 1)


@dataclass(frozen=True)
class DetectionData:
    """The parts of detection data, with the same classes.

    Args:
        name: where they are from.
        train: to learn from.
        validation: to choose by; None: there are none.
        test: to measure on, last.
    """

    name: str
    train: DetectionDataset
    validation: DetectionDataset | None
    test: DetectionDataset

    def __str__(self) -> str:
        """Name, classes and parts, in words."""
        parts = {"to train on": self.train, "to validate on": self.validation, "to test on": self.test}
        said = "; ".join(f"{use} {part}" for use, part in parts.items() if part is not None)
        n = len(self.train.class_names)
        return f"{self.name}, {n:,} class{'es' * (n != 1)}: {said}"


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
