"""What composites of digits are drawn from: scikit-learn's handwritten digits and photographs, and bright colors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

DIGIT = 28  # pixels of a digit
ZOOMS = np.geomspace(1, 4, 8)  # a patch shows 1 to 4 times its own side of the photograph
DIMMED = 0.6  # brightness of the photograph

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


def digit_masks() -> tuple[Floats, NDArray[np.int64]]:
    """Masks (1797, 28, 28) in 0 to 1, and their labels."""
    digits = load_digits()
    enlarged = [
        Image.fromarray(image.astype(np.float32)).resize((DIGIT, DIGIT), Image.Resampling.BICUBIC)
        for image in digits.images / 16
    ]
    return np.stack([np.asarray(image) for image in enlarged]).clip(0, 1), digits.target.astype(np.int64)


def is_test_digit(targets: NDArray[np.int64], first: int = 1) -> NDArray[np.bool_]:
    """A fixed test set: every third image of each class from the `first` (0, 1 or 2); that of `split-digits` is 1."""
    held_out = np.zeros(len(targets), bool)
    for digit in range(10):
        held_out[np.flatnonzero(targets == digit)[first::3]] = True
    return held_out


def photographs() -> list[list[Images]]:
    """Both photographs, each reduced by every zoom."""
    return [
        [np.asarray(image.resize((round(image.width / z), round(image.height / z)))) for z in ZOOMS]
        for image in map(Image.fromarray, load_sample_images().images)
    ]


def bright_colors(n: int, rng: np.random.Generator) -> Floats:
    """Bright colors (n, 3) in 0 to 255 of any hue, so that a digit shows on its dimmed photograph."""
    hue, saturation, value = rng.random(n), rng.uniform(0.3, 1, n), rng.uniform(0.7, 1, n)
    return np.asarray(255 * colors_of(hue, saturation, value), np.float32)


def colors_of(hue: Doubles, saturation: Doubles, value: Doubles) -> Doubles:
    """Red, green and blue (..., 3) in 0 to 1 of hue (in turns), saturation and value (...) in 0 to 1."""
    ramp = (6 * hue[..., None] + np.array([5.0, 3.0, 1.0])) % 6
    steps = np.clip(np.minimum(ramp, 4 - ramp), 0, 1)
    colors: Doubles = value[..., None] * (1 - saturation[..., None] * steps)
    return colors
