"""COCO on disk (Lin et al. 2014): `annotations/instances_*.json` beside folders of images."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from avalanche_ssl.detection.boxes import Objects
from avalanche_ssl.detection.dataset import DetectionData, DetectionDataset
from avalanche_ssl.detection.image_files import check_image_files, inside
from avalanche_ssl.detection.parts import choose_parts
from avalanche_ssl.errors import UsageError

FILE = re.compile(r"instances_((train|val|test)\w*)\.json")
"""Name of an annotation file, its part with the year, and its part."""


def is_coco(folder: Path) -> bool:
    """Whether a folder is one of COCO."""
    return any((folder / "annotations").glob("instances_*.json"))


def read_coco(folder: Path) -> DetectionData:
    """Images and boxes of a folder of COCO; for the parts see `choose_parts`.

    The images of `annotations/instances_train2017.json` are in `train2017` or `images/train2017`. Categories become
    classes in the order of their numbers, which may have gaps. Crowds (`iscrowd`) are ignored, neither learned nor
    counted, as in COCO's own evaluation. Masks are not read.

    Raises:
        UsageError: a file is missing or damaged, or the categories of the parts differ; the file is named.
    """
    files: dict[str, tuple[Path, str]] = {}
    for path in sorted((folder / "annotations").glob("instances_*.json")):
        if not (match := FILE.fullmatch(path.name)):
            raise UsageError(
                f"'{path}' names no part: call it instances_train.json, with a year if you like, or val or test"
            )
        if match[2] in files:
            raise UsageError(
                f"'{path}' and '{files[match[2]][0].name}' are both of part '{match[2]}': keep one of them"
            )
        files[match[2]] = path, match[1]
    parts = choose_parts(files, folder / "annotations")
    contents = {name: _load(files[name][0]) for name in parts if name}
    categories = _categories(contents[parts.train], files[parts.train][0])
    for name, content in contents.items():
        if _categories(content, files[name][0]) != categories:
            raise UsageError(
                f"the categories of '{files[name][0]}' are not those of '{files[parts.train][0].name}': make them equal"
            )
    datasets = {
        name: _dataset(content, files[name][0], _image_folder(folder, files[name][1]), categories)
        for name, content in contents.items()
    }
    validation = datasets.get(parts.validation or "")
    return DetectionData(f"COCO '{folder}'", datasets[parts.train], validation, datasets[parts.test])


def _load(path: Path) -> dict[str, Any]:
    """The content of an annotation file."""
    content: Any
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"cannot read '{path}' ({getattr(error, 'strerror', None) or error}): get it again") from error
    for name in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise UsageError(
                f"'{path}' has no list '{name}', as an instances file of COCO has: add it, or get it again"
            )
    if not content["images"]:
        raise UsageError(f"'{path}' has no image: add some")
    return dict(content)


def _categories(content: dict[str, Any], path: Path) -> dict[int, str]:
    """Names by number, in the order of numbers."""
    named = _fields(content, "categories", ("id", "name"), path)
    return {number: str(name) for number, name in sorted(named)}


def _image_folder(folder: Path, name: str) -> Path:
    places = [folder / name, folder / "images" / name]
    for place in places:
        if place.is_dir():
            return place
    raise UsageError(f"no folder '{places[0]}' and no '{places[1]}': unpack the images of this part there")


def _dataset(content: dict[str, Any], path: Path, images: Path, categories: dict[int, str]) -> DetectionDataset:
    listed = _fields(content, "images", ("id", "file_name", "width", "height"), path)
    rows = {number: row for row, (number, *_) in enumerate(listed)}
    labels = {number: label for label, number in enumerate(categories)}
    objects = Objects()
    found = _fields(content, "annotations", ("image_id", "category_id", "bbox"), path)
    for (image, category, box), one in zip(found, content["annotations"], strict=True):
        try:
            x, y, width, height = map(float, box)
            objects.add(rows[image], (x, y, x + width, y + height), labels[category], one.get("iscrowd", 0) == 1)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            reason = f"no number {error}" if isinstance(error, KeyError) else error
            raise UsageError(
                f"'{path}': annotation {one.get('id', one)} is wrong ({reason}): give it an 'image_id' and a "
                "'category_id' of the file, and a 'bbox' [x, y, width, height]"
            ) from error
    paths = [inside(images, str(name)) for _, name, *_ in listed]
    sizes = check_image_files(paths, [(width, height) for *_, width, height in listed])
    return DetectionDataset(paths, objects.checked_targets(paths, sizes), list(categories.values()))


def _fields(content: dict[str, Any], kind: str, names: tuple[str, ...], path: Path) -> list[list[Any]]:
    """These fields of every entry of a list; "id" is a whole number that no other entry has."""
    try:
        found = [[entry[name] for name in names] for entry in content[kind]]
    except (KeyError, TypeError) as error:
        raise UsageError(f"'{path}': an entry of '{kind}' lacks {error}: give each {', '.join(names)}") from error
    if names[0] == "id":
        known: set[int] = set()
        for number, *_ in found:
            if not isinstance(number, int) or number in known:
                raise UsageError(f"'{path}': 'id' {number!r} in '{kind}': give each a whole number of its own")
            known.add(number)
    return found
