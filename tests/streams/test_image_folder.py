"""Folders of images become streams, and mistakes in them are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.streams import check_benchmark, classes, images, write_images
from PIL import Image

from avalanche_ssl import streams
from avalanche_ssl.data import RawDataLoader
from avalanche_ssl.errors import UsageError


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    write_images(tmp_path / "train", ["cat", "dog", "eel"])
    write_images(tmp_path / "test", ["cat", "dog", "eel"], n=2)
    return tmp_path


def test_folder(pets: Path) -> None:
    benchmark = streams.folder(pets, experiences=2, size=8, class_order=[2, 0, 1])
    check_benchmark(benchmark)
    assert benchmark.class_names == ["cat", "dog", "eel"]
    assert [classes(e) for e in benchmark.train_stream] == [{2, 0}, {1}]
    assert images(benchmark.train_stream[0].dataset).shape == (8, 3, 8, 8)


def test_folder_in_equal_parts(pets: Path) -> None:
    benchmark = streams.folder(pets, experiences=2, incremental="data")
    check_benchmark(benchmark)
    assert [len(e.dataset) for e in benchmark.train_stream] == [6, 6]
    assert [len(e.dataset) for e in benchmark.test_stream] == [3, 3]
    assert [classes(e) for e in benchmark.train_stream] == [{0, 1, 2}] * 2


def test_folder_pixels(tmp_path: Path) -> None:
    """An image of the right size is untouched; others are cut to the center, upright, and RGB."""
    exact = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 200  # the center
    palette = Image.fromarray(exact).convert("P")
    turned = Image.fromarray(np.vstack([np.full((16, 16, 3), 250, np.uint8), np.zeros((16, 16, 3), np.uint8)]))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise
    for split in ("train", "test"):
        folder = tmp_path / split / "x"
        folder.mkdir(parents=True)
        Image.fromarray(exact).save(folder / "0.png")
        Image.fromarray(wide).save(folder / "1.png")
        palette.save(folder / "2.gif")  # not a known extension
        palette.save(folder / "3.png")
        turned.save(folder / "4.jpg", exif=exif, quality=95)
        (folder / ".5.png").write_bytes(b"hidden")
    x = images(streams.folder(tmp_path, experiences=1, size=8).train_stream[0].dataset)
    assert len(x) == 4
    assert torch.equal(x[0], torch.from_numpy(exact).permute(2, 0, 1))
    assert (x[1] == 200).all()
    assert torch.equal(x[2], torch.from_numpy(np.array(palette.convert("RGB"))).permute(2, 0, 1))
    assert x[3, :, :, :3].max() < 40
    assert x[3, :, :, -3:].min() > 210


def test_folder_without_labels(tmp_path: Path) -> None:
    write_images(tmp_path, ["train"], n=7)
    benchmark = streams.folder(tmp_path, experiences=3, incremental="data")
    assert [len(e.dataset) for e in benchmark.train_stream] == [3, 2, 2]
    assert len(benchmark.test_stream) == 0
    assert benchmark.class_names is None
    ((_, y, _),) = RawDataLoader([benchmark.train_stream[0].dataset], [8], shuffle=False)
    assert y.tolist() == [-1] * 3
    with pytest.raises(UsageError, match=r"have no classes: choose incremental=data"):
        streams.folder(tmp_path, experiences=3)
    write_images(tmp_path, ["test"], n=3)
    check_benchmark(streams.folder(tmp_path, experiences=3, incremental="data"))


def test_nothing_is_printed_where_the_output_is_no_terminal(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    streams.folder(pets, experiences=3)
    assert capsys.readouterr() == ("", "")


def damage(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).write_bytes((root / path).read_bytes()[:60])


def remove(path: str) -> Callable[[Path], None]:
    def act(root: Path) -> None:
        for file in sorted((root / path).rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()

    return act


def remove_folder(path: str) -> Callable[[Path], None]:
    def act(root: Path) -> None:
        remove(path)(root)
        (root / path).rmdir()

    return act


@pytest.mark.parametrize(
    ("act", "options", "message"),
    [
        (damage("train/dog/1.png"), {}, r"cannot read image '.*train/dog/1\.png' \(.*\): repair or remove"),
        (damage("test/eel/0.png"), {}, r"cannot read image '.*test/eel/0\.png'"),
        (remove("train/dog"), {}, r"no image in '.*train/dog': add some"),
        (remove("test/dog"), {}, r"no image in '.*test/dog': add some"),
        (remove_folder("test/dog"), {}, r"class 'dog' has no test image: add some to '.*test/dog'"),
        (remove_folder("train/cat"), {}, r"class 'cat' is in '.*test' only"),
        (remove_folder("test"), {}, r"no folder '.*test': make it"),
        (remove("train"), {}, r"no image in '.*train': add some"),
        (remove_folder("train"), {}, r"no folder '.*train': make it"),
        (lambda root: write_images(root, ["train"], 1), {}, r"'.*train/0\.png' lies next to class folders"),
        (lambda root: None, {"experiences": 4}, r"3 classes into 4 experiences: give 1 to 3"),
        (lambda root: None, {"experiences": 7, "incremental": "data"}, r"6 test images into 7"),
        (lambda root: None, {"experiences": 0}, r"into 0 experiences"),
        (lambda root: None, {"size": 0}, r"size=0"),
        (lambda root: None, {"size": 10**6}, r"give a smaller size"),
        (lambda root: None, {"incremental": "clas"}, r"did you mean 'class'\?"),
    ],
)
def test_folder_names_mistakes(pets: Path, act: Callable[[Path], None], options: dict[str, Any], message: str) -> None:
    act(pets)
    with pytest.raises(UsageError, match=message) as error:
        streams.folder(pets, **{"experiences": 3, **options})
    assert "\n" not in str(error.value)


def test_a_folder_without_permission(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(UsageError, match=r"cannot read '.*train' \(Permission denied\): give a readable folder"):
        streams.folder(pets)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no folder '.*nowhere': give one that holds train/CLASS/\*"):
        streams.folder(tmp_path / "nowhere")


def test_flat_folders_have_no_classes_to_spread(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "train" / "0.png")
    for options in ({"incremental": "blurry"}, {"incremental": "data", "imbalance": 2.0}):
        with pytest.raises(UsageError, match="have no classes: choose incremental=data and no imbalance"):
            streams.folder(tmp_path, **options)
