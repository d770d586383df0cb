"""COCO on disk, in the exact format, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.detection import coco_content, write_coco

from avalanche_ssl.detection.coco import is_coco, read_coco
from avalanche_ssl.errors import UsageError

CATEGORIES = {18: "dog", 1: "person", 90: "toothbrush"}
TRAIN = coco_content(
    {391895: (64, 36), 522418: (40, 48)},
    [(522418, 90, [1.5, 2, 10, 20.25], 0), (522418, 1, [0, 0, 40, 48], 1), (522418, 18, [3, 3, 4, 4], 0)],
    CATEGORIES,
)
VAL = coco_content({139: (30, 20)}, [(139, 1, [2, 3, 4, 5], 0)], CATEGORIES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_coco(tmp_path / "coco", {"train2017": TRAIN, "val2017": VAL})


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def test_images_boxes_and_classes(folder: Path) -> None:
    """Sparse categories become 0, 1, ... in the order of their numbers; crowds are set apart."""
    assert is_coco(folder)
    data = read_coco(folder)
    assert data.validation is None
    assert data.train.class_names == data.test.class_names == ("person", "dog", "toothbrush")
    image, target = data.train[1]
    assert image.shape == (3, 48, 40)
    assert target["boxes"].tolist() == [[1.5, 2, 11.5, 22.25], [3, 3, 7, 7]]
    assert target["labels"].tolist() == [2, 1]
    assert target["ignored_boxes"].tolist() == [[0, 0, 40, 48]]
    assert target["ignored_labels"].tolist() == [0]
    assert data.train[0][1]["boxes"].shape == (0, 4)
    assert data.test[0][1]["boxes"].tolist() == [[2, 3, 6, 8]]


def test_images_in_a_folder_of_images(folder: Path) -> None:
    (folder / "images").mkdir()
    for part in ("train2017", "val2017"):
        (folder / part).rename(folder / "images" / part)
    assert len(read_coco(folder).train) == 2


def test_a_box_outside_its_image_is_refused(folder: Path) -> None:
    change(folder, lambda content: content["annotations"][0].update(bbox=[41, 0, 3, 3]))
    with pytest.raises(UsageError, match=r"000000522418.jpg' of 40 x 48 pixels: box \(41, 0, 44, 3\) lies outside"):
        read_coco(folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c.pop("images"), "instances_train2017.json' has no list 'images', as an instances file"),
        (lambda c: c["images"].clear(), "train2017.json' has no image: add some"),
        (lambda c: c["images"][0].pop("width"), "an entry of 'images' lacks 'width': give each id, file_name, width"),
        (lambda c: c["images"][0].update(id=522418), "'id' 522418 in 'images': give each a whole number of its own"),
        (lambda c: c["images"][0].update(id=[1]), r"'id' \[1\] in 'images': give each a whole number of its own"),
        (lambda c: c["categories"][0].update(id="a"), "'id' 'a' in 'categories': give each a whole number"),
        (lambda c: c["images"][0].update(file_name="/etc/a.jpg"), "'/etc/a.jpg' does not lie in '.*train2017': give"),
        (lambda c: c["images"][0].update(file_name="../a.jpg"), "image '../a.jpg' does not lie in '.*train2017'"),
        (lambda c: c["images"][0].update(file_name="b.jpg"), r"cannot read image '.*b.jpg' \(No such file"),
        (lambda c: c["images"][0].update(height=37), "has 64 x 36 pixels and its annotation says 64 x 37"),
        (lambda c: c["annotations"][1].pop("bbox"), "an entry of 'annotations' lacks 'bbox'"),
        (lambda c: c["annotations"][1].update(bbox=[1, 2, 3]), "annotation 901 is wrong .*: give it an 'image_id'"),
        (lambda c: c["annotations"][1].update(bbox=[0, 0, 10**400, 1]), "annotation 901 is wrong"),
        (lambda c: c["annotations"][1].update(image_id=5), r"annotation 901 is wrong \(no number 5\)"),
        (lambda c: c["annotations"][1].update(category_id=2), r"annotation 901 is wrong \(no number 2\)"),
        (lambda c: c["categories"].pop(), "the categories of '.*val2017.json' are not those of 'instances_train2017"),
    ],
)
def test_damage_is_refused_by_its_file(folder: Path, edit: Callable[[dict[str, Any]], object], message: str) -> None:
    change(folder, edit)
    with pytest.raises(UsageError, match=message) as caught:
        read_coco(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[" * 100_000, "[1]", '{"images": 1}'])
def test_what_is_no_instances_file(folder: Path, text: str) -> None:
    (folder / "annotations/instances_val2017.json").write_text(text)
    with pytest.raises(UsageError, match=r"instances_val2017.json' (.*get it again|has no list 'images')"):
        read_coco(folder)


def test_files_of_parts(folder: Path) -> None:
    val = folder / "annotations/instances_val2017.json"
    second = folder / "annotations/instances_val2014.json"
    second.write_bytes(val.read_bytes())
    with pytest.raises(
        UsageError, match=r"instances_val2017.json' and 'instances_val2014.json' are both of part 'val'"
    ):
        read_coco(folder)
    second.unlink()
    val.rename(folder / "annotations/instances_mine.json")
    with pytest.raises(UsageError, match=r"instances_mine.json' names no part: call it instances_train.json"):
        read_coco(folder)
    (folder / "annotations/instances_mine.json").unlink()
    with pytest.raises(UsageError, match=r"annotations' needs parts to train and to test on and has only train: add"):
        read_coco(folder)


def test_a_missing_folder_of_images(folder: Path) -> None:
    (folder / "val2017").rename(folder / "val")
    with pytest.raises(UsageError, match=r"no folder '.*/val2017' and no '.*/images/val2017': unpack the images"):
        read_coco(folder)
