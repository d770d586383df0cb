"""Digits on photographs: what an image is made of."""

from __future__ import annotations

import numpy as np
import pytest

from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams import photograph_digits


def test_a_composite_follows_its_formula() -> None:
    """Where the mask is 1 there is the color alone, where it is 0 the photograph at 0.6."""
    gray = [np.full((40, 50, 3), 100, np.uint8)] * 2
    masks = np.zeros((1, 28, 28), np.float32)
    masks[0, :14] = 1
    one = np.ones(1, bool)
    made = photograph_digits._composites(masks, np.zeros(1, np.int64), one, 4, [gray, gray], np.random.default_rng(0))
    for image in made.data:
        color_or_photo = {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()}
        assert len(color_or_photo) == 2
        assert (60, 60, 60) in color_or_photo
        assert (image != 60).any(-1).sum() == 14 * 28


def test_half_of_the_images_are_on_either_photograph() -> None:
    """Of a test digit there are half as many, and at least one on each; an odd number is one less."""
    for composites, times in ((2, (2, 2)), (5, (4, 2)), (8, (8, 4))):
        train, test = photograph_digits.photograph_digits(composites, 0)
        assert (len(train), len(test)) == (times[0] * 1201, times[1] * 596)
    flower, china = (train.data[photo::2].mean((0, 1, 2)) for photo in (1, 0))
    assert flower[0] - flower[2] > china[0] - china[2]


def test_one_composite_is_refused() -> None:
    with pytest.raises(UsageError, match="composites=1 of a digit: give 2 or more, one per photograph"):
        photograph_digits.photograph_digits(1, 0)
