"""Do images come in the experiences that the kind of stream says, each once, the same everywhere?"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from avalanche_ssl import streams
from avalanche_ssl.data.loader import RawDataLoader
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams.partitions import long_tail
from avalanche_ssl.streams.splits import IncrementalSplit

SIZES = [40, 25, 31, 7, 60, 18]
TARGETS = np.random.default_rng(0).permutation(np.repeat(np.arange(len(SIZES)), SIZES)).tolist()


def train(experiences: int = 3, **options: Any) -> list[np.ndarray]:
    split = IncrementalSplit(experiences, **options)
    split.check(len(SIZES))
    return split.train_parts(TARGETS, len(SIZES))


def counts(parts: list[np.ndarray]) -> np.ndarray:
    """Images (E, C) of each experience and class."""
    return np.stack([np.bincount(np.asarray(TARGETS)[part], minlength=len(SIZES)) for part in parts])


@pytest.mark.parametrize("experiences", [2, 3, 6])
@pytest.mark.parametrize("kind", ["class", "data", "blurry", "repeated"])
def test_every_image_comes_exactly_once(kind: str, experiences: int) -> None:
    split = IncrementalSplit(experiences, kind, leak=0.3, repeats=2)
    for parts in (split.train_parts(TARGETS, 6), split.test_parts(TARGETS, 6)):
        assert len(parts) == experiences
        assert np.sort(np.concatenate(parts)).tolist() == list(range(len(TARGETS)))


GOLDEN = {
    "class": [[3, 4], [1, 2], [0, 7]],
    "data": [[1, 7], [2, 3], [0, 4]],
    "blurry": [[0, 4], [1, 2], [3, 7]],
    "repeated": [[9, 12], [2, 10], [0, 1]],
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_a_stream_is_the_same_everywhere(kind: str) -> None:
    """Pinned, so that no version and platform draws another stream in silence."""
    assert [part[:2].tolist() for part in train(incremental=kind, leak=0.3, seed=7)] == GOLDEN[kind]
    assert long_tail([0] * 6 + [1] * 6, 2, 3.0, 7).tolist() == [0, 5, 6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize("kind", ["class", "data", "blurry", "repeated"])
def test_the_seed_decides(kind: str) -> None:
    first, again, other = (train(incremental=kind, imbalance=3.0, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other))


def test_blurry_leaks_the_share_evenly() -> None:
    pure, blurry = (counts(train(incremental=kind, leak=0.3)) for kind in ("class", "blurry"))
    for label, size in enumerate(SIZES):
        home = int(pure[:, label].argmax())
        leaked = np.delete(blurry[:, label], home)
        assert leaked.sum() == int(0.3 * size + 0.5)
        assert np.ptp(leaked) <= 1
    eval_mode = zip(train(incremental="blurry", leak=0.0), train())
    assert all(np.array_equal(a, b) for a, b in eval_mode)


def test_what_leaks_is_drawn_at_random_and_remainders_are_spread() -> None:
    targets = np.repeat(np.arange(50), 20)
    parts = IncrementalSplit(5, "blurry", leak=0.05).train_parts(targets, 50)  # one image of each class
    leaked = np.stack([np.bincount(targets[part], minlength=50) for part in parts]) == 1
    assert leaked.sum() == 50
    assert (leaked.sum(1) > 4).all(), "not all to the same experience"
    home = IncrementalSplit(5).train_parts(targets, 50)
    moved = np.concatenate([np.setdiff1d(part, own) for part, own in zip(parts, home)])
    assert len(set((moved % 20).tolist())) > 8, "not always the first image of a class"


def test_tests_of_blurry_classes_stay_at_home() -> None:
    split = IncrementalSplit(3, "blurry", leak=0.5, imbalance=10.0)
    pairs = zip(split.test_parts(TARGETS, 6), IncrementalSplit(3).test_parts(TARGETS, 6), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_repeated_classes_come_in_every_round() -> None:
    found = counts(train(5, incremental="repeated", repeats=2))  # rounds of 3 and 2 experiences
    rounds = found[:3], found[3:]
    for round_ in rounds:
        assert ((round_ > 0).sum(0) == 1).all(), "each class once a round"
    assert (abs(rounds[0].sum(0) - rounds[1].sum(0)) <= 1).all(), "with an equal part of its images"
    both = IncrementalSplit(6, "repeated", repeats=2).train_parts(TARGETS, 6)
    groups = [frozenset(np.flatnonzero(row).tolist()) for row in counts(both)]
    assert set(groups[:3]) != set(groups[3:]), "in another order"


def test_class_order_is_that_of_the_first_round() -> None:
    order = [5, 4, 3, 2, 1, 0]
    found = counts(train(4, incremental="repeated", repeats=2, class_order=order))
    assert [np.flatnonzero(row).tolist() for row in found[:2]] == [[3, 4, 5], [0, 1, 2]]


def test_imbalance_follows_its_profile() -> None:
    sizes = [1000] * 5
    targets = np.repeat(np.arange(5), sizes)
    kept = long_tail(targets, 5, 100.0, 0)
    left = np.bincount(targets[kept])
    assert sorted(left.tolist(), reverse=True) == [1000, 316, 100, 32, 10]
    assert left.tolist() != sorted(left.tolist(), reverse=True), "ranks are drawn"
    smallest = kept[targets[kept] == left.argmin()] % 1000
    assert smallest.tolist() != list(range(10)), "images are drawn"
    assert np.bincount(targets[long_tail(targets, 5, 1e9, 0)]).min() == 1, "no class is lost"
    split = IncrementalSplit(2, imbalance=100.0)
    assert np.sort(np.concatenate(split.train_parts(targets, 5))).tolist() == kept.tolist()
    assert sum(map(len, split.test_parts(targets, 5))) == 5000, "in training only"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"incremental": "blury"}, "no kind of increment 'blury': did you mean 'blurry'"),
        ({"incremental": "blurry", "leak": 1.5}, "leak is 1.5: give a share"),
        ({"incremental": "blurry", "experiences": 1}, "a single experience has nowhere to leak"),
        ({"imbalance": 0.5}, r"imbalance is 0.5: give 1 \(none\) or more"),
        ({"incremental": "repeated", "repeats": 4}, "cannot repeat classes 4 times in 3 experiences"),
        ({"incremental": "repeated", "repeats": 0}, "cannot repeat classes 0 times"),
        ({"experiences": 7}, "6 classes into 7 experiences"),
        ({"incremental": "repeated", "experiences": 13}, "6 classes into 7 experiences"),
        ({"incremental": "data", "experiences": 500}, "181 training images into 500"),
    ],
)
def test_mistakes_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        train(**options)
    assert "\n" not in str(error.value)


def test_no_experience_is_empty() -> None:
    """A class of one image cannot come twice."""
    with pytest.raises(UsageError, match=r"experience \d would have no test image: give fewer experiences"):
        IncrementalSplit(4, "repeated", repeats=2).test_parts([0, 1], 2)


# -- the streams -----------------------------------------------------------------------------------------------------


def test_digits_take_every_option() -> None:
    plain = streams.split_digits(composites=2)
    blurry = streams.split_digits(incremental="blurry", leak=0.2, composites=2)
    size = sum(len(e.dataset) for e in plain.train_stream)
    assert sum(len(e.dataset) for e in blurry.train_stream) == size
    assert all(len(set(e.dataset.targets)) == 10 for e in blurry.train_stream)
    assert [set(e.dataset.targets) for e in blurry.test_stream] == [set(e.dataset.targets) for e in plain.test_stream]
    tail = streams.split_digits(imbalance=20.0, incremental="data", composites=2)
    assert sum(len(e.dataset) for e in tail.train_stream) < size / 2
    again = streams.split_digits(6, incremental="repeated", repeats=3, composites=2)
    assert [len(set(e.dataset.targets)) for e in again.train_stream] == [5] * 6


def test_flat_folders_have_no_classes_to_spread(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "train" / "0.png")
    for options in ({"incremental": "blurry"}, {"incremental": "data", "imbalance": 2.0}):
        with pytest.raises(UsageError, match="have no classes: choose incremental=data and no imbalance"):
            streams.folder(tmp_path, **options)


# -- Tiny ImageNet ---------------------------------------------------------------------------------------------------

IDS = ["n02", "n01", "n03", "n04"]


@pytest.fixture
def tiny_imagenet(tmp_path: Path) -> Path:
    """Four of the classes, in the format of the distributed folder."""
    root = tmp_path / "tiny-imagenet-200"
    rng = np.random.default_rng(0)

    def picture(path: Path, gray: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (64, 64) if gray else (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(path, "JPEG", quality=95)

    for wnid in IDS:
        for i in range(3):
            picture(root / "train" / wnid / "images" / f"{wnid}_{i}.JPEG", gray=i == 0)
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text("")
    lines = []
    for i, wnid in enumerate([*reversed(IDS), *IDS]):
        picture(root / "val" / "images" / f"val_{i}.JPEG")
        lines.append(f"val_{i}.JPEG\t{wnid}\t0\t32\t44\t62\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    picture(root / "test" / "images" / "test_0.JPEG")
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
