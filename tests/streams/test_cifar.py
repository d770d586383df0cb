"""CIFAR-10 and CIFAR-100 are read from disk; what is missing is named."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from helpers.streams import check_benchmark, classes
from torchvision.datasets import CIFAR10, CIFAR100

from avalanche_ssl import streams
from avalanche_ssl.errors import UsageError


def write_cifar(root: Path, kind: type[CIFAR10], n: int) -> None:
    """The format on disk: pickled dicts of rows of 3072 bytes, red first."""
    rng = np.random.default_rng(0)
    n_classes, key = (100, "fine_labels") if kind is CIFAR100 else (10, "labels")
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    for name, _ in (*kind.train_list, *kind.test_list):
        data = rng.integers(0, 256, (n, 3072), np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": data, key: [i % n_classes for i in range(n)]}))
    names = [f"class {i}" for i in range(n_classes)]
    (folder / kind.meta["filename"]).write_bytes(pickle.dumps({kind.meta["key"]: names}))


@pytest.mark.parametrize(
    ("kind", "build", "n_classes"),
    [(CIFAR10, streams.split_cifar10, 10), (CIFAR100, streams.split_cifar100, 100)],
)
def test_cifar(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[CIFAR10],
    build: Callable[..., Any],
    n_classes: int,
) -> None:
    write_cifar(tmp_path, kind, 2 * n_classes)
    monkeypatch.setattr(kind, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    benchmark = build(3, data=tmp_path, class_order=list(range(n_classes)))
    check_benchmark(benchmark)
    assert [len(classes(e)) for e in benchmark.train_stream] == [len(p) for p in np.array_split(range(n_classes), 3)]
    assert benchmark.class_names[3] == "class 3"
    name = kind.train_list[0][0]
    data = pickle.loads((tmp_path / kind.base_folder / name).read_bytes())["data"]
    assert torch.equal(benchmark.train_stream[0].dataset[0][0], torch.from_numpy(data[0]).view(3, 32, 32))


def test_cifar_that_cannot_be_had_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*args: Any, **kwargs: Any) -> None:
        raise URLError("no\nnetwork")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", no_network)
    with pytest.raises(UsageError, match=r"no CIFAR10 in '.*no network.*put cifar-10-python.tar.gz there") as error:
        streams.split_cifar10(data=tmp_path)
    assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match="10 classes into 20"):
        streams.split_cifar10(20, data=tmp_path)
