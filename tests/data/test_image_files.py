"""Images are found through links, and what is left out is counted."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest
from helpers.photos import forbid

from avalanche_ssl.data.image_files import find_images, image_suffixes, walk_files, warn_of_skipped


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def found(root: Path) -> tuple[list[str], dict[str, int]]:
    skipped: Counter[str] = Counter()
    return [str(path.relative_to(root)) for path in find_images(root, skipped)], dict(skipped)


@pytest.mark.slow
def test_the_frequent_formats_are_tried_first() -> None:
    """Pillow tries formats in the order of their registration; all at once, it would be that of the alphabet."""
    code = (
        "from avalanche_ssl.data.image_files import image_suffixes; image_suffixes()\n"
        "from PIL import Image; print(*Image.ID[:6])"
    )
    ordered = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"PNG", "JPEG"} <= set(ordered)


def test_what_pillow_reads_is_an_image() -> None:
    known = image_suffixes()
    assert known >= {".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}, "torchvision's"
    assert known >= {".gif", ".avif", ".jfif"}
    assert not known & {".mpg", ".h5", ".eps", ".ps", ".pdf", ".txt", ""}


def test_images_come_in_the_order_of_their_paths(tmp_path: Path) -> None:
    names = ["b.png", "a/z.GIF", "a-b.jpg", "a/c/1.avif", "Z.jfif"]
    touch(tmp_path, *names, "a/x.txt", "y.TXT", "noext", ".hidden.png", ".git/1.png", "a/._z.gif")
    images, skipped = found(tmp_path)
    assert images == ["Z.jfif", "a/c/1.avif", "a/z.GIF", "a-b.jpg", "b.png"]
    assert [tmp_path / name for name in images] == sorted(tmp_path / name for name in names)
    assert skipped == {".txt": 2, "": 1}


def test_links_are_followed_and_cycles_end(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/1.png", "root/a/2.png", "root/b/3.png")
    (tmp_path / "root/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/linked.png").symlink_to(tmp_path / "elsewhere/1.png")
    (tmp_path / "root/a/above").symlink_to(tmp_path / "root")
    (tmp_path / "root/a/other").symlink_to(tmp_path / "root/b")
    (tmp_path / "root/b/back").symlink_to(tmp_path / "root/a")
    (tmp_path / "root/itself").symlink_to("itself")
    (tmp_path / "root/gone.png").symlink_to("nowhere")
    images, skipped = found(tmp_path / "root")
    assert images == [
        "a/2.png", "a/other/3.png", "b/3.png", "b/back/2.png", "gone.png", "linked/1.png", "linked.png",
    ]  # fmt: skip
    assert skipped == {"": 1}, "a link to itself"


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/1.png", "b/2.png")
    forbid(tmp_path / "b", monkeypatch)
    with pytest.raises(PermissionError) as error:
        list(walk_files(tmp_path))
    assert error.value.filename == str(tmp_path / "b")


def test_what_was_skipped_is_said() -> None:
    with pytest.warns(UserWarning, match=r"^skipped 1,023 files in 'x': \.gif 1,020, \.txt 2, without suffix 1$"):
        warn_of_skipped({".txt": 2, ".gif": 1020, "": 1}, "x")
    with pytest.warns(UserWarning, match=r"\.j 1 and 2 more kinds$"):
        warn_of_skipped({f".{letter}": 1 for letter in "abcdefghijkl"}, "x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_skipped({}, "x")
