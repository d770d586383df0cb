"""How are CIFAR-10 and CIFAR-100 read?"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from avalanche.benchmarks import CLScenario
from avalanche.benchmarks.datasets import default_dataset_location
from torchvision import datasets
from torchvision.transforms import PILToTensor

from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams.benchmark import assemble
from avalanche_ssl.streams.splits import IncrementalSplit

Name = Literal["CIFAR10", "CIFAR100"]


def build(name: Name, data: str | Path | None, increments: IncrementalSplit) -> CLScenario:
    """Check the options, then read."""
    n_classes = 10 if name == "CIFAR10" else 100
    increments.check(n_classes)
    root = Path(data if data is not None else default_dataset_location(name.lower()))
    train, test = _load(name, root, train=True), _load(name, root, train=False)
    parts = increments.train(train.targets, n_classes), increments.test(test.targets, n_classes)
    return assemble(train, parts[0], test, parts[1], train.classes)


def _load(name: Name, root: Path, train: bool) -> datasets.CIFAR10:
    """Read what is there; download only what is absent."""
    kind = {"CIFAR10": datasets.CIFAR10, "CIFAR100": datasets.CIFAR100}[name]
    try:
        return kind(str(root), train, PILToTensor())
    except RuntimeError:  # torchvision: not found or corrupted
        pass
    try:
        return kind(str(root), train, PILToTensor(), download=True)
    except (OSError, RuntimeError, EOFError) as error:
        raise UsageError(
            f"no {name} in '{root}' and no download ({' '.join(str(error).split())}): "
            f"put {kind.filename} there, or give its folder with data"
        ) from error
