"""Handwritten digits in color on photographs, composed of images that scikit-learn brings."""

from __future__ import annotations

import numpy as np
from avalanche.benchmarks import CLScenario
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from avalanche_ssl.data.datasets import ArrayDataset
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams.benchmark import benchmark_from_parts
from avalanche_ssl.streams.splits import IncrementalSplit

SIDE = 32  # pixels of a composite
DIGIT = 28  # pixels of a digit
ZOOMS = np.geomspace(1, 4, 8)  # a patch shows 32 to 128 pixels of the photograph
DIMMED = 0.6  # brightness of the photograph

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]


def digits_by_class(composites: int, split: IncrementalSplit) -> CLScenario:
    """The stream whose experiences differ by their digits, on both photographs."""
    split.check(10)
    train, test = _datasets(split.seed, composites)
    parts = split.train_parts(train.targets, 10), split.test_parts(test.targets, 10)
    return benchmark_from_parts(train, parts[0], test, parts[1], [str(digit) for digit in range(10)])


def digits_by_photograph(experiences: int, seed: int, composites: int) -> CLScenario:
    """The stream whose experiences each bring all digits on a new photograph."""
    if experiences != 2:
        raise UsageError(f"cannot split two photographs into {experiences} experiences: give 2, or split-digits")
    train, test = _datasets(seed, composites)
    parts = _halves(train), _halves(test)
    return benchmark_from_parts(train, parts[0], test, parts[1], [str(digit) for digit in range(10)])


def _halves(dataset: ArrayDataset) -> list[NDArray[np.int64]]:
    return [np.arange(photo, len(dataset), 2) for photo in range(2)]


def _datasets(seed: int, composites: int) -> tuple[ArrayDataset, ArrayDataset]:
    """Training and test composites; those at even positions are on the first photograph."""
    if composites < 2:
        raise UsageError(f"cannot draw composites={composites} of a digit: give 2 or more, one per photograph")
    masks, targets = _digits()
    held_out = _test_digits(targets)
    photos = _photos()
    rng_train, rng_test = np.random.default_rng(seed).spawn(2)
    times = {False: 2 * (composites // 2), True: 2 * max(1, composites // 4)}
    return (
        _composites(masks, targets, ~held_out, times[False], photos, rng_train),
        _composites(masks, targets, held_out, times[True], photos, rng_test),
    )


def _digits() -> tuple[Floats, NDArray[np.int64]]:
    """Masks (1797, 28, 28) in 0 to 1, and their labels."""
    digits = load_digits()
    enlarged = [
        Image.fromarray(image.astype(np.float32)).resize((DIGIT, DIGIT), Image.Resampling.BICUBIC)
        for image in digits.images / 16
    ]
    return np.stack([np.asarray(image) for image in enlarged]).clip(0, 1), digits.target.astype(np.int64)


def _test_digits(targets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The fixed test set: every third image of each class."""
    held_out = np.zeros(len(targets), bool)
    for digit in range(10):
        held_out[np.flatnonzero(targets == digit)[2::3]] = True
    return held_out


def _photos() -> list[list[Images]]:
    """Both photographs, each reduced by every zoom."""
    return [
        [np.asarray(image.resize((round(image.width / z), round(image.height / z)))) for z in ZOOMS]
        for image in map(Image.fromarray, load_sample_images().images)
    ]


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
    colors = _bright_colors(len(masks), rng)
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


def _bright_colors(n: int, rng: np.random.Generator) -> Floats:
    """Bright colors (n, 3) in 0 to 255 of any hue, so that a digit shows on its dimmed photograph."""
    hue, saturation, value = rng.random(n), rng.uniform(0.3, 1, n), rng.uniform(0.7, 1, n)
    ramp = (np.array([[5.0], [3.0], [1.0]]) + 6 * hue) % 6
    channels = value * (1 - saturation * np.clip(np.minimum(ramp, 4 - ramp), 0, 1))
    return np.asarray(255 * channels.T, np.float32)
