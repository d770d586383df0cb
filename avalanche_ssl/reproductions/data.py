"""What data the runs of entries need, where they are from, and whether a folder holds them."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from avalanche_ssl.errors import UsageError

EXPORT = "python benchmarks/cifar_as_files.py"
"""What downloads CIFAR and writes it as files, from a checkout."""


@dataclass(frozen=True)
class Requirement:
    """Data that a run needs.

    Args:
        about: what they are.
        taken: whether `--data` says where they are.
        folder: images of each class in train/CLASS and in test/CLASS, and how many classes there are; None where they
            need not be given, because they are downloaded or drawn.
        remedy: the command that makes the folder, without its name.
    """

    about: str
    taken: bool = True
    folder: tuple[int, int, int] | None = None
    remedy: str = ""


DATA = {
    "embedded": Requirement("images of the package", taken=False),
    "cifar10": Requirement("CIFAR-10, downloaded when absent (170 MB)"),
    "cifar100": Requirement("CIFAR-100, downloaded when absent (169 MB)"),
    "cifar100-450": Requirement(
        "CIFAR-100 as files without a tenth of its training images",
        folder=(450, 100, 100),
        remedy=f"{EXPORT} --dataset cifar100 --per-class 450 --out",
    ),
}
"""Data by name."""


def check_data(name: str, data: str | None) -> None:
    """Find out before any run whether the data of an entry are there.

    Args:
        name: one of `DATA`.
        data: what `--data` gives.

    Raises:
        UsageError: they are missing, or are others; with the command that makes them.
    """
    needed = DATA[name]
    if data is not None and not needed.taken:
        raise UsageError(f"--data {data}: this entry is about {needed.about}; leave it out")
    if needed.folder is None:
        return
    train, test, classes = needed.folder
    make = f"`{needed.remedy} {name}` downloads and writes it, then give --data {name}"
    wanted = f"{needed.about}: {classes} classes with {train} images in train/CLASS and {test} in test/CLASS"
    if data is None:
        raise UsageError(f"no --data, which must hold {wanted}; {make}")
    root = Path(data).expanduser()
    for part, count in (("train", train), ("test", test)):
        sizes = _sizes(root / part)
        if len(sizes) != classes or set(sizes.values()) != {count}:
            found = "nothing" if not sizes else f"{len(sizes)} classes with {_range(sizes.values())} images"
            raise UsageError(f"--data {data} has {found} in {part}, and must hold {wanted}; {make}")


def _sizes(folder: Path) -> dict[str, int]:
    """How many files the subfolders of a folder hold; none where it cannot be read."""
    try:
        return {entry.name: len(os.listdir(entry)) for entry in os.scandir(folder) if entry.is_dir()}
    except OSError:
        return {}


def _range(numbers: Collection[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"
