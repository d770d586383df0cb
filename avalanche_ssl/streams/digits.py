"""Streams of handwritten digits in color, on photographs or on plain ground, of images that scikit-learn brings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from avalanche.benchmarks import CLScenario
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from avalanche_ssl.data.datasets import ArrayDataset, Indices
from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.streams import plain_digits
from avalanche_ssl.streams.benchmark import benchmark_from_parts
from avalanche_ssl.streams.digit_images import (
    DIGIT,
    DIMMED,
    Doubles,
    Floats,
    Images,
    bright_colors,
    digit_masks,
    is_test_digit,
    photographs,
)
from avalanche_ssl.streams.splits import IncrementalSplit

SIDE = 32  # pixels of a composite


GROUNDS = ("photographs", "color")
"""What digits are drawn on."""
COMPOSITES = {"photographs": 8, "color": plain_digits.COMPOSITES}
"""Images of a training digit, where the caller leaves it open."""
TURN = 90.0  # degrees from the first experience to the last
NAMES = [str(digit) for digit in range(10)]


@dataclass(frozen=True)
class _Digits:
    """Images of digits, and for each the number of the handwritten digit that it shows, which no other part has."""

    train: ArrayDataset
    test: ArrayDataset
    base: Indices


def digits_by_class(ground: str, composites: int | None, split: IncrementalSplit) -> CLScenario:
    """The stream whose experiences differ by their digits."""
    split.check(10)
    return _stream(
        _digits(ground, composites, split.seed),
        lambda dataset: split.train_parts(dataset.targets, 10),
        lambda dataset: split.test_parts(dataset.targets, 10),
    )


def digits_by_domain(ground: str, experiences: int, seed: int, composites: int | None) -> CLScenario:
    """The stream whose experiences each bring all digits: on a new photograph, or turned further clockwise."""
    _check_ground(ground)
    if ground == "photographs" and experiences != 2:
        raise UsageError(
            f"cannot split two photographs into {experiences} experiences: give 2, or split-digits, or ground=color"
        )
    if not 2 <= experiences <= 10:
        raise UsageError(f"cannot turn digits in {experiences} experiences: give 2 to 10")
    turns = np.linspace(0, TURN, experiences)

    def parts(dataset: ArrayDataset) -> list[Indices]:
        return [np.arange(domain, len(dataset), experiences) for domain in range(experiences)]

    return _stream(_digits(ground, composites, seed, turns), parts, parts)


def _stream(
    digits: _Digits,
    train_parts: Callable[[ArrayDataset], list[Indices]],
    test_parts: Callable[[ArrayDataset], list[Indices]],
) -> CLScenario:
    parts = train_parts(digits.train)
    return benchmark_from_parts(digits.train, parts, digits.test, test_parts(digits.test), NAMES, digits.base)


def _check_ground(ground: str) -> None:
    if ground not in GROUNDS:
        raise unknown_name("ground of digits", ground, GROUNDS)


def _digits(ground: str, composites: int | None, seed: int, turns: Doubles | None = None) -> _Digits:
    """All images; `turns` as for `plain_digits`, where the ground has one color."""
    _check_ground(ground)
    composites = COMPOSITES[ground] if composites is None else composites
    if ground == "color":
        train, test = plain_digits.plain_digits(composites, seed, turns)
        return _Digits(train, test, np.arange(len(train)) // composites)
    train, test = _datasets(seed, composites)
    return _Digits(train, test, np.arange(len(train)) // (2 * (composites // 2)))


def _datasets(seed: int, composites: int) -> tuple[ArrayDataset, ArrayDataset]:
    """Training and test composites; those at even positions are on the first photograph."""
    if composites < 2:
        raise UsageError(f"cannot draw composites={composites} of a digit: give 2 or more, one per photograph")
    masks, targets = digit_masks()
    held_out = is_test_digit(targets)
    photos = photographs()
    rng_train, rng_test = np.random.default_rng(seed).spawn(2)
    times = {False: 2 * (composites // 2), True: 2 * max(1, composites // 4)}
    return (
        _composites(masks, targets, ~held_out, times[False], photos, rng_train),
        _composites(masks, targets, held_out, times[True], photos, rng_test),
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
