"""Are images decoded once, into an array that is right, whole, shared and never half there?"""

import copy
import errno
import fcntl
import os
import pickle
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from avalanche_ssl.data import image_cache, image_cache_writer, memmap
from avalanche_ssl.data.datasets import MappedDataset
from avalanche_ssl.data.image_archive import ImageFiles, find_image_files
from avalanche_ssl.data.image_cache import CachedImages, cached_images
from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.data.readers import array_reader
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams.benchmark import benchmark_from_parts

PATTERN = re.compile(r"(\w+/\d+\.png)$")


def pixels(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten images in two folders."""
    for i in range(10):
        path = tmp_path / "photos" / "ab"[i // 5] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(i)).save(path)
    return tmp_path / "photos"


def files(path: Path) -> ImageFiles:
    return find_image_files(path, PATTERN, str)


def zipped(photos: Path) -> Path:
    path = photos.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for image in photos.rglob("*.png"):
            archive.write(image, f"top/{image.relative_to(photos)}")
    return path


def left(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()} if folder.exists() else set()


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """No image may be decoded from now on."""

    def refuse(*args: Any) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(image_cache_writer, "decode_image", refuse)


def test_the_array_holds_the_images_and_is_made_once(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    made = cached_images(files(photos), "x", 8, [out])
    assert made.names == [f"{'ab'[i // 5]}/{i}.png" for i in range(10)]
    assert left(out) == {"x-8.npy", "x-8.json"}
    array = np.load(made.path, mmap_mode="r")
    assert array.flags.c_contiguous
    assert np.array_equal(array, np.stack([pixels(i) for i in range(10)]))
    assert "10/10" in capsys.readouterr().err
    forbid(monkeypatch)
    assert cached_images(files(photos), "x", 8, [out]) == made
    assert cached_images(None, "x", 8, [out]) == made
    assert cached_images(files(zipped(photos)), "x", 8, [out]) == made  # the same images, zipped


def test_a_zip_gives_the_same_array(photos: Path, tmp_path: Path) -> None:
    one, two = (cached_images(files(p), "x", 4, [tmp_path / p.suffix]) for p in (photos, zipped(photos)))
    assert one.names == two.names
    assert one.path.read_bytes() == two.path.read_bytes()
    assert np.load(one.path).shape == (10, 4, 4, 3)


def test_changed_images_are_decoded_anew(photos: Path, tmp_path: Path) -> None:
    cached_images(files(photos), "x", 8, [tmp_path])
    Image.fromarray(pixels(77)).resize((20, 20)).save(photos / "a" / "0.png")
    (photos / "b" / "9.png").unlink()
    again = cached_images(files(photos), "x", 8, [tmp_path])
    assert len(again.names) == len(np.load(again.path)) == 9
    assert not np.array_equal(np.load(again.path)[0], pixels(0))


@pytest.mark.parametrize("name", ["x-8.npy", "x-8.json"])
def test_a_damaged_array_is_made_anew(photos: Path, tmp_path: Path, name: str) -> None:
    cached_images(files(photos), "x", 8, [tmp_path])
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:200])
    made = cached_images(files(photos), "x", 8, [tmp_path])
    assert np.array_equal(np.load(made.path)[9], pixels(9))


def damage(photos: Path, name: str = "a/3.png") -> None:
    (photos / name).write_bytes((photos / name).read_bytes()[:60])


def test_a_damaged_image_is_named_or_left_out(photos: Path, tmp_path: Path) -> None:
    damage(photos)
    out = tmp_path / "out"
    with pytest.raises(UsageError, match=r"cannot read image '.*photos/a/3\.png' \(.+\): repair it.*skip") as error:
        cached_images(files(photos), "x", 8, [out])
    assert "\n" not in str(error.value)
    assert left(out) == set()
    made = cached_images(files(photos), "x", 8, [out], damaged="skip")
    assert len(made.names) == 9 and "a/3.png" not in made.names
    assert np.array_equal(np.load(made.path), np.stack([pixels(i) for i in range(10) if i != 3]))
    assert cached_images(files(photos), "x", 8, [out], damaged="skip") == made
    with pytest.raises(UsageError, match=r"x-8\.npy' leaves out 1 damaged images, first 'a/3\.png'"):
        cached_images(files(photos), "x", 8, [out])
    with pytest.raises(UsageError, match="did you mean 'skip'"):
        cached_images(files(photos), "x", 8, [out], damaged="skp")


def test_damage_inside_a_zip_is_named(photos: Path, tmp_path: Path) -> None:
    archive = zipped(photos)
    content = bytearray(archive.read_bytes())
    at = content.index((photos / "b" / "7.png").read_bytes()[-40:])
    content[at : at + 8] = b"\0" * 8
    archive.write_bytes(content)
    with pytest.raises(UsageError, match=r"photos\.zip/top/b/7\.png' \(.*CRC"):
        cached_images(files(archive), "x", 8, [tmp_path / "out"])
    for i in (30, 0):
        archive.write_bytes(content[:i])
        with pytest.raises(UsageError, match=r"cannot read '.*photos\.zip' \(.*\): give a readable"):
            files(archive)


def test_nothing_but_damage(photos: Path, tmp_path: Path) -> None:
    for image in photos.rglob("*.png"):
        image.write_bytes(b"no image")
    with pytest.raises(UsageError, match="none of the 10 images in"):
        cached_images(files(photos), "x", 8, [tmp_path / "out"], damaged="skip")
    assert left(tmp_path / "out") == set()


def test_an_interrupted_conversion_goes_on(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damage(photos)
    monkeypatch.setattr(image_cache_writer, "CHUNK", 2)
    monkeypatch.setattr(image_cache_writer, "SAVED", 4)
    decode, seen = image_cache_writer.decode_image, []
    name_of = {path.read_bytes(): path.stem for path in photos.rglob("*.png")}

    def watched(file: Any, size: int) -> Any:
        seen.append(name_of[file.getvalue()])
        return decode(file, size)

    def interrupted(file: Any, size: int) -> Any:
        if name_of[file.getvalue()] == "7":
            raise KeyboardInterrupt
        return decode(file, size)

    monkeypatch.setattr(image_cache_writer, "decode_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cached_images(files(photos), "x", 8, [tmp_path], damaged="skip")
    assert not (tmp_path / "x-8.npy").exists()
    monkeypatch.setattr(image_cache_writer, "decode_image", watched)
    made = cached_images(files(photos), "x", 8, [tmp_path], damaged="skip")
    assert sorted(seen) == list("456789")  # what was not on disk for certain
    assert np.array_equal(np.load(made.path), np.stack([pixels(i) for i in range(10) if i != 3]))
    assert left(tmp_path) == {"photos", "x-8.npy", "x-8.json"}


def test_other_images_do_not_go_on_with_it(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_cache_writer, "CHUNK", 2)
    monkeypatch.setattr(image_cache_writer, "SAVED", 2)
    monkeypatch.setattr(image_cache_writer, "_header", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        cached_images(files(photos), "x", 8, [tmp_path])
    assert (tmp_path / "x-8.progress").exists()
    monkeypatch.undo()
    (photos / "a" / "0.png").unlink()
    made = cached_images(files(photos), "x", 8, [tmp_path])
    assert np.array_equal(np.load(made.path), np.stack([pixels(i) for i in range(1, 10)]))


def test_a_full_disk(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(UsageError, match=r"need 0 MiB in '.*out', where 0 are free: make room") as error:
        cached_images(files(photos), "x", 8, [out])
    assert "\n" not in str(error.value)
    monkeypatch.undo()

    def full(*given: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(image_cache_writer, "_append", full)
    with pytest.raises(UsageError, match=r"to '.*out' \(No space left on device\): make room, or give cache=DIR"):
        cached_images(files(photos), "x", 8, [out])
    assert left(out) == set()


def test_a_folder_that_cannot_be_written(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != photos)
    made = cached_images(files(photos), "x", 8, [photos, tmp_path / "cache"])
    assert made.path == tmp_path / "cache" / "x-8.npy"
    assert f"'{photos}' cannot be written: the decoded images are kept in '{tmp_path / 'cache'}'" in (
        capsys.readouterr().err
    )
    assert cached_images(files(photos), "x", 8, [photos, tmp_path / "cache"]) == made
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UsageError, match=r"cannot write to .*give cache=DIR"):
        cached_images(files(photos), "x", 4, [photos, tmp_path / "cache"])
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
    made = cached_images(files(photos), "x", 8, [tmp_path])
    assert len(locked) == 10
    forbid(monkeypatch)
    complete, calls = image_cache._complete, []
    monkeypatch.setattr(
        image_cache, "_complete", lambda *given: calls.append(1) or (complete(*given) if calls[1:] else None)
    )
    assert cached_images(files(photos), "x", 8, [tmp_path]) == CachedImages(made.path, made.names)


# -- learning from it ------------------------------------------------------------------------------------------------


@pytest.fixture
def dataset(photos: Path, tmp_path: Path) -> MappedDataset:
    return MappedDataset(cached_images(files(photos), "x", 8, [tmp_path]).path, range(10))


def test_batches_are_gathered_from_the_map(dataset: MappedDataset) -> None:
    benchmark = benchmark_from_parts(dataset, [np.array([7, 1, 4]), np.array([2, 9])], None, [], None)
    experience = benchmark.train_stream[0].dataset
    found = array_reader(experience)
    assert found is not None
    (leaf,) = found.leaves
    assert np.shares_memory(leaf, dataset.data) and not leaf.flags.owndata  # no copy of the whole
    ((x, y, _),) = RawDataLoader([experience], [3], shuffle=False)
    assert y.tolist() == [7, 1, 4]
    assert torch.equal(x, torch.from_numpy(np.stack([pixels(i) for i in (7, 1, 4)])).permute(0, 3, 1, 2))
    x += 1  # a copy of its own
    assert np.array_equal(dataset.data[7], pixels(7))
    image, label = dataset[3]
    assert label == 3 and torch.equal(image, torch.from_numpy(pixels(3)).permute(2, 0, 1))


def test_copies_share_the_map(dataset: MappedDataset) -> None:
    blob = pickle.dumps(dataset)
    assert len(blob) < 500 < dataset.data.nbytes
    for other in (pickle.loads(blob), copy.deepcopy(dataset)):
        assert isinstance(other, MappedDataset) and isinstance(other.data.base, np.memmap)
        assert np.array_equal(other.data, dataset.data) and other.targets == dataset.targets


def mapped_bytes() -> int:
    """Of all files, in this process's memory."""
    fields = Path("/proc/self/status").read_text(encoding="ascii").split()
    return 1024 * int(fields[fields.index("RssFile:") + 1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells")
@pytest.mark.parametrize("size", [200, 10])
def test_what_was_read_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Of large experiences and of small ones, whose loaders live shortly."""
    path, n = tmp_path / "images.npy", 8000
    np.save(path, np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), np.uint8))
    order = np.random.default_rng(1).permutation(n)
    stream = benchmark_from_parts(MappedDataset(path, [0] * n), np.split(order, n // size), None, [], None).train_stream

    def most() -> int:
        before, found = mapped_bytes(), 0
        for experience in stream:
            for _ in RawDataLoader([experience.dataset], [10], shuffle=True):
                found = max(found, mapped_bytes() - before)
        return found

    monkeypatch.setattr(memmap, "MAX_RESIDENT", 2**20)
    bounded = most()
    monkeypatch.setattr(memmap, "MAX_RESIDENT", 2**40)
    assert bounded < n * 3072 / 2 < n * 3072 * 0.9 < most()


def test_changes_of_a_private_copy_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memmap, "MAX_RESIDENT", 1)
    np.save(tmp_path / "x.npy", np.zeros((4, 8, 8, 3), np.uint8))
    private = np.load(tmp_path / "x.npy", mmap_mode="c")
    private[1] = 7
    memmap.residency.read(private, 4)
    memmap.residency.read(np.asarray(private), 4)
    assert (private[1] == 7).all()
    memmap.residency.read(np.zeros((4, 8, 8, 3), np.uint8), 4)  # not mapped at all
