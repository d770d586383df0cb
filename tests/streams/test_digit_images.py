"""What composites are drawn from: masks, photographs and colors, and the digits that are for testing only."""

from __future__ import annotations

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from avalanche_ssl import streams
from avalanche_ssl.streams import digit_images


def test_masks_are_the_digits_enlarged() -> None:
    masks, targets = streams.digit_masks()
    assert masks.shape == (1797, 28, 28)
    assert masks.min() == 0
    assert masks.max() == 1
    assert np.array_equal(targets, load_digits().target)
    back = Image.fromarray(masks[7]).resize((8, 8), Image.Resampling.BOX)
    assert np.abs(np.asarray(back) - load_digits().images[7] / 16).mean() < 0.06


def test_a_third_of_each_class_is_for_testing() -> None:
    targets = load_digits().target
    held_out = streams.is_test_digit(targets)
    assert held_out.sum() == 599 and streams.is_test_digit(targets, 2).sum() == 596
    counts = np.bincount(targets[held_out]) / np.bincount(targets)
    assert ((counts > 0.32) & (counts < 0.34)).all()


def test_photographs_come_in_every_zoom() -> None:
    for zoomed in streams.photographs():
        assert [image.shape for image in (zoomed[0], zoomed[-1])] == [(427, 640, 3), (107, 160, 3)]
        assert len(zoomed) == len(digit_images.ZOOMS)


def test_colors_are_bright() -> None:
    colors = streams.bright_colors(500, np.random.default_rng(0))
    assert (colors.max(1) >= 0.7 * 255 - 1e-3).all()
    assert colors.std(0).min() > 30
