"""Shards that webdataset's own writer has written, of small images."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import webdataset
from PIL import Image

from avalanche_ssl.data import index_shards


def picture(number: int, side: int = 8) -> np.ndarray:
    """The pixels of an image, other ones for each number."""
    return np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def pack(
    folder: Path, numbers: Sequence[int], labels: Sequence[int] | None = None, per_shard: int = 5, side: int = 8
) -> None:
    """Write the images of these numbers; labels come in a field `cls`."""
    folder.mkdir(parents=True, exist_ok=True)
    with webdataset.ShardWriter(str(folder / "%03d.tar"), maxcount=per_shard, verbose=0) as writer:
        for place, number in enumerate(numbers):
            label = {} if labels is None else {"cls": labels[place]}
            writer.write({"__key__": f"{number:06d}", "png": png(picture(number, side)), **label})


def labeled_folder(folder: Path, train: int = 40, test: int = 20, per_shard: int = 5, side: int = 8) -> Path:
    """Training and test shards of two classes, with their index."""
    pack(folder / "train", range(train), [i % 2 for i in range(train)], per_shard, side)
    pack(folder / "test", range(1000, 1000 + test), [i % 2 for i in range(test)], per_shard, side)
    index_shards(folder)
    return folder
