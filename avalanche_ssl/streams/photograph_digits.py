"""Handwritten digits in bright colors over patches of two photographs, in the spirit of MNIST-M.

The photograph is the easiest thing that two views of an image share, and digits keep their size and hardly move, so
that pixels tell much of them. (Ganin & Lempitsky 2015, arXiv:1409.7495.)
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams.digit_images import (
    DIGIT,
    DIMMED,
    Floats,
    Images,
    bright_colors,
    digit_masks,
    is_test_digit,
    photographs,
)

SIDE = 32  # pixels of a composite
TEST_THIRD = 2  # other digits than those for testing on plain ground


def photograph_digits(composites: int, seed: int) -> tuple[ArrayDataset, ArrayDataset]:
    """Training and test images; those at even positions are on the first photograph.

    Args:
        composites: images of each training digit, one after the other (half as many of a test digit); of an odd
            number one less, because as many are on either photograph.
        seed: of patches, colors and places.

    Raises:
        UsageError: there would be none on one of the photographs.
    """
    if composites < 2:
        raise UsageError(f"cannot draw composites={composites} of a digit: give 2 or more, one per photograph")
    masks, targets = digit_masks()
    held_out = is_test_digit(targets, TEST_THIRD)
    photos = photographs()
    rng_train, rng_test = np.random.default_rng(seed).spawn(2)
    return (
        _composites(masks, targets, ~held_out, 2 * (composites // 2), photos, rng_train),
        _composites(masks, targets, held_out, 2 * max(1, composites // 4), photos, rng_test),
    )


def _composites(
    masks: Floats,
    targets: NDArray[np.int64],
    chosen: NDArray[np.bool_],
    times: int,
    photos: list[list[Images]],
    rng: np.random.Generator,
) -> ArrayDataset:
    """The chosen digits, each `times` times in random colors on random patches of the photographs."""
    masks, targets = np.repeat(masks[chosen], times, 0), np.repeat(targets[chosen], times)
    images = np.empty((len(masks), SIDE, SIDE, 3), np.uint8)
    colors = bright_colors(len(masks), rng)
    for photo in range(2):
        images[photo::2] = _patches(photos[photo], len(masks) // 2, rng)
    corners = rng.integers(0, SIDE - DIGIT + 1, (len(masks), 2))
    for first in range(0, len(masks), 1024):  # bounds the memory for the floats
        part = slice(first, first + 1024)
        mask = _placed(masks[part], corners[part])
        images[part] = DIMMED * images[part] * (1 - mask) + colors[part, None, None] * mask
    return ArrayDataset(images, targets)


def _patches(zoomed: list[Images], n: int, rng: np.random.Generator) -> Images:
    """Random patches (n, 32, 32, 3) of one photograph."""
    patches = np.empty((n, SIDE, SIDE, 3), np.uint8)
    zooms = rng.integers(0, len(zoomed), n)
    for zoom, image in enumerate(zoomed):
        rows = np.flatnonzero(zooms == zoom)
        windows = sliding_window_view(image, (SIDE, SIDE), (0, 1))  # (top, left, 3, 32, 32)
        top, left = (rng.integers(0, windows.shape[axis], len(rows)) for axis in range(2))
        patches[rows] = windows[top, left].transpose(0, 2, 3, 1)
    return patches


def _placed(masks: Floats, corners: NDArray[np.int64]) -> Floats:
    """Masks (n, 28, 28) on a canvas (n, 32, 32, 1), each with its own top left corner."""
    canvas = np.zeros((len(masks), SIDE, SIDE, 1), np.float32)
    windows = sliding_window_view(canvas, (DIGIT, DIGIT), (1, 2), writeable=True)
    windows[np.arange(len(masks)), corners[:, 0], corners[:, 1], 0] = masks
    return canvas
