"""Nested datasets are traversed down to their leaves, and images that datasets share are found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.datasets import PictureDataset, nc
from torch.utils.data import ConcatDataset, Subset

from avalanche_ssl.data.traversal import distinct_images, distinct_images_if_cheaper, leaf_datasets, take


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
    for dataset, rows, labels in zip(datasets, found.rows, found.labels, strict=True):
        assert torch.equal(labels, torch.as_tensor(list(dataset.targets)))
        assert [found.dataset.targets[row] for row in rows.tolist()] == list(dataset.targets)
    everything = np.concatenate(found.rows)
    assert np.array_equal(everything[found.first], np.arange(len(found.dataset))), "where each comes first"


def test_one_pass_is_chosen_where_it_is_cheaper() -> None:
    first, second, *_ = nc()
    assert distinct_images_if_cheaper([first, second], batch_size=8) is None
    assert distinct_images_if_cheaper([first, second], batch_size=1000) is not None, "small datasets share batches"
    assert distinct_images_if_cheaper([first, first], batch_size=8) is not None, "the images are the same"


def test_datasets_without_labels_have_no_distinct_images() -> None:
    assert distinct_images([PictureDataset(4).data]) is None


@pytest.mark.parametrize("values", [list(range(100)), np.arange(100), torch.arange(100), range(100)])
@pytest.mark.parametrize("rows", [[3], [7, 3] * 30])
def test_take(values: object, rows: list[int]) -> None:
    assert take(values, np.array(rows)).tolist() == rows
