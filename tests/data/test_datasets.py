"""Datasets of arrays: batches are gathered from memory maps, which copies share."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.photos import photo_files, pixels

from avalanche_ssl.data.datasets import MappedDataset
from avalanche_ssl.data.image_cache import cached_images
from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.data.readers import array_reader
from avalanche_ssl.streams.benchmark import benchmark_from_parts


@pytest.fixture
def dataset(photos: Path, tmp_path: Path) -> MappedDataset:
    return MappedDataset(cached_images(photo_files(photos), "x", 8, [tmp_path]).path, range(10))


def test_batches_are_gathered_from_the_map(dataset: MappedDataset) -> None:
    benchmark = benchmark_from_parts(dataset, [np.array([7, 1, 4]), np.array([2, 9])], None, [], None)
    experience = benchmark.train_stream[0].dataset
    found = array_reader(experience)
    assert found is not None
    (leaf,) = found.leaves
    assert np.shares_memory(leaf, dataset.data) and not leaf.flags.owndata  # no copy of the whole
    ((x, y, _),) = RawDataLoader([experience], [3], shuffle=False)
    assert y.tolist() == [7, 1, 4]
    assert torch.equal(x, torch.from_numpy(np.stack([pixels(i) for i in (7, 1, 4)])).permute(0, 3, 1, 2))
    x += 1  # a copy of its own
    assert np.array_equal(dataset.data[7], pixels(7))
    image, label = dataset[3]
    assert label == 3 and torch.equal(image, torch.from_numpy(pixels(3)).permute(2, 0, 1))


def test_copies_share_the_map(dataset: MappedDataset) -> None:
    blob = pickle.dumps(dataset)
    assert len(blob) < 500 < dataset.data.nbytes
    for other in (pickle.loads(blob), copy.deepcopy(dataset)):
        assert isinstance(other, MappedDataset) and isinstance(other.data.base, np.memmap)
        assert np.array_equal(other.data, dataset.data) and other.targets == dataset.targets
