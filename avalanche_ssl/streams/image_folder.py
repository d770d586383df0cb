"""Streams of a folder of images, with one folder per class or without labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from avalanche.benchmarks import CLScenario
from torchvision.datasets.folder import IMG_EXTENSIONS

from avalanche_ssl.data.datasets import ArrayDataset
from avalanche_ssl.data.image_decoding import check_memory, decode_files
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams.benchmark import benchmark_from_parts
from avalanche_ssl.streams.splits import IncrementalSplit


@dataclass
class LabeledFiles:
    """Image files, their labels and the names of the classes; for a flat folder labels are -1 and there is no class."""

    paths: list[Path]
    targets: list[int]
    classes: list[str]


def folder_benchmark(data: Path, size: int, split: IncrementalSplit) -> CLScenario:
    """The stream of a folder; files and options are checked before images are decoded."""
    try:
        train, test = _scan_both(data)
    except OSError as error:
        raise UsageError(f"cannot read '{error.filename}' ({error.strerror}): give a readable folder") from error
    if not train.classes and (split.incremental != "data" or split.imbalance != 1):
        raise UsageError(f"the images of '{data / 'train'}' have no classes: choose incremental=data and no imbalance")
    return benchmark_from_files(train, test, size, split)


def benchmark_from_files(
    train: LabeledFiles, test: LabeledFiles | None, size: int, split: IncrementalSplit
) -> CLScenario:
    """The stream of image files; the options are checked before images are decoded."""
    if size < 1:
        raise UsageError(f"cannot resize images to size={size}: give 1 or more")
    split.check(len(train.classes))
    train_parts = split.train_parts(train.targets, len(train.classes))
    test_parts = split.test_parts(test.targets, len(train.classes)) if test else []
    check_memory(len(train.paths) + (len(test.paths) if test else 0), size)
    return benchmark_from_parts(
        ArrayDataset(decode_files(train.paths, size, "train"), train.targets),
        train_parts,
        ArrayDataset(decode_files(test.paths, size, "test"), test.targets) if test else None,
        test_parts,
        train.classes or None,
    )


def _scan_both(data: Path) -> tuple[LabeledFiles, LabeledFiles | None]:
    if not data.is_dir():
        raise UsageError(f"no folder '{data}': give one that holds train/CLASS/* and test/CLASS/*")
    train = _scan(data / "train")
    if not train.classes and not (data / "test").is_dir():
        return train, None
    test = _scan(data / "test")
    _check_classes(data, train, test)
    return train, test


def _scan(root: Path) -> LabeledFiles:
    if not root.is_dir():
        raise UsageError(f"no folder '{root}': make it, with one folder of images for each class")
    entries = sorted(entry for entry in root.iterdir() if not entry.name.startswith("."))
    folders, loose = [e for e in entries if e.is_dir()], [e for e in entries if _is_image(e)]
    if folders and loose:
        raise UsageError(f"'{loose[0]}' lies next to class folders: move it into one of them")
    if loose:
        return LabeledFiles(loose, [-1] * len(loose), [])
    paths: list[Path] = []
    targets: list[int] = []
    for label, folder in enumerate(folders):
        images = sorted(path for path in folder.rglob("*") if _is_image(path))
        if not images:
            raise UsageError(f"no image in '{folder}': add some ({', '.join(IMG_EXTENSIONS)}) or remove it")
        paths += images
        targets += [label] * len(images)
    if not paths:
        raise UsageError(f"no image in '{root}': add some ({', '.join(IMG_EXTENSIONS)})")
    return LabeledFiles(paths, targets, [folder.name for folder in folders])


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMG_EXTENSIONS and not path.name.startswith(".") and path.is_file()


def _check_classes(data: Path, train: LabeledFiles, test: LabeledFiles) -> None:
    if bool(train.classes) != bool(test.classes):
        flat, other = ("test", "train") if train.classes else ("train", "test")
        raise UsageError(f"'{data / flat}' has no class folders but '{data / other}' has: sort it into classes")
    for name in train.classes:
        if name not in test.classes:
            raise UsageError(f"class '{name}' has no test image: add some to '{data / 'test' / name}'")
    for name in test.classes:
        if name not in train.classes:
            raise UsageError(f"class '{name}' is in '{data / 'test'}' only: add training images or remove it")
