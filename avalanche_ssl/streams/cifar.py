"""CIFAR-10 and CIFAR-100, read from disk or downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from avalanche.benchmarks import CLScenario
from avalanche.benchmarks.datasets import default_dataset_location
from torchvision import datasets
from torchvision.transforms import PILToTensor

from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import locked_when_free
from avalanche_ssl.streams.benchmark import benchmark_from_parts
from avalanche_ssl.streams.splits import IncrementalSplit

Name = Literal["CIFAR10", "CIFAR100"]


def cifar_benchmark(name: Name, data: str | Path | None, split: IncrementalSplit) -> CLScenario:
    """The stream of CIFAR-10 or CIFAR-100; options are checked before images are read."""
    n_classes = 10 if name == "CIFAR10" else 100
    split.check(n_classes)
    root = Path(data if data is not None else default_dataset_location(name.lower())).expanduser()
    train, test = _load(name, root, train=True), _load(name, root, train=False)
    parts = split.train_parts(train.targets, n_classes), split.test_parts(test.targets, n_classes)
    return benchmark_from_parts(train, parts[0], test, parts[1], train.classes)


def _load(name: Name, root: Path, train: bool) -> datasets.CIFAR10:
    """The data set, downloaded only if it is absent or damaged."""
    kind = {"CIFAR10": datasets.CIFAR10, "CIFAR100": datasets.CIFAR100}[name]
    try:
        return kind(str(root), train, PILToTensor())
    except RuntimeError:  # torchvision: not found or corrupted
        pass
    try:
        root.mkdir(parents=True, exist_ok=True)
        with locked_when_free(root):  # of several processes one downloads, and the others find it there
            return kind(str(root), train, PILToTensor(), download=True)
    except (OSError, RuntimeError, EOFError) as error:
        raise UsageError(
            f"no {name} in '{root}' and no download ({' '.join(str(error).split())}): "
            f"put {kind.filename} there, or give its folder with data"
        ) from error
