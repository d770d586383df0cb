"""Which of the lists of a data folder are for training, for validation and for testing."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from avalanche_ssl.errors import UsageError

NAMES = ("train", "val", "trainval", "test")
"""What VOC and COCO call their parts."""


class Parts(NamedTuple):
    """Names of the parts."""

    train: str
    validation: str | None
    test: str


def choose_parts(names: Collection[str], place: Path) -> Parts:
    """The parts to use of those there are.

    With "test", training is on "trainval" (the protocol of VOC 2007), or where that is missing on "train", with "val"
    for validation. Without, as in VOC 2012 and COCO, "val" is for testing and "train" for training.

    Args:
        names: of the parts with annotations, of `NAMES`.
        place: where they are, for messages.

    Raises:
        UsageError: there is nothing to train on, or to test on.
    """
    if "test" in names and "trainval" in names:
        return Parts("trainval", None, "test")
    if "train" not in names or not {"val", "test"} & set(names):
        found = f"only {' and '.join(sorted(names))}" if names else "none"
        raise UsageError(
            f"'{place}' needs parts to train and to test on and has {found}: add 'train', and 'val' or 'test'"
        )
    return Parts("train", "val" if "val" in names else None, "test") if "test" in names else Parts("train", None, "val")
