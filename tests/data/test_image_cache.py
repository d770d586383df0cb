"""Images are decoded once, into an array that is right, complete and shared."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.photos import damage, left, photo_files, pixels, zipped
from PIL import Image

from avalanche_ssl.data import image_cache, image_cache_writer, image_sources
from avalanche_ssl.data.image_archive import ImageFiles
from avalanche_ssl.data.image_cache import CachedImages, cached_images
from avalanche_ssl.errors import UsageError


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """No image may be decoded from now on."""

    def refuse(*args: Any) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(image_cache_writer, "decode_image", refuse)


def test_the_array_holds_the_images_and_is_made_once(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    made = cached_images(photo_files(photos), "x", 8, [out])
    assert made.names == [f"{'ab'[i // 5]}/{i}.png" for i in range(10)]
    assert left(out) == {"x-8.npy", "x-8.json"}
    array = np.load(made.path, mmap_mode="r")
    assert array.flags.c_contiguous
    assert np.array_equal(array, np.stack([pixels(i) for i in range(10)]))
    assert capsys.readouterr().err == "", "no progress bar where the output is no terminal"
    forbid(monkeypatch)
    assert cached_images(photo_files(photos), "x", 8, [out]) == made
    assert cached_images(None, "x", 8, [out]) == made
    assert cached_images(photo_files(zipped(photos)), "x", 8, [out]) == made  # the same images, zipped


def test_a_zip_gives_the_same_array(photos: Path, tmp_path: Path) -> None:
    one, two = (cached_images(photo_files(p), "x", 4, [tmp_path / p.suffix]) for p in (photos, zipped(photos)))
    assert one.names == two.names
    assert one.path.read_bytes() == two.path.read_bytes()
    assert np.load(one.path).shape == (10, 4, 4, 3)


def test_changed_images_are_decoded_again(photos: Path, tmp_path: Path) -> None:
    cached_images(photo_files(photos), "x", 8, [tmp_path])
    Image.fromarray(pixels(77)).resize((20, 20)).save(photos / "a" / "0.png")
    (photos / "b" / "9.png").unlink()
    again = cached_images(photo_files(photos), "x", 8, [tmp_path])
    assert len(again.names) == len(np.load(again.path)) == 9
    assert not np.array_equal(np.load(again.path)[0], pixels(0))


def other_image_of_the_same_length(path: Path, keep_mtime: bool = False) -> np.ndarray:
    """Replaces an image; its pixels."""
    before = path.stat()
    pixels_now = pixels(77)
    path.write_bytes(bmp(pixels_now))
    if keep_mtime:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    return pixels_now


def bmp(image: np.ndarray) -> bytes:
    """A file whose length does not depend on the pixels."""
    file = BytesIO()
    Image.fromarray(image).save(file, "BMP")
    return file.getvalue()


@pytest.fixture
def bitmaps(photos: Path) -> Path:
    """The ten images as files of one length."""
    for i, path in enumerate(sorted(photos.rglob("*.png"))):
        path.write_bytes(bmp(pixels(i)))
    return photos


@pytest.mark.parametrize("kind", ["folder", "same time", "zip", "zip, then folder", "folder, then zip"])
def test_a_frame_replaced_by_one_of_the_same_length_is_decoded(
    bitmaps: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    first, last = kind.partition(", then ")[::2]
    cached_images(photo_files(zipped(bitmaps) if first == "zip" else bitmaps), "x", 8, [out])
    now = other_image_of_the_same_length(bitmaps / "b" / "7.png", keep_mtime=kind == "same time")
    source = zipped(bitmaps) if (last or first) == "zip" else bitmaps
    capsys.readouterr()
    again = cached_images(photo_files(source), "x", 8, [out])
    assert np.array_equal(np.load(again.path)[7], now) and np.array_equal(np.load(again.path)[8], pixels(8))
    said = capsys.readouterr().err
    assert (
        said.count("b/7.png' has changed since") == 1 and said.count("x-8.npy' was made: the images are decoded") == 1
    )


def test_touched_files_are_compared_once_and_not_decoded(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = cached_images(photo_files(photos), "x", 8, [tmp_path])
    forbid(monkeypatch)
    monkeypatch.setattr(image_sources, "SAMPLE", 0)
    read: list[str] = []
    reader = ImageFiles.reader

    @contextmanager
    def counting(self: ImageFiles) -> Any:
        with reader(self) as function:
            yield lambda name: read.append(name) or function(name)

    monkeypatch.setattr(ImageFiles, "reader", counting)
    for path in photos.rglob("*.png"):
        os.utime(path, ns=(1, 1))
    assert cached_images(photo_files(photos), "x", 8, [tmp_path]) == made
    assert len(read) == 10
    assert cached_images(photo_files(photos), "x", 8, [tmp_path]) == made
    assert len(read) == 10


def test_an_array_of_an_older_version_is_made_again_and_that_is_said(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = cached_images(photo_files(photos), "x", 8, [tmp_path])
    index = json.loads((tmp_path / "x-8.json").read_text())
    old = {name: index[name] for name in ("fingerprint", "written", "skipped", "names")} | {"version": 1}
    (tmp_path / "x-8.json").write_text(json.dumps(old))
    assert cached_images(None, "x", 8, [tmp_path]) == made, "there is nothing to make it of"
    capsys.readouterr()
    assert cached_images(photo_files(photos), "x", 8, [tmp_path]) == made
    said = capsys.readouterr().err
    assert said.count("x-8.npy' is of an older version, which did not note the content of its files") == 1
    assert json.loads((tmp_path / "x-8.json").read_text()) == index


@pytest.mark.parametrize("name", ["x-8.npy", "x-8.json"])
def test_a_damaged_array_is_made_again(photos: Path, tmp_path: Path, name: str) -> None:
    cached_images(photo_files(photos), "x", 8, [tmp_path])
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:200])
    made = cached_images(photo_files(photos), "x", 8, [tmp_path])
    assert np.array_equal(np.load(made.path)[9], pixels(9))


def test_a_damaged_image_is_named_or_left_out(photos: Path, tmp_path: Path) -> None:
    damage(photos)
    out = tmp_path / "out"
    with pytest.raises(
        UsageError, match=r"cannot read image '.*photos/a/3\.png' \(.+\): repair or remove it.*skip"
    ) as error:
        cached_images(photo_files(photos), "x", 8, [out])
    assert "\n" not in str(error.value)
    assert left(out) == set()
    with pytest.warns(UserWarning, match=r"left out image '.*a/3\.png' \(.+\), which cannot be read"):
        made = cached_images(photo_files(photos), "x", 8, [out], damaged="skip")
    assert len(made.names) == 9 and "a/3.png" not in made.names
    assert np.array_equal(np.load(made.path), np.stack([pixels(i) for i in range(10) if i != 3]))
    with pytest.warns(UserWarning, match=r"x-8\.npy' leaves out 1 damaged images, first 'a/3\.png'$"):
        assert cached_images(photo_files(photos), "x", 8, [out], damaged="skip") == made
    with pytest.raises(UsageError, match=r"x-8\.npy' leaves out 1 damaged images, first 'a/3\.png'"):
        cached_images(photo_files(photos), "x", 8, [out])
    with pytest.raises(UsageError, match="did you mean 'skip'"):
        cached_images(photo_files(photos), "x", 8, [out], damaged="skp")


def test_a_folder_that_cannot_be_written(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != photos)
    made = cached_images(photo_files(photos), "x", 8, [photos, tmp_path / "cache"])
    assert made.path == tmp_path / "cache" / "x-8.npy"
    assert f"'{photos}' cannot be written: the decoded images are kept in '{tmp_path / 'cache'}'" in (
        capsys.readouterr().err
    )
    assert cached_images(photo_files(photos), "x", 8, [photos, tmp_path / "cache"]) == made
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UsageError, match=r"cannot write to .*give cache=DIR"):
        cached_images(photo_files(photos), "x", 4, [photos, tmp_path / "cache"])
    with pytest.raises(UsageError, match="no images and no"):
        cached_images(None, "y", 4, [photos])


def test_one_process_converts_at_a_time(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While images are decoded nobody else gets the folder; who waited looks again whether they are there."""
    locked = []

    def spy(*given: Any) -> Any:
        handle = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)
        locked.append(given)
        return decode(*given)

    decode = image_cache_writer.decode_image
    monkeypatch.setattr(image_cache_writer, "decode_image", spy)
    made = cached_images(photo_files(photos), "x", 8, [tmp_path])
    assert len(locked) == 10
    forbid(monkeypatch)
    complete, calls = image_cache._complete, []
    monkeypatch.setattr(
        image_cache, "_complete", lambda *given: calls.append(1) or (complete(*given) if calls[1:] else None)
    )
    assert cached_images(photo_files(photos), "x", 8, [tmp_path]) == CachedImages(made.path, made.names)
