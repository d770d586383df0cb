"""Images are decoded upright, in RGB, at the size that was asked for; damage is named."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from helpers.photos import damage, pixels
from PIL import Image

from avalanche_ssl.data.image_decoding import (
    TINY,
    ImageDecodingError,
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
    assert np.array_equal(decode_files(paths, 8, "train"), np.stack([pixels(i) for i in range(10)]))
    assert capsys.readouterr().err == "", "no progress bar where the output is no terminal"
    damage(photos)
    with pytest.raises(UsageError, match=r"cannot read image '.*a/3\.png' \(.+\): repair or remove it"):
        decode_files(paths, 8, "train")


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
