"""The sheet holds each image once, where it says."""

import base64
import io

import numpy as np
from PIL import Image

from avalanche_ssl.reports.thumbnails import SIDE, ThumbnailSheet


def opened(sheet: ThumbnailSheet) -> np.ndarray:
    """The pixels of the sheet."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet.url.partition("base64,")[2]))))


def test_each_image_once_and_where_it_says() -> None:
    sheet = ThumbnailSheet()
    grays = [10, 60, 110, 160, 210]
    numbers = [sheet.add(np.full((8, 8, 3), gray, np.uint8)) for gray in [*grays, 60]]
    assert numbers == [0, 1, 2, 3, 4, 1] and (sheet.columns, sheet.rows) == (3, 2)
    pixels = opened(sheet)
    assert pixels.shape == (16, 24, 3)
    assert [round(float(pixels[8 * (n // 3) + 4, 8 * (n % 3) + 4].mean())) for n in range(5)] == grays
    assert sheet.position(0) == "0% 0%" and sheet.position(4) == "50% 100%"


def test_large_images_become_small_and_gray_ones_are_shown() -> None:
    sheet = ThumbnailSheet()
    sheet.add(np.full((128, 128, 1), 99, np.uint8))
    assert opened(sheet).shape == (SIDE, SIDE, 3) and abs(float(opened(sheet).mean()) - 99) < 2
    assert sheet.position(0) == "0% 0%"


def test_a_sheet_without_images_is_a_picture() -> None:
    assert opened(ThumbnailSheet()).shape == (1, 1, 3)
