"""Do streams hold the right images, classes and errors?"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from avalanche.benchmarks.utils.data_loader import ReplayDataLoader
from PIL import Image
from sklearn.datasets import load_digits
from torchvision.datasets import CIFAR10, CIFAR100

from avalanche_ssl import streams
from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.data.readers import array_reader
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams import digits
from avalanche_ssl.streams.partitions import class_groups, equal_parts


def images(dataset: Any) -> torch.Tensor:
    return torch.cat([x for x, _, _ in RawDataLoader([dataset], [256], shuffle=False, drop_last=False)])


def classes(experience: Any) -> set[int]:
    return set(experience.dataset.targets)


def check(benchmark: Any) -> None:
    """What every stream promises."""
    assert len(benchmark.train_stream) == len(benchmark.test_stream)
    for train, test in zip(benchmark.train_stream, benchmark.test_stream, strict=True):
        assert classes(train) == classes(test) == set(train.classes_in_this_experience)
        assert train.task_labels == [0]
        x, y, t = train.dataset[0]
        assert (x.dtype, x.dim(), t) == (torch.uint8, 3, 0)
        assert y in classes(train)
        assert array_reader(train.dataset) is not None
    memory, data = (benchmark.train_stream[i].dataset for i in (0, -1))
    x, y, t = next(iter(ReplayDataLoader(data, memory, batch_size=4, batch_size_mem=3, shuffle=True)))
    assert x.dtype == torch.uint8
    assert len(x) == len(y) == len(t) == 3 + min(4, len(data))


def test_names_are_read_without_torch() -> None:
    code = (
        "import sys, avalanche_ssl.streams as s; assert s.BENCHMARKS; "
        "sys.exit(sum(name in sys.modules for name in ('torch', 'avalanche', 'numpy', 'sklearn', 'PIL')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_benchmark_has_a_line_of_help() -> None:
    assert all((build.__doc__ or "").split("\n")[0].endswith((".", "labels.")) for build in streams.BENCHMARKS.values())


# -- digits --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def default() -> Any:
    return streams.split_digits()


def test_split_digits(default: Any) -> None:
    check(default)
    assert [len(classes(e)) for e in default.train_stream] == [2] * 5
    assert set.union(*map(classes, default.train_stream)) == set(range(10))
    assert default.class_names == [str(digit) for digit in range(10)]
    n_train = sum(len(e.dataset) for e in default.train_stream)
    n_test = sum(len(e.dataset) for e in default.test_stream)
    assert (n_train, n_test) == (8 * 1201, 4 * 596)
    assert images(default.train_stream[0].dataset).shape[1:] == (3, 32, 32)


def test_split_digits_is_decided_by_its_seed(default: Any) -> None:
    again, other = streams.split_digits(), streams.split_digits(seed=1)
    for one, two in zip(default.train_stream, again.train_stream, strict=True):
        assert torch.equal(images(one.dataset), images(two.dataset))
    assert [classes(e) for e in default.train_stream] != [classes(e) for e in other.train_stream]


def test_no_digit_is_both_in_training_and_test() -> None:
    targets = load_digits().target
    held_out = digits._test_digits(targets)
    assert held_out.sum() == 596
    counts = np.bincount(targets[held_out]) / np.bincount(targets)
    assert ((counts > 0.32) & (counts < 0.34)).all()


def test_a_composite_follows_its_formula() -> None:
    """Where the mask is 1 there is the colour alone, where it is 0 the photograph at 0.6."""
    gray = [np.full((40, 50, 3), 100, np.uint8)] * 2
    masks = np.zeros((1, 28, 28), np.float32)
    masks[0, :14] = 1
    one = np.ones(1, bool)
    made = digits._composites(masks, np.zeros(1, np.int64), one, 4, [gray, gray], np.random.default_rng(0))
    for image in made.data:
        colour_or_photo = {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()}
        assert len(colour_or_photo) == 2
        assert (60, 60, 60) in colour_or_photo
        assert (image != 60).any(-1).sum() == 14 * 28


def test_digits_differ_in_colour_place_and_background(default: Any) -> None:
    x = images(default.train_stream[0].dataset).float()
    assert x.mean((2, 3)).std(0).min() > 10
    assert len(x.byte().flatten(1).unique(dim=0)) == len(x)


def test_digits_domain() -> None:
    benchmark = streams.digits_domain()
    check(benchmark)
    assert [classes(e) for e in benchmark.train_stream] == [set(range(10))] * 2
    flower, china = (images(e.dataset).float().mean((0, 2, 3)) for e in reversed(list(benchmark.train_stream)))
    assert flower[0] - flower[2] > china[0] - china[2]
    with pytest.raises(UsageError, match="two photographs into 3"):
        streams.digits_domain(3)


def test_digits_refuse() -> None:
    with pytest.raises(UsageError, match="10 classes into 11 experiences: give 1 to 10"):
        streams.split_digits(11)
    with pytest.raises(UsageError, match="composites=1"):
        streams.split_digits(composites=1)


# -- splitting -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_classes", "experiences"), [(10, 3), (10, 10), (7, 2), (100, 11), (5, 1)])
def test_no_class_is_lost(n_classes: int, experiences: int) -> None:
    groups = class_groups(n_classes, experiences, seed=0)
    assert sorted(np.concatenate(groups).tolist()) == list(range(n_classes))
    sizes = [len(group) for group in groups]
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) - min(sizes) <= 1


def test_class_order() -> None:
    assert [g.tolist() for g in class_groups(5, 2, 0, [4, 3, 2, 1, 0])] == [[4, 3, 2], [1, 0]]
    for wrong in ([0, 1, 2], [0, 1, 2, 3, 3], [1, 2, 3, 4, 5]):
        with pytest.raises(UsageError, match="every number from 0 to 4 once"):
            class_groups(5, 2, 0, wrong)


def test_equal_parts_balance_classes() -> None:
    targets = np.repeat([2, 0, 1], [11, 20, 30])
    parts = equal_parts(targets.tolist(), 4, 0, "training")
    assert sorted(np.concatenate(parts).tolist()) == list(range(61))
    assert {len(part) for part in parts} == {15, 16}
    counts = np.stack([np.bincount(targets[part], minlength=3) for part in parts])
    assert (np.ptp(counts, axis=0) <= 1).all()
    with pytest.raises(UsageError, match="3 test images into 4"):
        equal_parts([0, 0, 0], 4, 0, "test")


# -- CIFAR ---------------------------------------------------------------------------------------------------


def write_cifar(root: Path, kind: type[CIFAR10], n: int) -> None:
    """The format on disk: pickled dicts of rows of 3072 bytes, red first."""
    rng = np.random.default_rng(0)
    n_classes, key = (100, "fine_labels") if kind is CIFAR100 else (10, "labels")
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    for name, _ in (*kind.train_list, *kind.test_list):
        data = rng.integers(0, 256, (n, 3072), np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": data, key: [i % n_classes for i in range(n)]}))
    names = [f"class {i}" for i in range(n_classes)]
    (folder / kind.meta["filename"]).write_bytes(pickle.dumps({kind.meta["key"]: names}))


@pytest.mark.parametrize(
    ("kind", "build", "n_classes"),
    [(CIFAR10, streams.split_cifar10, 10), (CIFAR100, streams.split_cifar100, 100)],
)
def test_cifar(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[CIFAR10],
    build: Callable[..., Any],
    n_classes: int,
) -> None:
    write_cifar(tmp_path, kind, 2 * n_classes)
    monkeypatch.setattr(kind, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    benchmark = build(3, data=tmp_path, class_order=list(range(n_classes)))
    check(benchmark)
    assert [len(classes(e)) for e in benchmark.train_stream] == [len(p) for p in np.array_split(range(n_classes), 3)]
    assert benchmark.class_names[3] == "class 3"
    name = kind.train_list[0][0]
    data = pickle.loads((tmp_path / kind.base_folder / name).read_bytes())["data"]
    assert torch.equal(benchmark.train_stream[0].dataset[0][0], torch.from_numpy(data[0]).view(3, 32, 32))


def test_cifar_that_cannot_be_had_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*args: Any, **kwargs: Any) -> None:
        raise URLError("no\nnetwork")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", no_network)
    with pytest.raises(UsageError, match=r"no CIFAR10 in '.*no network.*put cifar-10-python.tar.gz there") as error:
        streams.split_cifar10(data=tmp_path)
    assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match="10 classes into 20"):
        streams.split_cifar10(20, data=tmp_path)


# -- folder --------------------------------------------------------------------------------------------------


def write_images(root: Path, names: list[str], n: int = 4, size: tuple[int, int] = (20, 16)) -> None:
    rng = np.random.default_rng(len(str(root)))
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(root / name / f"{i}.png")


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    write_images(tmp_path / "train", ["cat", "dog", "eel"])
    write_images(tmp_path / "test", ["cat", "dog", "eel"], n=2)
    return tmp_path


def test_folder(pets: Path) -> None:
    benchmark = streams.folder(pets, experiences=2, size=8, class_order=[2, 0, 1])
    check(benchmark)
    assert benchmark.class_names == ["cat", "dog", "eel"]
    assert [classes(e) for e in benchmark.train_stream] == [{2, 0}, {1}]
    assert images(benchmark.train_stream[0].dataset).shape == (8, 3, 8, 8)


def test_folder_in_equal_parts(pets: Path) -> None:
    benchmark = streams.folder(pets, experiences=2, incremental="data")
    check(benchmark)
    assert [len(e.dataset) for e in benchmark.train_stream] == [6, 6]
    assert [len(e.dataset) for e in benchmark.test_stream] == [3, 3]
    assert [classes(e) for e in benchmark.train_stream] == [{0, 1, 2}] * 2


def test_folder_pixels(tmp_path: Path) -> None:
    """An image of the right size is untouched; others are cut to the centre, upright, and RGB."""
    exact = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 200  # the centre
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
    check(streams.folder(tmp_path, experiences=3, incremental="data"))


def test_folder_tells_its_progress(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    streams.folder(pets, experiences=3)
    out, err = capsys.readouterr()
    assert out == ""
    assert "decode train: 100%" in err
    assert "12/12" in err


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


# -- online --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, 7])
def test_online_sees_every_image_once(default: Any, size: int) -> None:
    stream = streams.online_stream(default.train_stream, size, seed=3)
    for experience in default.train_stream:
        parts = [e for e in stream if e.origin_experience is experience]
        assert sum(len(e.dataset) for e in parts) == len(experience.dataset)
        assert [e.is_first_subexp for e in parts] == [True] + [False] * (len(parts) - 1)
        assert [e.is_last_subexp for e in parts] == [False] * (len(parts) - 1) + [True]
        assert {e.sub_stream_length for e in parts} == {len(parts)}
        assert all(len(e.dataset) == size for e in parts[:-1])
    cut = torch.cat([images(e.dataset) for e in streams.online_stream(default.train_stream[1], size, seed=3)])
    whole = images(default.train_stream[1].dataset)
    assert not torch.equal(cut, whole)
    assert torch.equal(cut.flatten(1).unique(dim=0), whole.flatten(1).unique(dim=0))


def test_online_of_one_experience_equals_its_part_of_the_stream(default: Any) -> None:
    stream = streams.online_stream(default.train_stream, 200, seed=3)
    part = [e for e in stream if e.origin_experience.current_experience == 2]
    alone = list(streams.online_stream(default.train_stream[2], 200, seed=3))
    assert all(torch.equal(images(a.dataset), images(b.dataset)) for a, b in zip(part, alone, strict=True))
    other = next(iter(streams.online_stream(default.train_stream[2], 200, seed=4)))
    assert not torch.equal(images(other.dataset), images(alone[0].dataset))
    with pytest.raises(UsageError, match="experiences of 0 images"):
        streams.online_stream(default.train_stream, 0)
