"""Detection data by their path, and data that nothing can be trained or tested on."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.detection import coco_content, write_coco, write_voc

from avalanche_ssl.detection import open_detection_data
from avalanche_ssl.errors import UsageError

DOG, CAT = ("dog", (1, 1, 9, 9), 0), ("cat", (2, 2, 5, 5), 0)


def test_the_embedded_scenes_need_no_path() -> None:
    data = open_detection_data()
    assert str(data.train).startswith("500 images, 1,4")
    assert data.name == "embedded scenes"


def test_voc_and_coco_are_recognized(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voc = write_voc(
        tmp_path / "VOC2012", {"train": {"a": [DOG, ("dog", (1, 1, 2, 2), 1)], "b": []}, "val": {"c": [DOG]}}, (9, 9)
    )
    data = open_detection_data(voc)
    assert data.name == f"VOC '{voc}'"
    assert str(data.train) == "2 images, 1 object, 1 image without one kept as negative, 1 difficult or crowd ignored"
    assert capsys.readouterr().err == (
        f"VOC '{voc}', 1 class: to train on {data.train}; to test on 1 image, 1 object\n"
    )
    content = coco_content({1: (9, 9)}, [(1, 7, [0, 0, 3, 3], 0)], {7: "dog"})
    coco = write_coco(tmp_path / "coco", {"train2017": content, "val2017": content})
    assert open_detection_data(str(coco)).name == f"COCO '{coco}'"
    (coco / "JPEGImages").mkdir()
    with pytest.raises(UsageError, match=r"is both VOC and COCO: give one with Annotations"):
        open_detection_data(coco)
    with pytest.raises(
        UsageError, match=r"VOCdevkit' is no folder of VOC or COCO: give one with .*annotations/instances"
    ):
        open_detection_data(tmp_path / "VOCdevkit")


@pytest.mark.parametrize(("empty", "used"), [("train", "train"), ("val", "test")])
def test_a_part_without_any_object_is_refused(tmp_path: Path, empty: str, used: str) -> None:
    parts = {"train": {"a": [DOG]}, "val": {"b": [DOG]}}
    folder = write_voc(tmp_path / "VOC2012", parts | {empty: {"c": []}}, (9, 9))
    with pytest.raises(UsageError, match=f"the images to {used} on have no object: add annotations"):
        open_detection_data(folder)


def test_an_image_to_train_and_test_on_is_refused(tmp_path: Path) -> None:
    folder = write_voc(tmp_path / "VOC2012", {"train": {"a": [DOG], "b": [DOG]}, "val": {"b": [DOG]}}, (9, 9))
    with pytest.raises(UsageError, match=r"image '.*b.jpg' is to train and to test on .1 in all.: take it out of one"):
        open_detection_data(folder)


def test_a_class_of_the_test_only_is_named(tmp_path: Path) -> None:
    folder = write_voc(tmp_path / "VOC2012", {"train": {"a": [DOG]}, "val": {"b": [DOG, CAT]}}, (9, 9))
    with pytest.warns(UserWarning, match=r"no object to train on of class 'cat', which the test has"):
        open_detection_data(folder)
