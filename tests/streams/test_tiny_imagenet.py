"""Tiny ImageNet is read as it is distributed; what is missing is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from avalanche_ssl import streams
from avalanche_ssl.data import RawDataLoader
from avalanche_ssl.errors import UsageError

IDS = ["n02", "n01", "n03", "n04"]


@pytest.fixture
def tiny_imagenet(tmp_path: Path) -> Path:
    """Four of the classes, in the format of the distributed folder."""
    root = tmp_path / "tiny-imagenet-200"
    rng = np.random.default_rng(0)

    def write_image(path: Path, gray: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (64, 64) if gray else (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(path, "JPEG", quality=95)

    for wnid in IDS:
        for i in range(3):
            write_image(root / "train" / wnid / "images" / f"{wnid}_{i}.JPEG", gray=i == 0)
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text("")
    lines = []
    for i, wnid in enumerate([*reversed(IDS), *IDS]):
        write_image(root / "val" / "images" / f"val_{i}.JPEG")
        lines.append(f"val_{i}.JPEG\t{wnid}\t0\t32\t44\t62\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    write_image(root / "test" / "images" / "test_0.JPEG")
    (root / "wnids.txt").write_text("\n".join(IDS) + "\n")
    (root / "words.txt").write_text("n01\ttench, Tinca tinca\nn02\tgoldfish\nn03\tshark\nn04\tray\nn99\tunused\n")
    return tmp_path


def test_tiny_imagenet(tiny_imagenet: Path) -> None:
    benchmark = streams.split_tiny_imagenet(tiny_imagenet, experiences=2, class_order=[1, 0, 2, 3])
    assert benchmark.class_names == ["goldfish", "tench", "shark", "ray"]
    assert [set(e.dataset.targets) for e in benchmark.train_stream] == [{0, 1}, {2, 3}]
    assert [set(e.dataset.targets) for e in benchmark.test_stream] == [{0, 1}, {2, 3}]
    assert [len(e.dataset) for e in (*benchmark.train_stream, *benchmark.test_stream)] == [6, 6, 4, 4]
    x, y, _ = next(iter(RawDataLoader([benchmark.test_stream[0].dataset], [9], shuffle=False)))
    assert (x.shape, x.dtype) == ((4, 3, 64, 64), torch.uint8)
    root = tiny_imagenet / "tiny-imagenet-200"
    first = int(np.flatnonzero(y == 1)[0])
    expected = np.asarray(Image.open(root / "val" / "images" / "val_2.JPEG"))  # the first that is annotated n01
    assert np.array_equal(x[first].permute(1, 2, 0), expected)
    again = streams.split_tiny_imagenet(root, experiences=4, size=16, incremental="repeated", repeats=2)
    assert len(again.train_stream) == 4


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("wnids.txt", None, r"no file '.*wnids.txt': give the folder 'tiny-imagenet-200' as it is distributed"),
        ("words.txt", None, r"no file '.*words.txt'"),
        ("val/val_annotations.txt", None, r"no file '.*val_annotations.txt'"),
        ("val/images/val_1.JPEG", None, r"no image '.*val_1.JPEG', which 'val_annotations.txt' names"),
        ("train/n03/images", None, r"no image '.*n03.images.*JPEG', a class of wnids.txt"),
        ("val/val_annotations.txt", "val_0.JPEG\tn07\t0\n", r"line 1: 'n07' is no class of wnids.txt"),
        ("val/val_annotations.txt", "val_0.JPEG\tn02\t0\n", r"has no image of class 'n01'"),
        ("val/images/val_1.JPEG", "no JPEG", r"cannot read image '.*val_1.JPEG'"),
    ],
)
def test_what_is_missing_of_tiny_imagenet(tiny_imagenet: Path, path: str, text: str | None, message: str) -> None:
    place = tiny_imagenet / "tiny-imagenet-200" / path
    if text is None:
        place.rename(place.with_name("elsewhere"))
    else:
        place.write_text(text)
    with pytest.raises(UsageError, match=message) as error:
        streams.split_tiny_imagenet(tiny_imagenet, experiences=2)
    assert "\n" not in str(error.value)


def test_no_tiny_imagenet(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file '.*wnids\.txt'"):
        streams.split_tiny_imagenet(tmp_path / "nowhere")


def test_damaged_and_other_files_of_tiny_imagenet(tiny_imagenet: Path) -> None:
    root = tiny_imagenet / "tiny-imagenet-200"
    for name in ("train/n01/images/n01_1.JPEG", "val/images/val_5.JPEG"):
        (root / name).write_bytes(b"no image")
    (root / "train/n02/images/notes.txt").touch()
    with (
        pytest.warns(UserWarning, match=r"skipped 1 file in '.*train': \.txt 1"),
        pytest.raises(UsageError, match=r"cannot read 2 images: '.*n01_1\.JPEG' .*'.*val_5\.JPEG' .*damaged=skip"),
    ):
        streams.split_tiny_imagenet(tiny_imagenet, experiences=2)
    (root / "train/n02/images/notes.txt").unlink()
    with pytest.warns(UserWarning, match="left out 2 images"):
        benchmark = streams.split_tiny_imagenet(tiny_imagenet, experiences=1, damaged="skip")
    assert np.bincount(benchmark.train_stream[0].dataset.targets).tolist() == [3, 2, 3, 3]
    assert np.bincount(benchmark.test_stream[0].dataset.targets).tolist() == [2, 1, 2, 2], "val_5 is of n01"
    (root / "train/n03/images").rename(root / "elsewhere")
    (root / "train/n03/images").symlink_to(root / "elsewhere")
    with pytest.warns(UserWarning, match="left out 2 images"):
        streams.split_tiny_imagenet(tiny_imagenet, experiences=1, damaged="skip")
