"""CIFAR as files, of a data set that is made here."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cifar_as_files
import numpy as np
import pytest
import torchvision
from PIL import Image

from avalanche_ssl.reproductions import DATA


class Small:
    """Two classes in turn, whose images tell their position."""

    classes = ["apple", "bear"]

    def __init__(self, root: Path, train: bool, download: bool) -> None:
        self.n = 8 if train else 4

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> tuple[Any, int]:
        return Image.fromarray(np.full((4, 4, 3), 10 * i, np.uint8)), i % 2


def test_the_first_images_of_each_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torchvision, "datasets", SimpleNamespace(CIFAR100=Small))
    out = tmp_path / "out"
    for _ in range(2):
        assert cifar_as_files.main(["--per-class", "3", "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        f"{out}/train: 2 classes, 6 images",
        f"{out}/test: 2 classes, 4 images",
    ]
    files = sorted(str(p.relative_to(out)) for p in out.rglob("*.png"))
    assert files[4:] == [
        f"train/{c}/0000{i}.png" for c, first in (("apple", 0), ("bear", 1)) for i in (first, first + 2, first + 4)
    ]
    with Image.open(out / "train" / "bear" / "00003.png") as image:
        assert np.asarray(image)[0, 0].tolist() == [30, 30, 30]


def test_the_command_that_the_registry_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert DATA["cifar100-450"].remedy.startswith(
        "python benchmarks/cifar_as_files.py --dataset cifar100 --per-class 450"
    )
    assert cifar_as_files.main(["--per-class", "0", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "cifar_as_files.py: --per-class is 0: give 1 or more\n"
