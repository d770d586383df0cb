"""Parts of a folder's images: which there are, and the files that hold their features.

A part file holds the features of one part, which of its images could be read and why the others could not, and a key:
the hash of the encoder, its settings, and the names, sizes and times of the images.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from avalanche_ssl.data import ValueRange, decode_image
from avalanche_ssl.data.image_decoding import Findings, ImageDecodingError
from avalanche_ssl.data.pixels import PixelError
from avalanche_ssl.files import replacing
from avalanche_ssl.models import check_magnitude
from avalanche_ssl.runs.feature_source import Embedder

PART = 512
"""Images in a part file."""
BATCH = 64
"""Images that the encoder gets at once: features depend on it in the last bits."""
SCALE = "give the values that become black and white, as in --value-range 0 4095"


@dataclass(frozen=True)
class Part:
    """A part: its number, its file and key, and its images."""

    number: int
    file: Path
    key: str
    paths: list[Path]


def cut(key: str, value_range: ValueRange | None, paths: Sequence[Path], data: Path, parts: Path) -> Iterator[Part]:
    """The parts of the images at some paths.

    Args:
        key: of the encoder.
        value_range: of images with more than 8 bits a channel, the values that become 0 and 255.
        paths: the images, in order.
        data: the folder that they are in.
        parts: the folder of the part files.
    """
    for number, first in enumerate(range(0, len(paths), PART)):
        chosen = list(paths[first : first + PART])
        files = [(name_in(path, data), *_size_and_time(path)) for path in chosen]
        about = json.dumps([key, PART, BATCH, value_range, files])
        yield Part(number, parts / f"{number:06d}.npz", hashlib.sha256(about.encode()).hexdigest(), chosen)


def name_in(path: Path, data: Path) -> str:
    """The path in the folder; bytes that are no UTF-8 are escaped."""
    return os.fsencode(path.relative_to(data).as_posix()).decode("utf-8", "backslashreplace")


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:  # a link to nothing, which cannot be read later either
        return 0, 0
    return status.st_size, status.st_mtime_ns


def key_of(file: Path) -> str | None:
    """The key of a part file; None if there is none, or it is damaged."""
    try:
        with np.load(file, allow_pickle=False) as part:
            return str(part["key"])
    except FileNotFoundError:
        return None
    except Exception:  # what numpy raises for a damaged file is not documented
        return "damaged"


def write_part(part: Part, embedder: Embedder, value_range: ValueRange | None) -> int:
    """Embed the images of a part and write its file; how many images it has."""
    findings = Findings()
    reasons: dict[Path, str] = {}

    def decoded(path: Path) -> NDArray[np.uint8] | None:
        try:
            return decode_image(path, embedder.size, value_range, findings)
        except ImageDecodingError as error:
            reasons[path] = str(error)
        except PixelError as error:
            raise error.of(f"image '{path}'", SCALE) from error
        return None

    rows = []
    with ThreadPoolExecutor(1 if embedder.device == "cpu" else None) as pool:
        for first in range(0, len(part.paths), BATCH):
            images = [image for image in pool.map(decoded, part.paths[first : first + BATCH]) if image is not None]
            if images:
                rows.append(embedder.features(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()))
    check_magnitude(*rows)
    read = np.array([path not in reasons for path in part.paths])
    features = torch.cat(rows).numpy() if rows else np.zeros((0, 0), np.float32)
    why = np.array([reasons[path] for path in part.paths if path in reasons], dtype=np.str_)
    found = {"several": findings.several, "transparent": findings.transparent}
    noted: dict[str, Any] = {name: np.array([path in paths for path in part.paths]) for name, paths in found.items()}
    with replacing(part.file) as file:
        np.savez(file, allow_pickle=False, key=np.array(part.key), read=read, features=features, reasons=why, **noted)
    return len(part.paths)


class Content(NamedTuple):
    """What a part file holds."""

    names: list[str]
    """Of the images that were read."""
    features: NDArray[np.float32]
    """(N, D) of them; (0, 0) if there are none."""
    reasons: dict[Path, str]
    """Why the others could not be read."""
    findings: Findings
    """What they hold beyond their pixels."""


def read_part(part: Part, data: Path) -> Content:
    """Read the file of a part that was written."""
    with np.load(part.file, allow_pickle=False) as arrays:
        read = arrays["read"].tolist()
        names = [name_in(path, data) for path, good in zip(part.paths, read, strict=True) if good]
        bad = [path for path, good in zip(part.paths, read, strict=True) if not good]

        def noted(name: str) -> list[Path | None]:
            return [part.paths[i] for i in np.flatnonzero(arrays[name])]

        reasons = dict(zip(bad, arrays["reasons"].tolist(), strict=True))
        return Content(names, arrays["features"], reasons, Findings(noted("several"), noted("transparent")))
