"""Transforms of datasets: which belong to the data, and which do the same."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks.utils import DefaultTransformGroups, TransformGroups
from avalanche.benchmarks.utils.transforms import MultiParamCompose, TupleTransform
from helpers.datasets import PictureDataset
from torchvision import transforms as T
from torchvision.transforms import v2

from avalanche_ssl.data.dataset_transforms import (
    FrozenItems,
    changes_images,
    describe,
    own_transform,
    same_chain,
    same_leaf,
    steps,
    transform_of,
)


def shifted_by(k: int) -> Any:
    return lambda x: x + k


def add(x: Any, k: int = 0) -> Any:
    return x + k


class Shift:
    def __init__(self, k: Any) -> None:
        self.k = k

    def __call__(self, x: Any) -> Any:
        return x + self.k


MAKERS = [
    lambda k: T.RandomRotation((k, k)),
    lambda k: T.Normalize((k,), (1,)),
    lambda k: T.Compose([T.ToTensor(), T.RandomCrop(k)]),
    lambda k: v2.Compose([v2.ToImage(), v2.RandomCrop(k)]),
    lambda k: T.Lambda(shifted_by(k)),
    shifted_by,
    lambda k: partial(add, k=k),
    lambda k: Shift(k).__call__,
    lambda k: Shift(torch.tensor([k])),
    lambda k: Shift(np.array([k])),
    lambda k: Shift({"a": [k, {1, k}]}),
    lambda k: TupleTransform([Shift(k), None]),
    lambda k: MultiParamCompose([Shift(1), TupleTransform([T.RandomCrop(k)])]),
]


@pytest.mark.parametrize("make", MAKERS)
def test_transforms_are_compared_by_what_they_do(make: Any) -> None:
    assert same_chain((make(4),), (make(4),))
    assert not same_chain((make(4),), (make(5),))
    assert not same_chain((make(4),), ())
    assert same_chain((make(4), make(5)), (T.Compose([make(4), T.ToTensor(), make(5)]),)), "however they are packed"
    assert not same_chain((make(4), make(5)), (make(5), make(4)))


def test_transforms_that_only_convert_do_nothing() -> None:
    assert same_chain((T.ToTensor(),), (None, T.Compose([T.PILToTensor()]), v2.ToImage()))
    assert steps(None) == [] == steps([])
    assert describe(()) == describe((T.ToTensor(),)) == "none"


def test_objects_that_hold_themselves_are_compared() -> None:
    one, other, third = Shift(1), Shift(1), Shift(2)
    for shift in (one, other, third):
        shift.owner = shift  # type: ignore[attr-defined]
    assert same_chain((one,), (other,)) and not same_chain((one,), (third,))


def test_a_chain_is_described_in_one_line() -> None:
    assert describe((T.CenterCrop(4), add)) == "CenterCrop(size=(4, 4)) then add"
    assert describe((Shift(3),)) == "Shift(k=3)"
    assert "\n" not in describe((T.Normalize((0,) * 60, (1,) * 60),))
    assert len(describe((T.Normalize((0,) * 60, (1,) * 60),))) == 100


def test_items_after_their_frozen_transforms() -> None:
    data = PictureDataset(6, transform=T.PILToTensor())
    frozen = TupleTransform([Shift(1), Shift(10)])
    items = FrozenItems(data, (frozen, TupleTransform([Shift(2)])))
    assert len(items) == 6
    x, y = items[3]
    assert torch.equal(x, data[3][0] + 3) and y == data.targets[3] + 10
    alone = FrozenItems([(torch.zeros(2),)], (MultiParamCompose([Shift(1)]),))
    assert torch.equal(alone[0][0], torch.ones(2))


def test_a_leaf_is_its_dataset_and_its_transforms() -> None:
    data, f, g = PictureDataset(3), TupleTransform([Shift(1)]), TupleTransform([Shift(1)])
    assert same_leaf(data, data) and same_leaf(FrozenItems(data, (f,)), FrozenItems(data, (f,)))
    for other in (data, FrozenItems(data, (g,)), FrozenItems(data, (f, f)), FrozenItems(PictureDataset(3), (f,))):
        assert not same_leaf(FrozenItems(data, (f,)), other)


def test_the_transform_of_a_group() -> None:
    groups = TransformGroups({"train": Shift(1), "eval": None})
    assert transform_of(groups, "train").transforms[0].k == 1
    assert transform_of(groups, "eval") is None is transform_of(groups, "unknown")
    default = DefaultTransformGroups((Shift(2), None))
    assert transform_of(default, "train").transforms[0].k == 2
    assert not default.transform_groups, "asking stores nothing"


def test_which_transforms_are_of_images() -> None:
    assert changes_images(TupleTransform([Shift(1), None])) and changes_images(Shift(1))
    assert not changes_images(TupleTransform([None, Shift(1)]))
    assert own_transform(PictureDataset(1, transform=add)) is add
    assert own_transform(PictureDataset(1)) is None is own_transform([])
