"""Scenes of several digits with their boxes, drawn from the images of the embedded streams, without a download."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from avalanche_ssl.detection.boxes import Objects
from avalanche_ssl.detection.dataset import DetectionData, DetectionDataset
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams import DIMMED, bright_colors, digit_masks, is_test_digit, photographs

SIDE = 64  # pixels of a scene
SIZES = (14, 34)  # pixels of a digit's mask
MOST = 5  # digits of a scene
INK = 0.3  # a box bounds the pixels whose mask exceeds this
OVERLAP = 0.25  # part of a box that another may cover
TRIES = 20  # places for a digit, before it is left out
VALIDATION = 5  # every fifth digit that is not for testing

Floats = NDArray[np.float32]
Photographs = list[list[NDArray[np.uint8]]]


def embedded_scenes(seed: int = 0, train: int = 500, validation: int = 100, test: int = 200) -> DetectionData:
    """Scenes (3, 64, 64) of one to five digits of several sizes, in color on photographs; classes are 0 to 9.

    A digit's mask has 14 to 34 pixels a side, and digits may cover a quarter of one another's boxes. Each part has
    handwritten digits of its own: those of the test scenes are the test digits of `split-digits`, which
    pre-training on it has not seen either (on `digits-on-photographs` it has). All parts share the two photographs.

    Args:
        seed: decides all scenes; more scenes of a part begin with the same ones.
        train, validation, test: number of scenes.

    Raises:
        UsageError: a part has no scene.
    """
    if (least := min(train, validation, test)) < 1:
        raise UsageError(f"cannot make a part of {least} scenes: give 1 or more")
    masks, digits = digit_masks()
    held_out = is_test_digit(digits)
    rest = np.flatnonzero(~held_out)
    validating = np.arange(len(rest)) % VALIDATION == VALIDATION - 1
    pools = rest[~validating], rest[validating], np.flatnonzero(held_out)
    generators = np.random.default_rng(seed).spawn(3)
    parts = [
        _scenes(n, masks[pool], digits[pool], rng)
        for n, pool, rng in zip((train, validation, test), pools, generators, strict=True)
    ]
    return DetectionData("embedded scenes", *parts)


def _scenes(n: int, masks: Floats, digits: NDArray[np.int64], rng: np.random.Generator) -> DetectionDataset:
    objects, images = Objects(), []
    for number in range(n):
        image, boxes, rows = _scene(masks, rng)
        images.append(image)
        for box, row in zip(boxes, rows, strict=True):
            objects.add(number, box, int(digits[row]))
    names = [str(digit) for digit in range(10)]
    return DetectionDataset(images, objects.targets(n), names)


def _scene(masks: Floats, rng: np.random.Generator) -> tuple[Tensor, list[list[int]], list[int]]:
    """A scene, its boxes, and which masks they are of."""
    canvas = DIMMED * _background(rng).astype(np.float32)
    boxes: list[list[int]] = []
    rows: list[int] = []
    for row in rng.integers(0, len(masks), rng.integers(1, MOST + 1)).tolist():
        mask = _resized(masks[row], round(np.exp(rng.uniform(*np.log(SIZES)))))
        color = bright_colors(1, rng)
        if (place := _place(mask, boxes, rng)) is None:
            continue
        (top, left), box = place
        window = canvas[top : top + len(mask), left : left + len(mask)]
        window += mask[..., None] * (color - window)
        boxes.append(box)
        rows.append(row)
    return torch.from_numpy(canvas.astype(np.uint8)).permute(2, 0, 1).contiguous(), boxes, rows


@cache
def _photographs() -> Photographs:
    return photographs()


def _background(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A patch (64, 64, 3) of a photograph."""
    zoomed = _photographs()[rng.integers(2)]
    image = zoomed[rng.integers(len(zoomed))]
    top, left = (int(rng.integers(0, image.shape[axis] - SIDE + 1)) for axis in range(2))
    return image[top : top + SIDE, left : left + SIDE]


def _resized(mask: Floats, side: int) -> Floats:
    return np.asarray(Image.fromarray(mask).resize((side, side), Image.Resampling.BICUBIC)).clip(0, 1)


def _place(mask: Floats, boxes: list[list[int]], rng: np.random.Generator) -> tuple[tuple[int, int], list[int]] | None:
    """A corner (top, left) of a mask in a scene with its box; None where it would cover others in every try."""
    ink = mask > INK
    (y1, y2), (x1, x2) = ((held[0], held[-1] + 1) for held in (np.flatnonzero(ink.any(axis)) for axis in (1, 0)))
    for top, left in rng.integers(0, SIDE - len(mask) + 1, (TRIES, 2)).tolist():
        box = [int(left + x1), int(top + y1), int(left + x2), int(top + y2)]
        if all(_covered(box, other) <= OVERLAP for other in boxes):
            return (top, left), box
    return None


def _covered(one: list[int], other: list[int]) -> float:
    """The part of the smaller of two boxes that the other covers."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(0, width) * max(0, height) / smaller
