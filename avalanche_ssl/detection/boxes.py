"""The boxes of many images: checked, and handed out image by image."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avalanche_ssl.errors import UsageError

Floats = NDArray[np.float32]

THINNEST = 0.01
"""Pixels that a box must be wide and high: less may be rounded to nothing where an image is resized or mirrored."""


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


class Targets(Sequence[Target]):
    """The targets of images, cut from tensors of all objects when they are taken.

    Args:
        boxes, labels: float32 (T, 4) and long (T,) of all objects, image after image, in each those to ignore last.
        found, ignored: how many each image has of either.
    """

    def __init__(self, boxes: Tensor, labels: Tensor, found: Sequence[int], ignored: Sequence[int]) -> None:
        self.boxes, self.labels = boxes, labels
        self.cuts = [0, *accumulate(chain.from_iterable(zip(found, ignored, strict=True)))]

    def __len__(self) -> int:
        return len(self.cuts) // 2

    def __getitem__(self, index: int) -> Target:  # type: ignore[override]  # no slices
        number = range(len(self))[index]
        first, middle, last = self.cuts[2 * number : 2 * number + 3]
        return {
            "boxes": self.boxes[first:middle],
            "labels": self.labels[first:middle],
            "ignored_boxes": self.boxes[middle:last],
            "ignored_labels": self.labels[middle:last],
        }


class Objects:
    """Collects the objects of images, in any order."""

    def __init__(self) -> None:
        self._images: list[int] = []
        self._boxes: list[Sequence[float]] = []
        self._labels: list[int] = []
        self._ignored: list[bool] = []

    def add(self, image: int, box: Sequence[float], label: int, ignored: bool = False) -> None:
        """Add an object by the number of its image, its box x1, y1, x2, y2 and its class."""
        self._images.append(image)
        self._boxes.append(box)
        self._labels.append(label)
        self._ignored.append(ignored)

    def targets(self, n: int) -> Targets:
        """The targets of `n` images, whose boxes need no check."""
        return self._targets(n, np.asarray(self._boxes, np.float32).reshape(-1, 4), np.arange(len(self._boxes)))

    def checked_targets(self, paths: Sequence[Path], sizes: Sequence[tuple[int, int]]) -> Targets:
        """The targets of the images in files of these sizes (W, H).

        A box that reaches beyond its image is clipped, one that is less than `THINNEST` wide or high is left out; a
        warning counts both.

        Raises:
            UsageError: a box lies outside its image, has its corners in the wrong order, or no finite numbers.
        """
        boxes = np.asarray(self._boxes, np.float32).reshape(-1, 4)
        bounds = np.asarray(sizes, np.float32).reshape(-1, 2)[self._images]
        low, high = boxes[:, :2], boxes[:, 2:]
        flat: NDArray[np.bool_] = np.asarray((low + THINNEST > high).any(1))
        for wrong, reason in (
            (~np.isfinite(boxes).all(1), "has no finite numbers"),
            ((low > high).any(1), "has its second corner before its first"),
            (~flat & ((low >= bounds) | (high <= 0)).any(1), "lies outside"),
        ):
            if wrong.any():
                first = int(wrong.argmax())
                raise UsageError(self._wrong(first, boxes[first], reason, paths, sizes))
        clipped = np.concatenate([low.clip(0, bounds), high.clip(0, bounds)], 1)
        flat |= (clipped[:, 2:] - clipped[:, :2]).min(1) < THINNEST
        self._warn(flat, "without width or height: left out", paths)
        beyond = np.abs(clipped - boxes).max(1, initial=0) * ~flat
        most = beyond.max(initial=0)
        self._warn(beyond > 0, f"beyond the image, by {most:.3g} pixels at most: clipped", paths)
        return self._targets(len(paths), clipped, np.flatnonzero(~flat))

    def _targets(self, n: int, boxes: Floats, kept: NDArray[np.int64]) -> Targets:
        images, ignored = np.asarray(self._images, np.int64)[kept], np.asarray(self._ignored, bool)[kept]
        order = kept[np.lexsort((ignored, images))]
        labels = np.asarray(self._labels, np.int64)
        counts = (np.bincount(images[chosen], minlength=n).tolist() for chosen in (~ignored, ignored))
        return Targets(torch.from_numpy(boxes[order]), torch.from_numpy(labels[order]), *counts)

    def _wrong(
        self, number: int, box: Floats, reason: str, paths: Sequence[Path], sizes: Sequence[tuple[int, int]]
    ) -> str:
        image = self._images[number]
        (width, height), corners = sizes[image], ", ".join(f"{value:g}" for value in box.tolist())
        return (
            f"image '{paths[image]}' of {width} x {height} pixels: box ({corners}) {reason}: "
            "correct it in its annotation, or remove it"
        )

    def _warn(self, found: NDArray[np.bool_], fault: str, paths: Sequence[Path]) -> None:
        if count := int(found.sum()):
            first = paths[self._images[int(found.argmax())]]
            box = "1 box" if count == 1 else f"{count:,} boxes"
            warnings.warn(f"{box} {fault} (first in '{first}')", stacklevel=4)
