"""Samples of the images of experiences: which images, in which order, and their features."""

import numpy as np
import pytest
import torch
from avalanche.benchmarks.utils import as_classification_dataset
from torch.utils.data import TensorDataset

from avalanche_ssl.plugins.image_samples import ImageSample, filled_up

SIZES = (5, 7, 4)


@pytest.fixture
def datasets():
    """Images that hold 10 times the number of their experience and their own."""
    sets = []
    for number, size in enumerate(SIZES):
        x = 10.0 * number + torch.arange(size)
        sets.append(TensorDataset(x, torch.zeros(size, dtype=torch.long)))
        sets[-1].targets = [0] * size
    return [as_classification_dataset(each) for each in sets]


@pytest.mark.parametrize("experiences, images", [([1], 3), ([2, 0], 6), ([2, 0], 9), ([1], 100)])
def test_dataset_and_features_are_of_the_same_images(datasets, experiences, images):
    sample = ImageSample.draw(datasets, experiences, images, seed=3)
    total = sum(SIZES[j] for j in experiences)
    pooled = np.concatenate([10 * j + np.arange(SIZES[j]) for j in experiences])
    order = np.random.default_rng(3).permutation(total)[:images]
    expected = pooled[np.sort(order) if images >= total else order].tolist()
    known = [(10.0 * j + torch.arange(size)[:, None], torch.zeros(size)) for j, size in enumerate(SIZES)]
    assert [float(x) for x, *_ in sample.dataset(datasets)] == expected
    assert sample.features(known).flatten().tolist() == expected
    assert [float(x) for x, *_ in sample.first(2).dataset(datasets)] == expected[:2]
    assert ImageSample.draw(datasets, experiences, images, seed=3) == sample


@pytest.mark.parametrize(
    "t, least, expected", [(0, 99, [2]), (1, 5, [0]), (1, 6, [2, 0]), (2, 12, [0, 1]), (2, 99, [2, 0, 1])]
)
def test_a_small_experience_is_filled_up_from_those_before(datasets, t, least, expected):
    assert filled_up(datasets, [2, 0, 1], t, least) == expected


def test_of_very_many_images_no_list_is_made():
    """Ten billion numbers would need 80 GB."""
    sample = ImageSample.draw([range(10**10)], [0], 2048, seed=3)
    assert len(set(sample.rows)) == 2048 and 0 <= min(sample.rows) < 10**9 < 9 * 10**9 < max(sample.rows) < 10**10
    assert (
        ImageSample.draw([range(10**10)], [0], 2048, seed=3)
        == sample
        != ImageSample.draw([range(10**10)], [0], 2048, seed=4)
    )
