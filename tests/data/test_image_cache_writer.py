"""An interrupted conversion continues, a failed one leaves nothing."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.photos import damage, left, photo_files, pixels
from PIL import Image

from avalanche_ssl.data import image_cache_writer
from avalanche_ssl.data.image_cache import cached_images
from avalanche_ssl.errors import UsageError


def test_nothing_but_damage(photos: Path, tmp_path: Path) -> None:
    for image in photos.rglob("*.png"):
        image.write_bytes(b"no image")
    with pytest.raises(UsageError, match=r"none of the 10 images can be read, first '.*a/0\.png' \(.*get them again"):
        cached_images(photo_files(photos), "x", 8, [tmp_path / "out"], damaged="skip")
    assert left(tmp_path / "out") == set()


def test_all_damaged_images_are_listed_at_once(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_cache_writer, "CHUNK", 2)
    for name in ("a/0.png", "a/4.png", "b/9.png"):
        damage(photos, name)
    with pytest.raises(UsageError, match=r"cannot read 3 images: .*a/0\.png'.*a/4\.png'.*b/9\.png'.*them out with"):
        cached_images(photo_files(photos), "x", 8, [tmp_path / "out"])
    assert left(tmp_path / "out") == set()


def test_what_an_interrupted_conversion_skipped_is_refused_later(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(photos)
    monkeypatch.setattr(image_cache_writer, "CHUNK", 2)
    monkeypatch.setattr(image_cache_writer, "SAVED", 4)
    header = image_cache_writer._header

    def interrupted(n: int, size: int) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(image_cache_writer, "_header", interrupted)
    with pytest.warns(UserWarning, match="left out"), pytest.raises(KeyboardInterrupt):
        cached_images(photo_files(photos), "x", 8, [tmp_path], damaged="skip")
    monkeypatch.setattr(image_cache_writer, "_header", header)
    with pytest.raises(UsageError, match=r"cannot read image '.*a/3\.png' \(damaged\)"):
        cached_images(photo_files(photos), "x", 8, [tmp_path])


def test_an_interrupted_conversion_continues(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damage(photos)
    monkeypatch.setattr(image_cache_writer, "CHUNK", 2)
    monkeypatch.setattr(image_cache_writer, "SAVED", 4)
    decode, seen = image_cache_writer.decode_image, []
    name_of = {path.read_bytes(): path.stem for path in photos.rglob("*.png")}

    def watched(file: Any, size: int, *options: Any) -> Any:
        seen.append(name_of[file.getvalue()])
        return decode(file, size, *options)

    def interrupted(file: Any, size: int, *options: Any) -> Any:
        if name_of[file.getvalue()] == "7":
            raise KeyboardInterrupt
        return decode(file, size, *options)

    monkeypatch.setattr(image_cache_writer, "decode_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cached_images(photo_files(photos), "x", 8, [tmp_path], damaged="skip")
    assert not (tmp_path / "x-8.npy").exists()
    monkeypatch.setattr(image_cache_writer, "decode_image", watched)
    with pytest.warns(UserWarning, match=r"left out image '.*a/3\.png'"):
        made = cached_images(photo_files(photos), "x", 8, [tmp_path], damaged="skip")
    assert sorted(seen) == list("456789")  # what was not on disk for certain
    assert np.array_equal(np.load(made.path), np.stack([pixels(i) for i in range(10) if i != 3]))
    assert left(tmp_path) == {"photos", "x-8.npy", "x-8.json"}


@pytest.mark.parametrize("change", ["removed", "replaced by one of the same length", "progress of an older version"])
def test_other_images_do_not_continue_it(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(image_cache_writer, "CHUNK", 2)
    monkeypatch.setattr(image_cache_writer, "SAVED", 2)
    monkeypatch.setattr(image_cache_writer, "_header", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        cached_images(photo_files(photos), "x", 8, [tmp_path])
    assert (tmp_path / "x-8.progress").exists()
    monkeypatch.undo()
    path, now = photos / "a" / "0.png", [pixels(i) for i in range(10)]
    if change == "removed":
        path.unlink()
        del now[0]
    elif change == "progress of an older version":
        saved = json.loads((tmp_path / "x-8.progress").read_text())
        (tmp_path / "x-8.progress").write_text(json.dumps({n: saved[n] for n in ("fingerprint", "written", "skipped")}))
    else:
        path.write_bytes((photos / "a" / "1.png").read_bytes()[: path.stat().st_size].ljust(path.stat().st_size, b"\0"))
        now[0] = pixels(1)
    made = cached_images(photo_files(photos), "x", 8, [tmp_path])
    assert np.array_equal(np.load(made.path), np.stack(now))


def test_a_full_disk(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(UsageError, match=r"need 0 MiB in '.*out', where 0 are free: make room") as error:
        cached_images(photo_files(photos), "x", 8, [out])
    assert "\n" not in str(error.value)
    monkeypatch.undo()

    def full(*given: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(image_cache_writer, "_append", full)
    with pytest.raises(UsageError, match=r"to '.*out' \(No space left on device\): make room, or give cache=DIR"):
        cached_images(photo_files(photos), "x", 8, [out])
    assert left(out) == set()


def test_wide_and_transparent_images(photos: Path, tmp_path: Path) -> None:
    for name in ("a/1.png", "b/7.png"):
        Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(photos / name)
    with pytest.warns(UserWarning, match="transparent pixels in 2 of 10 files: they are laid on white"):
        made = cached_images(photo_files(photos), "x", 8, [tmp_path])
    images = np.load(made.path)
    assert (images[[1, 7]] == 255).all()
    Image.fromarray(np.zeros((8, 8), np.float32)).save(photos / "a" / "2.png", "TIFF")
    with pytest.raises(UsageError, match=r"image '.*photos/a/2\.png' holds float32 .*: give images of 8 bits"):
        cached_images(photo_files(photos), "y", 8, [tmp_path], damaged="skip")
    assert not list(tmp_path.glob("y-8.*"))
