"""Images are found in folders and zip files, and damage is named."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from helpers.photos import forbid, photo_files, zipped

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


def test_links_are_followed_and_a_link_to_nothing_is_damaged(photos: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    (linked / "b").mkdir(parents=True)
    (linked / "a").symlink_to(photos / "a")
    (linked / "b" / "loop").symlink_to(linked)
    (linked / "b" / "99.png").symlink_to(tmp_path / "nowhere")
    files = photo_files(linked)
    assert list(files.members) == [*(name for name in photo_files(photos).members if name[0] == "a"), "b/99.png"]
    assert files.sizes["b/99.png"] == 0
    with pytest.raises(UsageError, match=r"cannot read image '.*linked/b/99\.png' \(.*No such file"):
        cached_images(files, "x", 8, [tmp_path / "out"])


def test_other_files_are_counted(photos: Path) -> None:
    for name in ("a/x.txt", "a/y.TXT", "notes", ".hidden.gif"):
        (photos / name).write_text("x")
    with pytest.warns(UserWarning, match=r"skipped 3 files in '.*photos': \.txt 2, without suffix 1$"):
        folder = photo_files(photos)
    archive = zipped(photos)
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("__MACOSX/._0.png", "hidden")
        file.writestr("top/readme.md", "text")
    with pytest.warns(UserWarning, match=r"skipped 1 file in '.*photos\.zip': \.md 1$"):
        assert photo_files(archive).members.keys() == folder.members.keys()


def test_a_folder_that_cannot_be_read_is_named(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(photos / "b", monkeypatch)
    with pytest.raises(UsageError, match=r"cannot read '.*photos/b' \(Permission denied\): give a readable"):
        photo_files(photos)
