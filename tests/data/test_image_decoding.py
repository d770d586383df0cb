"""Images are decoded upright, in RGB, at the size that was asked for; damage is named."""

from __future__ import annotations

import os
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from helpers.photos import damage, pixels
from PIL import Image

from avalanche_ssl.data.image_decoding import (
    TINY,
    ImageDecodingError,
    check_damaged_option,
    check_memory,
    decode_files,
    decode_image,
    decoding_threads,
)
from avalanche_ssl.errors import UsageError


def test_an_image_of_the_right_size_is_untouched(photos: Path) -> None:
    path = photos / "a" / "3.png"
    assert np.array_equal(decode_image(path, 8), pixels(3))
    assert np.array_equal(decode_image(BytesIO(path.read_bytes()), 8), pixels(3))


def test_the_shorter_side_is_resized_and_the_center_kept() -> None:
    wide, file = np.zeros((8, 24, 3), np.uint8), BytesIO()
    wide[:, 8:16] = 200
    Image.fromarray(wide).save(file, "PNG")
    assert (decode_image(file, 8) == 200).all()


def test_what_is_no_image_has_a_reason_in_one_line(photos: Path) -> None:
    damage(photos)
    for file in (photos / "a" / "3.png", BytesIO(b"no image")):
        with pytest.raises(ImageDecodingError, match=r"\w+") as error:
            decode_image(file, 8)
        assert "\n" not in str(error.value) and "_io." not in str(error.value)


def test_files_become_one_array(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = sorted(photos.rglob("*.png"))
    images, kept = decode_files(paths, 8)
    assert np.array_equal(images, np.stack([pixels(i) for i in range(10)]))
    assert kept.tolist() == list(range(10))
    assert capsys.readouterr().err == "", "no progress bar where the output is no terminal"


def test_all_damaged_files_are_listed_or_left_out(photos: Path) -> None:
    paths = [*sorted(photos.rglob("*.png")), photos / "gone.png"]
    damage(photos, "a/3.png")
    with pytest.raises(UsageError) as error:
        decode_files(paths, 8)
    assert re.fullmatch(
        r"cannot read 2 images: '.*a/3\.png' \(.+\), '.*gone\.png' \(.*No such file.*\): "
        "repair or remove them, or leave them out with damaged=skip",
        str(error.value),
    )
    with pytest.warns(UserWarning, match=r"^left out 2 images: '.*a/3\.png' .* which cannot be read \(damaged=skip\)$"):
        images, kept = decode_files(paths, 8, "skip")
    assert kept.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert np.array_equal(images, np.stack([pixels(i) for i in kept]))


def test_one_damaged_file_is_named(photos: Path) -> None:
    damage(photos)
    with pytest.raises(
        UsageError, match=r"^cannot read image '\S*a/3\.png' \([^']+\): repair or remove it, or leave it out"
    ):
        decode_files(sorted(photos.rglob("*.png")), 8)


def test_ten_damaged_files_are_named_and_the_others_counted(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i:02}.png" for i in range(12)]
    for path in paths:
        path.write_bytes(b"no image")
    with pytest.raises(UsageError, match=r"cannot read 12 images: .*/09\.png' \([^)]*\) and 2 more: repair") as error:
        decode_files(paths, 8)
    assert "10.png" not in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(UsageError, match=r"none of the 12 images can be read, first '.*00\.png' .*: get them again"):
        decode_files(paths, 8, "skip")


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".webp", ".avif", ".png"])
def test_the_first_of_several_images_is_taken(suffix: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / f"one{suffix}")
    frames[0].save(tmp_path / f"two{suffix}", save_all=True, append_images=frames[1:])
    message = rf"several images in 1 of 2 files, first '.*two\{suffix}': the first is taken$"
    with pytest.warns(UserWarning, match=message):
        images, _ = decode_files([tmp_path / f"one{suffix}", tmp_path / f"two{suffix}"], 8)
    red = np.broadcast_to(np.array([255, 0, 0]), images.shape)
    assert np.abs(images.astype(int) - red).max() <= 2


def test_a_way_with_damage_has_a_name() -> None:
    check_damaged_option("skip")
    with pytest.raises(UsageError, match="did you mean 'refuse'"):
        check_damaged_option("refuze")


def test_tiny_files_are_decoded_by_one_thread() -> None:
    assert decoding_threads([TINY - 1, TINY - 1]) == 1
    assert decoding_threads([TINY, TINY]) is None


def test_images_that_do_not_fit_into_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**18}[name])  # 1 GiB
    check_memory(2**14, 128)
    with pytest.raises(UsageError, match=r"65536 images at size=128 need 3 GiB and the machine has 1 GiB"):
        check_memory(2**16, 128)


def test_a_png_whose_end_is_damaged_is_refused() -> None:
    """Pillow would decode it, with other pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "png")
    content = file.getvalue()
    np.testing.assert_array_equal(decode_image(BytesIO(content), 20), pixels)
    with pytest.raises(ImageDecodingError):
        decode_image(BytesIO(content[:1234] + content[1254:]), 20)


def test_16_bits_are_decoded_upright(tmp_path: Path) -> None:
    """Pillow cannot turn a big-endian image of 16 bits, and would clip one that it converts to RGB."""
    ramp, exif = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4, Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    expected = np.repeat(np.rot90(ramp, -1)[..., None], 3, 2)
    for mode, dtype in (("I;16", "<u2"), ("I;16B", ">u2")):
        image = Image.new(mode, (8, 8))
        image.frombytes((ramp.astype(dtype) * 257).astype(dtype).tobytes())
        image.save(tmp_path / "wide.tiff", exif=exif)
        assert np.array_equal(decode_image(tmp_path / "wide.tiff", 8), expected)
    Image.fromarray(ramp).save(tmp_path / "narrow.png", exif=exif)
    assert np.array_equal(decode_image(tmp_path / "narrow.png", 8), expected)


def test_transparent_files_are_counted_and_the_first_named(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for path, alpha in zip(paths, (255, 0, 0, 255), strict=True):
        Image.new("RGBA", (8, 8), (9, 9, 9, alpha)).save(path)
    with pytest.warns(
        UserWarning, match=r"transparent pixels in 2 of 4 files, first '.*/1\.png': they are laid on white"
    ):
        images, _ = decode_files(paths, 8)
    assert images[:, 0, 0, 0].tolist() == [9, 255, 255, 9]


def test_a_value_range_is_for_images_of_more_than_8_bits(tmp_path: Path) -> None:
    wide, narrow = tmp_path / "wide.tiff", tmp_path / "narrow.png"
    Image.fromarray(np.full((8, 8), 2048, np.int32)).save(wide)
    Image.fromarray(np.full((8, 8), 9, np.uint8)).save(narrow)
    said = r"8 bits a channel in 1 of 2 files, first '.*/narrow\.png': value_range is for those of more bits"
    with pytest.warns(UserWarning, match=said):
        images, _ = decode_files([wide, narrow], 8, value_range=(0, 4095))
    assert images[:, 0, 0, 0].tolist() == [128, 9]
    with pytest.raises(UsageError, match=r"image '.*/wide\.tiff' holds int32 values from 2048 .* value_range=0,4095"):
        decode_files([narrow, wide], 8, "skip")
    with pytest.raises(
        UsageError, match=r"image '.*/wide\.tiff' holds values .*, outside the value range 0,1000: give"
    ):
        decode_files([narrow, wide], 8, value_range=(0, 1000))
