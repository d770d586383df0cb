"""Shapes of datasets and streams, read from a few images."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from avalanche_ssl.data import ArrayDataset, common_channels, image_shape, stream_shapes
from avalanche_ssl.errors import UsageError


def arrays(n, *shape):
    return ArrayDataset(np.zeros((n, *shape), np.uint8), range(n))


class Drawing(torch.utils.data.Dataset):
    """Images that a random transform makes, `gray` of them, at the given places, of one channel."""

    def __init__(self, n, gray=()):
        self.n, self.gray = n, gray
        self.targets = [0] * n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return torch.rand(1 if index in self.gray else 3, 8, 9), 0


def test_shapes_are_channels_height_width():
    assert image_shape(arrays(5, 8, 9, 3)) == (3, 8, 9)
    assert image_shape(arrays(5, 8, 9, 13)) == (13, 8, 9)
    assert image_shape(arrays(5, 8, 9, 1)) == (1, 8, 9)
    assert image_shape(arrays(0, 8, 9, 3)) is None


def test_no_random_state_changes():
    before = torch.get_rng_state()
    assert image_shape(Drawing(3)) == (3, 8, 9)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.filterwarnings("ignore:gray images")
def test_rgb_among_gray_is_found_beyond_the_first_image():
    assert image_shape(Drawing(100, gray=range(60))) == (3, 8, 9)
    assert image_shape(Drawing(100, gray=range(100))) == (1, 8, 9)


def test_a_stream_gives_each_shape_once():
    stream = [SimpleNamespace(dataset=arrays(2, *shape)) for shape in ((8, 8, 3), (9, 8, 3), (8, 8, 3))]
    assert stream_shapes(stream) == [(3, 8, 8), (3, 9, 8)]
    assert stream_shapes([]) == []


def test_channels_in_common():
    assert common_channels([(13, 8, 8), (13, 9, 9)]) == 13
    assert common_channels([(1, 8, 8), (3, 8, 8)]) == 3
    assert common_channels([(1, 8, 8)]) == 1
    assert common_channels([(3, 8, 8), (4, 8, 8)]) is None


def test_images_that_differ_are_refused():
    mixed = Drawing(4)
    mixed.__class__ = type("Mixed", (Drawing,), {"__getitem__": lambda self, i: (torch.rand(3, 8, 8 + i), 0)})
    with pytest.raises(UsageError, match="differ in shape"):
        image_shape(mixed)
