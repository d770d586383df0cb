"""Decoded files are kept for the next run: found again, decoded again after any change, bounded, never in the way."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avalanche_ssl.data import decoded_folders
from avalanche_ssl.data.decoded_folders import cache_folder, decoded_files


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache that keeps lists of two images or more."""
    monkeypatch.setenv("AVALANCHE_SSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(decoded_folders, "MIN_IMAGES", 2)
    return tmp_path / "cache"


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Three pictures."""
    return [picture(tmp_path / f"{number}.bmp", number) for number in range(3)]


def picture(path: Path, seed: int, mode: str = "RGB") -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, len(mode)), np.uint8)
    Image.fromarray(pixels, mode).save(path)
    return path


def forbid_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded_folders, "decode_files", lambda *_: pytest.fail("decoded"))


def test_the_second_time_nothing_is_decoded(cache, paths, monkeypatch, capsys):
    first, _ = decoded_files(paths, 4)
    assert capsys.readouterr().err == (
        f"3 decoded images (0 MiB) are kept for the next run in '{cache}', at most 2 GiB in all; "
        "AVALANCHE_SSL_CACHE=DIR chooses another place, AVALANCHE_SSL_CACHE=off none\n"
    )
    forbid_decoding(monkeypatch)
    again, kept = decoded_files(paths, 4)
    assert np.array_equal(again, first) and again.dtype == np.uint8 and kept.tolist() == [0, 1, 2]
    assert again.flags.writeable and capsys.readouterr().err == ""


@pytest.mark.parametrize("change", ["content", "order", "size", "name", "range"])
def test_any_change_is_seen(cache, paths, change):
    decoded_files(paths, 4)
    size, value_range = 4, None
    if change == "content":  # as large as before, and as old
        old = paths[1].stat()
        picture(paths[1], 7)
        os.utime(paths[1], ns=(old.st_atime_ns, old.st_mtime_ns))
        while paths[1].stat().st_ctime_ns == old.st_ctime_ns:
            os.utime(paths[1], ns=(old.st_atime_ns, old.st_mtime_ns))
    elif change == "order":
        paths = [paths[1], paths[0], paths[2]]
    elif change == "size":
        size = 5
    elif change == "name":
        paths[0] = paths[0].rename(paths[0].with_name("other.bmp"))
    else:
        value_range = (0.0, 100.0)
    with pytest.warns(UserWarning, match="value_range") if value_range else open(os.devnull):
        images, _ = decoded_files(paths, size, value_range=value_range)
    assert np.array_equal(images, decoded_folders.decode_files(paths, size)[0])


def test_few_small_files_are_not_kept(cache, paths, monkeypatch):
    monkeypatch.setattr(decoded_folders, "MIN_IMAGES", 4)
    decoded_files(paths, 4)
    assert not cache.exists()
    monkeypatch.setattr(decoded_folders, "MIN_FILE_BYTES", sum(path.stat().st_size for path in paths))
    decoded_files(paths, 4)
    assert len(list(cache.iterdir())) == 1


def test_what_is_warned_of_is_decoded_each_time(cache, paths, tmp_path):
    """Or the second run would say nothing of it."""
    paths.append(picture(tmp_path / "transparent.png", 3, "RGBA"))
    for _ in range(2):
        with pytest.warns(UserWarning, match="transparent pixels in 1 of 4 files"):
            decoded_files(paths, 4)
    (tmp_path / "damaged.png").write_bytes(b"no image")
    for _ in range(2):
        with pytest.warns(UserWarning, match="left out image"):
            assert decoded_files([*paths[:3], tmp_path / "damaged.png"], 4, "skip")[1].tolist() == [0, 1, 2]
    assert not cache.exists()


def test_the_longest_unused_make_room(cache, paths, monkeypatch):
    decoded_files(paths[:2], 4)
    (oldest,) = cache.iterdir()
    decoded_files(paths[1:], 4)
    for number, path in enumerate(cache.iterdir()):
        os.utime(path, (number, 0 if path == oldest else 9))
    decoded_files(paths[:2], 4)  # used again
    sizes = [path.stat().st_size for path in cache.iterdir()]
    monkeypatch.setattr(decoded_folders, "MAX_BYTES", 2 * sizes[0])
    decoded_files(paths[::2], 4)
    assert len(list(cache.iterdir())) == 2 and oldest.exists()


def test_images_above_the_limit_are_not_kept(cache, paths, monkeypatch):
    monkeypatch.setattr(decoded_folders, "MAX_BYTES", 3 * 3 * 16 - 1)
    decoded_files(paths, 4)
    assert not cache.exists()


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", None])
def test_a_damaged_file_is_decoded_again(cache, paths, damage):
    images, _ = decoded_files(paths, 4)
    (kept,) = cache.iterdir()
    kept.write_bytes(kept.read_bytes()[:-1] if damage is None else damage)
    assert np.array_equal(decoded_files(paths, 4)[0], images)


def test_a_cache_that_cannot_be_written_is_no_error(paths, tmp_path, monkeypatch, cache):
    cache.write_text("a file")
    assert len(decoded_files(paths, 4)[0]) == 3


def test_the_environment_chooses_the_place(paths, tmp_path, monkeypatch):
    monkeypatch.setattr(decoded_folders, "MIN_IMAGES", 2)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("AVALANCHE_SSL_CACHE", raising=False)
    assert cache_folder() == tmp_path / "xdg" / "avalanche-ssl" / "decoded"
    monkeypatch.setenv("AVALANCHE_SSL_CACHE", "off")
    assert cache_folder() is None and len(decoded_files(paths, 4)[0]) == 3
    assert not (tmp_path / "xdg").exists()


def test_a_missing_file_is_an_error_of_decoding(cache, paths):
    with pytest.raises(ValueError, match="No such file"):
        decoded_files([*paths, paths[0].with_name("gone.png")], 4)
