"""Image files whose content is no longer what was recorded are found, with as little reading as possible."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers.photos import damage, photo_files, zipped

from avalanche_ssl.data import image_sources
from avalanche_ssl.data.image_archive import ImageFiles
from avalanche_ssl.data.image_sources import first_change


def recorded(files: ImageFiles) -> tuple[list[int | None], list[int | None]]:
    """CRC-32 and modification time of each file."""
    with files.reader() as read:
        crcs: list[int | None] = [zlib.crc32(read(name)) for name in files.members]
    return crcs, [files.mtimes.get(name) for name in files.members]


def change(path: Path, keep_mtime: bool) -> None:
    """Flip the last byte of a file."""
    before, content = path.stat().st_mtime_ns, path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(before, before) if keep_mtime else (1, 1))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read from now on."""
    names: list[str] = []
    reader = ImageFiles.reader

    @contextmanager
    def counting(self: ImageFiles) -> Any:
        with reader(self) as function:
            yield lambda name: names.append(name) or function(name)  # type: ignore[func-returns-value]

    monkeypatch.setattr(ImageFiles, "reader", counting)
    return names


@pytest.mark.parametrize("source", [lambda photos: photos, zipped], ids=["folder", "zip"])
def test_files_that_are_as_they_were(photos: Path, source: Callable[[Path], Path]) -> None:
    files = photo_files(source(photos))
    assert first_change(files, *recorded(files)) is None


def test_another_crc_in_a_zip_file_is_seen_without_reading(photos: Path, read: list[str]) -> None:
    files = photo_files(zipped(photos))
    crcs, mtimes = recorded(files)
    read.clear()
    crcs[7] = crcs[7] + 1  # type: ignore[operator]
    assert mtimes == [None] * 10
    assert first_change(files, crcs, mtimes) == "b/7.png" and read == []


def test_files_with_another_time_are_read(photos: Path, monkeypatch: pytest.MonkeyPatch, read: list[str]) -> None:
    monkeypatch.setattr(image_sources, "SAMPLE", 0)
    before = recorded(photo_files(photos))
    for name in ("a/2.png", "b/9.png"):
        os.utime(photos / name, ns=(1, 1))
    read.clear()
    assert first_change(photo_files(photos), *before) is None, "their content is the same"
    assert read == ["a/2.png", "b/9.png"]
    change(photos / "b" / "5.png", keep_mtime=False)
    assert first_change(photo_files(photos), *before) == "b/5.png"


def test_a_sample_is_read_whatever_the_times_say(
    photos: Path, monkeypatch: pytest.MonkeyPatch, read: list[str]
) -> None:
    before = recorded(photo_files(photos))
    samples = []
    with monkeypatch.context() as patch:
        patch.setattr(image_sources, "SAMPLE", 3)
        for _ in range(2):
            read.clear()
            assert first_change(photo_files(photos), *before) is None
            samples.append(read.copy())
    assert samples[0] == samples[1] and len(set(samples[0])) == 3, "it is always the same"
    change(photos / "b" / "6.png", keep_mtime=True)
    assert first_change(photo_files(photos), *before) == "b/6.png"


@pytest.mark.parametrize("source", [lambda photos: photos, zipped], ids=["folder", "zip"])
def test_an_image_that_could_not_be_read_before_is_passed_over(photos: Path, source: Callable[[Path], Path]) -> None:
    crcs, mtimes = recorded(photo_files(source(photos)))
    crcs[3] = None
    damage(photos)
    assert first_change(photo_files(source(photos)), crcs, mtimes) is None


def test_a_file_that_cannot_be_read_has_changed(photos: Path) -> None:
    files = photo_files(photos)
    before = recorded(files)
    (photos / "b" / "8.png").unlink()
    assert first_change(files, *before) == "b/8.png"


def test_files_that_were_not_recorded_yet_are_not_compared(photos: Path, read: list[str]) -> None:
    files = photo_files(photos)
    crcs, mtimes = recorded(files)
    read.clear()
    assert first_change(files, crcs[:4], mtimes[:4]) is None
    assert sorted(read) == [f"a/{i}.png" for i in range(4)]
