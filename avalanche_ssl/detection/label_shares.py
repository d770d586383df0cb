"""A seeded share of labeled images in which every class is there."""

from __future__ import annotations

import warnings

import torch

from avalanche_ssl.detection.dataset import DetectionDataset
from avalanche_ssl.errors import UsageError


def label_share(dataset: DetectionDataset, share: float, seed: int = 0) -> DetectionDataset:
    """A random share of the images, rounded to the nearest number, with an object of every class that has one.

    In a random order of the images, those come first that bring a class which none before them had; the choice is the
    beginning of that order, so that choices with the same seed are nested. Where the share is too small for all
    classes, more images are taken, and a warning says how many. The images keep their order in the dataset.

    Args:
        dataset: what to choose from.
        share: of its images, as 0.01, 0.1 or 1.
        seed: of the choice.

    Raises:
        UsageError: the share is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise UsageError(f"label share {share:g}: give a number above 0 and at most 1")
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed)).tolist()
    seen: set[int] = set()
    bringing = []
    for row in order:
        classes = set(dataset.targets[row]["labels"].tolist())
        if classes - seen:
            bringing.append(row)
            seen |= classes
    wanted = max(1, round(share * len(dataset)))
    if wanted < len(bringing):
        warnings.warn(
            f"label share {share:g} is {wanted:,} of {len(dataset):,} images: {len(bringing):,} are taken, so that "
            "every class is there",
            stacklevel=2,
        )
    first = set(bringing)
    order = bringing + [row for row in order if row not in first]
    return dataset.select(sorted(order[: max(wanted, len(bringing))]))
