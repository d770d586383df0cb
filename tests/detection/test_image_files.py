"""Image files of detection data, at their own size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from avalanche_ssl.detection.image_files import check_image_files, inside, read_image
from avalanche_ssl.errors import UsageError


def test_any_mode_becomes_rgb(tmp_path: Path) -> None:
    Image.new("L", (5, 3), 7).save(tmp_path / "gray.png")
    image = read_image(tmp_path / "gray.png")
    assert image.dtype == torch.uint8
    assert torch.equal(image, torch.full((3, 3, 5), 7, dtype=torch.uint8))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(UsageError, match=r"cannot read image '.*empty.jpg' \(it is empty\): repair it"):
        read_image(tmp_path / "empty.jpg")


def test_sizes_come_from_headers(tmp_path: Path) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.jpg"]
    Image.new("RGB", (5, 3)).save(paths[0])
    Image.new("RGB", (8, 9)).save(paths[1])
    assert check_image_files(paths, [(5, 3), None]) == [(5, 3), (8, 9)]
    with pytest.raises(UsageError, match=r"b.jpg' has 8 x 9 pixels and its annotation says 9 x 8: its boxes would be"):
        check_image_files(paths, [None, (9, 8)])
    paths[0].write_bytes(b"no image")
    with pytest.raises(UsageError, match=r"a.png' \(cannot identify image file\): repair it, or take it out"):
        check_image_files(paths, [None, None])


def test_names_stay_inside_their_folder() -> None:
    assert inside(Path("a"), "b/c.jpg") == Path("a/b/c.jpg")
    for name in ("../c.jpg", "b/../../c.jpg", "/c.jpg", " "):
        with pytest.raises(UsageError, match=r"does not lie in 'a': give its path from there"):
            inside(Path("a"), name)
