"""Folders of images become streams, and mistakes in them are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.photos import forbid
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


def test_the_second_stream_of_a_folder_decodes_nothing(pets: Path, tmp_path_factory: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("AVALANCHE_SSL_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr("avalanche_ssl.data.decoded_folders.MIN_IMAGES", 1)
    first = streams.folder(pets, experiences=2)
    monkeypatch.setattr("avalanche_ssl.data.decoded_folders.decode_files", lambda *_: pytest.fail("decoded"))
    for ours, theirs in zip(streams.folder(pets, experiences=2).train_stream, first.train_stream, strict=True):
        assert torch.equal(images(ours.dataset), images(theirs.dataset))


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
        (folder / "2.txt").write_text("no image")
        palette.save(folder / "3.png")
        turned.save(folder / "4.jpg", exif=exif, quality=95)
        (folder / ".5.png").write_bytes(b"hidden")
    with pytest.warns(UserWarning, match=r"^skipped 2 files in '.*': \.txt 2$"):
        x = images(streams.folder(tmp_path, experiences=1, size=8).train_stream[0].dataset)
    assert len(x) == 4
    assert torch.equal(x[0], torch.from_numpy(exact).permute(2, 0, 1))
    assert (x[1] == 200).all()
    assert torch.equal(x[2], torch.from_numpy(np.array(palette.convert("RGB"))).permute(2, 0, 1))
    assert x[3, :, :, :3].max() < 40
    assert x[3, :, :, -3:].min() > 210


def test_folder_without_labels(tmp_path: Path) -> None:
    write_images(tmp_path, ["train"], n=7)
    benchmark = streams.folder(tmp_path, experiences=3)
    assert [len(e.dataset) for e in benchmark.train_stream] == [3, 2, 2]
    assert len(benchmark.test_stream) == 0
    assert benchmark.class_names is None
    ((_, y, _),) = RawDataLoader([benchmark.train_stream[0].dataset], [8], shuffle=False)
    assert y.tolist() == [-1] * 3
    with pytest.raises(UsageError, match=r"have no classes: choose incremental=data"):
        streams.folder(tmp_path, experiences=3, incremental="class")
    write_images(tmp_path, ["test"], n=3)
    check_benchmark(streams.folder(tmp_path, experiences=3, incremental="data"))


def test_a_part_of_each_class_is_for_testing_where_there_is_no_test_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path, ["cat", "dog", "eel"], n=10)
    for i in range(4, 10):
        (tmp_path / "eel" / f"{i}.png").unlink()
    benchmark = streams.folder(tmp_path, size=16)
    assert capsys.readouterr() == (
        "",
        f"found 3 classes in '{tmp_path}' (cat, dog, eel): 20 % of each for testing\n"
        "3 experiences, as there are no more classes (default: 10)\n",
    )
    check_benchmark(benchmark)
    sizes = {
        (kind, *classes(e)): len(e.dataset)
        for kind, stream in (("train", benchmark.train_stream), ("test", benchmark.test_stream))
        for e in stream
    }
    assert sizes == {
        ("train", 0): 8, ("test", 0): 2, ("train", 1): 8, ("test", 1): 2, ("train", 2): 3, ("test", 2): 1,
    }  # fmt: skip
    everything = torch.cat([images(e.dataset) for s in (benchmark.train_stream, benchmark.test_stream) for e in s])
    assert len(torch.unique(everything.flatten(1), dim=0)) == 24, "no image is in both"
    again, other = (streams.folder(tmp_path, size=16, seed=seed, class_order=[0, 1, 2]) for seed in (0, 1))
    first = next(e for e in benchmark.test_stream if classes(e) == {0})
    assert torch.equal(images(first.dataset), images(again.test_stream[0].dataset))
    assert not torch.equal(images(other.test_stream[0].dataset), images(again.test_stream[0].dataset))
    half = streams.folder(tmp_path, test_fraction=0.5, incremental="data", experiences=2)
    assert [sum(len(e.dataset) for e in s) for s in (half.train_stream, half.test_stream)] == [12, 12]


def test_a_list_is_a_stream(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_images(tmp_path, ["images"], n=10, size=(16, 16))
    (tmp_path / "list.txt").write_text("".join(f"images/{i}.png {'ab'[i % 2]}\n" for i in reversed(range(10))))
    benchmark = streams.folder(tmp_path / "list.txt", size=16, class_order=[1, 0])
    check_benchmark(benchmark)
    assert benchmark.class_names == ["a", "b"]
    assert [classes(e) for e in benchmark.train_stream] == [{1}, {0}]
    found = torch.cat([images(s[0].dataset) for s in (benchmark.train_stream, benchmark.test_stream)])
    odd = [np.asarray(Image.open(tmp_path / "images" / f"{i}.png")).transpose(2, 0, 1) for i in range(1, 10, 2)]
    assert {x.numpy().tobytes() for x in found} == {x.tobytes() for x in odd}
    assert "list.txt' (a, b): 20 % of each for testing\n2 experiences" in capsys.readouterr().err
    (tmp_path / "list.txt").write_text("".join(f"images/{i}.png\n" for i in range(4)))
    benchmark = streams.folder(tmp_path / "list.txt", size=16)
    assert [len(e.dataset) for e in benchmark.train_stream] == [1] * 4
    assert capsys.readouterr().err == (
        f"found 4 images without labels in '{tmp_path / 'list.txt'}'\n"
        "4 experiences, as there are no more images (default: 10)\n"
    )


def test_the_default_number_of_experiences_follows_the_rounds(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = streams.folder(pets, incremental="repeated", repeats=2)
    assert len(benchmark.train_stream) == 6
    assert capsys.readouterr().err == "6 experiences, as there are no more classes, 2 times each (default: 10)\n"
    write_images(pets / "train", list("abcdefg"))
    write_images(pets / "test", list("abcdefg"))
    assert len(streams.folder(pets).train_stream) == 10
    assert capsys.readouterr().err == ""


def pixels_and_labels(benchmark: Any) -> list[tuple[bytes, list[int]]]:
    streams_of = (benchmark.train_stream, benchmark.test_stream)
    return [(images(e.dataset).numpy().tobytes(), list(e.dataset.targets)) for s in streams_of for e in s]


@pytest.mark.parametrize("options", [{}, {"incremental": "data", "experiences": 2}, {"imbalance": 2.0}])
@pytest.mark.parametrize("layout", ["train and test", "classes"])
def test_a_stream_without_damaged_images_is_that_of_a_folder_without_them(
    pets: Path, layout: str, options: dict[str, Any]
) -> None:
    if layout == "classes":
        pets = pets / "train"
    names = [p.relative_to(pets) for p in sorted(pets.rglob("*.png"))][2::5]
    whole = pixels_and_labels(streams.folder(pets, size=16, **options))
    for name in names:
        damage(str(name))(pets)
    with pytest.raises(UsageError, match=rf"cannot read {len(names)} images: ") as error:
        streams.folder(pets, size=16, **options)
    assert all(f"'{pets / name}'" in str(error.value) for name in names)
    with pytest.warns(UserWarning, match=rf"left out {len(names)} images: "):
        found = pixels_and_labels(streams.folder(pets, size=16, damaged="skip", **options))
    for name in names:
        (pets / name).unlink()
    assert found == pixels_and_labels(streams.folder(pets, size=16, **options)) != whole


@pytest.mark.parametrize(("part", "kind"), [("train", "training image"), ("test", "test image")])
def test_a_class_that_loses_all_its_images_is_refused(part: str, kind: str, pets: Path) -> None:
    for path in (pets / part / "dog").iterdir():
        path.write_bytes(b"no image")
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(UsageError, match=f"^no {kind} of class 'dog' can be read: repair some, or remove the class$"),
    ):
        streams.folder(pets, damaged="skip")


def test_what_pillow_reads_is_read(tmp_path: Path) -> None:
    shades = {".gif": 40, ".avif": 80, ".jfif": 120, ".webp": 160, ".tif": 200}
    (tmp_path / "train").mkdir()
    for suffix, shade in shades.items():
        kind = {".jfif": "JPEG"}.get(suffix)
        Image.new("RGB", (8, 8), (shade,) * 3).save(tmp_path / "train" / f"x{suffix.upper()}", kind)
    (x,) = [images(e.dataset) for e in streams.folder(tmp_path, size=8, experiences=1).train_stream]
    order = [shades[suffix] for suffix in sorted(shades)]
    assert (x.float().mean((1, 2, 3)) - torch.tensor(order)).abs().max() < 3


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
        (remove("train"), {}, r"no image in '.*train': add some"),
        (remove_folder("test"), {"test_fraction": 1.0}, r"test_fraction is 1\.0: give a share of each class between"),
        (lambda root: write_images(root / "train", ["fox"], 1), {}, r"class 'fox' has no test image"),
        (lambda root: None, {"damaged": "skp"}, r"did you mean 'skip'\?"),
        (lambda root: None, {"labels": "nine"}, r"did you mean 'none'\?"),
        (lambda root: None, {"value_range": (5, 1)}, r"value_range is 5,1: give LOW,HIGH"),
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
    forbid(pets / "train" / "dog", monkeypatch)
    with pytest.raises(UsageError, match=r"cannot read '.*train/dog' \(Permission denied\): give a readable folder"):
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


def test_a_class_with_one_image_cannot_be_split(tmp_path: Path) -> None:
    write_images(tmp_path, ["cat", "dog"])
    write_images(tmp_path, ["eel"], n=1)
    with pytest.raises(UsageError, match=r"class 'eel' has 1 image, and training and testing need one each: add some"):
        streams.folder(tmp_path)


def test_linked_classes_are_read(pets: Path) -> None:
    (pets / "train" / "dog").rename(pets / "elsewhere")
    (pets / "train" / "dog").symlink_to(pets / "elsewhere")
    with pytest.warns(UserWarning, match=r"not read in '.*', beside 'train': elsewhere$"):
        benchmark = streams.folder(pets, experiences=1)
    assert np.bincount(benchmark.train_stream[0].dataset.targets).tolist() == [4, 4, 4]
