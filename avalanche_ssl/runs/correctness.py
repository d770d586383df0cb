"""Which test images the headline probe of the last encoder classifies correctly, for paired comparisons of runs.

`correct.json` holds the `probe`, the number of `images` of each test set, and `correct`: in base64 a bit for each
image, by draw of the labels, test set and image, packed as NumPy's `packbits` does. 10,000 images take 1.7 kB.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avalanche_ssl.files import read_bounded, replacing

FILE = "correct.json"
MAX_BYTES = 2**26
"""Of the file."""
MAX_IMAGES = 2**27
"""In it, each draw of the labels counted."""


@dataclass(frozen=True)
class Correctness:
    """What the file holds.

    Args:
        probe: name of the headline probe; the scope is "all".
        images: labeled images of each test set.
        shares: (N,) for each image of all test sets, on how many of the draws of labels it is classified correctly.
    """

    probe: str
    images: list[int]
    shares: NDArray[np.float64]


def write_correctness(out: Path, probe: str, correct: Sequence[Tensor] | None) -> None:
    """Write the file into the folder of a run; nothing where it is not known.

    Args:
        out: the folder.
        probe: name of the headline probe.
        correct: for each test set (F, n) of bool, see `avalanche_ssl.evaluation.Evaluation`.
    """
    if not correct:
        return
    bits = np.concatenate([right.cpu().numpy() for right in correct], axis=1)
    content = {
        "probe": probe,
        "scope": "all",
        "images": [right.shape[1] for right in correct],
        "correct": base64.b64encode(np.packbits(bits).tobytes()).decode(),
    }
    with replacing(out / FILE) as file:
        file.write(json.dumps(content).encode())


def read_correctness(folder: Path) -> Correctness | None:
    """What the folder of a run holds; None if there is no such file, or none that a run writes."""
    try:
        content = json.loads(read_bounded(folder / FILE, MAX_BYTES))
        probe, images = content["probe"], content["images"]
        packed = np.frombuffer(base64.b64decode(content["correct"], validate=True), np.uint8)
        if not isinstance(probe, str) or not all(type(n) is int and 0 <= n <= MAX_IMAGES for n in images):
            return None
        total = sum(images)
        draws = 8 * len(packed) // total
        if draws < 1 or draws * total > MAX_IMAGES or -(-draws * total // 8) != len(packed):
            return None
        bits = np.unpackbits(packed, count=draws * total).reshape(draws, total)
        return Correctness(probe, images, bits.mean(axis=0))
    except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
        return None
