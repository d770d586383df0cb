"""A picture of any type has the right pixels, or is refused with its values and the remedy."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from avalanche_ssl.data import check_value_range, to_uint8
from avalanche_ssl.data.pixels import PixelError, eight_bits, image_tensor, note_transparent, same_type
from avalanche_ssl.errors import UsageError

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
WIDE_RAMP = RAMP.astype(np.uint16) * 257
FLOATS = RAMP / 255


@pytest.fixture(autouse=True)
def unsaid() -> Iterator[None]:
    note_transparent.cache_clear()
    yield
    note_transparent.cache_clear()


def opened(image: Image.Image, kind: str, **options: Any) -> Image.Image:
    """The image as Pillow opens a file of it."""
    file = BytesIO()
    image.save(file, kind, **options)
    return Image.open(file)


def wide(mode: str) -> Image.Image:
    image = Image.new(mode, (16, 16))
    image.frombytes(WIDE_RAMP.astype(">u2" if mode.endswith("B") else "<u2").tobytes())
    return image


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B"])
def test_a_ramp_of_16_bits_keeps_256_levels(mode: str) -> None:
    pixels = np.asarray(eight_bits(wide(mode)).image)
    assert np.array_equal(pixels, RAMP)
    assert len(np.unique(pixels)) == 256
    assert pixels.mean() == 127.5


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_files_of_16_bits(kind: str) -> None:
    """Older versions of Pillow open such a PNG, and all of them a PGM, as 32-bit integers."""
    assert np.array_equal(np.asarray(eight_bits(opened(Image.fromarray(WIDE_RAMP), kind)).image), RAMP)


def test_16_bits_are_rounded_to_the_nearest_of_8() -> None:
    values = np.arange(65536, dtype=np.uint16)
    expected = np.rint(values / 257).astype(np.uint8)
    assert np.array_equal(to_uint8(values), expected)
    assert np.array_equal(np.asarray(to_uint8(Image.fromarray(values.reshape(256, 256)))).ravel(), expected)
    assert np.array_equal(image_tensor(torch.from_numpy(values.reshape(256, 256))).flatten(), expected)


def test_a_tiff_of_12_bits_ends_at_4095() -> None:
    image = Image.fromarray(np.array([[0, 2048, 4095]], np.uint16))
    image.tag_v2 = {258: (12,)}  # type: ignore[attr-defined]  # as Pillow opens one; it cannot write it
    assert np.asarray(eight_bits(image).image).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize(
    ("image", "values"),
    [
        (Image.fromarray(WIDE_RAMP.astype(np.int32)), "int32 values from 0 to 65535"),
        (Image.fromarray(FLOATS.astype(np.float32)), "float32 values from 0 to 1"),
    ],
)
def test_a_range_that_is_not_known_is_refused(image: Image.Image, values: str) -> None:
    with pytest.raises(UsageError, match=rf"holds {values}, whose range is not known: .*to_uint8\(image, value_range="):
        image_tensor(image)
    with pytest.raises(UsageError, match=f"holds {values}, whose range is not known: give to_uint8"):
        to_uint8(image)


def test_a_value_range_scales_linearly() -> None:
    for values in (np.array([[0, 2048, 4095]]), np.array([[0.0, 2048, 4095]], np.float32)):
        for images in (values, Image.fromarray(values.astype(np.int32)), torch.from_numpy(values)):
            assert np.asarray(to_uint8(images, (0, 4095))).tolist() == [[0, 128, 255]]
    assert to_uint8(np.array([-1000, 0, 1000]), (-1000, 1000)).tolist() == [0, 128, 255]
    assert np.asarray(to_uint8(Image.fromarray(np.array([[0, 4095]], np.uint16)), (0, 4095))).tolist() == [[0, 255]]
    with pytest.raises(
        UsageError, match=r"values from -3 to 12, outside the value range 0,10: give a wider value_range"
    ):
        to_uint8(np.array([-3, 12]), (0, 10))
    with pytest.raises(UsageError, match="values from nan to nan, outside"):
        to_uint8(np.array([0.0, np.nan]), (0, 10))
    with pytest.raises(UsageError, match="uint8 values, which go from 0 to 255: leave out value_range"):
        to_uint8(RAMP, (0, 100))
    for nonsense in ((5.0, 1.0), (1.0, 1.0), (0.0, float("inf")), (float("nan"), 1.0)):
        with pytest.raises(UsageError, match=r"value_range is .*: give LOW,HIGH, the lower value first"):
            check_value_range(nonsense)


def test_types_of_arrays_and_tensors() -> None:
    for x in (RAMP, torch.from_numpy(RAMP), WIDE_RAMP, WIDE_RAMP.astype(">u2"), torch.from_numpy(WIDE_RAMP)):
        tensor = image_tensor(x)
        assert tensor.dtype == torch.uint8
        assert np.array_equal(tensor, RAMP[None])
    for dtype in (np.float64, np.float32):
        for x in (FLOATS.astype(dtype), torch.from_numpy(FLOATS.astype(dtype))):
            tensor = image_tensor(x)
            assert tensor.dtype == torch.float32
            assert torch.equal(tensor, torch.from_numpy(RAMP[None]) / 255)
            assert np.array_equal(to_uint8(x), RAMP)
    for half in (torch.float16, torch.bfloat16):
        assert image_tensor(torch.ones(3, 4, 4, dtype=half)).dtype == torch.float32
        assert to_uint8(torch.ones(3, dtype=half)).tolist() == [255] * 3
    for truth in (RAMP > 100, torch.from_numpy(RAMP > 100)):
        assert np.array_equal(image_tensor(truth)[0], np.where(RAMP > 100, 255, 0))
    assert image_tensor(np.zeros((4, 5, 3), np.uint8)).shape == (3, 4, 5)
    assert image_tensor(np.zeros((4, 5, 3), np.uint8)[::-1, ::2]).shape == (3, 4, 3)
    assert image_tensor(torch.zeros(13, 4, 5, dtype=torch.uint8)).shape == (13, 4, 5)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint32, np.int32, np.int64, np.uint64])
def test_other_integers_are_refused(dtype: type) -> None:
    array = np.array([[1, 100]], dtype)
    for x in (array, torch.from_numpy(array)):
        with pytest.raises(PixelError, match=rf"{dtype.__name__} values from 1 to 100, whose range is not known"):
            image_tensor(x)
    assert to_uint8(array, (0, 100)).tolist() == [[3, 255]]


def test_what_is_no_number_is_refused() -> None:
    for x in (np.array([["a"]]), np.array([[1j]])):
        with pytest.raises(UsageError, match=r"holds .* values: give numbers"):
            image_tensor(x)
    with pytest.raises(UsageError, match="gives str where one image is needed"):
        image_tensor("image.png")


@pytest.mark.parametrize(
    ("low", "high", "remedy"),
    [
        (-2.1, 2.6, "remove Normalize from the transforms"),
        (0.0, 255.0, "divide them by 255"),
        (-0.05, 1.1, "clip them after resizing"),
        (float("nan"), float("nan"), "not finite"),
    ],
)
def test_floats_out_of_range_are_refused(low: float, high: float, remedy: str) -> None:
    for x in (torch.tensor([[low, high]]), np.array([[low, high]])):
        with pytest.raises(
            PixelError, match=rf"float values from {low:g} to {high:g}, where raw pixels are in .*{remedy}"
        ):
            image_tensor(x)


def test_modes_of_8_bits() -> None:
    rgb = Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8))
    gray = rgb.convert("L")
    for same in (rgb, gray):
        assert eight_bits(same).image is same
    assert np.array_equal(
        image_tensor(gray.point(lambda v: 255 * (v > 99)).convert("1"))[0], np.where(np.asarray(gray) > 99, 255, 0)
    )
    for mode in ("P", "CMYK", "YCbCr", "HSV", "LAB", "RGBX"):
        image = rgb.convert("RGB").convert(mode) if mode != "LAB" else Image.new("LAB", (4, 4), (128, 128, 128))
        picture = eight_bits(image)
        assert picture == (picture.image, False)
        assert np.array_equal(np.asarray(picture.image), np.asarray(image.convert("RGB")))


def rgba(alpha: int) -> Image.Image:
    return Image.new("RGBA", (2, 2), (200, 0, 100, alpha))


def transparent_images() -> list[Image.Image]:
    """Images in which the first of two pixels cannot be seen, and the second is black."""
    gray, palette = Image.fromarray(np.array([[7, 0]], np.uint8)), Image.new("P", (2, 1))
    palette.putpalette([7, 7, 7, 0, 0, 0])
    palette.putpixel((1, 0), 1)
    la = Image.fromarray(np.array([[[7, 0], [0, 255]]], np.uint8), "LA")
    return [
        opened(gray, "PNG", transparency=7),
        opened(gray.convert("RGB"), "PNG", transparency=(7, 7, 7)),
        opened(Image.fromarray(np.array([[7, 0]], np.uint16)), "PNG", transparency=7),
        opened(palette, "GIF", transparency=0),
        opened(palette, "PNG", transparency=0),
        opened(la, "PNG"),
        la.convert("La"),
        la.convert("RGBA"),
        la.convert("RGBA").convert("RGBa"),
    ]


@pytest.mark.parametrize("image", transparent_images(), ids=lambda image: f"{image.format}-{image.mode}")
def test_transparent_pixels_are_laid_on_white(image: Image.Image) -> None:
    picture = eight_bits(image)
    assert picture.transparent
    assert np.array_equal(np.asarray(picture.image.convert("RGB")), [[[255] * 3, [0] * 3]])


def test_alpha_is_said_once_and_blended() -> None:
    assert eight_bits(rgba(255)) == (rgba(255).convert("RGB"), False)
    with pytest.warns(
        UserWarning, match="images of the dataset have transparent pixels: they are laid on white"
    ) as said:
        tensors = [image_tensor(rgba(51)) for _ in range(3)]  # a fifth
    assert len(said) == 1
    assert tensors[0][:, 0, 0].tolist() == [244, 204, 224]


def test_images_of_two_types_become_floats() -> None:
    x, y = torch.tensor([255], dtype=torch.uint8), torch.tensor([0.5])
    assert [z.tolist() for z in same_type([x, y])] == [[1.0], [0.5]]
    assert same_type([x, x])[0] is x
