"""Download CIFAR and write its images as files, train/CLASS/*.png and test/CLASS/*.png.

python benchmarks/cifar_as_files.py --dataset cifar100 --per-class 450 --out cifar100-450

The first images of each class in the order of the data set are kept: with 450 of CIFAR-100's 500 the rest is the
validation part of papers that keep one. Started again, it writes what is missing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.errors import UsageError

DATASETS = {"cifar10": "CIFAR10", "cifar100": "CIFAR100"}
"""Names in torchvision."""


@command("cifar_as_files.py")
def main(arguments: list[str] | None = None) -> int:
    """Download and write; exit status 2 for a mistake."""
    parser = Parser(prog="cifar_as_files.py", description=__doc__)
    add = parser.add_argument
    add("--dataset", choices=tuple(DATASETS), default="cifar100", help="which (cifar100)")
    add("--per-class", type=int, metavar="N", help="training images of each class (all)")
    add("--out", type=Path, required=True, metavar="DIR", help="where to write")
    add("--download", type=Path, default=Path("data"), metavar="DIR", help="where the archive is, or goes to (data)")
    options = parser.parse_args(arguments)
    if options.per_class is not None and options.per_class < 1:
        raise UsageError(f"--per-class is {options.per_class}: give 1 or more")

    from torchvision import datasets

    kind = getattr(datasets, DATASETS[options.dataset])
    for part in ("train", "test"):
        data = kind(options.download, train=part == "train", download=True)
        count = write_images(options.out / part, data, options.per_class if part == "train" else None)
        print(f"{options.out / part}: {len(data.classes)} classes, {count:,} images")
    return 0


def write_images(folder: Path, data: Any, per_class: int | None = None) -> int:
    """Write the images of a data set of torchvision; how many there are.

    Args:
        folder: a subfolder for each class is made in it.
        data: has `classes`, and gives an image of Pillow and its label by position.
        per_class: the first so many of each class; None: all.
    """
    written = [0] * len(data.classes)
    for name in data.classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for position in range(len(data)):
        image, label = data[position]
        if per_class is None or written[label] < per_class:
            path = folder / data.classes[label] / f"{position:05d}.png"
            if not path.exists():
                image.save(part := path.with_suffix(".part"), format="png")
                part.replace(path)
            written[label] += 1
    return sum(written)


if __name__ == "__main__":
    sys.exit(main())
