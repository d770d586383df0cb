"""Tiny ImageNet, read from its folder as it is distributed (Stanford CS231n: 200 classes, 64x64).

Its training images lie in train/WNID/images, the validation images, used for testing, in val/images with their classes
in val/val_annotations.txt; the distributed test images have no labels and are not used.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from avalanche.benchmarks import CLScenario

from avalanche_ssl.data.image_files import find_images, warn_of_skipped
from avalanche_ssl.errors import UsageError
from avalanche_ssl.streams.folder_layout import LabeledFiles
from avalanche_ssl.streams.image_folder import ReadOptions, benchmark_from_files
from avalanche_ssl.streams.splits import IncrementalSplit

FOLDER = "tiny-imagenet-200"


def tiny_imagenet_benchmark(data: Path, read: ReadOptions, split: IncrementalSplit) -> CLScenario:
    """The stream of Tiny ImageNet; files and options are checked before images are decoded."""
    skipped: Counter[str] = Counter()
    root = data / FOLDER if (data / FOLDER).is_dir() else data
    try:
        ids = _lines(root / "wnids.txt")
        names = dict(line.split("\t", 1) for line in _lines(root / "words.txt") if "\t" in line)
        train, test = _train(root / "train", ids, skipped), _test(root / "val", ids)
    except OSError as error:
        raise UsageError(f"cannot read '{error.filename}' ({error.strerror}): give a readable folder") from error
    warn_of_skipped(skipped, root / "train")
    train.classes = [names.get(wnid, wnid).partition(",")[0] for wnid in ids]
    return benchmark_from_files(train, test, read, split)


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise UsageError(f"no file '{path}': give the folder '{FOLDER}' as it is distributed, or the one it lies in")
    return [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]


def _train(root: Path, ids: list[str], skipped: Counter[str]) -> LabeledFiles:
    """The images of each class folder, in the order of `ids`."""
    paths: list[Path] = []
    targets: list[int] = []
    for label, wnid in enumerate(ids):
        folder = root / wnid / "images"
        images = find_images(folder, skipped) if folder.is_dir() else []
        if not images:
            raise UsageError(f"no image '{folder / '*.JPEG'}', a class of wnids.txt: extract it again")
        paths += images
        targets += [label] * len(images)
    return LabeledFiles(paths, targets, [])


def _test(root: Path, ids: list[str]) -> LabeledFiles:
    """The annotated images; a line is file, class and a box (not used), separated by tabs."""
    labels = {wnid: label for label, wnid in enumerate(ids)}
    annotations = root / "val_annotations.txt"
    paths: list[Path] = []
    targets: list[int] = []
    for number, line in enumerate(_lines(annotations), 1):
        name, _, rest = line.partition("\t")
        wnid = rest.partition("\t")[0]
        if wnid not in labels:
            raise UsageError(f"'{annotations}', line {number}: '{wnid}' is no class of wnids.txt: extract it again")
        if not (root / "images" / name).is_file():
            raise UsageError(f"no image '{root / 'images' / name}', which '{annotations.name}' names: extract it again")
        paths.append(root / "images" / name)
        targets.append(labels[wnid])
    for label in sorted(set(labels.values()) - set(targets)):
        raise UsageError(f"'{annotations}' has no image of class '{ids[label]}': extract it again")
    return LabeledFiles(paths, targets, [])
