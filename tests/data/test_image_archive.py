"""Images are found in folders and zip files, and damage is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.photos import photo_files, zipped

from avalanche_ssl.data.image_cache import cached_images
from avalanche_ssl.errors import UsageError


def test_damage_inside_a_zip_is_named(photos: Path, tmp_path: Path) -> None:
    archive = zipped(photos)
    content = bytearray(archive.read_bytes())
    at = content.index((photos / "b" / "7.png").read_bytes()[-40:])
    content[at : at + 8] = b"\0" * 8
    archive.write_bytes(content)
    with pytest.raises(UsageError, match=r"photos\.zip/top/b/7\.png' \(.*CRC"):
        cached_images(photo_files(archive), "x", 8, [tmp_path / "out"])
    for i in (30, 0):
        archive.write_bytes(content[:i])
        with pytest.raises(UsageError, match=r"cannot read '.*photos\.zip' \(.*\): give a readable"):
            photo_files(archive)


def test_a_folder_and_its_zip_file_have_the_same_fingerprint(photos: Path) -> None:
    archive = zipped(photos)
    folder, zip_file = photo_files(photos), photo_files(archive)
    assert list(folder.members) == list(zip_file.members) == sorted(folder.members)
    assert folder.fingerprint() == zip_file.fingerprint()
    assert zip_file.location("a/3.png") == f"{archive}/top/a/3.png"
    with folder.reader() as read, zip_file.reader() as read_zip:
        assert read("b/7.png") == read_zip("b/7.png") == (photos / "b" / "7.png").read_bytes()
    (photos / "a" / "0.png").write_bytes(b"")
    assert photo_files(photos).fingerprint() != folder.fingerprint()
