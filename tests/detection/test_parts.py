"""Which lists of a data folder are for training, validation and testing."""

from __future__ import annotations

from pathlib import Path

import pytest

from avalanche_ssl.detection.parts import choose_parts
from avalanche_ssl.errors import UsageError


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("train", "val", "trainval", "test"), ("trainval", None, "test")),
        (("train", "val", "trainval"), ("train", None, "val")),
        (("train", "val", "test"), ("train", "val", "test")),
        (("train", "test"), ("train", None, "test")),
        (("train", "val"), ("train", None, "val")),
    ],
)
def test_parts(names: tuple[str, ...], expected: tuple[str | None, ...]) -> None:
    assert choose_parts(names, Path("x")) == expected


@pytest.mark.parametrize(
    ("names", "found"), [((), "none"), (("train",), "only train"), (("trainval", "val"), "only trainval and val")]
)
def test_parts_that_are_not_enough(names: tuple[str, ...], found: str) -> None:
    with pytest.raises(UsageError, match=f"'x' needs parts to train and to test on and has {found}: add 'train', and"):
        choose_parts(names, Path("x"))
