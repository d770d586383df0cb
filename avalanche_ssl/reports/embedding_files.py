"""Read the embeddings that a run kept: arrays of plausible sizes only, whatever the files say they hold."""

from __future__ import annotations

import io
import itertools
import math
import struct
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from avalanche_ssl.errors import UsageError
from avalanche_ssl.files import read_bounded
from avalanche_ssl.runs import EMBEDDINGS

Features = NDArray[np.float64]

MAX_BYTES = 2**28
"""Of an array, and of a file with arrays."""
MAX_IMAGES = 1000
"""Images of the sample; a run keeps 400."""
FEW = 10
"""Images that a figure takes at least."""
MAX_DIM = 2**14
"""Dimension of features."""
MAX_SNAPSHOTS = 500
MAX_FEATURES = 2**27
"""Numbers in all snapshots."""
LARGEST = 2.0**16
"""Largest absolute value of a feature; they are kept as float16."""


@dataclass
class Embeddings:
    """A sample of images (N, H, W, C), their labels (N,), and their features (N, D) by experiences trained."""

    images: NDArray[np.uint8]
    labels: NDArray[Any]
    features: dict[int, Features]
    class_names: list[str] = field(default_factory=list)
    """In the order of the labels; empty if the run does not say."""

    def class_name(self, label: int) -> str:
        """What the class of a label is called; the label itself where that is not known."""
        known = 0 <= label < len(self.class_names)
        return self.class_names[label] if known else str(label)


def read_embeddings(run: Path) -> Embeddings | None:
    """The embeddings in the folder of a run; None if it kept none.

    Raises:
        UsageError: they cannot be read; why.
    """
    folder = run / EMBEDDINGS
    try:
        return _read(folder) if folder.is_dir() else None
    except UsageError:
        raise
    except Exception as error:  # numpy and zipfile raise many kinds for damaged files
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UsageError(f"its embeddings cannot be read ({reason}), and are left out") from error


def _read(folder: Path) -> Embeddings:
    images, labels, class_names = _images(read_bounded(folder / "images.npz", MAX_BYTES))
    files = sorted(itertools.islice(folder.glob("[0-9]*.npy"), MAX_SNAPSHOTS + 1))
    if not 1 <= len(files) <= MAX_SNAPSHOTS:
        raise ValueError(f"there are {len(files)} snapshots, not 1 to {MAX_SNAPSHOTS}")
    features: dict[int, Features] = {}
    for file in files:
        array = _array(io.BytesIO(read_bounded(file, MAX_BYTES)), "f")
        if array.ndim != 2 or len(array) != len(images) or not 2 <= array.shape[1] <= MAX_DIM:
            raise ValueError(f"{file.name} holds no features of {len(images)} images")
        if sum(x.size for x in features.values()) + array.size > MAX_FEATURES:
            raise ValueError("the snapshots are larger than those of any run")
        x = array.astype(np.float64)
        if not (np.abs(x) <= LARGEST).all():
            raise ValueError(f"{file.name} has features that are not finite")
        features[int(file.stem)] = x
    return Embeddings(images, labels, dict(sorted(features.items())), class_names)


def _images(content: bytes) -> tuple[NDArray[np.uint8], NDArray[Any], list[str]]:
    """Images, labels and names in an archive of numpy, as `embeddings` writes it: few members, without a comment."""
    end = content[-22:]
    if end[:4] != b"PK\5\6" or struct.unpack("<L", end[12:16])[0] > 4096:  # bytes of the table of contents
        raise ValueError("images.npz is no archive of arrays, or is cut off")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        with archive.open("images.npy") as member:
            images = _array(member, "u")
        with archive.open("labels.npy") as member:
            labels = _array(member, "iu")
        names: list[str] = []
        if "class_names.npy" in archive.namelist():  # version 0.1.0 wrote none
            with archive.open("class_names.npy") as member:
                names = [str(name) for name in _array(member, "U").ravel()]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3) or not images.size:
        raise ValueError("images.npz holds no images")
    if len(images) > MAX_IMAGES or labels.shape != (len(images),):
        raise ValueError(f"images.npz holds {len(images)} images and {labels.size} labels, not 1 to {MAX_IMAGES} each")
    if len(images) < FEW:
        raise UsageError(f"embeddings of {len(images)} test images are left out: a figure takes {FEW} or more")
    return images, labels, names


def _array(file: IO[bytes], kinds: str) -> NDArray[Any]:
    """The array of a .npy file; numpy itself would make room for whatever size the header says.

    Raises:
        ValueError: it is of another kind of numbers, too large, or cut off.
    """
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array is of another version of numpy's format")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    count = math.prod(shape)
    if dtype.kind not in kinds or min(shape, default=0) < 0 or count * dtype.itemsize > MAX_BYTES:
        raise ValueError(f"an array says it is of shape {shape} and type {dtype}")
    content = file.read(count * dtype.itemsize)
    if len(content) < count * dtype.itemsize:
        raise ValueError("an array is cut off")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
