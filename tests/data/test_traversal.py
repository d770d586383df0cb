"""Nested datasets are traversed down to their leaves, and images that datasets share are found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from avalanche.benchmarks.utils import TransformGroups, as_classification_dataset, make_avalanche_dataset
from helpers.datasets import PictureDataset, nc
from helpers.domains import Turn, turned
from torch.utils.data import ConcatDataset, Subset

from avalanche_ssl.data import concat_datasets
from avalanche_ssl.data.dataset_transforms import FrozenItems
from avalanche_ssl.data.traversal import (
    check_same_transforms,
    distinct_images,
    distinct_images_if_cheaper,
    leaf_datasets,
    skipped_transforms,
    take,
    undivided_leaves,
)
from avalanche_ssl.errors import UsageError


def test_every_item_is_found_in_its_leaf() -> None:
    one, two = PictureDataset(20), PictureDataset(10, 1)
    nested = ConcatDataset([Subset(two, [9, 0]), one, Subset(ConcatDataset([one, two]), [25, 3])])
    leaves, leaf, index = leaf_datasets(nested)
    assert leaves == [two, one]
    assert leaf.tolist() == [0, 0, *[1] * 20, 0, 1]
    assert index.tolist() == [9, 0, *range(20), 5, 3]


def test_images_that_datasets_share_come_once() -> None:
    first, second, *_ = nc()
    datasets = [first, second.concat(first), first.subset([4, 2])]
    found = distinct_images(datasets)
    assert found is not None
    assert len(found.dataset) == len(first) + len(second)
    for dataset, rows in zip(datasets, found.rows, strict=True):
        assert [found.dataset.targets[row] for row in rows.tolist()] == list(dataset.targets)
    everything = np.concatenate(found.rows)
    assert np.array_equal(everything[found.first], np.arange(len(found.dataset))), "where each comes first"


def test_one_pass_is_chosen_where_it_is_cheaper() -> None:
    first, second, *_ = nc()
    assert distinct_images_if_cheaper([first, second], batch_size=8) is None
    assert distinct_images_if_cheaper([first, second], batch_size=1000) is not None, "small datasets share batches"
    assert distinct_images_if_cheaper([first, first], batch_size=8) is not None, "the images are the same"


def test_images_without_labels_come_once_too() -> None:
    found = distinct_images([PictureDataset(4).data])
    assert found is not None and [rows.tolist() for rows in found.rows] == [[0, 1, 2, 3]]


@pytest.mark.parametrize("values", [list(range(100)), np.arange(100), torch.arange(100), range(100)])
@pytest.mark.parametrize("rows", [[3], [7, 3] * 30])
def test_take(values: object, rows: list[int]) -> None:
    assert take(values, np.array(rows)).tolist() == rows


def test_frozen_transforms_are_part_of_a_leaf_and_what_lies_below_is() -> None:
    plain = PictureDataset(10)
    below, frozen, above = (Turn(angle) for angle in (1, 2, 3))
    inner = as_classification_dataset(plain, transform_groups={"train": (below, None), "eval": None})
    middle = make_avalanche_dataset(inner, frozen_transform_groups=TransformGroups({"train": (frozen, None)}))
    outer = as_classification_dataset(middle, transform_groups={"train": (above, None), "eval": None})
    dataset = outer.subset([7, 2]).concat(inner.subset([5]))
    leaves, leaf, index = leaf_datasets(dataset)
    assert leaf.tolist() == [0, 0, 1] and index.tolist() == [7, 2, 5]
    assert isinstance(leaves[0], FrozenItems) and leaves[0].dataset is plain and leaves[1] is plain
    assert [f.transforms[0] for f in leaves[0].frozen] == [below, frozen]
    assert [[f.transforms[0] for f in chain] for chain in skipped_transforms(dataset)] == [[above], [below]]
    for found in (leaf_datasets(dataset.eval()), leaf_datasets(dataset, "eval")):
        (kept,) = found.datasets[0].frozen
        assert kept.transforms[0] is frozen, "in the group for evaluation nothing is below it"
    assert [len(chain) for chain in skipped_transforms(dataset, "eval")] == [0]


def test_renumbered_labels_leave_a_leaf_as_it_is() -> None:
    """Avalanche freezes the transform that renumbers classes, above the transforms of images."""
    for dataset in nc():
        assert [type(leaf) for leaf in leaf_datasets(dataset).datasets] == [PictureDataset]


def test_a_subset_that_does_something_to_its_items_is_a_leaf() -> None:
    class Brighter(Subset[object]):
        def __getitem__(self, index: int) -> object:
            return super().__getitem__(index)

        def __getitems__(self, indices: list[int]) -> list[object]:
            return [self[index] for index in indices]

    inner = Subset(PictureDataset(10), [4, 3])
    brighter = Brighter(inner, [1, 0])
    assert leaf_datasets(ConcatDataset([brighter, inner])).datasets == [brighter, inner.dataset]


def test_one_picture_under_two_frozen_transforms_is_two_images() -> None:
    datasets = [e.dataset for e in turned().train_stream]
    found = distinct_images([*datasets, datasets[0]])
    assert found is not None and len(found.dataset) == 120
    assert np.array_equal(found.rows[0], found.rows[3])
    plain = distinct_images([e.dataset for e in turned(frozen=False).train_stream])
    assert plain is not None and len(plain.dataset) == 40


def test_experiences_that_differ_in_transforms_are_named_with_the_remedies() -> None:
    for frozen, angles in ((True, (0, 90)), (False, (90, 90))):
        check_same_transforms([e.dataset for e in turned(angles, frozen).train_stream])
    first, second, third = (e.dataset for e in turned((90, 90, 180), frozen=False).train_stream)
    message = r"experiences 1 and 3 have different transforms \(Turn\(angle=90\); Turn\(angle=180\)\), .*"
    message += "freeze them.*use_dataset_transforms=True"
    with pytest.raises(UsageError, match=message) as caught:
        check_same_transforms([first, second, third])
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="the images of experience 2 have different transforms"):
        check_same_transforms([first, first.concat(third)])
    leaves = [as_classification_dataset(PictureDataset(4, transform=Turn(angle))) for angle in (0, 90)]
    with pytest.raises(UsageError, match="experiences 1 and 2 have different transforms"):
        check_same_transforms(leaves)


def test_datasets_that_hold_all_images_are_found_without_a_list() -> None:
    images, others = PictureDataset(6), PictureDataset(3, 1)
    dataset, other = as_classification_dataset(images), as_classification_dataset(others)
    for whole in (images, dataset, dataset.train()):
        assert undivided_leaves(whole) == [images]
    assert undivided_leaves(dataset.concat(other)) == undivided_leaves(concat_datasets([dataset, other]))
    assert undivided_leaves(dataset.concat(other)) == [images, others]
    assert undivided_leaves(dataset.subset([0, 1])) is None
    assert undivided_leaves(dataset.concat(other.subset([2]))) is None
    for groups in ({"transform_groups": {"train": Turn(1)}}, {"frozen_transform_groups": {"train": Turn(1)}}):
        changed = make_avalanche_dataset(images, **{k: TransformGroups(g) for k, g in groups.items()})
        assert undivided_leaves(changed) is None and undivided_leaves(changed.concat(dataset)) is None
