"""Handwritten digits on plain ground: each image has two random colors, and the digit any size, place and slant.

Linear features of pixels do not tell such digits, because either color may be the lighter and the digit may lie
anywhere; views that are cropped and change colors do not either. What two views share is the shape.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams.digit_images import DIGIT, Doubles, Floats, colors_of, digit_masks, is_test_digit

SIDE = 32  # pixels of an image
SIZES = (24.0, 32.0)  # pixels of a mask as it is drawn, log-uniform
SLANT = 10.0  # degrees by which a digit is turned at most, either way
SATURATION = (0.1, 0.5)
LUMA = (0.299, 0.587, 0.114)
LEAST_LUMA, LEAST_CHROMA = 0.3, 0.15  # differences between digit and ground
NOISE = 0.03  # standard deviation
CHUNK = 1024  # images drawn at once, which bounds the memory for floats


def plain_digits(composites: int, seed: int, turns: Doubles | None = None) -> tuple[ArrayDataset, ArrayDataset]:
    """Training and test images, the `composites` (half as many for testing) of a digit one after the other.

    Args:
        composites: images of each training digit.
        seed: of sizes, places, slants, colors and noise.
        turns: degrees by which image i is turned besides its slant, taken in a circle (i modulo their number).

    Raises:
        UsageError: there would be no image.
    """
    if composites < 1:
        raise UsageError(f"cannot draw composites={composites} of a digit: give 1 or more")
    masks, targets = digit_masks()
    held_out = is_test_digit(targets)
    parts = (~held_out, composites), (held_out, max(1, composites // 2))
    generators = np.random.default_rng(seed).spawn(2)
    train, test = (
        ArrayDataset(draw(np.repeat(masks[chosen], times, 0), rng, turns), np.repeat(targets[chosen], times))
        for (chosen, times), rng in zip(parts, generators, strict=True)
    )
    return train, test


def draw(masks: Floats, rng: np.random.Generator, turns: Doubles | None = None) -> NDArray[np.uint8]:
    """An image (N, 32, 32, 3) of each mask (N, 28, 28).

    The same on every machine: what a library may round in its own way is rounded to fewer bits, and the rest is
    elementary arithmetic.
    """
    n = len(masks)
    smallest, largest = np.log(SIZES).tolist()
    scale = _portable(np.exp(rng.uniform(smallest, largest, n))) / DIGIT
    degrees = rng.uniform(-SLANT, SLANT, n) + (0 if turns is None else np.resize(turns, n))
    place = rng.random((2, n))
    ground, ink = random_colors(n, rng)
    images = np.empty((n, SIDE, SIDE, 3), np.uint8)
    for first in range(0, n, CHUNK):
        part = slice(first, first + CHUNK)
        mask = placed(masks[part], scale[part], degrees[part], place[:, part])[..., None]
        image = ground[part, None, None] * (1 - mask) + ink[part, None, None] * mask
        image += NOISE * rng.standard_normal(image.shape)
        images[part] = np.floor(255 * image.clip(0, 1) + 0.5)
    return images


def placed(masks: Floats, scale: Doubles, degrees: Doubles, place: Doubles) -> Doubles:
    """Masks (N, 28, 28) enlarged, turned about their center and placed on (N, 32, 32), interpolated linearly.

    Args:
        masks: in 0 to 1.
        scale: (N,) pixels of the image per pixel of the mask.
        degrees: (N,) to turn by, clockwise.
        place: (2, N) of the center, down and right, in 0 to 1 of where the upright mask lies inside the image.
    """

    def each(values: Doubles) -> Doubles:
        return values[:, None, None]

    half = scale * DIGIT / 2
    down, right = half + place * (SIDE - 2 * half)
    cos, sin = (_portable(f(np.deg2rad(degrees))) for f in (np.cos, np.sin))
    pixel = np.arange(SIDE) + 0.5
    dy, dx = pixel[:, None] - each(down), pixel - each(right)
    y = (each(cos) * dy - each(sin) * dx) / each(scale)
    x = (each(sin) * dy + each(cos) * dx) / each(scale)
    padded = np.pad(masks.astype(np.float64), ((0, 0), (1, 2), (1, 2)))  # outside it is 0
    y, x = ((at + DIGIT / 2 + 0.5).clip(0, DIGIT + 1) for at in (y, x))
    top, left = y.astype(np.int64), x.astype(np.int64)
    y, x = y - top, x - left
    row = np.arange(len(masks))[:, None, None]
    above = padded[row, top, left] * (1 - x) + padded[row, top, left + 1] * x
    below = padded[row, top + 1, left] * (1 - x) + padded[row, top + 1, left + 1] * x
    found: Doubles = above * (1 - y) + below * y
    return found


def random_colors(n: int, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
    """Colors (n, 3) in 0 to 1 of grounds and of digits; pairs that are too alike are drawn again.

    Hue and value are uniform, saturation is in [0.1, 0.5]. The two differ by 0.3 in luma, so that a digit shows, and
    by 0.15 in chroma, the distance of the colors less their luma.
    """
    colors = np.empty((2, n, 3))
    missing = np.arange(n)
    while len(missing):
        hue, value = rng.random((2, 2, len(missing)))
        drawn = colors_of(hue, rng.uniform(*SATURATION, (2, len(missing))), value)
        luma = LUMA[0] * drawn[..., 0] + LUMA[1] * drawn[..., 1] + LUMA[2] * drawn[..., 2]
        chroma = drawn - luma[..., None]
        apart = np.sqrt(((chroma[0] - chroma[1]) ** 2).sum(-1))
        fits = (np.abs(luma[0] - luma[1]) >= LEAST_LUMA) & (apart >= LEAST_CHROMA)
        colors[:, missing[fits]] = drawn[:, fits]
        missing = missing[~fits]
    return colors[0], colors[1]


def _portable(values: Doubles) -> Doubles:
    """Values of `exp`, `sin` and `cos`, whose last bits differ between processors, to 24 bits."""
    rounded: Doubles = np.round(values * 2**24) / 2**24
    return rounded
