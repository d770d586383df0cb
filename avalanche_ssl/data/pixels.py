"""Pixels of a picture of any type: uint8, or float32 in [0, 1].

Every picture comes through here, from a file, an array or somebody's dataset. Types of 8 bits stay as they are, 16 bits
a channel are divided by 257, transparent pixels are laid on white; a type whose range is not known is refused, unless
`value_range` gives the values that become black and white.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from math import inf
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from avalanche_ssl.errors import UsageError
from avalanche_ssl.transforms import range_fault, to_float

ValueRange = tuple[float, float]
"""The values that become 0 and 255."""

Pixels = NDArray[np.uint8]

T = TypeVar("T")

SCALE_IN_DATASET = (
    "convert it in the dataset with avalanche_ssl.data.to_uint8(image, value_range=(LOW, HIGH)), "
    "the values that become black and white"
)
"""The remedy where the range is unknown, for datasets of scripts."""

SCALE_BY_OPTION = "give the values that become black and white, as in value_range=0,4095"
"""The remedy where the range is unknown, for files that the package reads by itself."""


class PixelError(UsageError):
    """An image whose values have no known range, or another than they should.

    Args:
        reason: begins with a verb.
        remedy: None if the range is unknown, which each source of images remedies in its own way.
    """

    def __init__(self, reason: str, remedy: str | None = None) -> None:
        super().__init__(f"an image {reason}: {remedy or SCALE_IN_DATASET}")
        self.reason, self.remedy = reason, remedy

    def of(self, name: str, unknown_range: str = SCALE_IN_DATASET) -> UsageError:
        """The error about the image of this name."""
        return UsageError(f"{name} {self.reason}: {self.remedy or unknown_range}")


class Picture(NamedTuple):
    """A picture of mode L or RGB."""

    image: Image.Image
    transparent: bool = False
    """Whether transparent pixels were laid on white."""


def check_value_range(value_range: ValueRange | None) -> None:
    """Check that a range of values is one.

    Raises:
        UsageError: the lower end is not below the upper one.
    """
    if value_range is not None and not -inf < value_range[0] < value_range[1] < inf:
        low, high = value_range
        raise UsageError(f"value_range is {low:g},{high:g}: give LOW,HIGH, the lower value first")


def eight_bits(image: Image.Image, value_range: ValueRange | None = None) -> Picture:
    """The picture with 8 bits a channel, gray (L) or RGB.

    Args:
        image: of any mode of Pillow.
        value_range: for more than 8 bits a channel, the values that become 0 and 255. None: 16 bits end at 65535.

    Raises:
        PixelError: the picture is of 32-bit numbers and there is no `value_range`, or values lie outside it.
    """
    if is_wide(image):
        return _from_wide(image, value_range)
    if image.mode == "La":
        image = image.convert("LA")  # the only mode that it converts to
    if image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info or _has_alpha_palette(image):
        full = image.convert("RGBA")
        if full.getchannel("A").getextrema()[0] < 255:  # type: ignore[operator]
            return Picture(Image.alpha_composite(Image.new("RGBA", full.size, "white"), full).convert("RGB"), True)
    if image.mode in ("L", "RGB"):
        return Picture(image)
    return Picture(image.convert("L" if image.mode == "1" else "RGB"))


def is_wide(image: Image.Image) -> bool:
    """Whether a picture has more than 8 bits a channel."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _has_alpha_palette(image: Image.Image) -> bool:
    return image.mode == "P" and image.palette is not None and image.palette.mode.endswith("A")


def _from_wide(image: Image.Image, value_range: ValueRange | None) -> Picture:
    """A gray picture of more than 8 bits a pixel as L."""
    values = np.asarray(image)
    bits = _bits(image)
    if value_range is None and bits is None:
        raise PixelError(f"holds {_description(values)}, whose range is not known")
    pixels = _scaled(values, *(value_range or (0, 2 ** (bits or 16) - 1)))
    key = image.info.get("transparency")  # the gray value that is transparent, in a PNG
    holes = values == key if isinstance(key, int) else np.zeros(values.shape, bool)
    return Picture(Image.fromarray(np.where(holes, np.uint8(255), pixels)), bool(holes.any()))


def _bits(image: Image.Image) -> int | None:
    """Bits a pixel that a format uses; None if it does not say."""
    if image.mode.startswith("I;16"):
        bits = getattr(image, "tag_v2", {}).get(258, 16)  # TIFF knows 12 too, which Pillow does not scale
        return int(bits[0] if isinstance(bits, tuple) else bits)
    return 16 if image.mode == "I" and image.format in ("PNG", "PPM") else None


def image_tensor(x: Any) -> Tensor:
    """An item's image as (C, H, W), uint8 or float32 in [0, 1].

    Args:
        x: a PIL image, an array (H, W) or (H, W, C), or a tensor (H, W) or (C, H, W).

    Raises:
        PixelError: the range of its values is not known, or is not that of raw pixels.
        UsageError: it is no image.
    """
    if isinstance(x, Image.Image):
        picture = eight_bits(x)
        if picture.transparent:
            note_transparent("images of the dataset")
        decoded: Tensor = pil_to_tensor(picture.image)
        return decoded
    if isinstance(x, np.ndarray) and x.ndim in (2, 3):
        pixels = _tensor(np.atleast_3d(x).transpose(2, 0, 1))
    elif isinstance(x, Tensor):
        pixels = x.unsqueeze(0) if x.ndim == 2 else x
    else:
        raise UsageError(
            f"the dataset gives {type(x).__name__} where one image is needed: return a PIL image or a tensor"
        )
    if pixels.dtype == torch.uint8:
        return pixels
    if pixels.is_floating_point():
        pixels = pixels.to(torch.float32)
        if fault := range_fault(pixels):
            raise PixelError(*fault)
        return pixels
    return torch.from_numpy(_array_to_uint8(pixels.cpu().numpy(), None))


def same_type(images: Sequence[Tensor]) -> list[Tensor]:
    """Images, or batches of them, of one type: float32 if any is."""
    if all(x.dtype == images[0].dtype for x in images):
        return list(images)
    return [to_float(x) for x in images]


def to_uint8(images: T, value_range: ValueRange | None = None) -> T:
    """Images of any type with 8 bits a channel: a picture, an array or a tensor, as which they return.

    Args:
        images: a PIL image, or an array or tensor of any shape. Types of 16 bits without a sign go from 0 to 65535,
            floats from 0 to 1; 8 bits stay as they are.
        value_range: the values that become 0 and 255 otherwise, the same for all images of a dataset.

    Raises:
        UsageError: values lie outside the range, or the range is not known.
    """
    check_value_range(value_range)
    try:
        if isinstance(images, Image.Image):
            return eight_bits(images, value_range).image  # type: ignore[return-value]
        if isinstance(images, Tensor):
            wide = images.detach().double() if images.is_floating_point() else images
            return torch.from_numpy(_array_to_uint8(wide.cpu().numpy(), value_range)).to(images.device)  # type: ignore[return-value]
        return _array_to_uint8(np.asarray(images), value_range)  # type: ignore[return-value]
    except PixelError as error:
        raise error.of("an image", "give to_uint8 the values that become black and white, as in (0, 4095)") from None


@cache
def note_transparent(source: str) -> None:
    """Say once in a process that transparent pixels of these images have become white."""
    warnings.warn(f"{source} have transparent pixels: they are laid on white", stacklevel=2)


def _array_to_uint8(array: NDArray[Any], value_range: ValueRange | None) -> Pixels:
    if array.dtype == np.uint8:
        if value_range is not None:
            raise PixelError("holds uint8 values, which go from 0 to 255", "leave out value_range")
        return array
    if array.dtype == bool:
        return np.where(array, np.uint8(255), np.uint8(0))
    if array.dtype.kind not in "iuf":
        raise PixelError(f"holds {array.dtype} values", "give numbers")
    if value_range is None and array.dtype.kind == "f":
        if fault := range_fault(torch.from_numpy(array.astype(np.float32))):
            raise PixelError(*fault)
        return np.rint(np.clip(array.astype(np.float64), 0, 1) * 255).astype(np.uint8)
    if value_range is None and array.dtype.newbyteorder("=") != np.uint16:
        raise PixelError(f"holds {_description(array)}, whose range is not known")
    return _scaled(array, *(value_range or (0, 65535)))


def _scaled(values: NDArray[Any], low: float, high: float) -> Pixels:
    """Values from `low` to `high` as 0 to 255, rounded."""
    values = values.astype(np.float64)
    if values.size and not (low <= values.min() and values.max() <= high):  # also where a value is NaN
        found = f"holds values from {values.min():g} to {values.max():g}, outside the value range {low:g},{high:g}"
        raise PixelError(found, "give a wider value_range, or clip them before")
    return np.rint((values - low) * (255 / (high - low))).astype(np.uint8)


def _tensor(array: NDArray[Any]) -> Tensor:
    """An array as a tensor, also one of another byte order or with steps that torch does not know."""
    try:
        return torch.from_numpy(np.ascontiguousarray(array, array.dtype.newbyteorder("=")))
    except TypeError:
        raise PixelError(f"holds {array.dtype} values", "give numbers") from None


def _description(values: NDArray[Any]) -> str:
    bounds = f" from {values.min():g} to {values.max():g}" if values.size else ""
    return f"{values.dtype.newbyteorder('=')} values{bounds}"
