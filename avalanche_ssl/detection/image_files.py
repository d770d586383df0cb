"""Image files of detection data, at their own size: what their headers say, and their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath

from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor
from tqdm import tqdm

from avalanche_ssl.data import to_uint8
from avalanche_ssl.errors import UsageError

Size = tuple[int, int]
"""Width and height in pixels."""


def read_image(path: Path) -> Tensor:
    """The image as uint8 (3, H, W), RGB, at its own size and as it is stored: boxes are in those pixels.

    Raises:
        UsageError: it cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            pixels: Tensor = pil_to_tensor(to_uint8(image).convert("RGB"))
    except Exception as error:  # Pillow raises many kinds for a damaged file
        raise _unreadable(path, error) from error
    return pixels


def check_image_files(paths: Sequence[Path], annotated: Sequence[Size | None]) -> list[Size]:
    """The sizes of image files, from their headers; with a progress bar.

    Args:
        paths: of the images.
        annotated: the size that the annotation of each has its boxes in; None where it does not say.

    Raises:
        UsageError: a file is missing, empty or no image, or of another size than annotated.
    """
    sizes = []
    for path, expected in zip(tqdm(paths, "check images", unit="image", disable=None), annotated, strict=True):
        try:
            with Image.open(path) as image:
                size = image.size
        except Exception as error:
            raise _unreadable(path, error) from error
        if expected and size != expected:
            raise UsageError(
                f"image '{path}' has {size[0]} x {size[1]} pixels and its annotation says {expected[0]} x "
                f"{expected[1]}: its boxes would be wrong; save it in that size and upright, or correct the annotation"
            )
        sizes.append(size)
    return sizes


def inside(folder: Path, name: str) -> Path:
    """The path of a file that data name, below a folder.

    Raises:
        UsageError: the name leads out of the folder.
    """
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts or not name.strip():
        raise UsageError(f"image '{name}' does not lie in '{folder}': give its path from there")
    return folder / name


def _unreadable(path: Path, error: Exception) -> UsageError:
    empty = path.is_file() and path.stat().st_size == 0
    reason = "it is empty" if empty else " ".join(str(getattr(error, "strerror", None) or error).split())
    reason = reason.replace(f" '{path}'", "")
    return UsageError(f"cannot read image '{path}' ({reason}): repair it, or take it out of the data with its boxes")
